"""From the folds of a run to its scores, and from several seeds to mean and deviation; needs run folders alone."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

import numpy as np

from train.results.fold_record import FoldResult
from train.results.metrics import (
    METRICS,
    bootstrap_interval,
    confusion_matrix,
    majority_baseline,
    permutation_p,
    pooled,
    scores,
    subject_matrices,
)


def summarise(folds: Sequence[FoldResult], classes: Sequence[str]) -> dict[str, Any]:
    """The scores of a run.

    `final_epoch` is the headline: predictions after the last epoch, pooled over all subjects.
    `oracle_best_epoch` takes for each fold the epoch that was best on its test subject. Much published
    code reports that; it looks at test labels, so it is a leak and no result.
    """
    true = np.concatenate([fold.true for fold in folds]).tolist()
    predicted = np.concatenate([fold.predicted for fold in folds]).tolist()
    subjects = [f"{fold.dataset}/{fold.subject}" for fold in folds for _ in fold.clips]
    p_value, chance = permutation_p(true, predicted, subjects)
    matrices = subject_matrices(true, predicted, subjects, len(classes))
    matrix = matrices.sum(0)
    return {
        "classes": list(classes),
        "clips": len(true),
        "subjects": len(folds),
        "final_epoch": {
            **asdict(scores(matrix)),
            "interval_95": bootstrap_interval(matrices),
            "permutation_p": p_value,
            "permutation_accuracy": chance,
            "confusion": matrix.tolist(),
        },
        "majority_baseline": asdict(majority_baseline(true, len(classes))),
        "fold_average": _fold_average(folds, len(classes)),
        "oracle_best_epoch": {
            **asdict(scores(confusion_matrix(true, _oracle(folds).tolist(), len(classes)))),
            "warning": "leak: the epoch of each fold was chosen with its test labels",
        },
        "seconds": round(sum(fold.seconds for fold in folds), 1),
    }


def combine_seeds(summaries: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What the final epochs of several seeds have in common.

    Args:
        summaries: of at least two finished runs that differ in their seed only.
        names: of their folders.
    """
    values = {metric: [float(summary["final_epoch"][metric]) for summary in summaries] for metric in METRICS}
    return {
        "runs": list(names),
        "clips": summaries[0]["clips"],
        "subjects": summaries[0]["subjects"],
        **{metric: {"mean": mean(found), "sd": stdev(found), "each": found} for metric, found in values.items()},
    }


def _fold_average(folds: Sequence[FoldResult], classes: int) -> dict[str, float]:
    """Means of the scores of single subjects: reported by some papers, unstable for small subjects."""
    each = [pooled(confusion_matrix(fold.true.tolist(), fold.predicted.tolist(), classes)) for fold in folds]
    return {metric: float(np.mean([score[metric] for score in each])) for metric in METRICS}


def _oracle(folds: Sequence[FoldResult]) -> np.ndarray:
    """Predictions of each fold at the epoch where most of its test clips are correct."""
    chosen = [fold.epoch_predictions[(fold.epoch_predictions == fold.true).sum(1).argmax()] for fold in folds]
    return np.concatenate(chosen)
