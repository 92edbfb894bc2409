"""The command `mpt`: the six commands in the order of work, what lies in this folder, what a bug report needs.

The stages are found by name when they are needed: this package imports neither, and either may be absent.
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, version
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


class _Stages(Group):
    """The stages as subcommands, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [*STAGES, *self.commands]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and (near := get_close_matches(args[0], names, 1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in STAGES:
            return super().get_command(ctx, cmd_name)
        stage = import_module(STAGES[cmd_name].module).app.parser()
        stage.params = [each for each in stage.params if "completion" not in each.name]  # mpt has them itself
        return stage

    def listed(self) -> list[tuple[str, str]]:
        return [*((name, stage.about) for name, stage in STAGES.items()), *super().listed()]


app = make_app(
    "Motion Prompt Tuning for micro-expressions: from a data set to a report, in the order of work.\n\n"
    "'mpt NAME' and 'mpt-NAME' are the same command; 'mpt NAME --help' says what it takes.\n\n" + example("mpt status"),
    group=_Stages,
)


@app.callback(invoke_without_command=True, no_args_is_help=False)
def overview(ctx: typer.Context, version: Version = None) -> None:  # noqa: ARG001 - acts through its callback
    """List the commands."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command(epilog=example("mpt status"))
def status() -> None:
    """Show what is here (data sets, caches, runs, weights, GPU) and the command to type next."""
    caches, cached = {path: _describe(path) for path in sorted(Path("data_cache").glob("*.h5"))}, set()
    for path in caches:
        cached |= {path.stem, path.stem.partition("-alpha")[0]}
    sets = list(_of("preprocess", "data_sets", []))
    _section("Data sets", [(name, f"{root}: {found}") for name, root, found in sets],
             "none; put one into datasets/<set>, or set MPT_<SET>=FOLDER")  # fmt: skip
    _section("Caches", [(str(path), text) for path, text in caches.items()], "none in data_cache/")
    runs = list(_of("train", "runs", []))
    _section("Runs", [(str(run.path), run.state) for run in runs], "none in runs/")
    _section("Training", [("weights", _of("train", "weights", _ABSENT)), ("GPU", _of("train", "gpu", _ABSENT))], "")
    trained = {name for run in runs for name in run.datasets}
    command, forecast = next(_todo([name for name, _, _ in sets if name not in cached], list(caches), runs, trained))
    typer.echo(f"{typer.style('Next', bold=True)}\n  {command}")
    if forecast is not None:
        try:
            typer.echo(f"  {forecast()}")
        except MptError as error:
            typer.echo(visible(f"  but first: {error}"))


def _todo(
    sets: list[str], caches: list[Path], runs: list[Any], trained: set[str]
) -> Iterator[tuple[str, Callable[[], str] | None]]:
    """What can be done next, the most urgent first: the command, and what forecasts its time and size."""
    yield from ((run.todo, None) for run in runs if run.todo)
    yield from ((f"mpt preprocess {name}", partial(_call, "preprocess", "forecast", name)) for name in sets)
    for path in caches:
        if not {path.stem, path.stem.partition("-alpha")[0]} & trained:
            yield f"mpt train {path}", partial(_call, "train", "forecast", path)
    if len(runs) > 1:
        yield f"mpt compare {runs[0].path} {runs[1].path}", None
    if runs:
        yield f"mpt predict CLIP {runs[0].path}", None
    yield "mpt preprocess demo --size 112", lambda: "a generated set that needs no licence: about 1 min, 0.2 GB"


@app.command(epilog=example("mpt doctor"))
def doctor() -> None:
    """Print what a bug report needs: versions, system, GPU, free space, the hub, optional parts."""
    import psutil

    from data_cache.files.space import free_bytes, readable
    from data_cache.sharing.download import download_folder

    places = {"here": Path(), "temporary files": Path(tempfile.gettempdir()), "downloads": download_folder()}
    memory = psutil.virtual_memory()
    rows = [
        ("motion-prompt-tuning", __version__),
        ("Python", f"{platform.python_version()} in {'an' if sys.prefix != sys.base_prefix else 'no'} environment"),
        ("system", f"{platform.platform()}, {os.cpu_count()} cores"),
        ("memory", f"{readable(memory.total)}, {readable(memory.available)} free"),
        ("GPU", _of("train", "gpu", _ABSENT)),
        ("weights", _of("train", "weights", _ABSENT)),
        ("hub", _of("train", "hub", _ABSENT)),
        *((f"free space, {what}", readable(free_bytes(place))) for what, place in places.items()),
        ("terminal", f"{shutil.get_terminal_size().columns} columns, {sys.stdout.encoding}"),
        *_packages(),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        typer.echo(visible(f"{name:<{width}}  {text}"))


_ABSENT = "not known: this stage is not installed"


def _packages() -> Iterator[tuple[str, str]]:
    """What the distribution needs, and its optional parts, with the versions that are installed."""
    try:
        needed = metadata("motion-prompt-tuning").get_all("Requires-Dist") or []
    except PackageNotFoundError:
        yield "installed", "no; it runs from a folder"
        return
    for part in ("", "cluster", "remote", "faces"):
        names = [re.split(r"[\s\[;<>=!~]", each)[0] for each in needed
                 if (f"extra == '{part}'" in each.replace('"', "'") if part else "extra ==" not in each)]  # fmt: skip
        found = [f"{name} {_version(name)}" for name in names]
        yield (f"optional: {part}" if part else "packages"), ", ".join(found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _call(stage: str, name: str, *arguments: Any) -> Any:
    return getattr(import_module(f"{stage}.status"), name)(*arguments)


def _of(stage: str, name: str, otherwise: Any) -> Any:
    """What a stage says of itself; `otherwise` where it, or a package that it needs, is not installed."""
    try:
        return _call(stage, name)
    except ImportError:
        return otherwise


def _section(title: str, rows: list[tuple[str, str]], otherwise: str) -> None:
    typer.echo(typer.style(title, bold=True))
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        typer.echo(visible(f"  {name:<{width}}  {text}"))
    typer.echo("" if rows else f"  {otherwise}\n")


def _describe(path: Path) -> str:
    from data_cache.files.space import readable
    from data_cache.read.reader import CacheReader

    try:
        with CacheReader(path) as reader:
            people = len(set(reader.clips.subject))
            return f"{len(reader)} clips of {people} subjects, {reader.frames} × {reader.size} px, " + readable(
                path.stat().st_size
            )
    except MptError as error:
        return str(error)


def main() -> None:
    """Entry point."""
    run(app, "mpt")


if __name__ == "__main__":
    main()
