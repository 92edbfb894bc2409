"""Which cache files a command makes, and with which recipe each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from preprocess.recipe import Recipe

CACHE_FOLDER = Path("data_cache")


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
