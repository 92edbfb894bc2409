"""Runs are as safe as caches: one process at a time, damage found, nothing deleted that is no run."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from builds import wait_for
from commands import Command, MakeCache, MakeRun, Spawn
from flips import flip
from safetensors.numpy import load_file
from tiny_runs import QUICK, SUBJECTS, logits_of

from data_cache.errors import InvalidFile
from data_cache.files.lock import writer_lock
from train import job
from train.device import free_memory
from train.results.run_folder import RunFolder


@pytest.fixture(scope="module")
def finished(cache: Path, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    make_run(folder, "mpt-train", "--cache", cache, *QUICK, "--name", "x")
    return folder / "runs" / "x"


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path(shutil.copytree(finished, "runs/x")))


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_run_in_training_is_left_alone(quick: Command, run: RunFolder, overwrite: tuple[str, ...]) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with writer_lock(run.path):
        done = quick("--epochs", 1, "--name", "x", *overwrite)
    assert done.code == 6 and len(done.err.splitlines()) <= 2 and "--name" in done.err
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_flipped_bits_of_a_run_are_found(run: RunFolder) -> None:
    everything, rng = content(run), np.random.default_rng(3)
    files = [path for path in sorted(run.path.rglob("*")) if path.is_file()]
    assert len(files) == 16
    for number in range(30):
        path = files[number % len(files)]
        bit = int(rng.integers(8 * path.stat().st_size))
        flip(path, bit)
        try:
            assert content(run) == everything, f"bit {bit} of {path} changed the content, and nobody noticed"
            assert path.suffix == ".json", "only spaces and the digest's own name may change unnoticed"
        except InvalidFile as error:
            assert str(run.path) in str(error)
        flip(path, bit)
    assert content(run) == everything


def content(run: RunFolder) -> str:
    """All that a report and predictions are made from."""
    loaded = run.load()
    for name in loaded.config["subjects"]:
        run.check_checkpoint(name)
    weights = [load_file(run.checkpoint(name)) for name in loaded.config["subjects"]]
    return repr((loaded.config, loaded.environment, loaded.summary, loaded.folds, loaded.overview, weights))


def test_a_fold_of_a_run_with_other_settings_is_refused(quick: Command, run: RunFolder) -> None:
    assert quick("--epochs", 1, "--name", "y").code == 0
    for path in Path("runs/y").rglob("demo__sub02.*"):
        shutil.copy(path, run.path / path.relative_to("runs/y"))
    with pytest.raises(InvalidFile, match="demo__sub02"):
        run.read_folds()


def test_a_damaged_fold_is_trained_again(quick: Command, run: RunFolder) -> None:
    before = logits_of(run.path)
    (run.path / "folds/a.csv.tmp-1").touch()
    for path in (*run.path.rglob("demo__sub02.*"), run.path / "summary.json"):
        path.unlink()
    assert quick("--name", "x").code == 0
    for name, logits in logits_of(run.path).items():
        np.testing.assert_allclose(logits, before[name], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "text"), [("config.json", "{}"), ("config.json", '{"settings": {}, "lr": 1}'), ("thesis.txt", "dear")]
)
def test_overwrite_spares_the_folder_of_another_program(quick: Command, name: str, text: str) -> None:
    Path("runs/other").mkdir(parents=True)
    Path("runs/other", name).write_text(text)
    done = quick("--name", "other", "--overwrite")
    assert done.code == 2 and "runs/other" in done.err
    assert Path("runs/other", name).read_text() == text


def test_overwrite_spares_links_and_notes(quick: Command, run: RunFolder) -> None:
    Path("runs/link").symlink_to("x")
    assert quick("--epochs", 1, "--overwrite", "--name", "link").code == 2 and run.is_finished
    (run.path / "notes.txt").write_text("dear")
    assert quick("--epochs", 1, "--overwrite", "--name", "x").code == 0
    assert (run.path / "notes.txt").read_text() == "dear" and run.config["settings"]["epochs"] == 1


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x"])
def test_a_fold_never_leaves_the_folder_of_its_run(tmp_path: Path, name: str) -> None:
    for ask in (RunFolder(tmp_path).checkpoint, RunFolder(tmp_path).finished):
        with pytest.raises(InvalidFile, match="path"):
            ask(name)


@pytest.mark.usefixtures("run")
def test_the_first_cause_is_named_first_and_shortly(quick: Command, make_cache: MakeCache) -> None:
    done = quick("--name", "x", on=[make_cache(Path("other.h5"), {f"s{n}": 2 for n in range(20)}, frames=4)])
    assert done.code == 5 and "caches.demo" in done.err and len(done.err.splitlines()[-1]) < 600


def test_a_loss_that_is_not_finite_ends_the_run(quick: Command) -> None:
    done = quick("--lr", 1e30, "--epochs", 9, "--name", "far")
    assert done.code == 2 and "demo__sub" in done.err and "epoch" in done.err
    assert "--lr" in done.err and "--amp fp32" in done.err and not list(Path("runs/far").rglob("*.csv"))


def test_scores_that_are_not_finite_are_refused(command: Command, run: RunFolder) -> None:
    """As versions before stored them, without hashes."""
    table, record = run.path / "folds/demo__sub01.csv", run.path / "folds/demo__sub01.json"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(",".join([*line.split(",")[:-1], "nan"]) for line in lines[1:])]))
    values = json.loads(record.read_text())
    record.write_text(json.dumps({key: values[key] for key in values if key not in ("sha256", "digest")}))
    done = command("mpt-report", run.path)
    assert done.code == 4 and "not finite" in done.err and "demo__sub01" in done.err


@pytest.mark.parametrize("how", ["written over", "replaced", "cut", "deleted"])
def test_a_cache_that_changes_while_it_is_streamed_is_noticed(
    quick: Command, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    mine, other = make_cache(Path("mine.h5"), SUBJECTS), make_cache(Path("other.h5"), SUBJECTS, seed=1)

    def change(*_: object) -> None:
        if how == "written over":
            mine.write_bytes(other.read_bytes())
        elif how == "replaced" and other.exists():
            other.replace(mine)
        elif how == "cut":
            os.truncate(mine, 5000)
        else:
            mine.unlink(missing_ok=True)

    monkeypatch.setattr("train.group.Scalars.write", change)
    done = quick("--cache-mode", "stream", "--workers", 1, on=[mine])
    assert done.code == 5 and "mine.h5" in done.err and not list(Path("runs").rglob("*.csv"))


def test_a_study_is_planned_without_training(quick: Command) -> None:
    plans = json.loads(quick("--study", "alpha", "--dry-run", "--json").out)["rows"]
    assert [row["plan"] is not None for row in plans] == [row["row"] == "alpha20" for row in plans]
    assert "--alpha 50" in quick("--study", "alpha", "--dry-run").out and not Path("runs").exists()


@pytest.mark.parametrize(("number", "mode"), [(signal.SIGINT, "stream"), (signal.SIGTERM, "device")])
def test_an_interrupted_training_says_what_is_kept(
    quick: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, mode: str
) -> None:
    """The signal comes at the end of the second fold's first epoch, to the workers as well."""
    before, ended = set(psutil.Process().children()), iter(range(1, 99))

    def interrupt(*_: object) -> None:
        if next(ended) == 4:
            for worker in set(psutil.Process().children()) - before:
                worker.send_signal(number)
            signal.raise_signal(number)

    monkeypatch.setattr("train.group.Scalars.write", interrupt)
    more = ("--folds-at-once", 1, "--cache-mode", mode, "--workers", 1)
    done = quick(*more, "--name", "z")
    assert done.code == 130 and "1 of 3 folds are kept" in done.err and "Traceback" not in done.err, done.err
    assert not Path("runs/z.lock").exists()


