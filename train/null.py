"""The retrained null: copies of each fold, trained and tested on labels that were shuffled within subjects.

A copy is a fold like any other and trained in the same pass. All that is kept of it is its confusion matrix,
`null/<fold>.json` in the folder of the run.
"""

from collections.abc import Sequence

import numpy as np

from data_cache.digest import digest
from data_cache.errors import InvalidFile
from train.data.folds import Fold
from train.results.fold_record import FoldResult, read_record, write_record
from train.results.metrics import confusion_matrix, null_test
from train.results.run_folder import RunFolder


def store(folder: RunFolder, result: FoldResult) -> None:
    """Keep what a copy came to."""
    confusion = confusion_matrix(result.true.tolist(), result.predicted.tolist(), result.logits.shape[1])
    values = {"config": digest(folder.config), "confusion": confusion.tolist()}
    write_record(folder.place("null", result.name, ".json"), values)


def sum_up(folder: RunFolder, folds: Sequence[Fold], copies: int) -> None:
    """Add `null` to the summary of a finished run, once `copies` copies of all `folds` are there.

    Raises:
        InvalidFile: a copy is damaged, or of a run with other settings.
    """
    summary, of_config = folder.summary, digest(folder.config)
    observed = np.array(summary["final_epoch"]["confusion"])
    found = np.zeros((copies, *observed.shape), np.int64)
    for fold in (copy for each in folds for copy in each.copies(copies)):
        path = folder.place("null", fold.name, ".json")
        if not path.exists():
            return
        record = read_record(path)
        if record.get("config") != of_config or np.shape(record.get("confusion", ())) != observed.shape:
            raise InvalidFile(f"{path} belongs to another run; delete {path.parent} and run the same command again")
        found[fold.shuffle - 1] += np.array(record["confusion"])
    folder.write_summary({**summary, "null": null_test(observed, found)})
