"""One or several caches as one list of clips, checked to fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.digest import changes
from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid

CROPPING = ("faces", "face_margin")
"""Knobs that follow from how a set is delivered, as faces or as scenes; caches that go together may differ in them."""


@dataclass(frozen=True)
class ClipSet:
    """The clips of all caches of a run, in the order of the caches.

    Attributes:
        readers: the caches.
        rows: for each clip, which reader and which row of it.
        keys: (data set, subject, clip) of each clip.
        emotions: raw emotion of each clip.
    """

    readers: tuple[CacheReader, ...]
    rows: tuple[tuple[int, int], ...]
    keys: tuple[ClipKey, ...]
    emotions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def frames(self) -> int:
        """T."""
        return self.readers[0].frames

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.readers[0].size

    @property
    def datasets(self) -> list[str]:
        """Data set of each clip."""
        return [key[0] for key in self.keys]

    @property
    def subjects(self) -> list[str]:
        """Subject of each clip, unique within its data set only."""
        return [key[1] for key in self.keys]

    def read_into(self, field: str, clips: Sequence[int], out: np.ndarray) -> None:
        """Fill `out[j]` with image field `field` of clip `clips[j]`."""
        for position, clip in enumerate(clips):
            reader, row = self.rows[clip]
            self.readers[reader].read_into(field, [row], out[position : position + 1])

    def image_shape(self, field: str) -> tuple[int, ...]:
        """Shape of one clip of an image field."""
        return {"dynamic_image": (), "motion": (self.frames,)}[field] + (self.size, self.size, 3)


def open_clips(paths: Sequence[Path]) -> ClipSet:
    """Open caches that are to be trained on together.

    Raises:
        UsageError: a file is missing, or two caches hold the same data set or differ in recipe.
        InvalidFile: a file is no sound cache.
    """
    readers = [CacheReader(path) for path in paths]
    for reader in readers:
        require_valid(reader, pixels=False)  # the pixels of a clip are checked when it is read first
    first = readers[0]
    for reader in readers[1:]:
        differing = recipe_changes(first.attributes.recipe, reader.attributes.recipe)
        if differing:
            raise UsageError(
                f"{first.path} and {reader.path} were made with different recipes ({'; '.join(differing)}); "
                "make them with the same options of mpt-preprocess"
            )
    names = [reader.attributes.dataset for reader in readers]
    if len(set(names)) != len(names):
        raise UsageError(f"two of the caches hold the same data set ({', '.join(names)}); give each set once")
    places = [(number, row) for number, reader in enumerate(readers) for row in range(len(reader))]
    return ClipSet(
        readers=tuple(readers),
        rows=tuple(places),
        keys=tuple((names[n], readers[n].clips.subject[row], readers[n].clips.clip[row]) for n, row in places),
        emotions=tuple(readers[n].clips.emotion[row] for n, row in places),
    )


def recipe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What keeps clips of two recipes from going together, as `alpha 10 → 20`."""
    one, other = ({knob: value for knob, value in recipe.items() if knob not in CROPPING} for recipe in (before, after))
    return changes(one, other)
