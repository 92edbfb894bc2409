"""What `mpt status` says of data sets: which are here, and what a cache of one takes in time and space."""

from collections.abc import Iterator
from pathlib import Path

from data_cache.errors import MptError
from data_cache.files.space import lasting, readable
from data_cache.schema import cache_bytes
from preprocess.datasets.find import ADAPTERS, dataset_root, find
from preprocess.job.options import cache_path


def data_sets() -> Iterator[tuple[str, Path, str]]:
    """Name, folder, and what was found, of each data set that has a folder."""
    for name in ADAPTERS:
        root = dataset_root(name, None)
        if root.is_dir():
            try:
                found = find(name)
            except (MptError, OSError) as error:
                yield name, root, str(error)
            else:
                lost = f", {len(found.failures)} cannot be used (mpt check {name})" if found.failures else ""
                yield name, root, f"{len(found.clips)} clips{lost}"


def caches() -> dict[str, Path]:
    """Data set → where its cache goes."""
    return {name: cache_path(name) for name in ADAPTERS}


def forecast(name: str) -> str:
    """Time and space that the cache of a data set takes here with the default recipe; a few clips are computed for it.

    Raises:
        MptError: it cannot be made; the message says why.
    """
    from preprocess.faces.crop import resolve_face_mode
    from preprocess.job.build import seconds_per_clip
    from preprocess.recipe import Recipe
    from preprocess.workers.fanout import available_jobs

    found, faces = resolve_face_mode(find(name), None, None)
    recipe = Recipe.from_json({"faces": faces})
    size = readable(cache_bytes(len(found.clips), recipe.frames, recipe.size))
    seconds = seconds_per_clip([(clip, (recipe,)) for clip in found.clips]) if found.clips else None
    workers = min(available_jobs(-1), len(found.clips))
    return f"about {lasting(seconds * len(found.clips) / workers)}, {size}" if seconds else size
