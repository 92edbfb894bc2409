"""A recipe from a file, so that other recordings get exactly the pixels of a cache that exists."""

import json
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from preprocess.recipe import ALGORITHM_VERSION, Recipe


def read_recipe(path: Path | None) -> dict[str, Any]:
    """The knobs that a JSON file sets, as a cache holds them in its attribute `recipe`; none without a file.

    A file may set some of the knobs only; the others keep their defaults.

    Raises:
        UsageError: the file cannot be read, is no JSON object, names an unknown knob, has a bad value, or is of
            another version of the arithmetic.
    """
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--recipe {path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--recipe {path} is no JSON file: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f'--recipe {path} holds no JSON object; expected one such as {{"alpha": 20.0}}')
    recipe = Recipe.from_json(values, str(path))
    if recipe.algorithm != ALGORITHM_VERSION:
        raise UsageError(
            f"--recipe {path} is of version {recipe.algorithm} of the arithmetic, and this program computes version "
            f"{ALGORITHM_VERSION}; take the recipe of a cache that this version made"
        )
    return {name: value for name, value in recipe.as_json().items() if name in values}
