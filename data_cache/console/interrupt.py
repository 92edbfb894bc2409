"""Graceful shutdown: SIGINT and SIGTERM stop the work after the current clip."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # schedulers such as SLURM say SIGTERM before they kill


@contextmanager
def stop_request() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets while the block runs; the second one interrupts at once.

    Only the main thread receives signals; in any other the event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask_to_stop(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask_to_stop) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """From now on: for a process that has done all it can, and only has to leave."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def children_ignore_interrupts() -> Iterator[None]:
    """Processes started while the block runs ignore Ctrl-C, from their first instruction on.

    A terminal sends Ctrl-C to every process of a job; workers leave the decision to their parent. For
    this moment the parent ignores it as well: that is what children inherit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
