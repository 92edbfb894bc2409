"""From the folds of a run to its scores; needs the run folder alone."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from train.results.metrics import bootstrap_interval, confusion_matrix, majority_baseline, permutation_p, scores
from train.results.run_folder import FoldResult


def summarise(folds: Sequence[FoldResult], classes: Sequence[str]) -> dict[str, Any]:
    """The scores of a run.

    `final_epoch` is the headline: predictions after the last epoch, pooled over all subjects.
    `oracle_best_epoch` takes for each fold the epoch that was best on its test subject. Much published
    code reports that; it looks at test labels, so it is a leak and no result.
    """
    true = np.concatenate([fold.true for fold in folds])
    predicted = np.concatenate([fold.predicted for fold in folds])
    subjects = [f"{fold.dataset}/{fold.subject}" for fold in folds for _ in fold.clips]
    p_value, chance = permutation_p(true.tolist(), predicted.tolist(), subjects)
    matrix = confusion_matrix(true.tolist(), predicted.tolist(), len(classes))
    return {
        "classes": list(classes),
        "clips": len(true),
        "subjects": len(folds),
        "final_epoch": {
            **asdict(scores(matrix)),
            "interval_95": bootstrap_interval(true.tolist(), predicted.tolist(), subjects, len(classes)),
            "permutation_p": p_value,
            "permutation_accuracy": chance,
            "confusion": matrix.tolist(),
        },
        "majority_baseline": asdict(majority_baseline(true.tolist(), len(classes))),
        "fold_average": _fold_average(folds, len(classes)),
        "oracle_best_epoch": {
            **asdict(scores(confusion_matrix(true.tolist(), _oracle(folds).tolist(), len(classes)))),
            "warning": "leak: the epoch of each fold was chosen with its test labels",
        },
        "seconds": round(sum(fold.seconds for fold in folds), 1),
    }


def _fold_average(folds: Sequence[FoldResult], classes: int) -> dict[str, float]:
    """Means of the scores of single subjects: reported by some papers, unstable for small subjects."""
    each = [scores(confusion_matrix(fold.true.tolist(), fold.predicted.tolist(), classes)) for fold in folds]
    return {
        metric: float(np.mean([getattr(score, metric) for score in each])) for metric in ("accuracy", "macro_f1", "uar")
    }


def _oracle(folds: Sequence[FoldResult]) -> np.ndarray:
    """Predictions of each fold at the epoch where most of its test clips are right."""
    chosen = [fold.epoch_predictions[(fold.epoch_predictions == fold.true).sum(1).argmax()] for fold in folds]
    return np.concatenate(chosen)
