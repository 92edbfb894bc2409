"""The `/clips` columns of a cache: who, what and when, without pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_cache.errors import InvalidFile
from data_cache.schema import TABLE_FIELDS


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


def read_table(file: h5py.File, path: Path) -> ClipTable:
    """The `/clips` columns.

    Raises:
        InvalidFile: a column is missing, corrupt, or not as long as the others.
    """
    columns: dict[str, Any] = {}
    for field in TABLE_FIELDS:
        try:
            # Low-level, because a build opens thousands of shards, and `file[path][...]` takes thrice as long.
            dataset = h5py.h5d.open(file.id, field.path.encode())
            values = np.empty(dataset.shape, dataset.dtype)
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
            columns[field.name] = [value.decode() for value in values] if field.is_text else values
        except (KeyError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise InvalidFile(f"{path}: column /{field.path} is missing or corrupt ({error}); copy it again") from error
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise InvalidFile(f"{path}: the columns of /clips differ in length: {lengths}")
    return ClipTable(**columns)
