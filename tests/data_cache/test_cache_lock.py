"""One writer at a time: the other one is told who, where and since when; the dead hold no locks."""

import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builds import wait_for

from data_cache.errors import Locked, UsageError
from data_cache.files import lock
from data_cache.files.lock import Holder, lock_path, read_holder, writer_lock

HOLD = """
import sys, time
from pathlib import Path
from data_cache.files.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The cache that is to be written."""
    return tmp_path / "c.h5"


def write(path: Path) -> None:
    with writer_lock(path):
        pass


@pytest.fixture
def hold(tmp_path: Path) -> Any:
    """Let another process hold a lock."""
    holders = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        holders.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in holders:
        process.kill()
        process.communicate()


def test_a_lock_is_released_on_normal_exit_and_on_errors(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.h5"
    with writer_lock(path):
        holder = read_holder(lock_path(path))
        assert holder is not None and (holder.pid, holder.host) == (os.getpid(), platform.node())
    assert list(path.parent.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), writer_lock(path):
        raise KeyboardInterrupt
    write(path)
    assert list(path.parent.iterdir()) == []


def test_the_second_writer_is_told_who_holds_it(path: Path, hold: Callable[..., Any]) -> None:
    other = hold(path)
    with pytest.raises(Locked) as refused:
        write(path)
    assert refused.value.exit_code == 6
    assert f"process {other.pid} on {platform.node()}" in str(refused.value) and "since 20" in str(refused.value)
    assert lock_path(path).exists()


def test_a_killed_writer_holds_nothing(path: Path, hold: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    other = hold(path)
    other.kill()
    other.wait()
    assert lock_path(path).exists()
    with caplog.at_level("INFO"), writer_lock(path):
        holder = read_holder(lock_path(path))
        assert holder is not None and holder.pid == os.getpid()
    assert f"process {other.pid}" in caplog.text


def write_holder(path: Path, **changes: object) -> None:
    lock_path(path).write_text(json.dumps({**vars(Holder.me()), **changes}))


def test_a_holder_on_another_machine_is_believed(path: Path) -> None:
    write_holder(path, host="node7", pid=4711)
    with pytest.raises(Locked, match=r"process 4711 on node7 .*c\.h5\.lock"):
        write(path)


def test_a_process_that_got_the_number_of_a_dead_one_is_told_from_it(path: Path) -> None:
    write_holder(path, pid=os.getppid(), birth=1)
    write(path)


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"host": 1}'])
def test_an_unreadable_lock_file_of_nobody_is_taken_over(path: Path, text: str) -> None:
    lock_path(path).write_text(text)
    write(path)
    assert not lock_path(path).exists()


def test_a_silent_machine_holds_nothing_and_is_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_holder(path, host="node7", pid=4711)
    file = lock_path(path)
    silent_since = file.stat().st_mtime - lock.SILENT_SECONDS - 1
    os.utime(file, (silent_since, silent_since))
    with caplog.at_level("INFO"):
        write(path)
    assert "process 4711 on node7" in caplog.text


def test_a_holder_shows_that_it_is_alive(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.01)
    with writer_lock(path):
        os.utime(lock_path(path), (1, 1))
        wait_for(lambda: lock_path(path).stat().st_mtime > 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to, lambda lock, _: os.mkfifo(lock)])
def test_what_somebody_planted_is_never_followed(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    victim, path = tmp_path / "victim", tmp_path / "c.h5"
    victim.write_text("precious")
    plant(lock_path(path), victim)
    with pytest.raises(UsageError, match=r"c\.h5\.lock is a link"):
        write(path)
    assert victim.read_text() == "precious"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"c\.h5\.lock"), writer_lock(tmp_path / "file" / "c.h5"):
        pass


def _contend(path: Path, deadline: float) -> int:
    """Take the lock again and again; the number of times that somebody else was inside as well."""
    clashes, inside = 0, path.with_name("inside")
    while time.monotonic() < deadline:
        try:
            with writer_lock(path):
                try:
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    clashes += 1
                inside.unlink(missing_ok=True)
        except Locked:
            pass
    return clashes


def test_many_processes_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.starmap(_contend, [(tmp_path / "c.h5", time.monotonic() + 2)] * 4) == [0] * 4
