"""Our checksum of a chunk is HDF5's own."""

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_cache.write.fletcher import CHECKSUM_BYTES, fletcher32, seal


def stored_by_hdf5(data: np.ndarray) -> bytes:
    """The chunk of `data` as HDF5 writes it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("x", data=data, chunks=data.shape, fletcher32=True)
    with h5py.File(buffer) as file:
        return bytes(file["x"].id.read_direct_chunk((0,))[1])


def ours(data: np.ndarray) -> bytes:
    return seal(np.concatenate([data, np.zeros(CHECKSUM_BYTES, np.uint8)])).tobytes()


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=5000))
def test_any_bytes(data: bytes) -> None:
    array = np.frombuffer(data, np.uint8)
    assert ours(array) == stored_by_hdf5(array)


@pytest.mark.parametrize("size", [1, 2, 719, 720, 721, 2047, 2048, 2049, 4097, 16 * 224 * 224 * 3])
@pytest.mark.parametrize("fill", [0, 1, 254, 255])
def test_sums_that_are_multiples_of_the_modulus(size: int, fill: int) -> None:
    array = np.full(size, fill, np.uint8)
    assert ours(array) == stored_by_hdf5(array)


def test_pixels_of_a_whole_clip(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (16, 96, 96, 3), dtype=np.uint8)
    flat = clip.reshape(-1)
    assert ours(flat) == stored_by_hdf5(flat)
    assert fletcher32(clip) == fletcher32(flat)
