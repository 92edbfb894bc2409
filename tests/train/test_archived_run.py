"""A run that an earlier version wrote: it must stay finished, completable, comparable, reportable and usable."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Command
from tiny_runs import logits_of

from train.results.run_folder import RunFolder

ARCHIVE = Path(__file__).parents[1] / "archive"
CACHE = ARCHIVE / "run-v1-cache.h5"
SAME = ("--cache", CACHE, "--backbone", "test_vit", "--random-weights", "--depth", 2, "--width", 16, "--prompts", 2,
        "--token-channels", 4, "--epochs", 2, "--lr", 0.01, "--device", "cpu", "--name", "run-v1")  # fmt: skip


@pytest.fixture
def run() -> Path:
    """A copy of the archived run, where `mpt-train --name run-v1` looks for it."""
    return Path(shutil.copytree(ARCHIVE / "run-v1", "runs/run-v1"))


def content(run: Path) -> dict[str, bytes]:
    """What decides and what was found; env.json says when and where it was asked for last."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "env.json")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_it_is_finished(command: Command, run: Path) -> None:
    before = content(run)
    done = command("mpt-train", *SAME)
    assert done.code == 0, done.err
    assert content(run) == before


def test_a_fold_that_is_missing_is_trained_to_the_same_predictions(command: Command, run: Path) -> None:
    before, settings, summary = logits_of(run), RunFolder(run).config, RunFolder(run).summary
    gone = [path for path in run.rglob("noise__s2.*") if path.is_file()]
    for path in [*gone, run / "summary.json"]:
        path.unlink()
    done = command("mpt-train", *SAME)
    assert done.code == 0, done.err
    assert len(gone) == 4 and all(path.is_file() for path in gone)
    after = logits_of(run)
    assert set(after) == set(before) and RunFolder(run).config == settings
    for name, logits in before.items():
        np.testing.assert_allclose(after[name], logits, atol=1e-5)
    assert set(RunFolder(run).summary) >= set(summary)
    assert RunFolder(run).summary["final_epoch"] == summary["final_epoch"]


@pytest.mark.usefixtures("plain_report")
def test_it_is_reported_and_compared(command: Command, run: Path) -> None:
    done = command("mpt-report", run, "--cache", CACHE)
    assert done.code == 0, done.err
    assert (run / "report" / "gallery.png").is_file() and (run / "report" / "kernels.png").is_file()
    values = json.loads(command("mpt-compare", run, run, "--json").out)
    assert values["clips"] == 9 and values["p_value"] == 1 and set(values["difference"].values()) == {0.0}


@pytest.mark.parametrize("subject", ["s1", "s2", "s10"])
def test_its_models_predict_what_it_stored(command: Command, run: Path, subject: str) -> None:
    done = command("mpt-predict", CACHE, "--run", run, "--fold", subject, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    found = {clip["clip"]: clip["logits"] for clip in json.loads(done.out)["clips"] if clip["subject"] == subject}
    (stored,) = (fold for fold in RunFolder(run).read_folds() if fold.name == f"noise__{subject}")
    assert stored.keys == tuple(("noise", subject, clip) for clip in found)
    for (_, _, clip), logits in zip(stored.keys, stored.logits, strict=True):
        np.testing.assert_allclose(found[clip][f"noise__{subject}"], logits, atol=1e-5)
