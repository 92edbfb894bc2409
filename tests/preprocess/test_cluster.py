"""A real dask scheduler and real workers, each a process of its own, on this machine's loopback."""

import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from builds import SIZE, ended, receipts, wait_for
from commands import Command, Spawn

from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate

pytestmark = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="the extra 'cluster'")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(spawn: Spawn, tmp_path: Path) -> Callable[..., tuple[str, list[subprocess.Popen[str]]]]:
    """Start a scheduler and workers; the address, and all processes, the scheduler first."""

    def start(workers: int = 2, **environment: str) -> tuple[str, list[subprocess.Popen[str]]]:
        place, port = ("--host", "127.0.0.1", "--no-dashboard"), free_port()
        address = f"tcp://127.0.0.1:{port}"
        scheduler = spawn("distributed.cli.dask_scheduler", *place, "--port", port, "--no-show")
        options = ("--nthreads", 1, "--no-nanny", "--death-timeout", 30, "--local-directory", tmp_path / "dask")
        worker = ("distributed.cli.dask_worker", address, *place, *options)
        return address, [scheduler, *(spawn(*worker, **environment) for _ in range(workers))]

    return start


def serial(command: Command, *arguments: object) -> str:
    """Content of what a run in one process makes."""
    done = command("mpt-preprocess", *arguments, "-j", 1, "-o", "serial.h5")
    assert done.code == 0, done.err
    return CacheReader("serial.h5").content_digest


