"""From the folds of a run to its scores, and from several seeds to mean and deviation; needs run folders alone."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from data_cache.digest import digest
from data_cache.errors import InvalidFile
from train.data.folds import LOSO, Fold, Split
from train.results import metrics
from train.results.fold_record import FoldResult, read_record, write_record
from train.results.metrics import METRICS
from train.results.run_folder import RunFolder
from train.results.tables import Row, Table

ENOUGH_SUBJECTS = 20
"""From so many on, an interval over subjects holds what it says."""


def summarise(folds: Sequence[FoldResult], classes: Sequence[str], split: Split) -> dict[str, Any]:
    """The scores of a run.

    `final_epoch` is the headline: predictions after the last epoch, pooled over all subjects. `by_dataset` scores
    each data set of a composite, or each tested part of a fixed split, by itself.
    `oracle_best_epoch` takes for each fold the epoch that was best on its test subject. Much published
    code reports that; it looks at test labels, so it is a leak and no result.
    """
    true, predicted = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("true", "predicted"))
    keys, number = [key for fold in folds for key in fold.keys], len(classes)
    subjects, parts = np.array(["/".join(key[:2]) for key in keys]), np.array([split.part(key) for key in keys])
    p_value, chance = metrics.permutation_p(true, predicted, subjects)
    best = [(fold.epoch_predictions == fold.true).sum(1).argmax() for fold in folds]
    oracle = np.concatenate([fold.epoch_predictions[n] for fold, n in zip(folds, best, strict=True)])
    matrices = metrics.subject_matrices(true, predicted, subjects, number)
    by_part = {}
    for part in dict.fromkeys(parts.tolist()) if len(set(parts)) > 1 else ():  # a single one is the whole
        chosen = parts == part
        theirs = metrics.subject_matrices(true[chosen], predicted[chosen], subjects[chosen], number)
        counts = {"clips": int(chosen.sum()), "subjects": len(theirs)}
        by_part[part] = {**counts, **metrics.with_interval(theirs, metrics.of_part)}
    probe: dict[str, Any] = {}  # the scores of each image alone, and how many folds chose each recipe
    for name in (name for name in folds[0].traces if name.startswith("alone_")):
        alone = np.concatenate([fold.traces[name] for fold in folds])
        probe[name] = metrics.with_interval(metrics.subject_matrices(true, alone, subjects, number))
    if probe:
        probe["folds_by_recipe"] = np.bincount([fold.traces["recipe"][0] for fold in folds]).tolist()
    return {
        "classes": list(classes),
        "clips": len(true),
        "subjects": len(matrices),
        "split": split.title,
        "epochs": len(folds[0].epoch_predictions),
        "final_epoch": {
            **metrics.scores(matrices.sum(0)),
            "interval_95": metrics.bootstrap_interval(matrices),
            "permutation_p": p_value,
            "permutation_accuracy": chance,
            "confusion": matrices.sum(0).tolist(),
        },
        "by_dataset": by_part,
        **({"probe": probe} if probe else {}),
        "majority_baseline": metrics.majority_baseline(true, number),
        "fold_average": fold_average(folds),
        "oracle_best_epoch": {
            **metrics.scores(metrics.confusion_matrix(true, oracle, number)),
            "warning": "leak: the epoch of each fold was chosen with its test labels",
        },
        "seconds": round(sum(fold.seconds for fold in folds), 1),
    }


def fold_average(folds: Sequence[FoldResult]) -> dict[str, float]:
    """Means of the scores of single folds, each over the classes that it shows: unstable for subjects with few clips.

    A fold is a subject in leave-one-subject-out. Summaries of earlier versions counted absent classes as 0.
    """
    return metrics.mean_pooled(np.array([fold.confusion for fold in folds]), metrics.of_part)


def keep_copy(folder: RunFolder, result: FoldResult) -> None:
    """Keep what a copy of a fold came to, trained and tested on labels that were shuffled within subjects (`--null`).

    All that is kept is its confusion matrix, `null/<fold>.json` in the folder of the run.
    """
    values = {"config": digest(folder.config), "confusion": result.confusion.tolist()}
    write_record(folder.place("null", result.name, ".json"), values)


def add_null(folder: RunFolder, folds: Sequence[Fold], copies: int) -> None:
    """Add `null` to the summary of a finished run, once `copies` copies of all `folds` are there.

    An InvalidFile if one is damaged, or of a run with other settings.
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
    folder.write_summary({**summary, "null": metrics.null_test(observed, found)})


