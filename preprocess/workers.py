"""Spread work over workers: in this process, over the cores with joblib, or on a dask cluster.

On a cluster, tasks go out, receipts come back, and pixels go straight to the shared folder. Dask's own futures, not
joblib's dask backend: that one runs everything in the client when the cluster has a single thread.
"""

import logging
import platform
import signal
from collections.abc import Callable, Generator, Sequence
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import Any, TypeVar
from uuid import uuid4

from data_cache import __version__
from data_cache.console.interrupt import children_ignore_interrupts
from data_cache.errors import UsageError, installation, typed_command
from data_cache.files.atomic import write_bytes

log = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 10.0
WORKER_SECONDS = 30.0


def available_jobs(jobs: int) -> int:
    """The value of `--jobs`, with −1 for the cores that this process may use."""
    import joblib

    return joblib.cpu_count() if jobs < 1 else jobs


def run_here(
    work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event, jobs: int
) -> Generator[Result, None, None]:
    """Yield `work(task)` for every task as each is finished, in any order, on this machine.

    Args:
        work: a module-level function; it runs in worker processes when `jobs` exceeds 1.
        stop: once set, no new task begins; those in hand are still finished and yielded.
        jobs: worker processes, in each of which BLAS and OpenMP get one thread; −1 takes every core. When one is
            killed, that is a `UsageError`.
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


def _in_worker(work: Callable[[Task], Result], task: Task) -> Result:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also for workers that were started later
    return work(task)


def run_on_cluster(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    stop: Event,
    address: str,
    folders: Sequence[Path],
    source: Path,
) -> Generator[Result, None, None]:
    """As `run_here`, on the cluster of a dask scheduler; a task whose worker dies runs again on another one.

    Args:
        address: of the scheduler, such as tcp://node1:8786.
        folders: folders in which workers write; each worker must see the same ones.
        source: a file that workers must be able to read.

    Raises:
        UsageError: there is no scheduler or no worker, a worker cannot see the folders, or the scheduler goes away.
    """
    client = _connect(address)
    from distributed import CancelledError, KilledWorker, as_completed
    from distributed.comm import CommClosedError

    try:
        _check_workers(client, address, folders, source)
        futures = [client.submit(work, task, pure=False) for task in tasks]
        for future in as_completed(futures, loop=client.loop):
            try:
                result = future.result()
            except (CancelledError, CommClosedError) as error:  # the latter while a result is on its way
                if stop.is_set():
                    continue
                again = f"finished clips are kept. Start it again, then: {typed_command()}"
                raise UsageError(f"the scheduler {address} went away; {again}") from error
            except KilledWorker as error:
                raise UsageError(
                    f"workers of {address} die of this task again and again ({error.last_worker.address}), most likely "
                    f"for lack of memory; start them with fewer threads or more memory, then: {typed_command()}"
                ) from error
            future.release()
            yield result
            if stop.is_set():
                client.cancel([other for other in futures if not other.done()])
    finally:
        client.close(timeout=2)


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(f"--scheduler needs dask, which is not installed here; {installation('cluster')}") from error
    # What dask logs about a scheduler that goes away, this program says in one line.
    for name in logging.root.manager.loggerDict:
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        then = f"start one with 'dask scheduler', then: {typed_command()}"
        raise UsageError(f"no dask scheduler answers at {address}; {then}") from error


def _check_workers(client: Any, address: str, folders: Sequence[Path], source: Path) -> None:
    """Let every worker look for what was just put here: it must see the very same folders."""
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError as error:
        start = f"start some with 'dask worker {address} --nthreads 1'"
        raise UsageError(f"the scheduler {address} has no worker after {WORKER_SECONDS:.0f} s; {start}") from error
    hellos = [folder.absolute() / f"hello-{uuid4().hex}" for folder in folders]
    for hello in hellos:
        write_bytes(hello, b"", durable=False)
    try:
        answers = client.run(_look_around, hellos, source.absolute(), __version__, on_error="return")
    finally:
        for hello in hellos:
            hello.unlink(missing_ok=True)
    complaints = []
    for worker, answer in answers.items():
        if "ImportError" in repr(answer) or "ModuleNotFoundError" in repr(answer):  # dask wraps it in other exceptions
            answer = f"this package is not installed there ({answer}); {installation()}, version {__version__}"
        if answer:
            complaints.append(f"  {worker}: {answer if isinstance(answer, str) else repr(answer)}")
    if complaints:
        raise UsageError(
            f"{len(complaints)} of {len(answers)} workers of {address} cannot take part:\n"
            + "\n".join(complaints)
            + "\nfix this there (the same folders at the same paths, the same version), or stop these workers"
        )
    log.info(f"{len(answers)} workers with {sum(client.nthreads().values())} threads on {address}")


def _look_around(hellos: Sequence[Path], source: Path, version: str) -> str:
    """What keeps the worker in which this runs from taking part; "" if nothing does."""
    host = platform.node()
    if version != __version__:
        return f"{host} has motion-prompt-tuning {__version__}, and {version} is asked for"
    place, doing = source, "read"
    try:
        with source.open("rb") as file:
            file.read(1)
        for hello in hellos:
            place, doing = hello.parent, "see"
            hello.stat()
            doing = "write to"
            TemporaryFile(dir=place).close()
    except OSError as error:
        return f"{host} cannot {doing} {place} ({error.strerror})"
    return ""
