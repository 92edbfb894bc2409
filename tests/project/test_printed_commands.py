"""The commands that README, tutorial and how-to pages print exist, and run as they are printed, on small data."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import gzipped_copy
from commands import COMMANDS, Command, MakeCache, every_command
from official_sets import casme2_tree

from data_cache.read.reader import CacheReader
from preprocess.datasets.base import LICENCE_NOTICE
from train.results.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {ROOT / "docs/reference/exit-codes.md"})]
"""All pages but that of the messages, which quote commands in part."""
SERVER = "https://data.mylab.example"
SMALLER = {
    "mpt-preprocess demo": "--subjects 2 --size 32 --levels 3 -j 1",
    "mpt-preprocess casme2": "--size 32 --levels 3 -j 1",
    "mpt-train --cache data_cache/casme2.h5": "--backbone test_vit --random-weights --depth 1 --epochs 1",
    "mpt-train --cache data_cache/demo.h5": "--depth 1 --epochs 1",
}
"""Begin of a command → what is added, so that it takes seconds and no download."""


def blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```(?:ba)?sh\n(.*?)```", text, re.DOTALL)


def commands_in(page: Path) -> Iterator[list[str]]:
    """Our commands in a page, wherever they stand: in blocks, in running text, behind srun."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    code = re.findall(r"```(?:ba)?sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    for line in "\n".join(code).splitlines():
        found = re.search(r"(mpt-\w+) .*", line.partition("  #")[0])
        if found and " … " not in line and "<" not in line:
            yield shlex.split(found[0].rstrip('"'))


def test_every_command_and_option_exists(command: Command) -> None:
    known: dict[tuple[str, ...], set[str]] = {}
    for typed in every_command():
        flags = re.findall(r"(?:^  |, |as )(--?[\w[\]-]+)", command(*typed, "--help-all").out, re.MULTILINE)
        known[typed] = {flag.replace("[no-]", no) for flag in flags for no in ("", "no-")} | {"--help", "--help-all"}
    printed = [words for page in PAGES for words in commands_in(page)]
    for words in printed:
        parts = 1 + any(len(typed) > 1 for typed in known if typed[0] == words[0])
        assert {word for word in words if word.startswith("-")} <= known[tuple(words[:parts])], shlex.join(words)
    assert len(printed) > 100


def test_the_notice_is_the_one_that_is_embedded() -> None:
    text = (ROOT / "docs/how-to/sharing.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert shown.split() == LICENCE_NOTICE.format(dataset="casme2").split()


def type_in(command: Command, line: str) -> int:
    """The exit code of a line of a page, which is made smaller by `SMALLER`."""
    more = next((more for start, more in SMALLER.items() if line.startswith(start)), "")
    done = command(*map(os.path.expanduser, shlex.split(line, comments=True)), *more.split())
    assert "Traceback" not in done.err, f"{line}\n{done.err}"
    return int(done.code)


@pytest.mark.slow
def test_the_tutorial_ends_with_a_report(command: Command) -> None:
    lines = "".join(blocks("docs/start/tutorial.md")).splitlines()
    assert [(line, type_in(command, line)) for line in lines] == [(line, 0) for line in lines]
    for made in ("runs/demo/report/index.html", "runs/demo/report/methods.txt", "preview/demo"):
        assert Path(made).exists()


@pytest.mark.slow
def test_the_readme_ends_with_a_report(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    casme2_tree(tmp_path / "CASME2")  # seven clips: `check` says that the published set has more
    steps = ["make", "--dry-run", "--no-print-directory", "-f", ROOT / "Makefile", "steps-of-demo", "BIN=."]
    demo = subprocess.run(steps, capture_output=True, text=True, check=True).stdout.replace("./", "")
    for line in "".join(blocks("README.md")).replace("make demo", demo).splitlines():
        if line.startswith("mpt"):
            assert type_in(command, line) == (3 if " check " in line else 0), line
        else:
            assert line.split()[:1] in ([], ["#"], ["pip"], ["make"]), line  # it is installed, and these are the tests
    for name in ("demo", "casme2-mpt"):
        assert (tmp_path / "runs" / name / "report/index.html").exists()
    assert (tmp_path / "runs/casme2-mpt/MODEL_CARD.md").exists()


def test_the_commands_of_sharing_run_in_their_order(
    command: Command, make_cache: MakeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("MPT_DOWNLOADS", str(tmp_path / "downloads"))
    for name, subject in (("data_cache/casme2", "sub01"), ("first", "sub01"), ("second", "sub02")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_cache(tmp_path / f"{name}.h5", {subject: 2}, dataset="casme2")
    (tmp_path / "server").mkdir()
    shutil.copy("data_cache/casme2.h5", "server")
    ran = 0
    for line in "".join(blocks("docs/how-to/sharing.md")).replace(SERVER, f"file://{tmp_path}/server").splitlines():
        words = shlex.split(line)
        if words[0] == "mpt-cache":
            done = command(*words)
            assert done.code == 0, f"{line}: {done.err}"
            ran += 1
        elif words[0] == "cd":
            if shutil.which("sha256sum"):
                assert subprocess.run(["bash", "-c", line], capture_output=True).returncode == 0, line
        elif words[0] == "h5repack":
            if shutil.which("h5repack"):
                subprocess.run(words, check=True)
            else:
                gzipped_copy(*map(Path, words[-2:]))
        else:  # trained and reported in tests/data_cache/test_remote.py: the backbone of the page is large
            assert words[0] in ("mpt-train", "mpt-report")
    assert ran == 8
    assert CacheReader("both.h5").clips.subject == ["sub01", "sub01", "sub02", "sub02"]
    assert CacheReader("casme2-small.h5").content_digest == CacheReader("data_cache/casme2.h5").content_digest
    assert command("mpt-cache", "verify", "casme2-small.h5", "--against", "casme2.fingerprint.json").code == 0


@pytest.mark.slow
def test_two_nodes_of_four_processes_train_every_fold(make_cache: MakeCache, tmp_path: Path) -> None:
    """The batch script as SLURM would run it: its variables, and programs that stand in for SLURM's and for ours."""
    (script,) = (block for block in blocks("docs/how-to/cluster.md") if "rdzv" in block)
    tiny = "--backbone test_vit --random-weights --depth 1 --token-channels 4 --prompts 1 --epochs 1 --device cpu"
    stand_ins = {
        "srun": 'for ((task = 0; task < SLURM_NTASKS; task++)); do "$@" & jobs+=($!); done\n'
        'for job in "${jobs[@]}"; do wait "$job" || exit 1; done',
        "scontrol": "printf 'localhost\\nlocalhost\\n'",
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
        "mpt-train": f'exec {sys.executable} -m {COMMANDS["mpt-train"]} "$@" {tiny}',
    }
    for folder in ("bin", "data_cache"):
        (tmp_path / folder).mkdir()
    for name, body in stand_ins.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    subjects = {f"sub{number:02d}": 2 for number in range(1, 7)}
    make_cache(tmp_path / "data_cache/casme2.h5", subjects, dataset="casme2")
    job = {"NTASKS": 2, "NNODES": 2, "JOB_ID": os.getpid(), "JOB_NODELIST": "x"}
    environment = {f"SLURM_{name}": str(value) for name, value in job.items()}
    environment |= {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("final epoch") == 1
    assert [fold.keys[0][1] for fold in RunFolder(tmp_path / "runs/casme2-mpt").read_folds()] == list(subjects)
