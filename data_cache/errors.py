"""The errors that a user can act on, one class per exit code.

Every message says what was found, what was expected, and what to type next. The three
stages share this table; `docs/reference/exit-codes.md` prints it for users.
"""

import errno
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from data_cache.names import without_secrets

PAGES = "docs/{page}.md in the clone"
"""Where a page of the documentation is, until the site has an address."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class MptError(Exception):
    """Base of every expected error. An exception of any other type is a bug (exit code 1)."""

    exit_code = 1


class UsageError(MptError):
    """The request or the environment is at fault: a missing file, a bad option, a missing extra."""

    exit_code = 2


class ClipsFailed(MptError):
    """Some clips could not be used; all others were processed and kept."""

    exit_code = 3


class InvalidFile(MptError):
    """A file is not what it should be: truncated, foreign, unfinished or corrupt."""

    exit_code = 4


class StaleFile(MptError):
    """A file exists but was made with another recipe or from other sources."""

    exit_code = 5


class Locked(MptError):
    """Another process is writing the same file."""

    exit_code = 6


class NoSpace(MptError):
    """The disk is full, or would be."""

    exit_code = 7


class Interrupted(MptError):
    """The user pressed Ctrl-C; what was finished is kept."""

    exit_code = 130


def installation(*extras: str) -> str:
    """How this software, which no package index has yet, is installed, with optional parts such as "faces"."""
    chosen = f"[{','.join(extras)}]" if extras else ""
    return f"pip install '.{chosen}' in the clone of this project"


def require_version(path: Path, what: str, found: object, ours: str) -> None:
    """Refuse, as `InvalidFile`, a file whose format has another major version than `ours`."""
    major = ours.partition(".")[0]
    if str(found).partition(".")[0] != major:
        raise InvalidFile(
            f"{path} has {what} format {str(found)[:20]}; this software reads {major}.x: "
            f"update the software (git pull, then {installation()})"
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` means a full disk; HDF5 hides the errno in the text of a RuntimeError."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, OSError | RuntimeError) and any(f"errno = {code}," in str(error) for code in _FULL)


def typed_command() -> str:
    """What was typed, to be typed again; passwords and signatures in URLs are left out."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", "-m", module.name] if module else [Path(sys.argv[0]).name]
    return shlex.join([*program, *map(without_secrets, sys.argv[1:])])


def grouped(reasons: Iterable[tuple[str, str]], most: int = 5) -> list[str]:
    """Lines `key: reason`; of many reasons that differ in names and numbers alone, the first few and a count."""
    groups: dict[str, list[str]] = {}
    for key, reason in reasons:
        names = "|".join(re.escape(part) for part in key.split("/") if part)
        groups.setdefault(re.sub(rf"[0-9]+|{names}", "#", reason), []).append(f"{key}: {reason}")
    lines = []
    for group in groups.values():
        rest = len(group) - most
        lines += [*group[:most], f"… and {rest} more like these"] if rest > 1 else group
    return lines
