"""Atomic writes: a file appears complete or not at all. Write beside the target, fsync, rename, fsync the folder."""

import glob
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_cache.errors import NoSpace, is_disk_full


def write_bytes(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Put `data` at `path` atomically. An existing file is replaced; a reader of it is undisturbed.

    With `durable`, it survives a power cut once this returns.

    Raises:
        NoSpace: the disk (or the quota) is full; nothing is left behind.
    """
    with replacing(path, durable=durable) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as indented JSON, atomically."""
    write_bytes(path, json_bytes(value, indent=2))


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """One JSON text and a line break, in UTF-8.

    A file name that is no UTF-8 comes as lone surrogates; replaced by backslashes, they are what JSON writes for them.
    """
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block succeeds.

    The block writes and fsyncs the temporary file. If it raises, the temporary file is removed
    and `path` is untouched. With `durable`, the rename survives a power cut once this returns.

    Raises:
        NoSpace: the block or the rename ran out of disk space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{secrets.token_hex(8)}")  # nobody can plant a link there
    try:
        yield temporary
        temporary.replace(path)
        if durable:
            sync(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if is_disk_full(error):
            raise NoSpace(
                f"disk full while writing {path}; what was finished before is kept. "
                "Free some space and run the same command again"
            ) from error
        raise


def is_plain(path: Path, missing: bool = False) -> bool:
    """Whether a regular file of one name lies at `path`; what others planted may be a link, also a hard one.

    Args:
        missing: the answer where nothing lies there; asked for here, because others may remove it at any moment.
    """
    try:
        status = path.lstat()
    except OSError:
        return missing
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1  # 0: somebody is removing it


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of writing `path` or its checksum file; its writer lock must be held."""
    for name in (path.name, f"{path.name}.sha256"):
        for leftover in path.parent.glob(f"{glob.escape(name)}.tmp-*"):
            leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make what was written to a file, or renamed in a folder, survive a power cut."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return  # Windows opens no folder, and has nothing like this
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)  # Windows flushes only what may be written
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
