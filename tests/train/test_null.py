"""`--null`: copies of a run that are trained and tested on labels shuffled within subjects."""

from pathlib import Path

import numpy as np
import pytest
from commands import Command
from tiny_runs import SUBJECTS, logits_of

from train.config import TrainConfig
from train.data.task import Task, make_task
from train.results.run_folder import RunFolder


@pytest.fixture(scope="module")
def task(cache: Path) -> Task:
    return make_task([cache], TrainConfig())


def test_labels_are_shuffled_within_subjects_and_are_those_of_the_copy_everywhere(task: Task) -> None:
    everything = range(len(task.clips))
    real, subjects = task.labels(everything), np.array([key[1] for key in task.clips.keys])
    shuffles = [task.labels(everything, number) for number in range(1, 30)]
    for shuffled in shuffles:
        for subject in SUBJECTS:
            assert sorted(shuffled[subjects == subject]) == sorted(real[subjects == subject])
    assert len({tuple(shuffled) for shuffled in [real, *shuffles]}) > 25
    for copy in task.folds[1].copies(3):
        assert (copy.train, copy.test) == (task.folds[1].train, task.folds[1].test)
        np.testing.assert_array_equal(task.labels(copy.test, copy.shuffle), shuffles[copy.shuffle - 1][list(copy.test)])


def test_copies_train_in_the_same_pass_and_leave_the_run_as_it_is(quick: Command) -> None:
    quick("--name", "alone")
    done = quick("--name", "x", "--null", 2, "--folds-at-once", 5)
    assert done.code == 0, done.err
    run, alone = RunFolder(Path("runs/x")), logits_of(Path("runs/alone"))
    for name, logits in logits_of(run.path).items():
        np.testing.assert_allclose(logits, alone[name], atol=1e-4)
    summary, without = run.summary, RunFolder(Path("runs/alone")).summary
    assert summary["final_epoch"] == without["final_epoch"] and "null" not in without
    assert summary["null"]["copies"] == 2 and {3 * p for p in summary["null"]["p"].values()} <= {1, 2, 3}
    assert len(list(run.path.glob("checkpoints/*"))) == 3

    written = {path: path.stat().st_mtime_ns for path in run.path.rglob("*__*.json")}
    assert len(written) == 3 + 2 * 3
    more = quick("--name", "x", "--null", 3, "--folds", "0:2")
    assert more.code == 0 and run.summary["null"]["copies"] == 2, "one fold of the third copy is missing"
    assert quick("--name", "x", "--null", 3).code == 0
    assert run.summary["null"]["copies"] == 3
    assert all(path.stat().st_mtime_ns == time for path, time in written.items()), "nothing is trained twice"

    (run.path / "null" / "null1.demo__sub01.json").write_text("{}")
    assert quick("--name", "x", "--null", 4).code == 4
