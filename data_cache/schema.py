"""The cache format, version 1: one table of fields that writer, reader, validator and docs share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h5py
import numpy as np

from data_cache.digest import changes, digest_arrays

FORMAT = "mpt-cache"
FORMAT_VERSION = "1.1"
_FILE_OVERHEAD = 16_384  # bytes of an HDF5 file of one clip besides its arrays; measured: 8 kB


@dataclass(frozen=True)
class Field:
    """One dataset of the file; its first axis counts clips.

    Attributes:
        path: HDF5 path, also the name of the `ClipRecord` attribute after the last slash.
        kind: "uint8", "int32", "float32", or "text:N" for N bytes of UTF-8, zero padded.
        shape: the axes after the clip axis; "T" frames and "S" pixels come from the recipe.
        meaning: what a value says, with its unit and range.
        since: the version that brought it; a file of 1.0, or one that was joined with such, lacks those of 1.1.
    """

    path: str
    kind: str
    shape: tuple[str | int, ...]
    meaning: str
    since: str = "1.0"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_text(self) -> bool:
        """Whether values are strings."""
        return self.kind.startswith("text:")

    @property
    def is_image(self) -> bool:
        """Whether this is pixel data, stored with one clip to a chunk."""
        return "S" in self.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype to store."""
        if self.is_text:
            return h5py.string_dtype("utf-8", int(self.kind.removeprefix("text:")))
        return np.dtype(self.kind)

    def clip_shape(self, frames: int, size: int) -> tuple[int, ...]:
        """The axes after the clip axis for `frames` motion frames of `size` × `size` pixels."""
        axes = {"T": frames, "S": size}
        return tuple(axes[axis] if isinstance(axis, str) else axis for axis in self.shape)


FIELDS = (
    Field("dynamic_image", "uint8", ("S", "S", 3), "rank-pooled dynamic image, RGB, min–max scaled to 0..255"),
    Field("motion", "uint8", ("T", "S", "S", 3), "magnified motion sequence, RGB, 0..255"),
    Field("onset_frame", "uint8", ("S", "S", 3), "the onset frame, cropped and resized only, RGB, 0..255", "1.1"),
    Field("clips/subject", "text:64", (), "subject, as the data set writes it (sub01, 006, s1)"),
    Field("clips/clip", "text:128", (), "clip name, unique within its subject"),
    Field("clips/emotion", "text:64", (), "raw emotion label, lower case; classes are made in training"),
    Field("clips/onset", "int32", (), "annotated onset frame number"),
    Field("clips/apex", "int32", (), "annotated apex frame number, −1 where unknown"),
    Field("clips/offset", "int32", (), "annotated offset frame number"),
    Field("clips/n_frames", "int32", (), "native frames from onset to offset, both included"),
    Field("clips/fps", "float32", (), "native frame rate in Hz"),
    Field("clips/clipped_fraction", "float32", (), "share of motion values cut to 0..255, 0..1"),
    Field("clips/sha256", "text:64", (), "SHA-256 over the bytes of dynamic_image, then motion, hex"),
    Field("clips/onset_frame_sha256", "text:64", (), "SHA-256 over the bytes of onset_frame, hex", "1.1"),
)
HASHED = {"sha256": ("dynamic_image", "motion"), "onset_frame_sha256": ("onset_frame",)}
"""Column → the image fields that its hash covers; `sha256` stays what it was in 1.0, whose readers compare it."""


def fields_of(*, onset_frames: bool) -> tuple[Field, ...]:
    """The fields of a file that has onset frames, or of one that has none."""
    return tuple(field for field in FIELDS if onset_frames or field.since == "1.0")


ATTRIBUTES = {
    "format": f'"{FORMAT}"',
    "format_version": f'"{FORMAT_VERSION}"; a reader refuses another major version',
    "complete": "true once every clip is in the file; a reader refuses a file without it",
    "dataset": "name of the data set (casme2, samm, smic, demo, or a manifest's name)",
    "recipe": "JSON object: every preprocessing option",
    "recipe_digest": "SHA-256 of the canonical JSON of the recipe",
    "source_digest": "SHA-256 over the identities of all source clips",
    "provenance": "JSON object: versions, host, command, time, what was corrected or left out",
    "licence_notice": "who may see this file",
}


def cache_bytes(clips: int, frames: int, size: int) -> int:
    """Bytes of a cache of clips with `frames` motion frames of `size` × `size` pixels, rounded up."""
    pixels = sum(math.prod(field.clip_shape(frames, size)) * field.dtype.itemsize for field in FIELDS)
    return clips * (pixels + 64) + _FILE_OVERHEAD


@dataclass(frozen=True)
class ClipRecord:
    """One clip on its way into a cache; the attributes are the `FIELDS`."""

    subject: str
    clip: str
    emotion: str
    onset: int
    apex: int
    offset: int
    n_frames: int
    fps: float
    clipped_fraction: float
    dynamic_image: np.ndarray
    motion: np.ndarray
    onset_frame: np.ndarray | None = None

    @property
    def key(self) -> str:
        """`subject/clip`, the name of the clip in every message."""
        return f"{self.subject}/{self.clip}"

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes of dynamic image and motion."""
        return digest_arrays([self.dynamic_image, self.motion])

    @property
    def onset_frame_sha256(self) -> str | None:
        """Hash of the bytes of the onset frame, where there is one."""
        return None if self.onset_frame is None else digest_arrays([self.onset_frame])


@dataclass(frozen=True)
class StoredRecipe:
    """A preprocessing recipe as caches, checkpoints and runs store it, and what training needs to know of it."""

    values: Mapping[str, Any]

    @property
    def frames(self) -> int:
        """T, the number of motion frames per clip."""
        return int(self.values["frames"])

    @property
    def size(self) -> int:
        """S, the side of every image in pixels."""
        return int(self.values["size"])

    @property
    def alpha(self) -> float | None:
        """The magnification factor; None where the recipe names none."""
        return self.values.get("alpha")

    @property
    def faces(self) -> str:
        """How faces were cropped: none, csv or auto."""
        return str(self.values.get("faces", "none"))

    @property
    def filtering(self) -> tuple[Any, Any]:
        """The filter along time, and the form of the motion."""
        return self.values.get("filter"), self.values.get("motion_form")

    @property
    def keeps_onset_frame(self) -> bool:
        """Whether the first motion frame is the onset frame as it was: the causal additive filter leaves it alone."""
        return self.filtering == ("causal", "additive")

    def changes_to(self, other: "StoredRecipe") -> list[str]:
        """What keeps clips of two recipes from going together, as `alpha 10 → 20`.

        How faces were cropped does not: sets are delivered as faces or as scenes.
        """
        before, after = (
            {name: value for name, value in recipe.values.items() if name not in ("faces", "face_margin")}
            for recipe in (self, other)
        )
        return changes(before, after)


@dataclass(frozen=True)
class CacheAttributes:
    """The attributes of the root, decoded; see `ATTRIBUTES`."""

    dataset: str
    recipe: dict[str, Any]
    recipe_digest: str
    source_digest: str
    provenance: dict[str, Any]
    licence_notice: str

    @property
    def stored_recipe(self) -> StoredRecipe:
        """The recipe with the questions that can be asked of it."""
        return StoredRecipe(self.recipe)

    def clip_shape(self, field: Field) -> tuple[int, ...]:
        """The axes of a field after the clip axis."""
        return field.clip_shape(self.stored_recipe.frames, self.stored_recipe.size)
