"""A stranger types what the README and the tutorial say, from a clone to a report; only the sizes are smaller."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS
from official_sets import casme2_tree

ROOT = Path(__file__).parents[2]
SMALLER = {
    "mpt-preprocess demo": "--subjects 2 --size 32 --levels 3",
    "mpt-preprocess casme2": "--size 32 --levels 3 -j 1",
    "mpt-train --cache data_cache/casme2.h5": "--backbone test_vit --random-weights --depth 1 --epochs 1",
    "mpt-train --cache data_cache/demo.h5": "--depth 1 --epochs 1",
}
"""Begin of a command → what is added, so that it takes seconds and no download."""
NOT_AGAIN = ("pip install .", "make test")
"""It is installed, and these are the tests."""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and commands that add `SMALLER`."""
    (tmp_path / "bin").mkdir()
    for program, module in COMMANDS.items():
        cases = "".join(f'"{start}"*) more="{more}";; ' for start, more in SMALLER.items())
        script = (
            f'#!/bin/bash\nmore=\ncase "{program} $*" in {cases}esac\nexec {sys.executable} -m {module} "$@" $more\n'
        )
        (tmp_path / "bin" / program).write_text(script)
        (tmp_path / "bin" / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(page: str, language: str) -> list[str]:
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def type_in(line: str) -> int:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, f"{line}\n{done.stderr}"
    return done.returncode


@pytest.mark.slow
def test_the_tutorial_ends_with_a_report(clone: Path) -> None:
    lines = lines_of("docs/start/tutorial.md", "bash")
    assert [(line, type_in(line)) for line in lines] == [(line, 0) for line in lines]
    for made in ("runs/demo/report/index.html", "runs/demo/report/methods.txt", "preview/demo"):
        assert (clone / made).exists()


@pytest.mark.slow
def test_the_readme_ends_with_a_report(clone: Path) -> None:
    casme2_tree(clone / "CASME2")  # seven clips: `check` says that the published set has more
    lines = [line.partition("  #")[0].strip() for line in lines_of("README.md", "sh")]
    for line in lines:
        if line.startswith(NOT_AGAIN):
            continue
        if line == "make demo":
            line = f"make -f {ROOT}/Makefile steps-of-demo BIN={clone}/bin"
        assert type_in(line) == (3 if " check " in line else 0), line
    for name in ("demo", "casme2-mpt"):
        assert (clone / "runs" / name / "report/index.html").exists()
    assert (clone / "runs/casme2-mpt/MODEL_CARD.md").exists()
