"""docs/sharing.md and docs/how-to/cluster.md: their commands run as they are printed, on small caches."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from builds import gzipped_copy
from commands import Command, MakeCache

from data_cache.console.help import also_of, kinds_of
from data_cache.read.reader import CacheReader
from preprocess.datasets.base import LICENCE_NOTICE
from train.results.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
SHARING, CLUSTER = ((ROOT / f"docs/how-to/{name}.md").read_text(encoding="utf-8") for name in ("sharing", "cluster"))
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
MODULES = {name: place.partition(":")[0] for name, place in SCRIPTS.items()}
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {ROOT / "docs/reference/exit-codes.md"})]
"""All pages but that of the messages, which quote commands in part."""
BATCH = "#!/bin/bash\n"
SERVER = "https://data.mylab.example"


def blocks(page: str) -> list[str]:
    return re.findall(r"```bash\n(.*?)```", page, re.DOTALL)


def commands_in(text: str) -> Iterator[list[str]]:
    """Our commands in a page, wherever they stand: in blocks, in running text, behind srun."""
    text = text.replace("\\\n", " ")
    code = re.findall(r"```(?:ba)?sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    for line in "\n".join(code).splitlines():
        found = re.search(r"(mpt-\w+) .*", line.partition("  #")[0])
        if found and " … " not in line and "<" not in line:
            yield shlex.split(found[0].rstrip('"'))


def options_of(words: list[str]) -> set[str]:
    command = typer.main.get_command(importlib.import_module(MODULES[words[0]]).app)
    if hasattr(command, "commands"):
        command = command.commands[words[1]]
    twins = {also_of(kind) for kind in kinds_of(command).values()}
    return twins | {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_exists(page: Path) -> None:
    for words in commands_in(page.read_text(encoding="utf-8")):
        known = options_of(words)
        for word in words:
            assert not word.startswith("-") or word in known, f"{word} in {' '.join(words)}"


def test_the_notice_is_the_one_that_is_embedded() -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", SHARING, re.DOTALL)
    assert shown.split() == LICENCE_NOTICE.format(dataset="casme2").split()


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
    for line in "".join(blocks(SHARING)).replace(SERVER, f"file://{tmp_path}/server").splitlines():
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
        else:  # trained and reported in tests/test_remote.py: the backbone of the page is large
            assert words[0] in ("mpt-train", "mpt-report")
    assert ran == 8
    assert CacheReader("both.h5").clips.subject == ["sub01", "sub01", "sub02", "sub02"]
    assert CacheReader("casme2-small.h5").content_digest == CacheReader("data_cache/casme2.h5").content_digest
    assert command("mpt-cache", "verify", "casme2-small.h5", "--against", "casme2.fingerprint.json").code == 0


@pytest.fixture
def slurm(tmp_path: Path) -> Command:
    """Run a batch script as SLURM would: its variables, and programs that stand in for SLURM's and for ours."""
    shims = {
        "srun": 'for ((task = 0; task < ${SLURM_NTASKS:-1}; task++)); do "$@" & jobs+=($!); done\n'
        'for job in "${jobs[@]}"; do wait "$job" || exit 1; done',
        "scontrol": "printf 'localhost\\nlocalhost\\n'",
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
        **{name: f'exec {sys.executable} -m {module} "$@" $EXTRA' for name, module in MODULES.items()},
    }
    (tmp_path / "bin").mkdir()
    for name, body in shims.items():
        (tmp_path / "bin" / name).write_text(BATCH + body + "\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(script: str, extra: str = "", **variables: object) -> subprocess.CompletedProcess[str]:
        values = {"PYTHONPATH": str(ROOT), "EXTRA": extra, **{name: str(value) for name, value in variables.items()}}
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", **values}
        return subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    return run


@pytest.mark.slow
def test_two_nodes_of_four_processes_train_every_fold(slurm: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    (script,) = (block for block in blocks(CLUSTER) if "rdzv" in block)
    (tmp_path / "data_cache").mkdir()
    subjects = {f"sub{number:02d}": 2 for number in range(1, 7)}
    make_cache(tmp_path / "data_cache/casme2.h5", subjects, dataset="casme2")
    tiny = "--backbone test_vit --random-weights --depth 1 --token-channels 4 --prompts 1 --epochs 1 --device cpu"
    job = {"SLURM_NTASKS": 2, "SLURM_NNODES": 2, "SLURM_JOB_ID": os.getpid(), "SLURM_JOB_NODELIST": "x"}
    done = slurm(script, tiny, **job)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("final epoch") == 1
    assert [fold.keys[0][1] for fold in RunFolder(tmp_path / "runs/casme2-mpt").read_folds()] == list(subjects)
