"""The command `mpt`: the six commands in the order of work, what lies in this folder, what a bug report needs.

The stages are found by name when they are needed: this package imports neither, and either may be absent.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

import typer

from data_cache import __version__
from data_cache.console.commandline import Version, example, make_app, run
from data_cache.console.help import Group
from data_cache.errors import MptError
from data_cache.names import visible


class Stage(NamedTuple):
    """A command of the product: the module that it is in, and what it does."""

    module: str
    about: str


STAGES = {
    "preprocess": Stage("preprocess.cli", "Check a data set, try a recipe, and make its cache."),
    "cache": Stage("data_cache.cli", "Inspect, verify, merge, export and draw caches."),
    "train": Stage("train.cli", "Train on a cache, test on subjects that were left out."),
    "report": Stage("train.report.cli", "Make a page to explore, figures and tables of a run."),
    "compare": Stage("train.report.compare", "Test whether two runs differ by more than chance."),
    "predict": Stage("train.predict.cli", "Predict new clips with a trained run."),
}
"""The commands in the order of work; `mpt train` is `mpt-train`."""
_FORECASTS = ("time", "disk", "memory", "pixels")  # lines of a dry run that `status` repeats


class _Stages(Group):
    """The stages as subcommands, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [*STAGES, *self.commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in STAGES:
            return super().get_command(ctx, cmd_name)
        stage = import_module(STAGES[cmd_name].module).app.parser()
        stage.params = [each for each in stage.params if "completion" not in each.name]  # mpt has them itself
        return stage

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and (near := get_close_matches(args[0], names, 1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def listed(self) -> list[tuple[str, str]]:
        return [*((name, stage.about) for name, stage in STAGES.items()), *super().listed()]


app = make_app(
    "Motion Prompt Tuning for micro-expressions: from a data set to a report, in the order of work.\n\n"
    "'mpt NAME' and 'mpt-NAME' are the same command; 'mpt NAME --help' says what it takes.\n\n" + example("mpt status"),
    group=_Stages,
)


@app.callback()
def main_options(version: Version = None) -> None:
    """Options before the subcommand."""


@app.command(epilog=example("mpt status"))
def status() -> None:
    """Show what is here (data sets, caches, runs, weights, GPU) and the command to type next."""
    caches = {path: _describe(path) for path in sorted(Path("data_cache").glob("*.h5"))}
    sets, runs = list(_of("preprocess.datasets.find", "present", [])), list(_of("train.status", "runs", []))
    _section("Data sets", sets, "none; put one into datasets/<set>, or set MPT_<SET>=FOLDER")
    _section("Caches", [(str(path), text) for path, (text, _) in caches.items()], "none in data_cache/")
    _section("Runs", [(str(run.path), run.state) for run in runs], "none in runs/")
    _section("Training", _of("train.status", "machine", []), "not installed here")
    typer.echo(typer.style("Next", bold=True))
    waiting = [run.todo for run in runs if run.todo]
    trained = {content for run in runs for content in run.contents}
    cached = {re.sub(r"-alpha[\d.]+$", "", path.stem) for path in caches}
    uncached = [name for name, _ in sets if name not in cached]
    untrained = [path for path, (_, content) in caches.items() if content not in trained]
    if waiting:
        typer.echo(visible(f"  {waiting[0]}"))
    elif uncached:
        _forecast("preprocess", uncached[0])
    elif untrained:
        demo = ("--preset", "demo") if untrained[0].stem.startswith("demo") else ()
        _forecast("train", str(untrained[0]), *demo)
    elif runs:
        typer.echo(visible(f"  mpt predict CLIP {runs[0].path}"))
    else:
        typer.echo(
            "  mpt preprocess demo --recipe clean --size 80   (a drawn set, no licence needed: about 1 min, 0.2 GB)"
        )


def _forecast(stage: str, *what: str) -> None:
    """Print a command, and what its own dry run says of time and size, or what keeps it from running."""
    typer.echo(visible(f"  mpt {stage} {' '.join(what)}"))
    command = [sys.executable, "-P", "-m", STAGES[stage].module, *what, "--dry-run"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith(_FORECASTS)]
    for line in said or done.stderr.splitlines()[-1:]:
        typer.echo(visible(f"    {line}"))


@app.command(epilog=example("mpt doctor"))
def doctor() -> None:
    """Print what a bug report needs: versions, system, GPU, free space, the hub, optional parts."""
    import psutil
    from rich.filesize import decimal

    from data_cache.files.atomic import free_bytes
    from data_cache.sharing.download import download_folder

    memory = psutil.virtual_memory()
    rows = [
        ("motion-prompt-tuning", __version__),
        ("Python", platform.python_version()),
        ("system", f"{platform.platform()}, {os.cpu_count()} cores"),
        ("memory", f"{decimal(memory.total)}, {decimal(memory.available)} free"),
        *_of("train.status", "machine", []),
        ("hub", _of("train.status", "hub", "not asked: train is not installed")),
        *((f"free in {place}", decimal(free_bytes(place))) for place in (Path.cwd(), download_folder())),
        *_packages(),
    ]
    for name, text in rows:
        typer.echo(visible(f"{name}: {text}"))


def _packages() -> Iterator[tuple[str, str]]:
    """What the distribution and its optional parts need, each with the version that is installed."""
    parts: dict[str, list[str]] = {}
    for each in requires("motion-prompt-tuning") or []:
        name, part = re.split(r"[\s\[;<>=!~]", each)[0], re.search(r"extra == .(\w+)", each)
        parts.setdefault(part[1] if part else "packages", []).append(f"{name} {_version(name)}")
    yield from ((part, ", ".join(parts[part])) for part in ("packages", "cluster", "remote", "faces") if part in parts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _of(module: str, name: str, otherwise: Any) -> Any:
    """What a stage says of itself; `otherwise` where it, or a package that it needs, is not installed."""
    try:
        return getattr(import_module(module), name)()
    except ImportError:
        return otherwise


def _section(title: str, rows: list[tuple[str, str]], otherwise: str) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"  {name:<{width}}  {text}" for name, text in rows] or [f"  {otherwise}"]
    typer.echo("\n".join([typer.style(title, bold=True), *map(visible, lines), ""]))


def _describe(path: Path) -> tuple[str, str]:
    """A cache in a line, and the digest of its content, "" if it cannot be read."""
    from rich.filesize import decimal

    from data_cache.read.reader import CacheReader

    try:
        with CacheReader(path) as reader:
            size, people = decimal(path.stat().st_size), len(set(reader.clips.subject))
            text = f"{len(reader)} clips of {people} subjects, {reader.frames} × {reader.size} px, {size}"
            return text, reader.content_digest
    except MptError as error:
        return str(error), ""


def main() -> None:
    """Entry point."""
    run(app, "mpt")


if __name__ == "__main__":
    main()
