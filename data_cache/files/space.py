"""How much disk a cache takes, and whether that much is free."""

import shutil
from pathlib import Path

from data_cache.errors import NoSpace


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
