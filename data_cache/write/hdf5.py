"""How a cache is put into HDF5: a file that survives a full disk, its datasets, columns and attributes.

HDF5's low-level calls, because a shard has fourteen datasets of one row, and the convenient calls take
longer over those than over the pixels.
"""

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from data_cache.files.atomic import replacing
from data_cache.schema import FORMAT, FORMAT_VERSION, CacheAttributes, Field

LIBVER = ("v110", "v110")
"""Metadata with checksums, readable by any HDF5 since 1.10."""
_TABLE_CHUNK = 1024


class Sink(io.FileIO):
    """A file that keeps write errors for later: when a write fails inside HDF5, Python crashes at exit (h5py #914).

    Attributes:
        failure: the first error of the operating system, or None; what follows it is dropped.
    """

    failure: OSError | None = None

    def check(self) -> None:
        """Raise the failure as the operating system gave it, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any) -> int:
        """Write all of `data`, or remember why that is impossible."""
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while view and self.failure is None:
                view = view[super().write(view) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file, or remember why that is impossible."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


@contextmanager
def new_hdf5(path: Path, *, durable: bool = True) -> Iterator[tuple[h5py.File, Sink]]:
    """Yield a new HDF5 file; it takes the place of `path` when the block succeeds, as `replacing` does it.

    The sink tells where it lies for now, and of failures as they happen, so that a long block can stop early.
    Errors are those of `replacing`.
    """
    with replacing(path, durable=durable) as temporary, Sink(temporary, "x+") as sink:
        with h5py.File(sink, "w", libver=LIBVER) as file:
            yield file, sink
        sink.check()
        if durable:
            os.fsync(sink.fileno())


def create_fields(
    file: h5py.File, fields: Sequence[Field], clips: int, attributes: CacheAttributes, *, checksums: bool
) -> dict[Field, h5d.DatasetID]:
    """Create every dataset for `clips` rows; field → dataset. With `checksums`, HDF5 adds its own."""
    file.create_group("clips")
    created = {}
    for field in fields:
        shape = (clips, *attributes.clip_shape(field))
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk((1, *shape[1:]) if field.is_image else (min(clips, _TABLE_CHUNK),))
        properties.set_fill_time(h5d.FILL_TIME_NEVER)
        if checksums:
            properties.set_fletcher32()
        kind, space = h5t.py_create(field.dtype, logical=True), h5s.create_simple(shape)
        created[field] = h5d.create(file.id, field.path.encode(), kind, space, properties)
    return created


def write_column(dataset: h5d.DatasetID, field: Field, values: Iterable[Any]) -> None:
    """Fill a column of `/clips` with text or numbers, one per row; a ValueError where a text does not fit."""
    stored = [value.encode() if field.is_text else value for value in values]
    for data in stored if field.is_text else ():
        if len(data) > field.dtype.itemsize or b"\0" in data:
            most = f"a cache stores up to {field.dtype.itemsize}, without NUL characters"
            raise ValueError(f"{field.name} {data.decode()!r} has {len(data)} bytes of UTF-8; {most}")
    dataset.write(h5s.ALL, h5s.ALL, np.array(stored, dtype=field.dtype))


def write_clip(dataset: h5d.DatasetID, row: int, pixels: np.ndarray, *, checksum: bool) -> None:
    """Put the pixels of one clip into an image field; `checksum` as in `create_fields`."""
    if checksum:
        h5py.Dataset(dataset)[row] = pixels
    else:  # HDF5 2.0 loses the only chunk of a data set without filters when it exceeds the chunk cache
        dataset.write_direct_chunk((row,) + (0,) * pixels.ndim, np.ascontiguousarray(pixels))


def write_attributes(file: h5py.File, attributes: CacheAttributes) -> None:
    """Write the attributes of the root; `complete` comes last."""
    for name, value in {"format": FORMAT, "format_version": FORMAT_VERSION, **vars(attributes)}.items():
        data = (value if isinstance(value, str) else json.dumps(value)).encode()
        # Fixed length, because HDF5 keeps variable-length text in a heap that has no checksum.
        file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(len(data), 1)))
    file.attrs["complete"] = True
