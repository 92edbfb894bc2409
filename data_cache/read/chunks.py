"""Where the pixels of each clip lie in the file, and how to read them past HDF5 and its global lock.

A chunk without compression is just the bytes of one clip and their checksum. One system call puts
them where they are wanted, in any thread, without a copy.
"""

import math
import os
import zlib
from dataclasses import dataclass

import h5py
import numpy as np

from data_cache.write.fletcher import CHECKSUM_BYTES, fletcher32


@dataclass(frozen=True)
class Places:
    """The stored bytes of every clip in one image field.

    Attributes:
        offsets: position of each clip in the file, (N,).
        sizes: stored bytes of each clip, its checksum included, (N,).
        checksum: whether a checksum ends each.
        gzip: whether they are compressed.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    checksum: bool
    gzip: bool


def find_places(dataset: h5py.Dataset) -> Places:
    """Where the clips of an image field lie.

    Raises:
        ValueError: they are stored in a way that a cache does not allow, or not all of them are there.
    """
    clips, stored = dataset.shape[0], dataset.id.get_num_chunks()
    if dataset.chunks != (1, *dataset.shape[1:]):
        raise ValueError(f"has chunks of {dataset.chunks}, expected one clip each")
    if stored != clips:
        raise ValueError(f"holds {stored} of {clips} clips")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    checksum = filters[-1:] == [h5py.h5z.FILTER_FLETCHER32]
    compression = filters[:-1] if checksum else filters
    if compression not in ([], [h5py.h5z.FILTER_DEFLATE]):
        raise ValueError(f"is stored with the HDF5 filters {filters}; a cache is plain or gzip")
    origin = (0,) * (dataset.ndim - 1)
    chunks = [dataset.id.get_chunk_info_by_coord((row, *origin)) for row in range(clips)]
    whole = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize + CHECKSUM_BYTES * checksum
    for row, chunk in enumerate(chunks):
        if chunk.filter_mask or (not compression and chunk.size != whole):
            raise ValueError(f"holds {chunk.size} of {whole} bytes of its clip {row}")
    offsets, sizes = tuple(chunk.byte_offset for chunk in chunks), tuple(chunk.size for chunk in chunks)
    return Places(offsets, sizes, checksum, bool(compression))


def read_place(descriptor: int, places: Places, row: int, out: np.ndarray, *, check: bool) -> None:
    """Fill `out` (C-ordered uint8) with the pixels of one clip.

    Args:
        descriptor: the open file.
        places: from `find_places`.
        row: of the clip.
        out: as many bytes as the clip has.
        check: also compare the checksum, where there is one.

    Raises:
        OSError: the file ends too early, the checksum does not match, or the clip does not decompress.
    """
    checksum = bytearray(CHECKSUM_BYTES * places.checksum)
    stored = np.empty(places.sizes[row] - len(checksum), np.uint8) if places.gzip else out
    got = os.preadv(descriptor, [stored.data, checksum], places.offsets[row])
    if got != places.sizes[row]:
        raise OSError(f"{got} of {places.sizes[row]} bytes could be read")
    if check and checksum and fletcher32(stored) != int.from_bytes(checksum, "little"):
        raise OSError("checksum mismatch")
    if places.gzip:
        try:
            pixels = zlib.decompressobj().decompress(stored.data, out.nbytes + 1)  # never more, whatever it claims
        except zlib.error as error:
            raise OSError(str(error)) from error
        if len(pixels) != out.nbytes:
            raise OSError(f"does not decompress to {out.nbytes} bytes")
        out.reshape(-1)[:] = np.frombuffer(pixels, np.uint8)