@pytest.mark.slow
def test_an_interrupted_process_and_its_workers_say_what_is_kept(spawn: Spawn, cache: Path, tmp_path: Path) -> None:
    more = ("--epochs", 80, "--folds-at-once", 1, "--cache-mode", "stream", "--workers", 1)
    process = spawn("mpt-train", "--cache", cache, *QUICK, *more, "--name", "z")
    wait_for(lambda: (tmp_path / "runs/z/folds/demo__sub01.json").exists())
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    kept = len(list((tmp_path / "runs/z/folds").glob("*.json")))
    assert process.returncode == 130 and f"{kept} of 3 folds are kept" in said and "Traceback" not in said, said
    assert not (tmp_path / "runs/z.lock").exists()


@pytest.mark.parametrize(
    ("variables", "code"), [({"WORLD_SIZE": "2"}, 2), ({"WORLD_SIZE": "x"}, 2), ({"RANK": "3"}, 0)]
)
def test_half_of_what_torchrun_sets(
    quick: Command, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = quick("--epochs", 1)
    assert done.code == code and ("WORLD_SIZE" in done.err if code else "final epoch" in done.out), done.err


def test_a_second_run_in_one_process_plans_the_same_folds(quick: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run PyTorch's allocator keeps what it had: to others it looks used, to the next run it is free."""
    held, sizes, train = {"bytes": 0}, [], job.train_group
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000 - held["bytes"], 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: held["bytes"] + 900)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 900)
    monkeypatch.setattr(job, "free_memory", lambda _: free_memory(torch.device("cuda", 0)))
    monkeypatch.setattr(job, "bytes_per_fold", lambda *_: 250)

    def holding(task: Any, group: list[Any], *rest: Any) -> Any:
        sizes.append(len(group))
        held["bytes"] = 700
        return train(task, group, *rest)

    monkeypatch.setattr(job, "train_group", holding)
    for name in ("first", "second"):
        assert quick("--name", name).code == 0
    half = len(sizes) // 2
    assert sizes[:half] == sizes[half:] and max(sizes) == 2 < sum(sizes[:half]) == len(SUBJECTS)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_out_of_memory_halves_the_folds(quick: Command, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    train = job.train_group

    def small(task: Any, group: list[Any], *rest: Any) -> Any:
        if len(group) > most:
            raise torch.OutOfMemoryError
        return train(task, group, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(job, "train_group", small)
        done = quick("--name", "halved")
    if most == 0:
        assert done.code == 2 and "--batch-size" in done.err and "--cache-mode stream" in done.err
        return
    assert done.code == 0 and f"{most} folds at a time" in done.err
    quick("--name", "few", "--folds-at-once", most)
    few, halved = (logits_of(Path("runs") / name) for name in ("few", "halved"))
    assert all(np.array_equal(few[name], halved[name]) for name in few) and set(few) == set(halved)
