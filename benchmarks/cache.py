"""What reading a cache costs beside stock h5py: ratios of interleaved medians, on clips of the paper's size.

    python -m benchmarks.cache [rounds]

Goals: the first read of a clip ≤ 1.3 times stock `dataset[row]`, later ones ≤ 1.1 times. Both compare HDF5's checksum.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from data_cache.digest import digest
from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from data_cache.schema import CacheAttributes, ClipRecord
from data_cache.write.shards import merge, write_shard

CLIPS, FRAMES, SIZE = 24, 16, 224


def make(folder: Path) -> tuple[Path, float, float]:
    """A cache of noise; seconds of processor time per shard, and per clip of the merge."""
    rng = np.random.default_rng(0)
    recipe = {"frames": FRAMES, "size": SIZE}
    attributes = CacheAttributes("noise", recipe, digest(recipe), "0" * 64, {}, "noise")
    shards, times = [], []
    for row in range(CLIPS):
        pixels = rng.integers(0, 256, (FRAMES + 1, SIZE, SIZE, 3), np.uint8)
        record = ClipRecord("s", f"c{row}", "none", 1, -1, 9, 9, 200.0, 0.0, pixels[0], pixels[1:])
        shards.append(folder / f"{row}.h5")
        started = time.process_time()
        write_shard(shards[-1], record, attributes)
        times.append(time.process_time() - started)
    started = time.process_time()
    merge(shards, folder / "cache.h5")
    return folder / "cache.h5", statistics.median(times), (time.process_time() - started) / CLIPS


def pace(read: Callable[[int], object]) -> float:
    """Median seconds of reading one clip, in random order."""
    times = []
    for row in np.random.default_rng(1).permutation(CLIPS).tolist():
        started = time.perf_counter()
        read(row)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def ratios(path: Path, rounds: int) -> tuple[float, float]:
    """Our first and later reads over those of stock h5py."""
    first, later = [], []
    for _ in range(rounds):
        with CacheReader(path) as reader, h5py.File(path, "r", locking=False) as file:
            stock = file["motion"]
            pace(stock.__getitem__)  # the file is in memory from here on
            ours = pace(reader.motion)
            theirs = pace(stock.__getitem__)
            first.append(ours / theirs)
            later.append(pace(reader.motion) / theirs)
    return statistics.median(first), statistics.median(later)


def main() -> None:
    """Print everything."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        path, shard, merged = make(Path(folder))
        started = time.process_time()
        assert not validate(path)
        verified = (time.process_time() - started) / CLIPS
        first, later = ratios(path, rounds)
    print(f"CPU: shard {shard * 1e3:.1f} ms, merge {merged * 1e3:.1f} ms, verify {verified * 1e3:.1f} ms a clip")
    print(f"read over stock h5py: first {first:.2f} (goal 1.3), later {later:.2f} (goal 1.1)")


if __name__ == "__main__":
    main()
