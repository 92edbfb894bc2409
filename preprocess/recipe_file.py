"""A recipe from a file: that of a cache or of a trained model, to treat other clips in the same way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.options import from_mapping
from preprocess.recipe import Recipe


def read_recipe(path: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Knobs from a recipe file, and over them those that were typed.

    Raises:
        UsageError: the file is missing, is no JSON object, names an unknown knob, or is of another version.
    """
    if path is None:
        return dict(given)
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--recipe {path} cannot be read as JSON: {error}") from error
    if not isinstance(stored, dict):
        raise UsageError(
            f"--recipe {path} holds no JSON object; expected the recipe of a cache, as mpt-cache info --json"
        )
    recipe = from_mapping(Recipe, stored, f"--recipe {path}")
    if recipe.algorithm != Recipe.algorithm:
        raise UsageError(
            f"--recipe {path} is of version {recipe.algorithm} of the arithmetic, this program has {Recipe.algorithm}; "
            "install the version of motion-prompt-tuning that made the cache"
        )
    return stored | dict(given)
