"""Is an existing cache what a build would make? If not, which knob differs, from what to what."""

from pathlib import Path

from data_cache.digest import changes
from data_cache.errors import InvalidFile
from data_cache.read.reader import CacheReader
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
    changed = changes(existing.recipe, recipe.as_json())
    if existing.source_digest != source_digest:
        changed.append("the source files or their annotation changed")
    return "; ".join(changed) or UP_TO_DATE
