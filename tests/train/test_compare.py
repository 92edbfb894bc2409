"""`mpt-compare`: McNemar's test and paired intervals."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Command, MakeCache, MakeRun
from scipy.stats import binom
from tiny_runs import TINY, fold

from data_cache.errors import UsageError
from train.report.compare import compare_runs
from train.results.fold_record import FoldResult
from train.results.metrics import sign_flip_p
from train.results.run_folder import Run


def run_of(name: str, folds: list[FoldResult], classes: Sequence[str] = ("a", "b", "c")) -> Run:
    return Run(Path(name), {"classes": list(classes)}, {}, {}, folds, {})


def random_pair(seed: int, subjects: int = 6, clips: int = 9) -> tuple[Run, Run]:
    rng = np.random.default_rng(seed)
    true = rng.integers(3, size=(subjects, clips))
    a = np.where(rng.random(true.shape) < 0.7, true, rng.integers(3, size=true.shape))
    b = np.where(rng.random(true.shape) < 0.4, true, rng.integers(3, size=true.shape))
    runs = [
        run_of(name, [fold(f"s{s}", true[s], [predicted[s]], classes=3) for s in range(subjects)])
        for name, predicted in (("A", a), ("B", b))
    ]
    return runs[0], runs[1]


@pytest.mark.parametrize("seed", range(4))
def test_mcnemar_is_the_two_sided_binomial_of_the_clips_that_differ(seed: int) -> None:
    a, b = random_pair(seed)
    result = compare_runs([a], [b])
    right = [np.array([p.correct for p in run.predictions]) for run in (a, b)]
    only_a, only_b = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    assert (result.only_a, result.only_b) == (only_a, only_b)
    tail = min(1.0, 2 * float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))
    assert result.p_value == pytest.approx(tail)
    assert result.difference["accuracy"] == pytest.approx(right[0].mean() - right[1].mean())


def test_swapping_the_runs_changes_the_signs_only() -> None:
    a, b = random_pair(7)
    one, other = compare_runs([a], [b]), compare_runs([b], [a])
    assert one.p_value == other.p_value
    for metric, value in one.difference.items():
        assert other.difference[metric] == pytest.approx(-value)
        low, high = one.interval_95[metric]
        assert other.interval_95[metric] == pytest.approx((-high, -low))
        assert low <= value <= high


def test_intervals_keep_subjects_whole() -> None:
    """All of the difference lies in one subject of eight: an interval over subjects must reach zero."""
    folds_a = [fold(f"s{s}", [0] * 10, [[0] * 10], classes=3) for s in range(8)]
    folds_b = [fold("s0", [0] * 10, [[1] * 10], classes=3), *folds_a[1:]]
    result = compare_runs([run_of("A", folds_a)], [run_of("B", folds_b)])
    assert result.p_value < 0.01, "clip by clip it looks certain"
    assert result.interval_95["accuracy"][0] == 0.0, "subject by subject it is not"


def test_intervals_hold_95_percent() -> None:
    """With many subjects the mean is nearly normal: the interval is 1.96 standard errors to each side."""
    a, b = random_pair(3, subjects=150)
    right = [np.array([p.correct for p in run.predictions], float).reshape(150, 9) for run in (a, b)]
    error = (right[0].mean(1) - right[1].mean(1)).std(ddof=1) / np.sqrt(150)
    low, high = compare_runs([a], [b]).interval_95["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.07)


def test_seeds_of_a_side_are_averaged() -> None:
    a, b = random_pair(1)
    c, _ = random_pair(1)
    alone, thrice = compare_runs([a], [b]), compare_runs([a, a, c], [b])
    assert alone.sign_flip_p == thrice.sign_flip_p and alone.difference == pytest.approx(thrice.difference)
    _, worse = random_pair(1)
    mixed = compare_runs([a, b], [worse])  # half of what it was, for each subject
    assert mixed.difference["accuracy"] == pytest.approx(alone.difference["accuracy"] / 2)
    assert mixed.sign_flip_p == alone.sign_flip_p and (mixed.only_a, mixed.only_b) == (alone.only_a, alone.only_b)
    by_subject = [np.sum([p.correct for p in run.predictions[9 * s : 9 * s + 9]]) for run in (a, b) for s in range(6)]
    assert alone.sign_flip_p == sign_flip_p(np.subtract(by_subject[:6], by_subject[6:], dtype=float))


def test_what_only_the_seed_makes_different_is_said() -> None:
    a, b = random_pair(5)
    config = {"classes": ["a", "b", "c"], "settings": {"seed": 0, "lr": 0.1, "random_weights": True}}
    one = replace(a, config={**config, "backbone_digest": "x"})
    other = replace(b, config={**config, "settings": {**config["settings"], "seed": 1}, "backbone_digest": "y"})
    assert compare_runs([one], [other]).only_seed_differs
    faster = replace(b, config={**config, "settings": {**config["settings"], "lr": 0.2}})
    assert not compare_runs([one], [faster]).only_seed_differs
    with pytest.raises(UsageError, match="lr"):
        compare_runs([one, faster], [other])


def test_other_clips_or_classes_are_refused() -> None:
    a, b = random_pair(2)
    with pytest.raises(UsageError, match="different clips"):
        compare_runs([a], [replace(b, folds=b.folds[1:])])
    with pytest.raises(UsageError, match="has the classes"):
        compare_runs([a], [run_of("B", b.folds, ("x", "y", "z"))])


def test_the_command(command: Command, make_cache: MakeCache, make_run: MakeRun, tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "demo.h5", {"sub01": 5, "sub02": 6})
    for name, more in (("one", ()), ("two", ("--prompt", "none", "--seeds", 2))):
        assert (
            command("mpt-train", "--cache", cache, *TINY, "--epochs", 1, "--device", "cpu", "--name", name, *more).code
            == 0
        )
    said = command("mpt-compare", "runs/one", "runs/two")
    assert said.code == 0 and "11 clips" in said.out and "p = " in said.out and "approximate" in said.out
    assert said.out == command("mpt-compare", "runs/one", "runs/two-seed0,runs/two-seed1").out
    assert "seed" not in said.out.replace("two (2 seeds)", "")
    assert "seed" in command("mpt-compare", "runs/two-seed0", "runs/two-seed1").out.splitlines()[-1]
    values = json.loads(command("mpt-compare", "runs/one", "runs/two", "--json").out)
    assert values["runs"] == ["one", "two (2 seeds)"] and 0 < values["p_value"] <= 1
    missing = command("mpt-compare", "runs/one", "runs/three")
    assert missing.code == 2 and missing.err.count("\n") == 1
