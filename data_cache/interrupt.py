"""Ctrl-C that stops after the work in hand, instead of in the middle of it."""

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


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs; processes that it starts never see one.

    A terminal sends Ctrl-C to every process of a job. Workers leave the decision to their parent.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
