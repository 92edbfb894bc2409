"""Predictions and their scores: accuracy, macro-F1 (UF1), UAR, with baselines and their uncertainty.

Predictions of all folds are pooled first and scored once, over a fixed list of classes. A class that
is never predicted, or that no clip has, counts as 0 in the means.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

METRICS = ("accuracy", "macro_f1", "uar")
"""The scores that every table gives, by their names in summary.json."""
Measure = Callable[[np.ndarray], Mapping[str, float]]
"""Values by name, of a confusion matrix or several."""


@dataclass(frozen=True)
class Prediction:
    """What one or several models predict for a clip.

    Attributes:
        key: data set, subject and clip.
        logits: (models, classes).
        models: their names: a fold, or "final".
        true: the clip's class; None where nobody has said.
    """

    key: tuple[str, str, str]
    logits: np.ndarray
    models: tuple[str, ...] = ()
    true: int | None = None

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(classes,), the mean over the models of their softmax."""
        from scipy.special import softmax

        return np.asarray(softmax(self.logits.astype(np.float64), 1).mean(0))

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def correct(self) -> bool:
        """Whether that is the true one."""
        return self.predicted == self.true


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, classes: int) -> np.ndarray:
    """Counts (classes, classes): rows are true classes, columns predicted ones."""
    return np.asarray(subject_matrices(true, predicted, np.zeros(np.shape(true)), classes).sum(0))


def scores(matrix: np.ndarray) -> dict[str, Any]:
    """All scores of a confusion matrix (rows true, columns predicted), as summary.json has them: shares of 0..1.

    Returns:
        `accuracy`; `macro_f1`, the mean F1 over the classes (UF1 in the MEGC); `uar`, their mean recall; of each class
        `precision`, `recall`, `f1`, and `support`, its number of clips.
    """
    hits, shown, named = np.diag(matrix).astype(float), matrix.sum(1), matrix.sum(0)
    wholes = {"precision": (hits, named), "recall": (hits, shown), "f1": (2 * hits, shown + named)}
    each = {name: np.divide(*parts, out=np.zeros(len(hits)), where=parts[1] > 0) for name, parts in wholes.items()}
    return {
        "accuracy": float(hits.sum() / max(matrix.sum(), 1)),
        "macro_f1": float(each["f1"].mean()),
        "uar": float(each["recall"].mean()),
        **{name: values.tolist() for name, values in each.items()},
        "support": shown.tolist(),
    }


def pooled(matrix: np.ndarray) -> dict[str, float]:
    """The `METRICS` of a confusion matrix."""
    found = scores(matrix)
    return {metric: found[metric] for metric in METRICS}


def mean_pooled(matrices: np.ndarray, measure: Measure = pooled) -> dict[str, float]:
    """Means of the `METRICS`, as `measure` finds them, of several confusion matrices, (runs, classes, classes)."""
    each = [measure(matrix) for matrix in matrices]
    return {metric: float(np.mean([values[metric] for values in each])) for metric in METRICS}


def of_part(matrix: np.ndarray) -> dict[str, float]:
    """The `METRICS` of one data set or subject of several, with means over the classes that it shows, not over all."""
    each, shown = scores(matrix), matrix.sum(1) > 0
    f1, uar = (float(np.array(each[name])[shown].mean()) for name in ("f1", "recall"))
    return {"accuracy": each["accuracy"], "macro_f1": f1, "uar": uar}


def majority_baseline(true: ArrayLike, classes: int) -> dict[str, Any]:
    """Scores of always predicting the most frequent class."""
    counts = np.bincount(np.asarray(true, np.intp), minlength=classes)
    return scores(confusion_matrix(true, np.full(np.shape(true), counts.argmax()), classes))


def subject_matrices(true: ArrayLike, predicted: ArrayLike, subjects: ArrayLike, classes: int) -> np.ndarray:
    """A confusion matrix for each subject, by name: (subjects, classes, classes)."""
    names, index = np.unique(np.asarray(subjects), return_inverse=True)
    matrices = np.zeros((len(names), classes, classes), np.int64)
    np.add.at(matrices, (index, np.asarray(true, np.intp), np.asarray(predicted, np.intp)), 1)
    return matrices


