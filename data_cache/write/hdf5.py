"""How a cache lies in HDF5: create its datasets, fill its columns, write its attributes.

HDF5's low-level calls, because a shard has twelve datasets of one row, and the convenient calls take
longer over those than over the pixels.
"""

import json
import math
import zlib
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from data_cache.schema import FIELDS, FORMAT, FORMAT_VERSION, CacheAttributes, Field, encode_text
from data_cache.write.fletcher import CHECKSUM_BYTES, seal

_TABLE_CHUNK = 1024
GZIP_LEVEL = 4


def create_fields(
    file: h5py.File, clips: int, attributes: CacheAttributes, *, gzip: bool = False
) -> dict[str, h5py.h5d.DatasetID]:
    """Create every dataset for `clips` rows; field name → dataset. With `gzip`, pixels are compressed."""
    file.create_group("clips")
    created = {}
    for field in FIELDS:
        shape = (clips, *field.clip_shape(attributes.frames, attributes.size))
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, *shape[1:]) if field.is_image else (min(clips, _TABLE_CHUNK),))
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        if gzip and field.is_image:
            properties.set_deflate(GZIP_LEVEL)
        properties.set_fletcher32()
        kind, space = h5py.h5t.py_create(field.dtype, logical=True), h5py.h5s.create_simple(shape)
        created[field.name] = h5py.h5d.create(file.id, field.path.encode(), kind, space, properties)
    return created


def write_column(dataset: h5py.h5d.DatasetID, field: Field, values: Iterable[Any]) -> None:
    """Fill a column of `/clips`; `values` are text or numbers, one per row.

    Raises:
        ValueError: a text is too long for its field.
    """
    stored = [encode_text(field, value) for value in values] if field.is_text else list(values)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(stored, dtype=field.dtype))


def chunk_buffers(attributes: CacheAttributes) -> list[np.ndarray]:
    """Room for the stored chunks of one clip, one array per image field: pixels, then a checksum."""
    shapes = [field.clip_shape(attributes.frames, attributes.size) for field in FIELDS if field.is_image]
    return [np.empty(math.prod(shape) + CHECKSUM_BYTES, np.uint8) for shape in shapes]


def gzip_chunk(pixels: np.ndarray) -> np.ndarray:
    """The bytes that HDF5 stores for a clip of a compressed field: the checksum is that of the compressed bytes."""
    compressed = zlib.compress(pixels.data, GZIP_LEVEL)
    return seal(np.frombuffer(compressed + bytes(CHECKSUM_BYTES), np.uint8).copy())


def write_chunk(dataset: h5py.h5d.DatasetID, row: int, stored: np.ndarray) -> None:
    """Put the stored bytes of one clip into the file."""
    dataset.write_direct_chunk((row, *(0,) * (dataset.rank - 1)), stored)


def write_attributes(file: h5py.File, attributes: CacheAttributes) -> None:
    """Write the attributes of the root; `complete` comes last."""
    texts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": attributes.dataset,
        "recipe": json.dumps(attributes.recipe),
        "recipe_digest": attributes.recipe_digest,
        "source_digest": attributes.source_digest,
        "provenance": json.dumps(attributes.provenance),
        "licence_notice": attributes.licence_notice,
    }
    for name, text in texts.items():
        data = text.encode()
        # Fixed length, because HDF5 keeps variable-length text in a heap that has no checksum.
        file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(len(data), 1)))
    file.attrs["complete"] = True
