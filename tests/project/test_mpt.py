"""The command `mpt`: the six in the order of work, what is here and what comes next, what a bug report needs."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, Command, MakeCache, MakeRun
from tiny_runs import TINY

from data_cache import mpt


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there


def next_step(command: Command) -> str:
    out = command("mpt", "status").out
    return str(out[out.index("Next\n") :])


def test_alone_it_lists_the_six_in_the_order_of_work(command: Command) -> None:
    done = command("mpt")
    assert done.code == 0
    listed = re.findall(r"^  ([a-z]+) ", done.out, re.MULTILINE)
    assert listed[:6] == ["preprocess", "cache", "train", "report", "compare", "predict"] == list(mpt.STAGES)
    assert {f"mpt-{name}": stage.module for name, stage in mpt.STAGES.items()} == {
        program: module for program, module in COMMANDS.items() if program != "mpt"
    }


@pytest.mark.parametrize("stage", mpt.STAGES)
def test_a_stage_is_the_same_command(command: Command, stage: str) -> None:
    ours, theirs = command("mpt", stage, "--help").out, command(f"mpt-{stage}", "--help").out
    theirs = theirs.replace(f"Usage: mpt-{stage}", f"Usage: mpt {stage}")
    counted = r"All \d+ options|Every option"
    assert re.sub(counted, "", ours) == re.sub(counted, "", theirs)


def test_errors_codes_and_advice_pass_through(command: Command) -> None:
    done = command("mpt", "cache", "info", "nowhere.h5")
    assert done.code == 2 and done.err.startswith("mpt: ") and "nowhere.h5" in done.err
    assert "'train'" in command("mpt", "trian").err


def test_listing_imports_no_library(tmp_path: Path) -> None:
    code = "import sys, data_cache.mpt as m; sys.argv = ['mpt']\ntry: m.main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "typer" in loaded and not loaded & {"torch", "timm", "h5py", "numpy", "rich", "cv2", "preprocess", "train"}


@pytest.fixture
def _dry_runs_here(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts come from this process, and those of training from a tiny backbone."""
    programs = {module: program for program, module in COMMANDS.items()}

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        _, _, _, module, *arguments = command
        assert arguments[-1] == "--dry-run"
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
            make_run(Path.cwd(), programs[module], *arguments, *(TINY if module == "train.cli" else ()))
        return subprocess.CompletedProcess(command, 0, said.getvalue(), "")

    monkeypatch.setattr(mpt.subprocess, "run", run)


@pytest.mark.usefixtures("_dry_runs_here")
def test_the_next_step_follows_the_work(
    command: Command, make_cache: MakeCache, drawn_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mpt preprocess demo" in next_step(command)
    monkeypatch.setenv("MPT_CASME2", str(drawn_set))
    step = next_step(command)
    assert "mpt preprocess casme2\n" in step and re.search(r"disk: [\d.]+ MB", step) and "time: about" in step
    monkeypatch.delenv("MPT_CASME2")
    make_cache(Path("data_cache/demo.h5"), {"a": 4, "b": 4})
    step = next_step(command)
    assert "mpt train data_cache/demo.h5 --preset demo\n" in step and re.search(r"pixels +[\d.]+ GB", step)
    run = ("mpt-train", "data_cache/demo.h5", *TINY, "--epochs", 1, "--name", "r", "--protocol", "as-labelled")
    command(*run, "--folds", "0:1")
    step = next_step(command)
    assert "data_cache/demo.h5" in step and "--name r" in step and "--folds" not in step
    assert "1 of 2 folds" in command("mpt", "status").out
    command(*run)
    assert "mpt report runs/r\n" in next_step(command)
    out = command("mpt", "status").out
    accuracy = json.loads(Path("runs/r/summary.json").read_text())["final_epoch"]["accuracy"]
    assert f"Acc {accuracy:.1%} (" in out and "UF1 " in out
    Path("runs/r/report").mkdir()
    Path("runs/r/report/index.html").touch()
    assert "mpt predict CLIP runs/r" in next_step(command)


def test_what_is_broken_is_said_and_the_rest_is_shown(command: Command) -> None:
    Path("data_cache").mkdir()
    Path("data_cache/bad.h5").write_text("no cache")
    Path("runs/x").mkdir(parents=True)
    Path("runs/x/config.json").write_text("{}")
    Path("datasets/samm").mkdir(parents=True)
    done = command("mpt", "status")
    assert done.code == 0 and "bad.h5" in done.out and "runs/x" in done.out and "samm" in done.out


def test_the_doctor_says_what_a_bug_report_needs(command: Command) -> None:
    done = command("mpt", "doctor")
    assert done.code == 0
    rows = dict(re.findall(r"^(.*?): (.*)$", done.out, re.MULTILINE))
    assert {"Python", "system", "memory", "GPU", "weights", f"free in {Path.cwd()}"} <= set(rows)
    assert "does not answer" in rows["hub"] and "numpy" in rows["packages"] and "dask" in rows["cluster"]


def test_without_a_stage_the_rest_answers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "train.status", None)
    assert "not installed" in command("mpt", "doctor").out
    assert command("mpt", "status").code == 0
