"""The command `mpt-preprocess`: one subcommand per data set. Parsing only; the work is in `build`."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from data_cache.commandline import make_app, run, version_option
from data_cache.errors import UsageError
from data_cache.options import with_options
from preprocess.options import BuildOptions
from preprocess.recipe import Recipe

app = make_app(
    "Turn a micro-expression data set into one shareable cache of dynamic images and magnified motion.\n\n"
    "[bold]Example[/bold]: mpt-preprocess casme2 --root ~/CASME2 --alpha 20   →   data_cache/casme2.h5"
)

CACHE_FOLDER = Path("data_cache")
DEMO_ROOT = Path("datasets/demo")

Root = Annotated[
    Path | None,
    typer.Option(help="Folder of the data set as delivered.", show_default="$MPT_<SET>, else datasets/<set>"),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Cache to write.", show_default="data_cache/<set>.h5")
]
Alphas = Annotated[
    list[float] | None,
    typer.Option(
        "--alpha",
        min=0,
        help="Magnification factor (paper: 20). Give it several times for one cache each, from one decoding.",
        show_default=str(Recipe.alpha),
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Worker processes; -1 is every core.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing cache that is stale.")]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", help="Write the cache without clips that cannot be used (still exit code 3)."),
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first clip that cannot be used.")]
HashSources = Annotated[
    bool, typer.Option("--hash-sources", help="Identify source files by content instead of size and date.")
]


@app.callback()
def main_options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=version_option, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    """Options before the subcommand."""


@app.command()
@with_options(BuildOptions, into="how")
@with_options(Recipe, without=("alpha",))
def casme2(
    root: Root = None,
    output: Output = None,
    alpha: Alphas = None,
    jobs: Jobs = -1,
    force: Force = False,
    allow_missing: AllowMissing = False,
    fail_fast: FailFast = False,
    hash_sources: HashSources = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """CASME II: Cropped (or CASME2_RAW_selected) and its coding sheet."""
    from preprocess.build import build
    from preprocess.datasets.casme2 import casme2 as adapter

    options = BuildOptions(jobs, force, allow_missing, fail_fast, hash_sources, **how)
    build(adapter(dataset_root("casme2", root)), targets(output or cache_path("casme2"), alpha, given), options)


@app.command()
@with_options(BuildOptions, into="how")
@with_options(Recipe, without=("alpha",))
def manifest(
    csv_file: Annotated[Path, typer.Argument(help="CSV: subject, clip, path, emotion[, onset, apex, offset, fps].")],
    name: Annotated[str | None, typer.Option(help="Name of the data set.", show_default="the CSV's name")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of folders without one of their own.")] = None,
    output: Output = None,
    alpha: Alphas = None,
    jobs: Jobs = -1,
    force: Force = False,
    allow_missing: AllowMissing = False,
    fail_fast: FailFast = False,
    hash_sources: HashSources = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Any other set, or your own recordings: folders of frames or videos that a CSV lists."""
    from preprocess.build import build
    from preprocess.datasets.manifest import manifest as adapter

    found = adapter(csv_file, name, fps)
    options = BuildOptions(jobs, force, allow_missing, fail_fast, hash_sources, **how)
    build(found, targets(output or cache_path(found.dataset), alpha, given), options)


@app.command()
@with_options(BuildOptions, into="how")
@with_options(Recipe, without=("alpha",))
def demo(
    root: Annotated[Path, typer.Option(help="Folder to generate the set in.")] = DEMO_ROOT,
    subjects: Annotated[int | None, typer.Option(min=2, max=99, help="Number of drawn persons.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every byte of the set.")] = None,
    output: Output = None,
    alpha: Alphas = None,
    jobs: Jobs = -1,
    force: Force = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Draw a synthetic set in the layout of CASME II and cache it through the same adapter."""
    from preprocess.build import build
    from preprocess.datasets.casme2 import casme2 as adapter
    from preprocess.demo.generate import DemoSet, generate

    usual = DemoSet()
    chosen = replace(usual, subjects=subjects or usual.subjects, seed=usual.seed if seed is None else seed)
    options = BuildOptions(jobs, force, **how)
    if not options.dry_run:
        generate(root, chosen, jobs)
    build(adapter(root, "demo"), targets(output or cache_path("demo"), alpha, given), options)


def dataset_root(dataset: str, root: Path | None) -> Path:
    """Where a data set is: `--root`, else the environment variable MPT_<SET>, else ./datasets/<set>."""
    return root or Path(os.environ.get(f"MPT_{dataset.upper()}") or Path("datasets") / dataset)


def cache_path(dataset: str) -> Path:
    """Where a cache goes when nobody says otherwise."""
    return CACHE_FOLDER / f"{dataset}.h5"


def targets(output: Path, alphas: list[float] | None, given: Mapping[str, Any]) -> dict[Path, Recipe]:
    """Cache path → recipe; with several α, each cache has its α in its name.

    Raises:
        UsageError: the same α twice, or an output that is a folder.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as -o {output / 'cache.h5'}")
    recipe = Recipe(**given)
    if not alphas:
        return {output: recipe}
    if len(set(alphas)) != len(alphas):
        raise UsageError(f"--alpha was given twice with the same value: {alphas}")
    if len(alphas) == 1:
        return {output: recipe.with_alpha(alphas[0])}
    return {output.with_stem(f"{output.stem}-alpha{alpha:g}"): recipe.with_alpha(alpha) for alpha in alphas}


def main() -> None:
    """Entry point."""
    run(app, "mpt-preprocess")


if __name__ == "__main__":
    main()
