"""Spread clips over workers: in this process, or over the cores with joblib."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def fan_out(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """Yield `work(task)` for every task as each is finished, in any order.

    Args:
        work: a module-level function; it runs in worker processes when `jobs` exceeds 1.
        tasks: its arguments.
        jobs: worker processes; −1 takes every core. BLAS and OpenMP get one thread in each.
    """
    workers = min(available_jobs(jobs), max(len(tasks), 1))
    if workers == 1:
        yield from map(work, tasks)
        return
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs")
        yield from parallel(joblib.delayed(work)(task) for task in tasks)


def available_jobs(jobs: int) -> int:
    """`jobs`, with −1 for the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if jobs < 1 else jobs
