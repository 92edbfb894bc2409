"""Run on a dask cluster: tasks go out, receipts come back, pixels go straight to the shared folder.

Dask's own futures, not joblib's dask backend: that one runs everything in the client when the cluster
has a single thread.
"""

import logging
import platform
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from uuid import uuid4

from data_cache import __version__
from data_cache.errors import UsageError, installation, typed_command
from data_cache.files.atomic import write_bytes

log = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 10.0
WORKER_SECONDS = 30.0


class DaskCluster:
    """The cluster of a dask scheduler.

    Args:
        address: of the scheduler, such as tcp://node1:8786.
        folders: folders in which workers write; each worker must see the same ones.
        source: a file that workers must be able to read.
    """

    def __init__(self, address: str, folders: Sequence[Path], source: Path) -> None:
        self.address, self.folders, self.source = address, folders, source

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task], stop: Event) -> Generator[Result, None, None]:
        """As `fanout.run_here` does, on the cluster; a task whose worker dies runs again on another one.

        Raises:
            UsageError: there is no scheduler or no worker, a worker cannot see the folders, or the
                scheduler goes away.
        """
        client = self._connect()
        from distributed import KilledWorker, as_completed

        try:
            self._check_workers(client)
            futures = [client.submit(work, task, pure=False) for task in tasks]
            for future in as_completed(futures, loop=client.loop):
                if future.status == "cancelled":
                    if stop.is_set():
                        continue
                    raise UsageError(
                        f"the scheduler {self.address} went away; finished clips are kept. Start it again, then: "
                        f"{typed_command()}"
                    )
                try:
                    result = future.result()
                except KilledWorker as error:
                    raise UsageError(
                        f"workers of {self.address} die of this task again and again, most likely for lack of memory "
                        f"({error.last_worker.address}); start them with fewer threads or more memory, then: "
                        f"{typed_command()}"
                    ) from error
                future.release()
                yield result
                if stop.is_set():
                    client.cancel([other for other in futures if not other.done()])
        finally:
            client.close(timeout=2)

    def _connect(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise UsageError(
                f"--scheduler needs dask, which is not installed here; {installation('cluster')}"
            ) from error
        # What dask logs about a scheduler that goes away, this program says in one line.
        for name in logging.root.manager.loggerDict:
            if name.startswith("distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"no dask scheduler answers at {self.address}; start one with 'dask scheduler', then: {typed_command()}"
            ) from error
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError as error:
            client.close(timeout=2)
            raise UsageError(
                f"the scheduler {self.address} has no worker after {WORKER_SECONDS:.0f} s; start some with "
                f"'dask worker {self.address} --nthreads 1'"
            ) from error
        return client

    def _check_workers(self, client: Any) -> None:
        """Let every worker read back what was just written here: it must see the very same folders."""
        nonce = uuid4().hex
        hellos = {folder.absolute() / f"hello-{nonce}": nonce for folder in self.folders}
        for hello, text in hellos.items():
            write_bytes(hello, text.encode(), durable=False)
        try:
            answers = client.run(look_around, hellos, self.source.absolute(), __version__, on_error="return")
        finally:
            for hello in hellos:
                hello.unlink(missing_ok=True)
        found = {worker: _complaint(answer) for worker, answer in answers.items()}
        complaints = [f"  {worker}: {complaint}" for worker, complaint in found.items() if complaint]
        if complaints:
            raise UsageError(
                f"{len(complaints)} of {len(answers)} workers of {self.address} cannot take part:\n"
                + "\n".join(complaints)
                + "\nfix this there (the same folders at the same paths, the same version), or stop these workers"
            )
        threads = sum(client.nthreads().values())
        log.info(f"{len(answers)} workers with {threads} threads on {self.address}")


def look_around(hellos: Mapping[Path, str], source: Path, version: str) -> str:
    """What keeps the worker in which this runs from taking part; "" if nothing does."""
    host = platform.node()
    if version != __version__:
        return f"{host} has motion-prompt-tuning {__version__}, and {version} is asked for"
    for hello, text in hellos.items():
        try:
            if hello.read_text(encoding="utf-8") != text:
                return f"{host} sees another folder {hello.parent}"
        except OSError as error:
            return f"{host} cannot see {hello.parent} ({error.strerror})"
        probe = hello.with_name(f"{hello.name}-{uuid4().hex}")
        try:
            probe.write_text("", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            return f"{host} cannot write to {hello.parent} ({error.strerror})"
    try:
        with source.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{host} cannot read {source} ({error.strerror})"
    return ""


def _complaint(answer: Any) -> str:
    if not isinstance(answer, BaseException):
        return str(answer)
    if "ImportError" in repr(answer) or "ModuleNotFoundError" in repr(answer):  # dask wraps it in other exceptions
        return f"this package is not installed there ({answer}); {installation()}, version {__version__}"
    return f"{type(answer).__name__}: {answer}"
