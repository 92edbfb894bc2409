"""Spread work over workers: in this process, or over the cores with joblib. See `cluster` for dask."""

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import takewhile
from threading import Event
from typing import TypeVar

from data_cache.console.interrupt import children_ignore_interrupts, stop_request
from data_cache.errors import Interrupted, UsageError, typed_command

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_here(
    work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event, jobs: int
) -> Generator[Result, None, None]:
    """Yield `work(task)` for every task as each is finished, in any order, on this machine.

    Args:
        work: a module-level function; it runs in worker processes when `jobs` exceeds 1.
        stop: once set, no new task begins; those in hand are still finished and yielded.
        jobs: worker processes, in each of which BLAS and OpenMP get one thread; −1 takes every core.

    Raises:
        UsageError: a worker was killed.
    """
    waiting = takewhile(lambda _: not stop.is_set(), tasks)
    workers = min(available_jobs(jobs), max(len(tasks), 1))
    if workers == 1:
        yield from map(work, waiting)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs")
            with children_ignore_interrupts():  # the workers start here, and may die here
                results = parallel(joblib.delayed(_in_worker)(work, task) for task in waiting)
        yield from results
    except TerminatedWorkerError as error:
        if stop.is_set():  # SIGTERM went to the workers too
            return
        raise UsageError(
            "a worker process was killed, most likely for lack of memory; use fewer with --jobs. "
            f"What was finished is kept; resume with: {typed_command()}"
        ) from error


def available_jobs(jobs: int) -> int:
    """The value of `--jobs`, with −1 for the cores that this process may use."""
    import joblib

    return joblib.cpu_count() if jobs < 1 else jobs


def fan_out(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """`run_here` until Ctrl-C.

    Raises:
        Interrupted: after Ctrl-C, once the tasks in hand were finished and yielded.
    """
    with stop_request() as stop, closing(run_here(work, tasks, stop, jobs)) as results:
        yield from results
        if stop.is_set():
            raise Interrupted(f"interrupted; start again with: {typed_command()}")


def _in_worker(work: Callable[[Task], Result], task: Task) -> Result:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also for workers that were started later
    return work(task)
