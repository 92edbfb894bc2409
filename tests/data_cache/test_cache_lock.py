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

from data_cache.errors import Locked, UsageError
from data_cache.files.lock import Holder, lock_path, read_holder, writer_lock

HOLD = """
import sys, time
from pathlib import Path
from data_cache.files.lock import writer_lock
with writer_lock(Path(sys.argv[1]), *sys.argv[2:]):
    print("held", flush=True)
    time.sleep(60)
"""


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
    with writer_lock(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_the_second_writer_is_told_who_holds_it(tmp_path: Path, hold: Callable[..., Any]) -> None:
    path = tmp_path / "c.h5"
    other = hold(path)
    with pytest.raises(Locked) as refused, writer_lock(path):
        pass
    assert refused.value.exit_code == 6
    assert f"process {other.pid} on {platform.node()}" in str(refused.value) and "since 20" in str(refused.value)
    assert lock_path(path).exists()


def test_a_killed_writer_holds_nothing(tmp_path: Path, hold: Callable[..., Any], capsys: Any) -> None:
    path = tmp_path / "c.h5"
    other = hold(path)
    other.kill()
    other.wait()
    assert lock_path(path).exists()
    with writer_lock(path):
        holder = read_holder(lock_path(path))
        assert holder is not None and holder.pid == os.getpid()
    said = capsys.readouterr().err
    assert f"process {other.pid}" in said and "has ended" in said


def write_holder(path: Path, **changes: object) -> None:
    lock_path(path).write_text(json.dumps({**vars(Holder.me()), **changes}))


def test_a_holder_on_another_machine_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    write_holder(path, host="node7", pid=4711)
    with (
        pytest.raises(Locked, match=r"process 4711 on node7 .*if it has ended, delete .*c\.h5\.lock"),
        writer_lock(path),
    ):
        pass


def test_a_process_that_got_the_number_of_a_dead_one_is_told_from_it(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    write_holder(path, pid=os.getppid(), birth=1)
    with writer_lock(path):
        pass


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"host": 1}'])
def test_an_unreadable_lock_file_of_nobody_is_taken_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.h5"
    lock_path(path).write_text(text)
    with writer_lock(path):
        pass
    assert not lock_path(path).exists()


def test_parts_exclude_the_whole_but_not_each_other(tmp_path: Path, hold: Callable[..., Any]) -> None:
    path = tmp_path / "c.h5"
    hold(path, "shard-1-of-4")
    with writer_lock(path, "shard-2-of-4"):
        pass
    with pytest.raises(Locked, match="is being written by process"), writer_lock(path, "shard-1-of-4"):
        pass
    with pytest.raises(Locked, match="shard-1-of-4 is still being made by process"), writer_lock(path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["c.h5.shard-1-of-4.lock"]


def test_the_whole_excludes_parts(tmp_path: Path, hold: Callable[..., Any]) -> None:
    path = tmp_path / "c.h5"
    hold(path)
    with pytest.raises(Locked, match="being made by process"), writer_lock(path, "shard-0-of-2"):
        pass


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written to"), writer_lock(tmp_path / "file" / "c.h5"):
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
