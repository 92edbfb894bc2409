"""Scores against scikit-learn, and the baselines against what they mean."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from tiny_runs import fold

from train.data.folds import LOSO
from train.results.metrics import (
    bootstrap_interval,
    confusion_matrix,
    majority_baseline,
    null_test,
    p_text,
    permutation_p,
    scores,
    sign_flip_p,
    subject_matrices,
)
from train.results.summary import fold_average, interval_name, summarise

CLASSES = 4
ANSWERS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(ANSWERS)
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, predicted = zip(*pairs, strict=True)
    everyone = range(CLASSES)
    matrix = confusion_matrix(true, predicted, CLASSES)
    ours = scores(matrix)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(true, predicted, labels=everyone))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each, (_, uar, macro_f1, _) = (
            sk.precision_recall_fscore_support(true, predicted, labels=everyone, zero_division=0, average=average)
            for average in (None, "macro")
        )
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    assert (ours["uar"], ours["macro_f1"]) == pytest.approx((uar, macro_f1))
    for name, values in zip(("precision", "recall", "f1", "support"), each, strict=True):
        assert ours[name] == pytest.approx(values)


def test_the_majority_of_casme_ii_is_forty_per_cent() -> None:
    """99 'others' of 247 clips: the figure that published accuracies are to be held against."""
    true = np.repeat(range(5), (64, 32, 99, 27, 25)).tolist()
    baseline = majority_baseline(true, 5)
    assert baseline["accuracy"] == pytest.approx(99 / 247)
    assert baseline["uar"] == pytest.approx(1 / 5)
    assert baseline["macro_f1"] == pytest.approx(2 * 99 / (99 + 247) / 5)


def test_knowing_predictions_are_significant_and_guesses_are_not(rng: np.random.Generator) -> None:
    true = rng.integers(0, 5, 200)
    knowing = np.where(rng.random(200) < 0.5, true, rng.integers(0, 5, 200))
    p, chance = permutation_p(true, knowing, np.arange(200) // 20)
    assert p == pytest.approx(1 / 10_000) and 0.15 < chance < 0.25


def test_p_values_of_guesses_are_uniform(rng: np.random.Generator) -> None:
    values = []
    for _ in range(200):
        true, guesses = rng.integers(0, 3, (2, 60))
        values.append(permutation_p(true, guesses, np.arange(60) // 10, draws=199)[0])
    for level in (0.1, 0.3, 0.5):  # a p value is at most `level` no more often than that; ± 3 standard errors
        assert np.mean(np.array(values) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 200)
    assert np.mean(np.array(values) <= 0.5) > 0.3


def test_subjects_who_always_answer_alike_are_not_mistaken_for_knowledge() -> None:
    """Each subject shows one class and gets one answer: right for all, but labels cannot be shuffled within."""
    true = np.arange(30) // 10
    assert permutation_p(true, true, true) == (1.0, 1.0)


def test_the_interval_widens_with_differences_between_subjects(rng: np.random.Generator) -> None:
    true, clips = np.array([0, 1] * 50), np.arange(100)
    even = np.where(clips % 2, true, 1 - true)  # each subject half right
    uneven = np.where(clips < 50, true, 1 - true)  # half of the subjects all right
    intervals = [bootstrap_interval(subject_matrices(true, each, clips // 10, 2)) for each in (even, uneven)]
    assert intervals[0]["accuracy"] == pytest.approx((0.5, 0.5))
    assert intervals[1]["accuracy"][0] < 0.3 and intervals[1]["accuracy"][1] > 0.7


def test_the_sign_flip_test_goes_through_all_signs() -> None:
    """Wilcoxon's sums have a known distribution: of 1, 2, …, 8 with random signs, so many sums are this large."""
    ranks = np.arange(1.0, 9.0)
    for flipped in ((), (0,), (0, 3), (7,)):
        differences = np.where(np.isin(np.arange(8), flipped), -ranks, ranks)
        below = (ranks.sum() - abs(differences.sum())) / 2  # sum of the ranks with the rarer sign
        counts = np.polynomial.Polynomial([1.0])
        for rank in range(1, 9):
            counts *= np.polynomial.Polynomial([1.0, *np.zeros(rank - 1), 1.0])
        assert sign_flip_p(differences) == pytest.approx(2 * counts.coef[: int(below) + 1].sum() / 2**8)
    assert sign_flip_p(np.zeros(5)) == 1.0 and sign_flip_p(np.array([1 / 3] * 3)) == 0.25


def test_drawn_signs_come_near_to_all_signs(rng: np.random.Generator) -> None:
    for _ in range(5):
        differences = rng.normal(0.4, 1, 11)
        assert sign_flip_p(differences, exact=0) == pytest.approx(sign_flip_p(differences), abs=0.02)


