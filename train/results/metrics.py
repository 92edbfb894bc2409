"""Scores of pooled predictions: accuracy, macro-F1 (UF1), UAR, with baselines and their uncertainty.

Predictions of all folds are pooled first and scored once, over a fixed list of classes. A class that
nobody predicts, or that nobody shows, counts as 0 in the means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix comes to; all shares from 0 to 1.

    Attributes:
        accuracy: share of clips that are right.
        macro_f1: mean F1 over the classes (UF1 in the MEGC).
        uar: unweighted average recall, the mean recall over the classes.
        precision: per class.
        recall: per class.
        f1: per class.
        support: clips per class.
    """

    accuracy: float
    macro_f1: float
    uar: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    support: tuple[int, ...]


def confusion_matrix(true: Sequence[int], predicted: Sequence[int], classes: int) -> np.ndarray:
    """Counts (classes, classes): rows are true classes, columns predicted ones."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(true, np.intp), np.asarray(predicted, np.intp)), 1)
    return matrix


def scores(matrix: np.ndarray) -> Scores:
    """All scores of a confusion matrix (rows true, columns predicted)."""
    hits = np.diag(matrix).astype(float)
    shown, named = matrix.sum(1), matrix.sum(0)
    precision, recall, f1 = (_ratio(hits, named), _ratio(hits, shown), _ratio(2 * hits, shown + named))
    return Scores(
        accuracy=float(hits.sum() / max(matrix.sum(), 1)),
        macro_f1=float(f1.mean()),
        uar=float(recall.mean()),
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        f1=tuple(f1.tolist()),
        support=tuple(int(n) for n in shown),
    )


def majority_baseline(true: Sequence[int], classes: int) -> Scores:
    """Scores of always answering with the most frequent class."""
    counts = np.bincount(np.asarray(true, np.intp), minlength=classes)
    return scores(confusion_matrix(true, [int(counts.argmax())] * len(true), classes))


def bootstrap_interval(
    true: Sequence[int], predicted: Sequence[int], subjects: Sequence[str], classes: int, draws: int = 2000
) -> dict[str, tuple[float, float]]:
    """95 % intervals of accuracy, macro_f1 and uar, by drawing subjects with replacement.

    Clips of one subject resemble each other, so subjects are drawn, not clips.
    """
    names = sorted(set(subjects))
    per_subject = np.stack(
        [
            confusion_matrix(
                [t for t, s in zip(true, subjects, strict=True) if s == name],
                [p for p, s in zip(predicted, subjects, strict=True) if s == name],
                classes,
            )
            for name in names
        ]
    )
    rng = np.random.default_rng(0)
    drawn = [scores(per_subject[rng.integers(len(names), size=len(names))].sum(0)) for _ in range(draws)]
    return {
        metric: tuple(np.percentile([getattr(s, metric) for s in drawn], [2.5, 97.5]).tolist())
        for metric in ("accuracy", "macro_f1", "uar")
    }


def permutation_p(
    true: Sequence[int], predicted: Sequence[int], subjects: Sequence[str], draws: int = 9999
) -> tuple[float, float]:
    """How surprising the accuracy is if the predictions know nothing of the class.

    True labels are shuffled within each subject, which keeps every subject's classes.

    Returns:
        The p value, (1 + shuffles at least as accurate) / (1 + shuffles), and the mean shuffled accuracy.
    """
    labels, answers, groups = np.asarray(true), np.asarray(predicted), np.asarray(subjects)
    rng = np.random.default_rng(0)
    right = np.zeros(draws)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        shuffled = rng.permuted(np.tile(labels[members], (draws, 1)), axis=1)
        right += (shuffled == answers[members]).sum(1)
    observed = int((labels == answers).sum())
    return float((1 + (right >= observed).sum()) / (1 + draws)), float(right.mean() / len(labels))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
