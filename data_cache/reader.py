"""Read a cache: opened lazily in whichever process asks, so it survives fork, spawn and pickling."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_cache.chunks import Place, find_place, read_place
from data_cache.digest import digest, digest_arrays
from data_cache.errors import InvalidFile, StaleFile
from data_cache.opening import check_is_cache, open_hdf5, read_attributes
from data_cache.schema import IMAGE_FIELDS
from data_cache.table import read_table


class CacheReader:
    """Read access to one finished cache.

    The file is opened once per process, and never while pickling, so a reader may be handed to
    forked or spawned workers. Readers take no lock: a published cache is never modified in place,
    only replaced, and an open reader keeps the file that it opened.

    The first read of a clip in each process checks its checksum; later reads go straight to the
    bytes, as fast as a memory map.

    Raises (on construction):
        UsageError: there is no file at `path`.
        InvalidFile: it is not a finished cache of a version that this software reads.
    """

    _file: Any  # h5py.File, or None where this process has not opened it
    _pid: int
    _places: dict[tuple[str, int], Place]
    _checked: dict[str, set[int]]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._forget()
        file = self._open()
        try:
            check_is_cache(file, self.path)
            self.attributes = read_attributes(file, self.path)
            self.clips = read_table(file, self.path)
        except BaseException:
            self.close()
            raise
        self._identity = _identity(file)

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

        May be called from several threads at once, after `handle()`.

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

    def place(self, field: str, index: int) -> Place | None:
        """Where a clip lies in the file; None where it can be read through HDF5 only."""
        known = self._places.get((field, index))
        if known is None and (known := find_place(self.handle()[field], index)) is not None:
            self._places[field, index] = known
        return known

    def handle(self) -> h5py.File:
        """This process's open file; opened now if need be.

        Raises:
            StaleFile: another cache has taken its place since the reader was made.
        """
        if self._file is None or self._pid != os.getpid():
            self._forget()
            file = self._open()
            if _identity(file) != self._identity and read_table(file, self.path).sha256 != self.clips.sha256:
                self.close()
                raise StaleFile(f"{self.path} was replaced by another cache in the meantime; start again")
        return self._file

    def close(self) -> None:
        """Close this process's handle; the next read opens it again."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {field.name: field.clip_shape(self.frames, self.size) for field in IMAGE_FIELDS}

    def _open(self) -> h5py.File:
        self._file, self._pid = open_hdf5(self.path), os.getpid()
        return self._file

    def _forget(self) -> None:
        self._file, self._pid = None, -1
        self._places, self._checked = {}, {field.name: set() for field in IMAGE_FIELDS}

    def _read_row(self, field: str, index: int, out: np.ndarray, check: bool | None = None) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {self.path}, which holds clips 0..{len(self) - 1}")
        file, checked = self.handle(), self._checked[field]
        check = index not in checked if check is None else check
        try:
            place = self.place(field, index)
            if place is None:
                file[field].read_direct(out.reshape(self._shapes[field]), source_sel=np.s_[index])
            else:
                read_place(file.id.get_vfd_handle(), place, out, check=check)
                if check:
                    checked.add(index)
        except (OSError, RuntimeError) as error:
            raise self._corrupt(index, f"{field}: {error}") from error

    def _corrupt(self, index: int, why: str) -> InvalidFile:
        return InvalidFile(
            f"{self.path}: clip {self.clips.key(index)} is corrupt ({why}); copy the file again, "
            f"or see 'mpt-cache verify {self.path}'"
        )


_PER_PROCESS = frozenset({"_file", "_pid", "_places", "_checked"})


def _identity(file: h5py.File) -> tuple[int, int, int]:
    """Enough of a file's status to tell whether it is still the same one."""
    status = os.fstat(file.id.get_vfd_handle())
    return status.st_ino, status.st_size, status.st_mtime_ns
