"""Single bits of a cache, flipped: where they lie, and what must be noticed."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_cache.errors import InvalidFile
from data_cache.read.open import read_attribute
from data_cache.read.reader import CacheReader
from data_cache.read.validate import errors_in, validate
from data_cache.schema import FIELDS
from train.data.task import open_clips

IMAGE_FIELDS = [field for field in FIELDS if field.is_image]


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << bit % 8)]))


def everything_in(path: Path) -> dict[str, Any]:
    """All that stock HDF5 finds in a cache."""
    with h5py.File(path, locking=False) as file:
        content: dict[str, Any] = {field.path: file[field.path][...].tobytes() for field in FIELDS}
        return content | {name: read_attribute(file, name) for name in file.attrs}


def train_on(path: Path) -> None:
    """What the trainer does first: open the cache and read every clip."""
    clips = open_clips([path])
    for field in IMAGE_FIELDS:
        for clip in range(len(clips)):
            clips.read(field.name, clip)


def stored_pixels(path: Path) -> list[tuple[range, str]]:
    """Which bytes of the file hold the pixels of which clip, according to stock HDF5."""
    with CacheReader(path) as reader:
        keys = reader.clips.keys
    found = []
    with h5py.File(path, locking=False) as file:
        for field in IMAGE_FIELDS:
            for number in range(len(keys)):
                chunk = file[field.path].id.get_chunk_info(number)
                found.append((range(chunk.byte_offset, chunk.byte_offset + chunk.size), keys[chunk.chunk_offset[0]]))
    return found


def check_flips(original: Path, copy: Path, bits: np.ndarray) -> dict[str, int]:
    """Flip one bit at a time; count what became of it."""
    counts = {"clip named": 0, "refused at once": 0, "unused byte": 0}
    content, pixels = everything_in(original), stored_pixels(original)
    for bit in bits.tolist():
        flip(copy, bit)
        key = next((key for place, key in pixels if bit // 8 in place), None)
        errors = errors_in(validate(copy))
        if key is not None:
            assert [error.where for error in errors] == [key], f"bit {bit} lies in {key}"
            with pytest.raises(InvalidFile, match=key):
                train_on(copy)
            counts["clip named"] += 1
        elif errors:
            with pytest.raises(InvalidFile):
                train_on(copy)
            counts["refused at once"] += 1
        else:
            assert everything_in(copy) == content, f"bit {bit} changed the content, and nobody noticed"
            train_on(copy)
            counts["unused byte"] += 1
        flip(copy, bit)
    assert copy.read_bytes() == original.read_bytes()
    return counts
