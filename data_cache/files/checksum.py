"""`casme2.h5.sha256`: the checksum beside a cache, in the format that `sha256sum -c` checks."""

import hashlib
import re
from pathlib import Path

from data_cache.errors import InvalidFile
from data_cache.files.atomic import write_bytes


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
    """The checksum noted beside `cache`; None where there is no note.

    Raises:
        InvalidFile: the note is not in the format of sha256sum.
    """
    path = sidecar_path(cache)
    if not path.exists():
        return None
    checksum = checksum_in(path.read_bytes())
    if checksum is None:
        raise InvalidFile(f"{path} is no checksum file; delete it, or copy it again")
    return checksum


def checksum_in(note: bytes) -> str | None:
    """The first checksum in the text of a checksum file; None where there is none."""
    match = re.match(rb"\s*\\?([0-9a-fA-F]{64})(\s|$)", note)
    return match[1].decode().lower() if match else None