def bootstrap_interval(matrices: np.ndarray, measure: Measure = pooled) -> dict[str, tuple[float, float]]:
    """95 % intervals of what `measure` finds in the sum over subjects, by drawing subjects with replacement.

    Clips of one subject resemble each other, so subjects are drawn, not clips.

    `matrices` are (subjects, …), as from `subject_matrices`; `measure` turns their sum (…) into values by name.
    """
    rng = np.random.default_rng(0)
    drawn = [measure(matrices[rng.integers(len(matrices), size=len(matrices))].sum(0)) for _ in range(2000)]
    bounds = {name: np.percentile([values[name] for values in drawn], [2.5, 97.5]) for name in drawn[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def with_interval(matrices: np.ndarray, measure: Measure = pooled) -> dict[str, Any]:
    """What `measure` finds in the sum of `matrices`, and `interval_95`, the `bootstrap_interval` of each."""
    return {**measure(matrices.sum(0)), "interval_95": bootstrap_interval(matrices, measure)}


def permutation_p(true: ArrayLike, predicted: ArrayLike, subjects: ArrayLike, draws: int = 9999) -> tuple[float, float]:
    """Permutation test of the accuracy, given the predictions: are they independent of the class within a subject?

    True labels are shuffled within each subject, which keeps every subject's classes; the predictions stay. The models
    are not trained again, yet each subject's labels trained the others' models, so small p are somewhat too small (up
    to three times at 0.001). `null_test` has none of that.

    Returns:
        The p value, (1 + shuffles at least as accurate) / (1 + shuffles), and the mean shuffled accuracy.
    """
    labels, given, groups = np.asarray(true), np.asarray(predicted), np.asarray(subjects)
    rng = np.random.default_rng(0)
    correct = np.zeros(draws)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        shuffled = rng.permuted(np.tile(labels[members], (draws, 1)), axis=1)
        correct += (shuffled == given[members]).sum(1)
    observed = int((labels == given).sum())
    return float((1 + (correct >= observed).sum()) / (1 + draws)), float(correct.mean() / len(labels))


def null_test(observed: np.ndarray, copies: np.ndarray) -> dict[str, Any]:
    """A run against copies of it that were trained and tested on labels shuffled within subjects.

    Given are confusion matrices: the run's, (classes, classes), and those of K copies, (K, classes, classes).

    Returns:
        `copies`, K; by metric, the mean of the copies (`chance`) and `p`, (1 + copies at least as good) / (1 + K).
    """
    found, each = pooled(observed), [pooled(copy) for copy in copies]
    p = {m: (1 + sum(copy[m] >= found[m] - 1e-12 for copy in each)) / (1 + len(each)) for m in METRICS}
    return {"copies": len(each), "p": p, "chance": mean_pooled(copies)}


def p_text(p: float) -> str:
    """As text with its sign, such as "= 0.0123" or "< 0.0001": no p is 0."""
    return f"= {p:.4f}" if p >= 0.0001 else "< 0.0001"


def sign_flip_p(differences: np.ndarray, exact: int = 12, draws: int = 9999) -> float:
    """Two-sided test that subjects favour neither side: under the null, each subject's difference may have either sign.

    Args:
        differences: (subjects,) what one side is better by; the statistic is the size of their sum.
        exact: up to so many subjects all signs are gone through; beyond, `draws` are drawn.

    Returns:
        The share of signs whose sum is at least as large; the observed ones count as one of the draws.
    """
    subjects, size = len(differences), abs(differences.sum()) - 1e-9  # equal sums are equal in spite of rounding
    if subjects <= exact:
        signs = 1 - 2 * (np.arange(2**subjects)[:, None] >> np.arange(subjects) & 1)
        return float((abs(signs @ differences) >= size).mean())
    signs = 1 - 2 * np.random.default_rng(0).integers(2, size=(draws, subjects))
    return float((1 + (abs(signs @ differences) >= size).sum()) / (1 + draws))
