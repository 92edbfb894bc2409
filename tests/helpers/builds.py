"""Caches in the making, seen from outside."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from data_cache.read.reader import CacheReader

SIZE = ("--size", 64, "--levels", 3)
FAST = ("--size", 32, "--levels", 3, "--jobs", 1)
SMALL = ("--size", 16, "--frames", 4, "--levels", 2, "-j", 1)


def wait_for(happens: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def shards_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.h5.parts/*.h5"))


def same_content(one: Path, other: Path) -> bool:
    """Equal in every pixel and every annotation."""
    with CacheReader(one) as a, CacheReader(other) as b:
        columns = [np.array_equal(getattr(a.clips, name), getattr(b.clips, name)) for name in vars(a.clips)]
        pixels = [np.array_equal(a.motion(row), b.motion(row)) for row in range(len(a))]
        images = [np.array_equal(a.dynamic_image(row), b.dynamic_image(row)) for row in range(len(a))]
        digests = a.attributes.source_digest == b.attributes.source_digest
        return all(columns) and all(pixels) and all(images) and digests and a.content_digest == b.content_digest


def receipts(log: Path) -> dict[str, list[str]]:
    """Clip → what was logged of it, in order."""
    found: dict[str, list[str]] = {}
    for line in log.read_text().splitlines():
        receipt = json.loads(line)
        found.setdefault(receipt["clip"], []).append(receipt["status"])
    return found


def gzipped_copy(cache: Path, target: Path) -> Path:
    """What `h5repack -f GZIP=4` makes of a cache."""
    shutil.copy(cache, target)
    with h5py.File(target, "r+") as file:
        for name in ("dynamic_image", "motion"):
            pixels, chunks = file[name][...], file[name].chunks
            del file[name]
            file.create_dataset(name, data=pixels, chunks=chunks, compression="gzip", fletcher32=True)
    return target