@pytest.mark.parametrize("subjects", [8, 26])
def test_equally_good_models_rarely_differ_by_sign_flips(subjects: int) -> None:
    """Each subject favours one side or the other, as McNemar's test on clips does not expect; 200 clips in all."""
    rng = np.random.default_rng(1)
    clips = 200 // subjects
    p = []
    for _ in range(1000):
        easier = rng.normal(0, 1, (subjects, 1))  # log odds that this subject adds for the first side
        right = [rng.random((subjects, clips)) < 1 / (1 + np.exp(-sign * easier / 2)) for sign in (1, -1)]
        p.append(sign_flip_p((right[0].sum(1) - right[1].sum(1)).astype(float), draws=499))
    assert 0.02 < np.mean(np.array(p) <= 0.05) <= 0.06


def test_retrained_copies_make_p_values_that_hold() -> None:
    """200 simulated runs on shuffled data: nearest class means, leave-one-subject-out, against 19 copies of each."""
    rng, copies, subjects, clips, classes = np.random.default_rng(2), 19, 8, 8, 3
    shape = (200, 1 + copies, subjects, clips)  # the first copy plays the run
    features = rng.normal(size=(200, 1, subjects, clips, 6))
    labels = rng.permuted(np.broadcast_to(np.arange(clips) % classes, shape), axis=-1)
    answers = np.eye(classes)[labels]  # (…, subjects, clips, classes)
    sums = np.einsum("...nsif,...nsic->...nscf", np.broadcast_to(features, (*shape, 6)), answers)
    counts = answers.sum(-2)[..., None]
    means = (sums.sum(-3, keepdims=True) - sums) / (counts.sum(-3, keepdims=True) - counts)  # of the other subjects
    guesses = ((features[..., None, :] - means[..., None, :, :]) ** 2).sum(-1).argmin(-1)
    cells = (labels * classes + guesses).reshape(200, 1 + copies, -1)
    matrices = np.apply_along_axis(np.bincount, -1, cells, minlength=classes**2).reshape(200, -1, classes, classes)
    tests = [null_test(run[0], run[1:]) for run in matrices]
    for metric in ("accuracy", "macro_f1", "uar"):
        assert np.mean([test["p"][metric] <= 0.05 for test in tests]) <= 0.06
        assert np.mean([test["chance"][metric] for test in tests]) == pytest.approx(1 / 3, abs=0.02)
    knowing = null_test(10 * np.eye(3, dtype=int), matrices[0, 1:])
    assert set(knowing["p"].values()) == {1 / 20} and knowing["copies"] == copies


def test_a_subject_is_scored_over_the_classes_that_it_shows() -> None:
    """A perfect subject with two of four classes is perfect."""
    folds = [fold("a", [0, 1, 1], [[0, 1, 1]]), fold("b", [2, 3], [[2, 2]])]
    average = fold_average(folds)
    assert average["uar"] == pytest.approx((1 + 1 / 2) / 2)
    assert average["macro_f1"] == pytest.approx((1 + (2 / 3 + 0) / 2) / 2)
    assert "approximate" in interval_name(19) and "approximate" not in interval_name(20)


def test_the_headline_is_the_final_epoch_and_the_oracle_is_labelled() -> None:
    folds = [
        fold("a", [0, 1], [[0, 1], [0, 2]]),  # best in its first epoch
        fold("b", [2, 3, 3], [[0, 0, 0], [2, 3, 0]]),
    ]
    summary = summarise(folds, ["w", "x", "y", "z"], LOSO)
    assert summary["final_epoch"]["accuracy"] == pytest.approx(3 / 5)
    assert summary["oracle_best_epoch"]["accuracy"] == pytest.approx(4 / 5)
    assert "leak" in summary["oracle_best_epoch"]["warning"]
    assert summary["fold_average"]["accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert (summary["clips"], summary["subjects"], summary["seconds"]) == (5, 2, 4.0)
    assert sum(map(sum, summary["final_epoch"]["confusion"])) == 5
    assert summary["by_dataset"] == {} and summary["split"] == LOSO.title  # one data set is the whole


def test_each_data_set_of_a_composite_is_scored_over_the_classes_that_it_shows() -> None:
    folds = [
        fold("a", [0, 1, 1], [[0, 1, 0]], "casme2"),  # neither set shows all four classes
        fold("a", [2, 2, 3, 0], [[2, 0, 3, 0]], "smic"),
        fold("b", [2, 0], [[2, 1]], "smic"),
    ]
    summary = summarise(folds, ["w", "x", "y", "z"], LOSO)
    for dataset, chosen in {"casme2": folds[:1], "smic": folds[1:]}.items():
        true, predicted = (np.concatenate([getattr(each, name) for each in chosen]) for name in ("true", "predicted"))
        classes, part = np.unique(true), summary["by_dataset"][dataset]
        assert (part["clips"], part["subjects"]) == (len(true), len(chosen))
        assert part["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
        assert part["macro_f1"] == pytest.approx(sk.f1_score(true, predicted, labels=classes, average="macro"))
        assert part["uar"] == pytest.approx(sk.recall_score(true, predicted, labels=classes, average="macro"))
    assert summary["subjects"] == 3 and summary["final_epoch"]["accuracy"] == pytest.approx(6 / 9)


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "= 1.0000"), (0.0001, "= 0.0001"), (1e-9, "< 0.0001"), (0.0, "< 0.0001")]
)
def test_no_p_is_0(p: float, text: str) -> None:
    assert p_text(p) == text
