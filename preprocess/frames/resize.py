"""Resize images to squares, in float32: rounding to 8 bits here would be magnified by α later."""

from functools import lru_cache

import cv2
import numpy as np
from scipy import sparse


def resize(image: np.ndarray, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """An (H, W, C) image as (size, size, C) float32: area averaging to shrink, bilinear to enlarge.

    Area averaging is done row-wise as a sparse matrix product, then column-wise by OpenCV. That
    equals OpenCV's INTER_AREA in both directions, in two thirds of its time.
    """
    pixels = image.astype(np.float32)
    height, width, channels = pixels.shape
    if min(height, width) < size:
        return np.asarray(cv2.resize(pixels, (size, size), dst=out, interpolation=cv2.INTER_LINEAR))
    rows = (area_matrix(height, size) @ pixels.reshape(height, -1)).reshape(size, width, channels)
    return np.asarray(cv2.resize(rows, (size, size), dst=out, interpolation=cv2.INTER_AREA))


@lru_cache(maxsize=64)
def area_matrix(length: int, size: int) -> sparse.csr_matrix:
    """Averages of `length` pixels over `size` equal intervals, as a sparse (size, length) matrix; rows sum to 1."""
    step = length / size
    left, pixels = np.arange(size)[:, None] * step, np.arange(length)
    overlap = np.minimum(left + step, pixels + 1) - np.maximum(left, pixels)
    weights = np.maximum(overlap, 0) / step
    weights[weights < 1e-6] = 0  # rounding must not make a neighbour count
    return sparse.csr_matrix(weights.astype(np.float32))
