"""What is in training is kept: a run that was stopped anywhere ends as if it had not been."""

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command, MakeRun
from flips import flip
from tiny_runs import QUICK

from data_cache.errors import NoSpace
from train.config import Execution, TrainConfig
from train.cost.accounting import folds_at_once
from train.group import Groups, read_state, write_state
from train.results.run_folder import RunFolder

STEPS = ("--batch-size", 4, "--augment", "flip", "--name", "x")  # 3 steps an epoch
PAIRS = (*STEPS, "--folds-at-once", 2)
RUN = Path("runs/x")
STATE = RUN / "unfinished/demo__sub01.safetensors"
Content = dict[str, object]


@pytest.fixture(scope="module")
def calm(cache: Path, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """The content of a run that nobody stopped; its groups are sub01 with sub02, and sub10."""
    folder = tmp_path_factory.mktemp("calm")
    make_run(folder, "mpt-train", "--cache", cache, *QUICK, *PAIRS)
    return content(folder / "runs/x")


def content(run: Path = RUN) -> Content:
    """All of a run but times and commands."""
    found: Content = {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.suffix in (".csv", ".safetensors")
    }
    for path in [*run.glob("folds/*.json"), run / "summary.json"]:
        record = json.loads(path.read_text())
        found[path.name] = {key: record[key] for key in record if key not in ("seconds", "digest")}
    return found


@pytest.fixture
def stopped(quick: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Start a run and press Ctrl-C when `epochs` have ended, all groups counted."""

    def stop(epochs: int, *more: object) -> Any:
        pressed, ended = threading.Event(), iter(range(1, 99))
        with monkeypatch.context() as patch:
            patch.setattr("train.job.stop_request", lambda: contextlib.nullcontext(pressed))
            patch.setattr("train.group.Scalars.write", lambda *_: next(ended) == epochs and pressed.set())
            return quick(*PAIRS, *more)

    return stop


@pytest.fixture
def resume(quick: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The same command once more, on a machine with so little memory that new groups would be of one fold."""
    monkeypatch.setattr("train.job.free_memory", lambda _: 1)
    return lambda *more: quick(*STEPS, *more)


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (1, "0 of 3 folds are kept, and so is epoch 1 of 3 of 2 folds and 1 step beyond"),
        (2, "0 of 3 folds are kept, and so is epoch 2 of 3 of 2 folds and 1 step beyond"),
        (3, "2 of 3 folds are kept; those in training start anew"),
        (4, "2 of 3 folds are kept, and so is epoch 1 of 3 of 1 folds and 1 step beyond"),
    ],
)
def test_an_interrupted_run_goes_on_where_it_was(
    stopped: Command, resume: Command, calm: Content, epochs: int, said: str
) -> None:
    done = stopped(epochs)
    assert done.code == 130 and said in done.err
    assert len(list((RUN / "unfinished").glob("*.safetensors"))) == (epochs != 3)
    done = resume()
    assert done.code == 0, done.err
    assert ("going on from epoch" in done.err) == (epochs != 3)
    assert content() == calm and not (RUN / "unfinished").exists()


def test_a_run_killed_while_it_writes_a_group_writes_the_rest(
    quick: Command, resume: Command, calm: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def once(*arguments: Any, **more: Any) -> None:
        write(*arguments, **more)
        raise Killed

    write = RunFolder.write_fold
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunFolder, "write_fold", once)
        quick(*PAIRS, "--save-every", 0)
    written = (RUN / "folds/demo__sub01.json").stat().st_mtime_ns
    assert resume().code == 0
    assert content() == calm and (RUN / "folds/demo__sub01.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("how", ["cut", "of another run", "another --folds-at-once"])
def test_a_state_that_cannot_be_used_is_said_and_its_folds_start_again(
    stopped: Command, resume: Command, calm: Content, how: str
) -> None:
    if how == "of another run":
        stopped(1, "--lr", 0.02)
        other = STATE.read_bytes()
        stopped(1, "--overwrite")
        STATE.write_bytes(other)
    else:
        stopped(1)
    if how == "cut":
        STATE.write_bytes(STATE.read_bytes()[:5000])
    done = resume("--folds-at-once", 3 if "another --" in how else 2)
    assert done.code == 0 and "going on from" not in done.err and "Traceback" not in done.err
    assert "start again" in done.err
    assert ("another --" in how) or content() == calm


def test_a_damaged_note_of_the_groups_is_said(stopped: Command, resume: Command, calm: Content) -> None:
    stopped(1)
    (RUN / "unfinished/groups-0of1.json").write_text("{")
    done = resume("--folds-at-once", 2)
    assert done.code == 0 and "grouped anew" in done.err and "going on from" in done.err
    assert content() == calm


def test_any_flipped_bit_of_a_state_is_found_and_any_cut(tmp_path: Path) -> None:
    path, about, values = tmp_path / "state", {"folds": ["a"], "config": "0"}, np.arange(9.0)
    write_state(path, {"values": values, "none": np.zeros((0, 2))}, about)
    for bit in range(8 * path.stat().st_size):
        flip(path, bit)
        found = read_state(path, about)
        assert found is None or (set(found) == {"values", "none"} and (found["values"] == values).all()), bit
        flip(path, bit)
    assert read_state(path, about) is not None and read_state(path, {**about, "config": "1"}) is None
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_state(path, about) is None


def test_a_disk_that_is_full_does_not_end_the_training(
    quick: Command, calm: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise NoSpace("disk full")

    monkeypatch.setattr("train.group.write_state", full)
    done = quick(*PAIRS, "--save-every", 0)
    assert done.code == 0 and "disk full" in done.err and content() == calm


def test_the_final_model_goes_on_as_well(stopped: Command, resume: Command) -> None:
    done = stopped(99, "--final")
    expected = (RUN / "checkpoints/final.safetensors").read_bytes()
    assert done.code == 0 and stopped(99, "--overwrite").code == 0
    with pytest.MonkeyPatch.context() as patch:
        pressed = threading.Event()
        patch.setattr("train.job.stop_request", lambda: contextlib.nullcontext(pressed))
        patch.setattr("train.job.require_finite", lambda *_: pressed.set())
        assert resume("--final").code == 130
    done = resume("--final")
    assert done.code == 0 and "going on from epoch 1 of 3" in done.err
    assert (RUN / "checkpoints/final.safetensors").read_bytes() == expected
    assert not (RUN / "unfinished").exists()


def test_groups_are_fixed_where_the_last_bits_count() -> None:
    def planned(free: int, **more: Any) -> int:
        return folds_at_once(TrainConfig(), Execution(**more), 100, free, 26)

    assert planned(100) == 1 and planned(10**6) == 26
    assert planned(100, deterministic=True) == planned(10**6, deterministic=True) > 1
    assert planned(100, deterministic=True, folds_at_once=3) == 3


def test_groups_of_folds_that_are_not_chosen_now_stay(tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    assert Groups(path, 0).plan(list("abcdef"), "abcdef", 2) == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert Groups(path, 0).plan(["c"], "cef", 1) == [["c"]], "its group is not chosen as a whole"
    assert Groups(path, 0).plan(list("bdef"), "abcdef", 9) == [["a", "b"], ["e", "f"], ["d"]]
    assert Groups(path, 9).at_once == 9 and Groups(path, 3).at_once == 0
