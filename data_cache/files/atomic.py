"""Files on disk: whole or absent, room for them, and checksum files (`casme2.h5.sha256`, as `sha256sum -c` reads them).

A file is written beside its place, synced, renamed onto it, and the folder synced.
"""

import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from data_cache.errors import InvalidFile, NoSpace, is_disk_full


def write_bytes(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Put `data` at `path` as `replacing` does it; a reader of an existing file is undisturbed."""
    with replacing(path, durable=durable) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as indented JSON, atomically."""
    write_bytes(path, json_bytes(value, indent=2))


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """One JSON text and a line break, in UTF-8."""
    # A file name that is no UTF-8 comes as lone surrogates; with backslashes they are what JSON writes for them.
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block succeeds.

    The block writes and fsyncs the temporary file. If it raises, which is `NoSpace` where the disk (or the quota) is
    full, nothing is left behind and `path` is untouched. With `durable`, a power cut does not undo what has returned.
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
            kept = "what was finished before is kept. Free some space and run the same command again"
            raise NoSpace(f"disk full while writing {path}; {kept}") from error
        raise


def is_plain(path: Path, missing: bool = False) -> bool:
    """Whether a regular file of one name lies at `path`; what others planted may be a link, also a hard one.

    `missing` is the answer where nothing lies there; asked for here, because others may remove it at any moment.
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


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is, or would be. A quota may allow less."""
    path = path.absolute()
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


def require_space(path: Path, needed: int, what: str) -> None:
    """Make sure, or raise `NoSpace`, that `needed` bytes fit on the disk of `path` before anything is written."""
    if (free := free_bytes(path)) < needed:
        sizes = f"need {decimal(needed, precision=2)} and {decimal(free, precision=2)} are free"
        raise NoSpace(f"{path}: {what} {sizes}; free some space, or choose a path on another disk")


def sidecar_path(cache: Path) -> Path:
    """Where the checksum of `cache` lies."""
    return cache.with_name(cache.name + ".sha256")


def file_sha256(path: Path) -> str:
    """SHA-256 of a whole file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sidecar(cache: Path, checksum: str) -> None:
    """Write the checksum file of `cache`, as `sha256sum --binary` prints it."""
    write_bytes(sidecar_path(cache), f"{checksum} *{cache.name}\n".encode())


def read_sidecar(cache: Path) -> str | None:
    """The checksum noted beside `cache`; None without a note, and `InvalidFile` where sha256sum would not read it."""
    path = sidecar_path(cache)
    if not path.exists():
        return None
    if (checksum := checksum_in(path.read_bytes())) is None:
        raise InvalidFile(f"{path} is no checksum file; delete it, or copy it again")
    return checksum


def checksum_in(note: bytes) -> str | None:
    """The first checksum in the text of a checksum file; None where there is none."""
    match = re.match(rb"\s*\\?([0-9a-fA-F]{64})(\s|$)", note)
    return match[1].decode().lower() if match else None
