"""Two workers over one: what our pool makes of the machine's second core, beside what there is to be had.

`pool` is `run_here`, start-up aside. `alone` is the same work in two processes that share nothing and wait for
nobody, each on a core of its own: what the machine gives when software is out of the way. On machines that
share caches, memory and clock among cores, or lend cores out, that is less than 2.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from threading import Event

import cv2
import psutil

from benchmarks.contenders import ours, read_all
from preprocess.clip import Clip
from preprocess.workers import run_here

CLIPS = 80
WORK: dict[str, Callable[[Clip], None]] = {"ours": ours, "imread": read_all}


def compare_workers(clips: Sequence[Clip], rounds: int) -> dict[str, float]:
    """Throughput of two workers over one on 80 clips: medians of interleaved rounds."""
    many = (list(clips) * (CLIPS // len(clips) + 1))[:CLIPS]
    list(run_here(ours, many[:4], Event(), 2))  # the pool's workers start
    ratios: dict[str, list[float]] = {f"{way}, {name}": [] for way in ("pool", "alone") for name in WORK}
    for _ in range(rounds):
        for name, work in WORK.items():
            ratios[f"pool, {name}"].append(_pooled(work, many, 1) / _pooled(work, many, 2))
            ratios[f"alone, {name}"].append(_alone(work, [many]) / _alone(work, [many[::2], many[1::2]]))
    return {name: statistics.median(values) for name, values in ratios.items()}


def _pooled(work: Callable[[Clip], None], clips: Sequence[Clip], jobs: int) -> float:
    """Seconds."""
    started = time.perf_counter()
    list(run_here(work, clips, Event(), jobs))
    return time.perf_counter() - started


def _alone(work: Callable[[Clip], None], shares: Sequence[Sequence[Clip]]) -> float:
    """Seconds of the slower of processes that each do their own share on their own core."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(len(shares))
    seconds = context.SimpleQueue()
    processes = [
        context.Process(target=_share, args=(work, share, core, together, seconds))
        for core, share in zip(psutil.Process().cpu_affinity(), shares, strict=False)
    ]
    for process in processes:
        process.start()
    slowest = max(seconds.get() for _ in processes)
    for process in processes:
        process.join()
    return slowest


def _share(
    work: Callable[[Clip], None],
    clips: Sequence[Clip],
    core: int,
    together: Barrier,
    seconds: "multiprocessing.SimpleQueue[float]",
) -> None:
    psutil.Process().cpu_affinity([core])
    cv2.setNumThreads(1)
    work(clips[0])
    together.wait()
    started = time.perf_counter()
    for clip in clips:
        work(clip)
    seconds.put(time.perf_counter() - started)
