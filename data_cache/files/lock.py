"""One writer per cache: `casme2.h5.lock` says who is writing it, where and since when.

The operating system's lock (filelock) decides between the processes of one machine, and is gone when its process
is. Between machines that share a folder it may not reach; there the text of the file decides, and the holder
touches it every half minute to show that it is alive.
"""

import errno
import json
import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from data_cache.errors import Locked, NoSpace, UsageError, is_disk_full, typed_command
from data_cache.files.atomic import is_plain

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 25.0
SILENT_SECONDS = 120.0
_CLOCK_SECONDS = 5.0  # by which the time of a process's start may be off
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True)
class Holder:
    """The process that writes a cache."""

    host: str
    pid: int
    started: str  # when it took the lock, local time in ISO 8601
    command: str
    birth: float  # when the process began, in seconds since 1970; tells it from a later one with the same id

    @classmethod
    def me(cls) -> "Holder":
        """This process."""
        process = psutil.Process()
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return cls(platform.node(), process.pid, now, typed_command(), process.create_time())

    def has_ended(self, file: Path) -> bool:
        """Whether it surely writes no more: its process is gone, or, on another machine, it is silent for long."""
        if self.host != platform.node():
            with tempfile.TemporaryFile(dir=file.parent) as now:  # the clock of the file server, not ours
                return os.fstat(now.fileno()).st_mtime - file.stat().st_mtime > SILENT_SECONDS
        try:
            return abs(psutil.Process(self.pid).create_time() - self.birth) > _CLOCK_SECONDS
        except psutil.Error:
            return not psutil.pid_exists(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.started})"


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Be the only process that writes the cache `path` while the block runs.

    Raises:
        Locked: another process holds the lock; the message says which.
        UsageError: the folder may not be written to, or a link lies where the lock should.
        NoSpace: the disk is full.
    """
    file, me, stop = lock_path(path), Holder.me(), threading.Event()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquire(file, path, me)
    except OSError as error:
        if is_disk_full(error):
            raise NoSpace(f"disk full: not even {file} can be written; free some space and try again") from error
        raise UsageError(f"{file} cannot be written to ({error.strerror}); choose another place with -o") from error
    threading.Thread(target=_beat, args=(file, stop), daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        if read_holder(file) == me:  # before the lock itself goes, so that nobody takes over a file that vanishes
            file.unlink(missing_ok=True)
        lock.release()


def lock_path(path: Path) -> Path:
    """Where the lock of `path` lies."""
    return path.with_name(f"{path.name}.lock")


def read_holder(file: Path) -> Holder | None:
    """Who holds a lock file; None where there is none, or nothing readable is in it."""
    try:
        holder = Holder(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return holder if isinstance(holder.pid, int) and isinstance(holder.birth, int | float) else None


def _acquire(file: Path, path: Path, me: Holder) -> FileLock:
    if not is_plain(file, missing=True):
        raise UsageError(f"{file} is a link or no file, and none of ours; delete it, or choose another place with -o")
    # Windows lets nobody, not even us, write to a locked file: there a file beside it is locked
    locked = file.with_name(f"{file.name}ed") if os.name == "nt" else file
    lock = FileLock(locked, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        holder = read_holder(file) or "another process"
        raise Locked(f"{path} is being written by {holder}; wait for it, or choose another file with -o") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    try:
        earlier = read_holder(file)
        if earlier is not None:
            if not earlier.has_ended(file):
                raise Locked(f"{path} is being written by {earlier}; wait for it, or, if it has ended, delete {file}")
            log.info(f"taking over {file.name} of {earlier}, which has ended")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(file, flags, 0o666), "w", encoding="utf-8") as held:
            json.dump(vars(me), held, indent=2)
    except BaseException:
        lock.release()
        raise
    return lock


def _beat(file: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        with suppress(OSError):
            os.utime(file)
