"""Is this file a cache that can be trusted? One validator behind `verify`, the reader and the trainer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from data_cache.digest import digest, digest_arrays
from data_cache.errors import InvalidFile
from data_cache.reader import ClipTable, open_cache, read_attributes, read_table
from data_cache.schema import FIELDS, IMAGE_FIELDS, CacheAttributes


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: "error" makes the file unusable, "warning" deserves a look.
        where: a clip key, a field or an attribute.
        message: what was found and what was expected.
    """

    severity: Literal["error", "warning"]
    where: str
    message: str


def validate(path: Path, *, pixels: bool = True, on_clip: Callable[[str], None] = lambda key: None) -> list[Problem]:
    """Check a cache against the specification.

    Args:
        path: the file.
        pixels: also read every clip and compare its SHA-256; without, only structure and annotation.
        on_clip: called with the key of each clip whose pixels were checked.

    Returns:
        What is wrong; empty for a sound file. A file that cannot be opened at all gives one error.
    """
    try:
        with open_cache(path) as file:
            attributes, clips = read_attributes(file, path), read_table(file, path)
            problems = [*_structure(file, attributes, len(clips)), *_annotation(clips)]
            if pixels and not any(problem.severity == "error" for problem in problems):
                problems += _pixels(file, clips, on_clip)
            return problems
    except InvalidFile as error:
        return [Problem("error", str(path), str(error))]


def _structure(file: h5py.File, attributes: CacheAttributes, clips: int) -> Iterator[Problem]:
    if attributes.recipe_digest != digest(attributes.recipe):
        yield Problem("error", "recipe_digest", "does not match the recipe; one of them was changed")
    if clips == 0:
        yield Problem("error", "/clips", "holds no clip")
    for field in FIELDS:
        dataset = file.get(field.path)
        if not isinstance(dataset, h5py.Dataset):
            yield Problem("error", f"/{field.path}", "is missing")
            continue
        expected = (clips, *field.clip_shape(attributes.frames, attributes.size))
        if dataset.shape != expected or dataset.dtype != field.dtype:
            yield Problem(
                "error",
                f"/{field.path}",
                f"is {dataset.dtype} {dataset.shape}, expected {field.dtype} {expected}",
            )
        elif field.is_image and dataset.chunks != (1, *expected[1:]):
            yield Problem("warning", f"/{field.path}", f"has chunks of {dataset.chunks}; reading one clip will be slow")
        if not dataset.fletcher32:
            yield Problem("warning", f"/{field.path}", "has no checksums")


def _annotation(clips: ClipTable) -> Iterator[Problem]:
    seen: set[str] = set()
    for row, key in enumerate(clips.keys):
        if key in seen:
            yield Problem("error", key, "occurs twice")
        seen.add(key)
        if clips.n_frames[row] < 1 or not clips.fps[row] > 0:
            yield Problem("error", key, f"has {clips.n_frames[row]} frames at {clips.fps[row]} Hz")
        if clips.onset[row] > clips.offset[row]:
            yield Problem("error", key, f"has onset {clips.onset[row]} after offset {clips.offset[row]}")
        if clips.apex[row] >= 0 and not clips.onset[row] <= clips.apex[row] <= clips.offset[row]:
            yield Problem("warning", key, f"has its apex at {clips.apex[row]}, outside onset and offset")
        if not 0 <= clips.clipped_fraction[row] <= 1:
            yield Problem("error", key, f"has a clipped fraction of {clips.clipped_fraction[row]}")
        if not clips.emotion[row]:
            yield Problem("warning", key, "has no emotion label")


def _pixels(file: h5py.File, clips: ClipTable, on_clip: Callable[[str], None]) -> Iterator[Problem]:
    buffers = {field.path: np.empty(file[field.path].shape[1:], np.uint8) for field in IMAGE_FIELDS}
    for row, key in enumerate(clips.keys):
        try:
            for path, buffer in buffers.items():
                file[path].read_direct(buffer, source_sel=np.s_[row])
        except OSError:
            yield Problem("error", key, "is corrupt (checksum mismatch)")
        else:
            if digest_arrays(buffers.values()) != clips.sha256[row]:
                yield Problem("error", key, "is corrupt (its SHA-256 differs from the one stored)")
        on_clip(key)
