"""Write a cache: one small shard per clip, then one merge that copies them into the final file.

The final path is never opened for writing. A shard is itself a finished cache of one clip, so
merging shards, parts of a cluster job and whole caches is the same function.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from data_cache.atomic import replacing, write_bytes
from data_cache.digest import digest, digest_arrays
from data_cache.errors import InvalidFile, UsageError
from data_cache.reader import CacheReader
from data_cache.schema import (
    FIELDS,
    FORMAT,
    FORMAT_VERSION,
    IMAGE_FIELDS,
    TABLE_FIELDS,
    CacheAttributes,
    ClipRecord,
    encode_text,
)

_LIBVER = ("v110", "v110")  # metadata with checksums, readable by any HDF5 since 1.10
_TABLE_CHUNK = 1024
_CHECKSUM_BYTES = 4  # fletcher32 ends each stored chunk


def write_shard(path: Path, record: ClipRecord, attributes: CacheAttributes) -> None:
    """Write one clip as a finished cache of its own, atomically.

    The file is built in memory: a full disk is then an ordinary error of one write, where HDF5
    writing to the disk itself would crash the interpreter at exit.

    Raises:
        ValueError: a text is too long for its field, or an array has the wrong shape.
        NoSpace: the disk is full; nothing is left behind.
    """
    buffer = BytesIO()
    with h5py.File(buffer, "w", libver=_LIBVER) as file:
        _create_fields(file, 1, attributes)
        for field in FIELDS:
            value = getattr(record, field.name)
            if field.is_image and value.shape != field.clip_shape(attributes.frames, attributes.size):
                raise ValueError(f"{record.key}: {field.name} has shape {value.shape}, the recipe says otherwise")
            file[field.path][0] = encode_text(field, value, record.key) if field.is_text else value
        _write_attributes(file, attributes)
    write_bytes(path, buffer.getbuffer())


def merge(
    parts: Sequence[Path],
    output: Path,
    *,
    source_digest: str | None = None,
    provenance: dict[str, object] | None = None,
    on_clip: Callable[[str], None] = lambda key: None,
) -> None:
    """Merge finished caches of one data set and recipe into `output`, clips in natural order.

    Pixel chunks are copied as they are, each checked against its SHA-256 on the way. The result
    is written beside `output`, synced, opened again and checked, and only then renamed.

    Args:
        parts: caches or shards, at least one.
        output: the file to make; an existing one is replaced at the very end.
        source_digest: the identity of all sources; by default made from those of the parts.
        provenance: by default that of the first part, with the names of all parts.
        on_clip: called with the key of each clip once it is copied.

    Raises:
        UsageError: no parts, parts of different data sets or recipes, or a clip that occurs twice.
        InvalidFile: a part is damaged.
        NoSpace: the disk is full.
    """
    if not parts:
        raise UsageError("nothing to merge: no parts were given")
    readers = [CacheReader(part) for part in parts]
    first = readers[0].attributes
    _check_parts_agree(readers)
    rows = sorted(
        ((reader, index) for reader in readers for index in range(len(reader))),
        key=lambda row: natural_key(row[0].clips.key(row[1])),
    )
    attributes = CacheAttributes(
        dataset=first.dataset,
        recipe=first.recipe,
        recipe_digest=first.recipe_digest,
        source_digest=source_digest or digest(sorted(reader.attributes.source_digest for reader in readers)),
        provenance=provenance or {**first.provenance, "merged_from": sorted(part.name for part in parts)},
        licence_notice=first.licence_notice,
    )
    with replacing(output) as temporary:
        with h5py.File(temporary, "w", libver=_LIBVER) as file:
            _create_fields(file, len(rows), attributes)
            for field in TABLE_FIELDS:
                values = [getattr(reader.clips, field.name)[index] for reader, index in rows]
                file[field.path][...] = [value.encode() for value in values] if field.is_text else values
            for row, (reader, index) in enumerate(rows):
                _copy_clip(reader, index, file, row)
                on_clip(reader.clips.key(index))
                if len(reader) == 1:  # thousands of shards must not stay open
                    reader.close()
            _write_attributes(file, attributes)
        _sync(temporary)
        _check_written(temporary, attributes, len(rows))


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key that orders the numbers inside `text` by value: sub2 before sub10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text) if part]


def _create_fields(file: h5py.File, clips: int, attributes: CacheAttributes) -> None:
    for field in FIELDS:
        shape = (clips, *field.clip_shape(attributes.frames, attributes.size))
        chunk = (1, *shape[1:]) if field.is_image else (min(clips, _TABLE_CHUNK),)
        file.create_dataset(field.path, shape, field.dtype, chunks=chunk, fletcher32=True, fill_time="never")


def _write_attributes(file: h5py.File, attributes: CacheAttributes) -> None:
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
        file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", len(data)))
    file.attrs["complete"] = True


def _check_parts_agree(readers: Sequence[CacheReader]) -> None:
    first = readers[0]
    for reader in readers[1:]:
        for what in ("dataset", "recipe_digest"):
            ours, theirs = getattr(first.attributes, what), getattr(reader.attributes, what)
            if ours != theirs:
                raise UsageError(
                    f"{reader.path} and {first.path} differ in {what.replace('_', ' ')} ({theirs} and {ours}); "
                    "only caches of one data set and one recipe can be merged"
                )
    seen: dict[str, Path] = {}
    for reader in readers:
        for key in reader.clips.keys:
            if key in seen:
                raise UsageError(f"clip {key} is in {seen[key]} and again in {reader.path}; merge only one of them")
            seen[key] = reader.path


def _copy_clip(reader: CacheReader, index: int, target: h5py.File, row: int) -> None:
    arrays = []
    for field in IMAGE_FIELDS:
        source, destination = reader.handle()[field.path], target[field.path]
        if _stored_alike(source, destination):
            rest = (0,) * len(field.shape)
            mask, chunk = source.id.read_direct_chunk((index, *rest))
            destination.id.write_direct_chunk((row, *rest), chunk, mask)
            pixels = np.frombuffer(chunk, np.uint8)[:-_CHECKSUM_BYTES]
        else:
            pixels = reader.read(field.name, index)
            destination[row] = pixels
        arrays.append(pixels)
    if digest_arrays(arrays) != reader.clips.sha256[index]:
        raise InvalidFile(f"{reader.path}: clip {reader.clips.key(index)} is corrupt; delete the file and make it anew")


def _stored_alike(one: h5py.Dataset, other: h5py.Dataset) -> bool:
    """Whether raw chunks can be copied: the same chunk shape, and the checksum as the only filter."""
    return one.chunks == other.chunks and one.fletcher32 and one.compression is None and not one.shuffle


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_written(path: Path, attributes: CacheAttributes, clips: int) -> None:
    written = CacheReader(path)
    if len(written) != clips or written.attributes != attributes:
        raise InvalidFile(f"{path} does not read back as it was written; is the disk failing?")
