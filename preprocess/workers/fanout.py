"""Spread work over workers: in this process, or over the cores with joblib. See `cluster` for dask."""

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from threading import Event
from typing import Protocol, TypeVar

from data_cache.console.interrupt import children_ignore_interrupts, stop_request
from data_cache.errors import Interrupted, UsageError, typed_command

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """A way to run one function on many tasks."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event) -> Generator[Result, None, None]:
        """Yield `work(task)` for every task as each is finished, in any order.

        Args:
            work: a module-level function.
            stop: once set, no new task begins; those in hand are still finished and yielded.
        """
        ...


class Serial:
    """One task after the other in this process."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event) -> Generator[Result, None, None]:
        """See `Executor`."""
        yield from map(work, _until(stop, tasks))


class Processes:
    """Worker processes on this machine; BLAS and OpenMP get one thread in each."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event) -> Generator[Result, None, None]:
        """See `Executor`.

        Raises:
            UsageError: a worker was killed.
        """
        import joblib
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        try:
            with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
                parallel = joblib.Parallel(
                    n_jobs=self.workers, return_as="generator_unordered", pre_dispatch="2*n_jobs"
                )
                with children_ignore_interrupts():  # the workers start here, and may die here
                    results = parallel(joblib.delayed(_in_worker)(work, task) for task in _until(stop, tasks))
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


def local(jobs: int, tasks: int) -> Executor:
    """The executor for `jobs` processes on this machine; −1 takes every core."""
    workers = min(available_jobs(jobs), max(tasks, 1))
    return Serial() if workers == 1 else Processes(workers)


def fan_out(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """Yield `work(task)` for every task as each is finished, in any order.

    Args:
        work: a module-level function; it runs in worker processes when `jobs` exceeds 1.
        jobs: worker processes; −1 takes every core.

    Raises:
        Interrupted: after Ctrl-C, once the tasks in hand were finished and yielded.
    """
    with stop_request() as stop, closing(local(jobs, len(tasks)).run(work, tasks, stop)) as results:
        yield from results
        if stop.is_set():
            raise Interrupted(f"interrupted; start again with: {typed_command()}")


def _until(stop: Event, tasks: Sequence[Task]) -> Iterator[Task]:
    for task in tasks:
        if stop.is_set():
            return
        yield task


def _in_worker(work: Callable[[Task], Result], task: Task) -> Result:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also for workers that were started later
    return work(task)
