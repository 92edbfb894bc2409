"""macOS and Windows have no fcntl, no /proc and no processor affinity; the core works without."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from builds import SIZE
from commands import COMMANDS
from tiny_runs import QUICK

from data_cache.errors import InvalidFile, Locked
from data_cache.files import atomic, lock
from data_cache.read.reader import CacheReader
from train.results import run_folder

ROOT = Path(__file__).parents[2]
HIDDEN = Path(__file__).parents[1] / "helpers" / "other_system"
IN_TURN = """
import importlib, json, os, sys
from pathlib import Path
assert not any(hasattr(os, name) for name in ("sched_getaffinity", "pread", "preadv", "pwrite", "pwritev"))
for look in (lambda: importlib.import_module("fcntl"), lambda: open("/proc/meminfo"), lambda: Path("/sys").stat()):
    try:
        look()
    except (ImportError, OSError):
        continue
    raise SystemExit("nothing is hidden")
for expected, module, *arguments in json.loads(sys.argv[1]):
    sys.argv = [module, *arguments]
    try:
        importlib.import_module(module).main()
    except SystemExit as ended:
        assert ended.code == expected, (module, arguments, ended.code)
"""


class Windows(ModuleType):
    """The module os as it is elsewhere, but for its name."""

    name = "nt"

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_windows_gets_locks_it_can_write_to_and_no_name_that_hides_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (atomic, lock, run_folder):
        monkeypatch.setattr(module, "os", Windows("os"))
    monkeypatch.setattr(atomic.os, "open", lambda *_: pytest.fail("Windows opens no folder"), raising=False)
    atomic.write_bytes(tmp_path / "a", b"")
    with lock.writer_lock(tmp_path / "c.h5"):
        assert lock.read_holder(tmp_path / "c.h5.lock") is not None and (tmp_path / "c.h5.locked").exists()
        with pytest.raises(Locked), lock.writer_lock(tmp_path / "c.h5"):
            pass
    assert run_folder.RunFolder(tmp_path).checkpoint("demo__s1").name == "demo__s1.safetensors"
    with pytest.raises(InvalidFile, match="Windows"):
        run_folder.RunFolder(tmp_path).checkpoint("demo__s:1")


@pytest.mark.slow
def test_every_stage_works_without_what_only_linux_has(drawn_set: Path, tmp_path: Path) -> None:
    build = (0, "mpt-preprocess", "casme2", "--root", drawn_set, *SIZE)
    steps = [
        (3, "mpt-preprocess", "check", "casme2", "--root", drawn_set),
        (*build, "-j", 1, "-o", "serial.h5"),
        (*build, "-j", 2, "-o", "workers.h5"),
        (0, "mpt-cache", "verify", "serial.h5"),
        (0, "mpt-train", "--cache", "serial.h5", *QUICK, "--epochs", 1, "--name", "x"),
        (0, "mpt-report", "runs/x"),
        (0, "mpt-predict", "serial.h5", "--run", "runs/x"),
    ]
    commands = [(code, COMMANDS[program], *map(str, given)) for code, program, *given in steps]
    paths = os.pathsep.join(map(str, (HIDDEN, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert CacheReader(tmp_path / "serial.h5").content_digest == CacheReader(tmp_path / "workers.h5").content_digest
    assert (tmp_path / "predictions/serial/predictions.json").is_file()
    assert (tmp_path / "runs/x/report/index.html").is_file()
