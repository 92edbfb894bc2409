"""Read a cache: opened lazily in whichever process asks, so it survives fork, spawn and pickling."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_cache.digest import digest
from data_cache.errors import InvalidFile, UsageError
from data_cache.schema import ATTRIBUTES, FORMAT, FORMAT_VERSION, TABLE_FIELDS, CacheAttributes


@dataclass(frozen=True)
class ClipTable:
    """The `/clips` columns of N clips; text as lists of str, numbers as arrays of shape (N,)."""

    subject: list[str]
    clip: list[str]
    emotion: list[str]
    onset: np.ndarray
    apex: np.ndarray
    offset: np.ndarray
    n_frames: np.ndarray
    fps: np.ndarray
    clipped_fraction: np.ndarray
    sha256: list[str]

    def __len__(self) -> int:
        return len(self.subject)

    def key(self, index: int) -> str:
        """`subject/clip` of one row."""
        return f"{self.subject[index]}/{self.clip[index]}"

    @property
    def keys(self) -> list[str]:
        """`subject/clip` of every row."""
        return [self.key(index) for index in range(len(self))]


class CacheReader:
    """Read access to one finished cache.

    The file is opened on first use in each process and never while pickling, so a reader may
    be handed to forked or spawned workers. Readers take no lock: a published cache is never
    modified in place, only replaced, and an open reader keeps the file that it opened.

    Raises (on construction):
        UsageError: there is no file at `path`.
        InvalidFile: it is not a finished cache of a version that this software reads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = -1
        with open_cache(self.path) as file:
            self.attributes = read_attributes(file, self.path)
            self.clips = read_table(file, self.path)

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_pid": -1}

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
        """One clip of an image field, as a fresh uint8 array."""
        dataset = self.handle()[field]
        out = np.empty(dataset.shape[1:], np.uint8)
        self._read_row(dataset, index, out)
        return out

    def read_into(self, field: str, indices: Sequence[int], out: np.ndarray) -> None:
        """Fill `out[j]` with image field `field` of clip `indices[j]`; `out` is C-ordered uint8."""
        dataset = self.handle()[field]
        for row, index in enumerate(indices):
            self._read_row(dataset, int(index), out[row])

    def handle(self) -> h5py.File:
        """This process's open file; opened now if need be."""
        if self._file is None or self._pid != os.getpid():
            self._file, self._pid = open_hdf5(self.path), os.getpid()
        return self._file

    def close(self) -> None:
        """Close this process's handle; the next read opens it again."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def _read_row(self, dataset: h5py.Dataset, index: int, out: np.ndarray) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {self.path}, which holds clips 0..{len(self) - 1}")
        try:
            dataset.read_direct(out, source_sel=np.s_[index])
        except OSError as error:
            raise InvalidFile(
                f"{self.path}: clip {self.clips.key(index)} is corrupt ({dataset.name}: checksum mismatch); "
                f"copy the file again, or see 'mpt-cache verify {self.path}'"
            ) from error


@contextmanager
def open_cache(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading and check that it is a finished cache; close it afterwards."""
    with open_hdf5(path) as file:
        check_is_cache(file, path)
        yield file


def open_hdf5(path: Path) -> h5py.File:
    """Open `path` for reading; say in plain words why that is impossible.

    Raises:
        UsageError: there is no such file, or it may not be read.
        InvalidFile: it is not HDF5, or it is truncated or damaged.
    """
    if not path.is_file():
        raise UsageError(
            f"no cache at {path}; make one with 'mpt-preprocess casme2' (or samm, smic, manifest, demo), "
            "or pass the right path"
        )
    try:
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise UsageError(f"{path} may not be read by this user; ask its owner for 'chmod +r {path}'") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise InvalidFile(_why_unreadable(path, str(error))) from error


def _why_unreadable(path: Path, message: str) -> str:
    size = path.stat().st_size
    truncated = re.search(r"eof = (\d+).*stored_eof = (\d+)", message)
    if truncated:
        return f"{path} is incomplete: {truncated[1]} of {truncated[2]} bytes; copy it again"
    if "file signature not found" in message:
        with path.open("rb") as file:
            start = file.read(24)
        return f"{path} is not an HDF5 file ({size} bytes, starts with {start!r}); a bad download? Copy it again"
    return f"{path} is damaged ({size} bytes; HDF5 says: {message}); copy it again, or make it anew"


def check_is_cache(file: h5py.File, path: Path) -> None:
    """Refuse a file that is no finished cache of a version that we read.

    Raises:
        InvalidFile: as said.
    """
    if _attribute(file, "format") != FORMAT:
        raise InvalidFile(f"{path} is an HDF5 file but no MPT cache (its attribute 'format' is not {FORMAT!r})")
    version = str(_attribute(file, "format_version"))
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise InvalidFile(
            f"{path} has cache format {version}; this software reads {FORMAT_VERSION.partition('.')[0]}.x: upgrade it "
            "with 'pip install -U motion-prompt-tuning'"
        )
    if not bool(_attribute(file, "complete")):
        raise InvalidFile(f"{path} is not a finished cache; run the mpt-preprocess command again to resume it")


def read_attributes(file: h5py.File, path: Path) -> CacheAttributes:
    """The root attributes, decoded.

    Raises:
        InvalidFile: one is missing or is not the JSON that it should be.
    """
    texts = {name: _attribute(file, name) for name in ATTRIBUTES}
    missing = [name for name, value in texts.items() if value is None]
    if missing:
        raise InvalidFile(f"{path} lacks the attributes {', '.join(missing)}; make it anew with mpt-preprocess")
    try:
        attributes = CacheAttributes(
            dataset=str(texts["dataset"]),
            recipe=json.loads(texts["recipe"]),
            recipe_digest=str(texts["recipe_digest"]),
            source_digest=str(texts["source_digest"]),
            provenance=json.loads(texts["provenance"]),
            licence_notice=str(texts["licence_notice"]),
        )
        if attributes.frames < 1 or attributes.size < 1:
            raise ValueError("recipe without a positive frame count and size")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFile(f"{path}: its recipe or provenance cannot be read ({error}); make it anew") from error
    return attributes


def read_table(file: h5py.File, path: Path) -> ClipTable:
    """The `/clips` columns.

    Raises:
        InvalidFile: a column is missing, corrupt, or not as long as the others.
    """
    columns: dict[str, Any] = {}
    for field in TABLE_FIELDS:
        try:
            values = file[field.path][...]
            columns[field.name] = [value.decode() for value in values] if field.is_text else values
        except (KeyError, OSError, RuntimeError, AttributeError, UnicodeDecodeError) as error:
            raise InvalidFile(f"{path}: column /{field.path} is missing or corrupt ({error}); copy it again") from error
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise InvalidFile(f"{path}: the columns of /clips differ in length: {lengths}")
    return ClipTable(**columns)


def _attribute(file: h5py.File, name: str) -> Any:
    try:
        value = file.attrs[name]
    except (KeyError, OSError, RuntimeError):
        return None
    return value.decode() if isinstance(value, bytes) else value
