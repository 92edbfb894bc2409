"""How much disk a cache takes, and whether that much is free."""

import shutil
from pathlib import Path

from data_cache.errors import NoSpace
from data_cache.schema import FIELDS

_OVERHEAD = 16_384  # of an HDF5 file of one clip; measured: 8 kB


def clip_bytes(frames: int, size: int) -> int:
    """Bytes of one clip in a cache of `frames` motion frames of `size` × `size` pixels."""
    total = 0
    for field in FIELDS:
        values = 1
        for axis in field.clip_shape(frames, size):
            values *= axis
        total += values * field.dtype.itemsize
    return total


def cache_bytes(clips: int, frames: int, size: int) -> int:
    """Bytes of a cache, rounded up."""
    return clips * (clip_bytes(frames, size) + 64) + _OVERHEAD


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is, or would be. A quota may allow less."""
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_space(path: Path, needed: int, what: str) -> None:
    """Make sure that `needed` bytes fit on the disk of `path` before anything is written.

    Raises:
        NoSpace: they do not.
    """
    free = free_bytes(path)
    if free < needed:
        raise NoSpace(
            f"{path}: {what} need {readable(needed)} and {readable(free)} are free; free some space, or choose a path "
            "on another disk"
        )


def readable(size: int) -> str:
    """A number of bytes for people."""
    number = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
