"""How much disk a cache takes, and whether that much is free."""

import shutil
from pathlib import Path

from data_cache.errors import NoSpace


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is, or would be. A quota may allow less."""
    path = path.absolute()
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


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
    power = min((len(str(size)) - 1) // 3, 4)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
