"""What all mpt commands share: how they start, report errors, and show progress.

Results go to stdout, progress and messages to stderr, so that `--json` output can be piped.
"""

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from data_cache import __version__
from data_cache.console.help import App
from data_cache.console.interrupt import ignore_interrupts
from data_cache.errors import Interrupted, MptError, NoSpace, UsageError, is_disk_full, typed_command
from data_cache.names import visible

_QUIET_INTERVAL = 30.0  # seconds between progress lines where stderr is no terminal


make_app = App


def example(command: str) -> str:
    """The line at the end of a command's help that shows how it is typed."""
    return f"Example: {command}"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"motion-prompt-tuning {__version__}")
        raise typer.Exit


Version = Annotated[
    bool | None, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]
"""The option that every command has."""


def run(app: App, program: str) -> NoReturn:
    """Run an application; print an expected error as one clear line and leave with its exit code."""
    for package in ("data_cache", "preprocess", "train"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.INFO)
        logger.handlers = [_Messages()]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: a file's name may be in any encoding
    try:
        try:
            app.parser()(prog_name=program)
        finally:
            ignore_interrupts()  # the outcome is settled; Python's own way out would answer with a traceback
    except MptError as error:
        say(f"{program}: {error}")
        sys.exit(error.exit_code)
    except SystemExit as leaving:
        if leaving.code == Interrupted.exit_code:
            say(f"{program}: interrupted; what was finished is kept. Start again with: {typed_command()}")
        raise
    except OSError as error:
        if is_disk_full(error):
            say(f"{program}: disk full ({error}); free some space and run the same command again")
            sys.exit(NoSpace.exit_code)
        if error.filename is None:
            raise
        say(f"{program}: {error.filename}: {error.strerror or error}; check the path and its rights, then try again")
        sys.exit(UsageError.exit_code)
    sys.exit(0)


class _Messages(logging.Handler):
    """Messages of library modules for the person at the terminal, on stderr as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def say(message: str) -> None:
    """One line for the person at the terminal, on stderr."""
    print(visible(message), file=sys.stderr, flush=True)  # noqa: T201


def print_json(value: Any) -> None:
    """A result for programs, on stdout, in plain ASCII that commands no terminal."""
    typer.echo(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))  # of control characters, JSON leaves this one


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Callable[[int, str], None]]:
    """One progress bar with ETA; where stderr is no terminal, one line per half minute instead.

    Yields a function `advance(steps, note)`; `note` is shown behind the bar.
    """
    if sys.stderr.isatty():
        with _bar(title, total, unit) as advance:
            yield advance
        return
    done = 0
    started = printed = time.monotonic()

    def count(steps: int, note: str) -> None:
        nonlocal done, printed
        done, now = done + steps, time.monotonic()
        if done >= total or now - printed >= _QUIET_INTERVAL:
            printed = now
            left = (now - started) / max(done, 1) * (total - done)
            say(f"{title}: {done}/{total} {unit}, {left:.0f} s left {note}".rstrip())

    yield count


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Callable[[int, str], None]]:
    from rich import progress as rich
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    count = ("{task.description}", rich.BarColumn(None), rich.MofNCompleteColumn(), unit)
    bar = rich.Progress(*count, rich.TimeElapsedColumn(), "left", rich.TimeRemainingColumn(), expand=True)
    task, below = bar.add_task(title, total=total), Text(no_wrap=True, overflow="ellipsis")

    def advance(steps: int, note: str) -> None:
        below.plain = note
        bar.update(task, advance=steps)

    # One line of numbers and, below it, the note: side by side they are too wide for 80 columns.
    with Live(console=Console(stderr=True), get_renderable=lambda: Group(bar, below) if below else bar):
        yield advance
