"""The page of a cache alone, without predictions."""

import json
from collections import Counter
from pathlib import Path

from data_cache.explore.charts import Bar, bars, where
from data_cache.explore.clips import entries, strips
from data_cache.explore.page import Chart, Page, Section, require_own
from data_cache.names import natural_key
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid
from data_cache.sharing.info import describe


def explore(path: Path, folder: Path, *, images: bool = True, single_file: bool = False) -> Path:
    """Write a page on which the clips of a cache can be sorted, filtered and seen moving; its path.

    Args:
        path: the cache.
        folder: where `index.html`, `data.js` and `clips/` go; a page that is there already is replaced.
        images: whether the page may hold pixels of the cache.
        single_file: put all into `index.html`.

    Raises:
        UsageError: the folder holds something else, or one file would be too large.
        InvalidFile: the cache is damaged.
    """
    require_own(folder)
    with CacheReader(path) as reader:
        require_valid(reader, pixels=False)
        described = describe(reader)
        clips = entries(reader, folder, images=images, single_file=single_file)
        page = Page(
            title=f"{described['dataset']}: {described['clips']} clips",
            lead=(
                f"{described['subjects']} subjects, {described['frames']} frames of {described['size']} × "
                f"{described['size']} pixels per clip. Choose a clip to see it move."
            ),
            notices=[described["licence_notice"]],
            clips=clips,
            strips=strips(described["recipe"]),
        )
    counts = [
        Chart(_counts(Counter(clip[name] for clip in clips), name), f"Clips of each {word}.")
        for name, word in (("label", "class"), ("subject", "subject"))
    ]
    page.sections = [
        Section("counts", "Classes and subjects", charts=counts),
        Section(
            "recipe",
            "Recipe and provenance",
            [f"Content digest {described['content_digest']}", f"Recipe digest {described['recipe_digest']}"],
            blocks=[json.dumps(described[name], indent=2, ensure_ascii=False) for name in ("recipe", "provenance")],
        ),
    ]
    return page.write(folder, single_file=single_file)


def _counts(counted: Counter[str], name: str) -> str:
    most = max(counted.values(), default=1)
    rows = sorted(counted.items(), key=lambda item: natural_key(item[0]))
    return bars([Bar(key, [n / most], [str(n)], where(**{name: key})) for key, n in rows])
