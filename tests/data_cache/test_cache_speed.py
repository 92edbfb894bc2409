"""A clip is read as fast as a memory map could give it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_cache.read.reader import CacheReader

CLIPS = 12


def milliseconds(read: Callable[[int], object], rng: np.random.Generator) -> float:
    """Median time of reading one clip, in random order, all of them read before."""
    times = []
    for row in rng.permutation(np.repeat(np.arange(CLIPS), 4)).tolist():
        started = time.perf_counter()
        read(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


@pytest.mark.slow
def test_random_reads_keep_up_with_a_memory_map(
    make_cache: Callable[..., Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    reader = CacheReader(make_cache(tmp_path / "c.h5", {"s": CLIPS}, size=224, frames=16))
    mapped = np.memmap(tmp_path / "flat", np.uint8, "w+", shape=(CLIPS, 16, 224, 224, 3))
    for row in range(CLIPS):
        mapped[row] = reader.motion(row)
    rounds = [  # in turns, because other programs run on this machine too
        (milliseconds(reader.motion, rng), milliseconds(lambda row: np.array(mapped[row]), rng)) for _ in range(5)
    ]
    ours, flat = min(rounds, key=lambda pair: pair[0] / pair[1])
    Path(os.environ.get("MPT_TEST_FIGURES", os.devnull)).write_text(f"cache {ours:.3f} ms, memory map {flat:.3f} ms\n")
    assert ours <= 2 * flat, f"{ours:.2f} ms against {flat:.2f} ms"


@pytest.mark.slow
def test_a_read_takes_at_most_600_microseconds(
    make_cache: Callable[..., Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    reader = CacheReader(make_cache(tmp_path / "c.h5", {"s": CLIPS}, size=224, frames=16))
    for row in range(CLIPS):
        reader.motion(row)
    assert min(milliseconds(reader.motion, rng) for _ in range(5)) <= 0.6
