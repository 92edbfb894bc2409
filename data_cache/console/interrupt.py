"""Graceful shutdown: SIGINT and SIGTERM stop the work after the current clip."""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # schedulers such as SLURM say SIGTERM before they kill


@contextmanager
def stop_request() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets while the block runs; the second one interrupts at once.

    Only the main thread receives signals; in any other the event is never set.
    """
    stop = threading.Event()

    def ask_to_stop(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with _handled_by(ask_to_stop, _SIGNALS):
        yield stop


def ignore_interrupts() -> None:
    """From now on: for a process that has done all it can, and only has to leave."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def children_ignore_interrupts() -> AbstractContextManager[None]:
    """Processes started while the block runs ignore Ctrl-C, from their first instruction on.

    A terminal sends Ctrl-C to every process of a job; workers leave the decision to their parent. For
    this moment the parent ignores it as well: that is what children inherit.
    """
    return _handled_by(signal.SIG_IGN, [signal.SIGINT])


@contextmanager
def _handled_by(handler: Any, numbers: Iterable[signal.Signals]) -> Iterator[None]:
    here = threading.current_thread() is threading.main_thread()  # in others, Python refuses
    before = {number: signal.signal(number, handler) for number in numbers if here}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
