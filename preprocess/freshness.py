"""Is an existing cache what a build would make? If not, which knob differs, from what to what."""

from pathlib import Path

from data_cache.errors import InvalidFile
from data_cache.reader import CacheReader
from preprocess.recipe import Recipe

UP_TO_DATE = "up to date"
ABSENT = "absent"


def state_of(path: Path, recipe: Recipe, source_digest: str) -> str:
    """`UP_TO_DATE`, `ABSENT`, or what changed since the cache at `path` was made.

    Raises:
        InvalidFile: there is a file, and it is no sound cache.
    """
    if not path.exists():
        return ABSENT
    try:
        with CacheReader(path) as reader:
            existing = reader.attributes
    except InvalidFile as error:
        raise InvalidFile(f"{error}. To overwrite it, add --force") from error
    changes = [
        f"{name} {existing.recipe.get(name)} → {value}"
        for name, value in recipe.as_json().items()
        if existing.recipe.get(name) != value
    ]
    if existing.source_digest != source_digest:
        changes.append("the source files or their annotation changed")
    return "; ".join(changes) or UP_TO_DATE
