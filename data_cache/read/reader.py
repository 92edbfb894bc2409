"""Read a cache from whichever process asks: readers survive fork, spawn and pickling."""

import os
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_cache.digest import digest, digest_arrays
from data_cache.errors import InvalidFile, StaleFile
from data_cache.read.chunks import Places, find_places, read_place
from data_cache.read.open import open_cache, read_attributes
from data_cache.read.table import read_table
from data_cache.schema import IMAGE_FIELDS, Field

_PER_PROCESS = frozenset({"_descriptor", "_close_descriptor", "_checked"})


class CacheReader:
    """Read access to one finished cache.

    Annotation and the places of all clips are read at once; the pixels then come straight from the
    file, without HDF5. A reader may be handed to threads and to forked or spawned workers. It takes no
    lock: a published cache is never modified in place, only replaced, and a reader keeps the file that
    it opened.

    The first read of a clip in each process checks its checksum; later reads are as fast as a memory map.

    Raises (on construction):
        UsageError: there is no file at `path`.
        InvalidFile: it is not a finished cache of a version that this software reads.
    """

    _descriptor: int | None
    _close_descriptor: "weakref.finalize[Any, Any]"
    _checked: dict[str, set[int]]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._forget()
        with open_cache(self.path) as file:
            self.attributes = read_attributes(file, self.path)
            self.clips = read_table(file, self.path)
            self._places = {field.name: self._find_places(file, field) for field in IMAGE_FIELDS}
            descriptor = os.dup(file.id.get_vfd_handle())
        self._hold(descriptor)
        self._identity = _identity(descriptor)

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in _PER_PROCESS}
        return {**kept, "path": self.path.absolute()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __enter__(self) -> "CacheReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """T, the number of motion frames per clip."""
        return self.attributes.frames

    @property
    def size(self) -> int:
        """S, the side of every image in pixels."""
        return self.attributes.size

    @cached_property
    def content_digest(self) -> str:
        """One name for what is inside: data set, recipe, and key and hash of every clip."""
        rows = sorted(zip(self.clips.keys, self.clips.sha256, strict=True))
        return digest([self.attributes.dataset, self.attributes.recipe_digest, rows])

    def dynamic_image(self, index: int) -> np.ndarray:
        """The dynamic image of one clip: (S, S, 3) uint8 RGB."""
        return self.read("dynamic_image", index)

    def motion(self, index: int) -> np.ndarray:
        """The magnified motion of one clip: (T, S, S, 3) uint8 RGB."""
        return self.read("motion", index)

    def read(self, field: str, index: int) -> np.ndarray:
        """One clip of an image field, as a fresh uint8 array.

        Raises:
            InvalidFile: the clip is corrupt; the message names it.
        """
        out = np.empty(self._shapes[field], np.uint8)
        self._read_row(field, index, out)
        return out

    def read_into(self, field: str, indices: Sequence[int], out: np.ndarray) -> None:
        """Fill `out[j]` with image field `field` of clip `indices[j]`; `out` is C-ordered uint8.

        Raises:
            InvalidFile: a clip is corrupt; the message names it.
        """
        for row, index in enumerate(indices):
            self._read_row(field, int(index), out[row])

    def empty_clip(self) -> list[np.ndarray]:
        """Room for every image field of one clip."""
        return [np.empty(self._shapes[field.name], np.uint8) for field in IMAGE_FIELDS]

    def read_verified(
        self, index: int, out: Sequence[np.ndarray] | None = None, *, checksums: bool = True
    ) -> Sequence[np.ndarray]:
        """Every image field of one clip, checked against the clip's SHA-256.

        Args:
            index: row of the clip.
            out: arrays to fill, C-ordered uint8, one per image field; by default fresh ones.
            checksums: also compare HDF5's own checksums, whether or not the clip was read before.

        Raises:
            InvalidFile: the clip is corrupt; the message names it.
        """
        arrays = self.empty_clip() if out is None else out
        for field, array in zip(IMAGE_FIELDS, arrays, strict=True):
            self._read_row(field.name, index, array, check=checksums)
        if digest_arrays(arrays) != self.clips.sha256[index]:
            raise self._corrupt(index, "its SHA-256 differs from the one stored")
        return arrays

    def close(self) -> None:
        """Close what this process has open; the next read opens it again."""
        if self._descriptor is not None:
            self._close_descriptor()
            self._descriptor = None

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {field.name: field.clip_shape(self.frames, self.size) for field in IMAGE_FIELDS}

    def _find_places(self, file: h5py.File, field: Field) -> Places:
        try:
            return find_places(file[field.path])
        except (KeyError, OSError, RuntimeError, ValueError, AttributeError) as error:
            raise InvalidFile(f"{self.path}: /{field.path} is missing or damaged ({error}); copy it again") from error

    def _open(self) -> int:
        """The descriptor of the file that this reader has been reading from the start."""
        if self._descriptor is not None:
            return self._descriptor
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise StaleFile(f"{self.path} is gone ({error.strerror}); start again") from error
        self._hold(descriptor)
        return descriptor if _identity(descriptor) == self._identity else self._adopt_replacement()

    def _adopt_replacement(self) -> int:
        """Go on with a file that was rebuilt with the same content; refuse any other."""
        self.close()
        now = CacheReader(self.path)
        if now.content_digest != self.content_digest or now.clips.keys != self.clips.keys:
            raise StaleFile(f"{self.path} was replaced by another cache in the meantime; start again")
        self._places, self._identity = now._places, now._identity
        descriptor = os.dup(now._open())
        self._hold(descriptor)
        return descriptor

    def _hold(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._close_descriptor = weakref.finalize(self, os.close, descriptor)

    def _forget(self) -> None:
        self._descriptor = None
        self._checked = {field.name: set() for field in IMAGE_FIELDS}

    def _read_row(self, field: str, index: int, out: np.ndarray, check: bool | None = None) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {self.path}, which holds clips 0..{len(self) - 1}")
        descriptor, places, checked = self._open(), self._places[field], self._checked[field]
        check = index not in checked if check is None else check
        try:
            read_place(descriptor, places, index, out, check=check)
        except OSError as error:
            raise self._corrupt(index, f"{field}: {error}") from error
        if check:
            checked.add(index)

    def _corrupt(self, index: int, why: str) -> InvalidFile:
        return InvalidFile(
            f"{self.path}: clip {self.clips.key(index)} is corrupt ({why}); copy the file again, "
            f"or see 'mpt-cache verify {self.path}'"
        )


def _identity(descriptor: int) -> tuple[int, int, int]:
    """Enough of a file's status to tell whether it is still the same one."""
    status = os.fstat(descriptor)
    return status.st_ino, status.st_size, status.st_mtime_ns
