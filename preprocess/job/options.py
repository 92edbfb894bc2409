"""What a build makes and how it is run; the options here change no pixel."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data_cache.console.options import check_options, option
from data_cache.errors import PAGES, UsageError
from preprocess.recipe import Recipe

CACHE_FOLDER = Path("data_cache")
_run = partial(option, panel="Run (changes no pixel)")


@dataclass(frozen=True)
class BuildOptions:
    """How to run a build; every command that builds a cache has these options."""

    jobs: int = _run(-1, "worker processes; -1 is every core", flag="--jobs -j")
    force: bool = _run(False, "overwrite an existing cache that is stale", flag="--force")
    allow_missing: bool = _run(
        False, "write the cache without clips that cannot be used (still exit code 3)", flag="--allow-missing"
    )
    fail_fast: bool = _run(False, "stop at the first clip that cannot be used", flag="--fail-fast")
    hash_sources: bool = _run(False, "identify source files by content instead of size and date", flag="--hash-sources")
    scheduler: str | None = _run(
        None,
        "run on the dask cluster of this scheduler, such as tcp://node1:8786; its workers need this package and the "
        f"same folders ({PAGES.format(page='how-to/cluster')})",
    )
    dry_run: bool = _run(
        False, "only tell what would be done: clips, disk space, time. Writes nothing", flag="--dry-run"
    )
    log_file: Path | None = _run(None, "append one line of JSON per clip to this file")  # noqa: RUF009 - a field

    def __post_init__(self) -> None:
        check_options(self)


def cache_path(dataset: str) -> Path:
    """Where a cache goes when nobody says otherwise."""
    return CACHE_FOLDER / f"{dataset}.h5"


def targets(output: Path, alphas: list[float] | None, given: Mapping[str, Any]) -> dict[Path, Recipe]:
    """Cache path → recipe; with several α, each cache has its α in its name.

    Raises:
        UsageError: the same α twice, α beside a list of gains that leaves it no say, or an output that is a folder.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as -o {output / 'cache.h5'}")
    recipe = Recipe(**given)
    if not alphas:
        return {output: recipe}
    if recipe.gains not in ("uniform", "evm"):
        raise UsageError(f"--gains {recipe.gains} says the gain of every level, so --alpha has no say; leave it out")
    if len({f"{alpha:g}" for alpha in alphas}) != len(alphas):
        raise UsageError(f"--alpha was given twice with the same value: {alphas}")
    if len(alphas) == 1:
        return {output: recipe.with_alpha(alphas[0])}
    return {output.with_stem(f"{output.stem}-alpha{alpha:g}"): recipe.with_alpha(alpha) for alpha in alphas}