def test_two_workers_share_the_work_and_the_cache_is_the_same(
    command: Command, cluster: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    address, (_, *workers) = cluster()
    arguments = ("casme2", "--root", drawn_set, *SIZE)
    done = command("mpt-preprocess", *arguments, "-o", "c.h5", "--scheduler", address, "--log-file", "log.jsonl")
    assert done.code == 0 and "workers with" in done.err, done.err
    log = receipts(tmp_path / "log.jsonl")
    assert len(log) == 20 and {receipt["pid"] for receipt in log} <= {worker.pid for worker in workers}
    assert validate(tmp_path / "c.h5") == []
    assert CacheReader(tmp_path / "c.h5").content_digest == CacheReader(uninterrupted).content_digest
    assert {receipt["sha256"][0] for receipt in log} == set(CacheReader(tmp_path / "c.h5").clips.sha256)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_five_workers_that_are_killed_lose_nothing(
    command: Command, spawn: Spawn, cluster: Command, drawn_set: Path, tmp_path: Path, seed: int
) -> None:
    address, (_, *workers) = cluster(workers=6)
    arguments, dice = ("casme2", "--root", drawn_set, "--size", 224, "--levels", 3), random.Random(seed)
    reference = serial(command, *arguments)
    for number, worker in enumerate(workers[:5]):
        log, done_before = tmp_path / f"{number}.jsonl", dice.randint(0, 12)
        client = spawn("mpt-preprocess", *arguments, "-o", f"{number}.h5", "--scheduler", address, "--log-file", log)
        wait_for(lambda log=log, least=done_before: len(receipts(log)) >= least, program=client)  # type: ignore[misc]
        worker.send_signal(signal.SIGKILL)
        code, out = ended(client)
        assert code == 0, out
        assert len({receipt["clip"] for receipt in receipts(log)}) == 20
        assert CacheReader(tmp_path / f"{number}.h5").content_digest == reference


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_said_and_the_run_resumes(
    command: Command, spawn: Spawn, cluster: Command, drawn_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.comm import CommClosedError

    address, (scheduler, *_) = cluster()
    arguments = ("casme2", "--root", drawn_set, "--size", 448, "--levels", 3)
    with monkeypatch.context() as patch:  # at the moment when a result is on its way
        patch.setattr("distributed.Future.result", Mock(side_effect=CommClosedError))
        done = command("mpt-preprocess", *arguments, "-o", "early.h5", "--scheduler", address)
    assert done.code == 2 and "went away" in done.err.splitlines()[-1]
    reference = serial(command, *arguments)
    client = spawn("mpt-preprocess", *arguments, "-o", "c.h5", "--scheduler", address, "--log-file", "log.jsonl")
    wait_for(lambda: len(receipts(tmp_path / "log.jsonl")) >= 3, program=client)
    ended(scheduler, signal.SIGKILL)
    code, out = ended(client)
    assert code == 2 and "went away" in out and "Traceback" not in out, out
    assert out.strip().splitlines()[-1].startswith("mpt-preprocess: ")
    before = len(receipts(tmp_path / "log.jsonl"))
    done = command("mpt-preprocess", *arguments, "-j", 1, "-o", "c.h5", "--log-file", "log.jsonl")
    assert done.code == 0, done.err
    resumed = receipts(tmp_path / "log.jsonl")[before:]
    assert sum(receipt["status"] == "reused" for receipt in resumed) >= 3
    assert CacheReader("c.h5").content_digest == reference


@pytest.mark.slow
def test_an_interrupted_client_keeps_what_is_done(
    spawn: Spawn, cluster: Command, drawn_set: Path, tmp_path: Path
) -> None:
    address, _ = cluster()
    arguments = ("casme2", "--root", drawn_set, "--size", 448, "--levels", 3, "-o", "c.h5")
    client = spawn("mpt-preprocess", *arguments, "--scheduler", address, "--log-file", "log.jsonl")
    wait_for(lambda: len(receipts(tmp_path / "log.jsonl")) >= 2, program=client)
    code, out = ended(client, signal.SIGINT)
    assert code == 130 and "Traceback" not in out, out
    assert "interrupted" in out and f"--scheduler {address}" in out.strip().splitlines()[-1]
    assert not (tmp_path / "c.h5").exists() and list((tmp_path / "c.h5.parts").glob("*.h5"))


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount namespace")
def test_a_worker_that_cannot_see_the_folder_is_named(
    spawn: Spawn, cluster: Command, drawn_set: Path, tmp_path: Path
) -> None:
    address, _ = cluster(workers=1)
    (tmp_path / "shared").mkdir()
    blind = (
        "import ctypes, runpy, subprocess, sys\n"
        "ctypes.CDLL(None).unshare(0x20000)\n"  # a mount namespace of its own
        "subprocess.run(['mount', '--make-rprivate', '/'], check=True)\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', sys.argv.pop(1)], check=True)\n"
        "runpy.run_module('distributed.cli.dask_worker', run_name='__main__')\n"
    )
    (tmp_path / "blind.py").write_text(blind)
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    spawn("blind", tmp_path / "shared", address, "--nthreads", 1, "--no-nanny", "--no-dashboard", PYTHONPATH=path)
    time.sleep(4)
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-o", "shared/c.h5")
    code, out = ended(spawn("mpt-preprocess", *arguments, "--scheduler", address))
    assert code == 2 and "1 of 2 workers" in out and "tcp://127.0.0.1" in out and "Traceback" not in out, out
    assert "cannot see" in out and str(tmp_path / "shared" / "c.h5.parts") in out


@pytest.mark.slow
def test_a_worker_without_this_package_is_named(
    spawn: Spawn, cluster: Command, drawn_set: Path, tmp_path: Path
) -> None:
    (tmp_path / "bare" / "preprocess").mkdir(parents=True)
    (tmp_path / "bare" / "preprocess" / "__init__.py").write_text("raise ImportError('no preprocess here')")
    address, _ = cluster(workers=1, PYTHONPATH=str(tmp_path / "bare"))
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-o", "c.h5", "--scheduler", address)
    code, out = ended(spawn("mpt-preprocess", *arguments))
    assert code == 2 and "not installed there" in out and "Traceback" not in out.split("mpt-preprocess:")[-1], out


def test_no_scheduler_is_said_in_one_line(command: Command, drawn_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preprocess.workers.CONNECT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    done = command("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "--scheduler", address)
    assert done.code == 2
    assert f"no dask scheduler answers at {address}" in done.err and "Traceback" not in done.err


def test_without_dask_the_extra_is_named(command: Command, drawn_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = command("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "--scheduler", "tcp://127.0.0.1:1")
    assert done.code == 2 and "[cluster]" in done.err