def interval_name(subjects: int) -> str:
    """What an interval over so many subjects may be called: with few, it covers 88 to 91 % instead of 95."""
    return "95 % interval" if subjects >= ENOUGH_SUBJECTS else "approximate 95 % interval"


def score_rows(summary: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str]]:
    """What every table of scores says, from top to bottom: name, scores, and the kind of `tables.Row`.

    The headline is the final epoch; below it, of a probe, each image alone; the baseline; the leak.
    """
    probe = summary.get("probe", {})
    alone = [(title, probe[f"alone_{name}"], "") for name, title in _IMAGES.items() if f"alone_{name}" in probe]
    return [
        ("ridge on all images" if alone else "final epoch", summary["final_epoch"], "headline"),
        *alone,
        ("majority class", summary["majority_baseline"], ""),
        *([("best epoch on test (leak)", summary["oracle_best_epoch"], "leak")] if summary.get("epochs") != 1 else []),
    ]


def permutation_lines(summary: Mapping[str, Any]) -> list[str]:
    """What the summary knows against chance, in words: predictions given, and trained again if `--null` did that."""
    final, null = summary["final_epoch"], summary.get("null")
    chosen = summary.get("probe", {}).get("folds_by_recipe", [])
    lines = [
        f"Labels shuffled within subjects, predictions as they are: p {metrics.p_text(final['permutation_p'])}, "
        f"chance accuracy {final['permutation_accuracy']:.1%}"
    ]
    if null:
        names = dict(zip(METRICS, ("accuracy", "UF1", "UAR"), strict=True))
        values = ", ".join(f"{names[m]} {null['p'][m]:.3f} (chance {null['chance'][m]:.1%})" for m in METRICS)
        lines.append(f"Trained again on shuffled labels, {null['copies']} times: p of {values}")
    if len(chosen) > 1:
        lines.append(f"Recipe chosen on training subjects, folds by cache: {', '.join(map(str, chosen))}")
    return lines


_IMAGES = {
    "onset": "onset frame alone (control)",
    "dynamic": "dynamic image alone",
    "magnified": "a magnified frame alone",
}


def parts_table(summary: Mapping[str, Any]) -> list[Table]:
    """The table that papers on composites print: the whole, then each data set or tested part; none for one part."""
    parts = {"all": {**summary, **summary["final_epoch"]}, **(summary.get("by_dataset") or {})}
    rows: list[Row] = []
    for name, each in parts.items():
        shares = (f"{each[metric]:.1%}" for metric in ("macro_f1", "uar", "accuracy"))
        interval = "–".join(f"{100 * value:.1f}" for value in each["interval_95"]["macro_f1"])
        approximate = ", approximate" if each["subjects"] < ENOUGH_SUBJECTS else ""
        cells = (name, each["clips"], each["subjects"], *shares, interval + approximate)
        rows.append(Row(cells, "" if rows else "headline"))
    caption = "Each data set or part by itself, final epoch; means over the classes that it shows"
    headings = ("", "clips", "subjects", "UF1", "UAR", "Acc", "95 % interval of UF1")
    return [Table("by-dataset", caption, headings, tuple(rows))] if len(parts) > 1 else []


def split_title(summary: Mapping[str, Any]) -> str:
    """How the clips were divided; runs from before there was a choice left out one subject."""
    return str(summary.get("split", LOSO.title))


def combine_seeds(summaries: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What the final epochs of several seeds have in common."""
    values = {metric: [float(summary["final_epoch"][metric]) for summary in summaries] for metric in METRICS}
    return {
        "runs": list(names),
        "clips": summaries[0]["clips"],
        "subjects": summaries[0]["subjects"],
        **{metric: {"mean": mean(found), "sd": stdev(found), "each": found} for metric, found in values.items()},
    }
