"""Where the pixels of a clip lie in the file, and how to read them past HDF5's global lock.

A chunk without compression is just the bytes of one clip and their checksum. One system call puts
them where they are wanted, in any thread, without a copy.
"""

import os
from dataclasses import dataclass

import h5py
import numpy as np

from data_cache.fletcher import CHECKSUM_BYTES, fletcher32


@dataclass(frozen=True)
class Place:
    """The stored bytes of one clip in one image field.

    Attributes:
        offset: position in the file.
        nbytes: pixels, without the checksum.
        checksum: whether a checksum follows.
    """

    offset: int
    nbytes: int
    checksum: bool


def find_place(dataset: h5py.Dataset, index: int) -> Place | None:
    """Where clip `index` of an image field lies; None where it is compressed or cut otherwise."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    checksum = filters == [h5py.h5z.FILTER_FLETCHER32]
    if dataset.chunks != (1, *dataset.shape[1:]) or (filters and not checksum) or properties.get_external_count():
        return None
    stored = dataset.id.get_chunk_info_by_coord((index, *(0,) * (dataset.ndim - 1)))
    nbytes = int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize
    whole = stored.size == nbytes + CHECKSUM_BYTES * checksum and not stored.filter_mask
    return Place(stored.byte_offset, nbytes, checksum) if whole and stored.byte_offset is not None else None


def read_place(descriptor: int, place: Place, out: np.ndarray, *, check: bool) -> None:
    """Fill `out` (C-ordered uint8) with the pixels at `place`.

    Args:
        descriptor: the open file.
        place: from `find_place`.
        out: as many bytes as the clip has.
        check: also compare the checksum, where there is one.

    Raises:
        OSError: the file ends too early, or the checksum does not match.
    """
    stored = bytearray(CHECKSUM_BYTES if check and place.checksum else 0)
    wanted = place.nbytes + len(stored)
    got = os.preadv(descriptor, [out.data, stored], place.offset)
    if got != wanted:
        raise OSError(f"{got} of {wanted} bytes could be read")
    if stored and fletcher32(out) != int.from_bytes(stored, "little"):
        raise OSError("checksum mismatch")
