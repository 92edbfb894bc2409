"""Read a cache from whichever process asks: readers survive fork, spawn and pickling."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_cache.digest import digest, digest_arrays
from data_cache.errors import InvalidFile, StaleFile
from data_cache.read.open import open_cache, open_hdf5
from data_cache.schema import HASHED, Field, fields_of


class CacheReader:
    """Read access to one finished cache.

    The annotation is read at once, pixels when they are asked for; HDF5 compares its checksum at each read. A
    reader may be handed to threads and to forked or spawned workers, which open the file for themselves. It takes
    no lock: a published cache is never modified in place, only replaced, and a reader keeps the file that it opened.

    Raises (on construction):
        UsageError: there is no file at `path`.
        InvalidFile: it is not a finished cache of a version that this software reads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        file, self.attributes, self.clips = open_cache(self.path)
        self._identity = _identity(self.path)
        self._file: h5py.File | None = None
        self._hold(file)

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "path": self.path.absolute(), "_file": None, "_datasets": {}}

    def __enter__(self) -> "CacheReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """T, the number of motion frames per clip."""
        return self.attributes.stored_recipe.frames

    @property
    def size(self) -> int:
        """S, the side of every image in pixels."""
        return self.attributes.stored_recipe.size

    @property
    def file(self) -> h5py.File:
        """The open file; a StaleFile where this process has yet to open it, and another lies at the path by now."""
        self._open()
        return self._file

    @property
    def has_onset_frames(self) -> bool:
        """Whether the plain onset frames are in the file; those of format 1.0 have none."""
        return self.clips.onset_frame_sha256 is not None

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What is in the file."""
        return fields_of(onset_frames=self.has_onset_frames)

    @cached_property
    def content_digest(self) -> str:
        """One name for what is inside: data set, recipe, and key and hash of every clip.

        The onset frame does not enter it: a cache of format 1.0 and its like of 1.1 have one name.
        """
        rows = sorted(zip(self.clips.keys, self.clips.sha256, strict=True))
        return digest([self.attributes.dataset, self.attributes.recipe_digest, rows])

    def dynamic_image(self, index: int) -> np.ndarray:
        """The dynamic image of one clip: (S, S, 3) uint8 RGB."""
        return self.read("dynamic_image", index)

    def motion(self, index: int) -> np.ndarray:
        """The magnified motion of one clip: (T, S, S, 3) uint8 RGB."""
        return self.read("motion", index)

    def onset_frame(self, index: int) -> np.ndarray | None:
        """The plain onset frame of one clip, cropped and resized only: (S, S, 3) uint8 RGB; None: the file has none."""
        return self.read("onset_frame", index) if self.has_onset_frames else None

    def read(self, field: str, index: int) -> np.ndarray:
        """One clip of an image field, as a fresh uint8 array; an InvalidFile that names it where it is corrupt."""
        out = np.empty(self._shapes[field], np.uint8)
        self._read_row(field, index, out)
        return out

    def read_verified(self, index: int, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, np.ndarray]:
        """Every image field of one clip by its name, checked against the clip's hashes; else as `read`.

        `out` is what an earlier call gave, to be filled again where the names are the same; by default fresh arrays.
        """
        arrays = out if out is not None and out.keys() == self._shapes.keys() else None
        arrays = arrays or {name: np.empty(shape, np.uint8) for name, shape in self._shapes.items()}
        for name, array in arrays.items():
            self._read_row(name, index, array)
        for column, names in HASHED.items():
            stored = getattr(self.clips, column)
            if stored is not None and digest_arrays(arrays[name] for name in names) != stored[index]:
                raise self._corrupt(index, "its SHA-256 differs from the one stored")
        return arrays

    def require_unchanged(self) -> None:
        """Make sure that the file at the path is the one that was opened first, not gone, replaced or written over.

        Raises:
            StaleFile: it is not.
        """
        try:
            identity = _identity(self.path)
        except OSError as error:
            raise StaleFile(f"{self.path} is gone ({error.strerror}); start again") from error
        if identity != self._identity:
            raise StaleFile(f"{self.path} was replaced or written over in the meantime; start again")

    def close(self) -> None:
        """Close what this process has open; the next read opens it again."""
        if self._file is not None:
            self._datasets.clear()
            self._file.close()
            self._file = None

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {field.name: self.attributes.clip_shape(field) for field in self.fields if field.is_image}

    def _open(self) -> dict[str, h5py.Dataset]:
        """The image fields of the file, opened in this process."""
        if self._file is None or self._process != os.getpid():
            self.require_unchanged()
            self._hold(open_hdf5(self.path))
        return self._datasets

    def _hold(self, file: h5py.File) -> None:
        self._file, self._process = file, os.getpid()
        self._datasets: dict[str, h5py.Dataset] = {name: file[f"/{name}"] for name in self._shapes}

    def _read_row(self, field: str, index: int, out: np.ndarray) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {self.path}, which holds clips 0..{len(self) - 1}")
        dataset = self._open()[field]
        try:
            dataset.read_direct(out, np.s_[index])
        except (OSError, RuntimeError) as error:
            raise self._corrupt(index, f"{field}: {' '.join(str(error).split())}") from error

    def _corrupt(self, index: int, why: str) -> InvalidFile:
        again = f"copy the file again, or see 'mpt-cache verify {self.path}'"
        return InvalidFile(f"{self.path}: clip {self.clips.key(index)} is corrupt ({why}); {again}")


def _identity(path: Path) -> tuple[int, int, int]:
    """Enough of a file's status to tell whether it is still the same one."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
