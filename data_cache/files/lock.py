"""One writer per cache: `casme2.h5.lock` says who is writing it, where and since when.

The operating system's lock decides between processes of one machine, and is gone when its process is.
Between machines that share a folder it may not reach, so the text of the file decides there.
"""

import errno
import fcntl
import glob
import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from data_cache.console.commandline import typed_command
from data_cache.errors import Locked, NoSpace, UsageError, is_disk_full

log = logging.getLogger(__name__)

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True)
class Holder:
    """The process that writes a cache.

    Attributes:
        host: name of its machine.
        pid: its process id there.
        started: when it took the lock, local time in ISO 8601.
        command: what was typed.
        birth: clock ticks from the start of the machine to that of the process; tells a process from
            a later one with the same id. 0 where the system does not say.
    """

    host: str
    pid: int
    started: str
    command: str
    birth: int

    @classmethod
    def me(cls) -> "Holder":
        """This process."""
        pid = os.getpid()
        return cls(platform.node(), pid, time.strftime("%Y-%m-%dT%H:%M:%S%z"), typed_command(), _birth(pid))

    @property
    def has_ended(self) -> bool:
        """Whether the process surely runs no more; of another machine, nobody can tell."""
        return self.host == platform.node() and (not _exists(self.pid) or _birth(self.pid) != self.birth)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.started})"


@contextmanager
def writer_lock(path: Path, part: str = "") -> Iterator[None]:
    """Be the only process that writes `path` while the block runs.

    Args:
        path: the cache.
        part: a name for a share of the work. Different parts do not exclude each other; the whole and a part do.

    Raises:
        Locked: another process holds the lock; the message says which.
        UsageError: the folder may not be written to.
        NoSpace: the disk is full.
    """
    file = lock_path(path, part)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(file, path)
    except OSError as error:
        if is_disk_full(error):
            raise NoSpace(f"disk full: not even {file} can be written; free some space and try again") from error
        raise UsageError(
            f"{file.parent} cannot be written to ({error.strerror}); choose another place with -o"
        ) from error
    try:
        _refuse_while_others_run(path, part)
        yield
    finally:
        file.unlink(missing_ok=True)  # before the lock itself goes, so that nobody takes over a file that vanishes
        os.close(descriptor)


def lock_path(path: Path, part: str = "") -> Path:
    """Where the lock of `path` lies."""
    return path.with_name(f"{path.name}.{part}.lock" if part else f"{path.name}.lock")


def read_holder(file: Path) -> Holder | None:
    """Who holds a lock file; None where there is none, or nothing readable is in it."""
    try:
        return Holder(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _refuse_while_others_run(path: Path, part: str) -> None:
    """The whole excludes its parts and they exclude the whole, though they hold different locks."""
    others = [lock_path(path)] if part else sorted(path.parent.glob(f"{glob.escape(path.name)}.*.lock"))
    for file in others:
        holder = read_holder(file)
        if holder is not None and not holder.has_ended:
            raise Locked(f"{file.name.removesuffix('.lock')} is still being made by {holder}; {_advice(file, holder)}")


def _acquire(file: Path, path: Path) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(descriptor, file, path)
            if file.exists() and os.path.samestat(os.fstat(descriptor), file.stat()):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(asdict(Holder.me()), indent=2).encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed the file between our two steps


def _take(descriptor: int, file: Path, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = read_holder(file)
        who = str(holder) if holder else "another process"
        raise Locked(f"{path} is being written by {who}; wait for it, or choose another file with -o") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    earlier = read_holder(file)
    if earlier is None:
        return
    if not earlier.has_ended:
        raise Locked(f"{path} is being written by {earlier}; {_advice(file, earlier)}")
    log.info(f"taking over {file.name} of {earlier}, which has ended")


def _advice(file: Path, holder: Holder) -> str:
    elsewhere = holder.host != platform.node()
    return f"wait for it, or, if it has ended, delete {file}" if elsewhere else "wait for it to end"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _birth(pid: int) -> int:
    try:
        # The name of the program, in parentheses, may itself hold spaces and parentheses.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
