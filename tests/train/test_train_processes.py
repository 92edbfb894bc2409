"""`mpt-train` as processes: killed and resumed, compiled, on several ranks."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builds import wait_for
from commands import Command
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tiny_runs import QUICK, logits_of

from train.results.run_folder import RunFolder


def launch(cache: Path, name: str, *more: object) -> subprocess.Popen[bytes]:
    arguments = ["-m", "train", "--cache", cache, *QUICK, "--epochs", 6, "--folds-at-once", 1, "--name", name, *more]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, *map(str, arguments)], start_new_session=True, **quiet)


def reached(run: Path) -> tuple[int, int]:
    """Folds that are done, and epochs that are kept of the others."""
    epochs = 0
    for path in run.glob("unfinished/*.safetensors"):
        with contextlib.suppress(OSError, SafetensorError):  # it may go at any moment
            epochs = int(load_file(path)["epoch"][0])
    return len(list(run.glob("folds/*.json"))), epochs


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed(command: Command, cache: Path) -> None:
    """Inside a group, every time; each start takes up what the one before left, and loses a fifth of a second."""
    long = ("--epochs", 200, "--batch-size", 4, "--folds-at-once", 2, "--save-every", 0.2 / 60)
    assert launch(cache, "calm", *long).wait() == 0
    dice, folder, before = random.Random(5), Path("runs/killed"), (0, 0)
    for kill in range(10):
        process = launch(cache, "killed", *long)
        first = reached(folder)
        wait_for(lambda first=first: reached(folder) > first, 60)
        assert first >= before, "nothing that was written is lost"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0, 0.2))
        before = reached(folder)
        os.killpg(process.pid, signal.SIGKILL if kill % 3 else signal.SIGTERM)
        process.wait()
        assert process.returncode in (-signal.SIGKILL, 130)
    assert launch(cache, "killed", *long).wait() == 0
    for name, logits in logits_of(Path("runs/calm")).items():
        np.testing.assert_array_equal(logits_of(Path("runs/killed"))[name], logits)
    calm, killed = (RunFolder(Path("runs") / name).summary for name in ("calm", "killed"))
    assert {**calm, "seconds": 0} == {**killed, "seconds": 0}


@pytest.mark.slow
def test_a_compiled_model_predicts_the_same(quick: Command) -> None:
    for name, more in (("plain", ()), ("compiled", ("--compile",))):
        done = quick("--name", name, *more)
        assert done.code == 0, done.err
    plain, compiled = (logits_of(Path("runs") / name) for name in ("plain", "compiled"))
    for fold, logits in plain.items():
        np.testing.assert_allclose(compiled[fold], logits, atol=1e-4)


@pytest.mark.slow
def test_two_ranks_give_the_summary_of_one(command: Command, cache: Path) -> None:
    """Two seeds, because the second run must find the ranks still together."""
    assert launch(cache, "one", "--seeds", 2).wait() == 0
    arguments = ("--cache", cache, *QUICK, "--epochs", 6, "--folds-at-once", 1, "--name", "two", "--seeds", 2)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m", "train", *arguments)
    done = subprocess.run([sys.executable, *map(str, torchrun)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("final epoch") == 2 and done.stdout.count("2 seeds (") == 1, "one rank speaks for both"
    for seed in range(2):
        one, two = (RunFolder(Path(f"runs/{name}-seed{seed}")) for name in ("one", "two"))
        assert {**one.summary, "seconds": 0} == {**two.summary, "seconds": 0}
        for name, logits in logits_of(one.path).items():
            np.testing.assert_array_equal(logits_of(two.path)[name], logits)
