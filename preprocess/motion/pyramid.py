"""Laplacian pyramids of any size, and gains per level (eq. 4, 6 and 7).

The pyramid is linear and its levels add up to the image. So equal gains need no pyramid at all,
and unequal ones can be telescoped: Σ_l g_l·L_l(x) = g_0·G_0 + up((g_1−g_0)·G_1 + up((g_2−g_1)·G_2 + …)),
with Gaussian levels G_l. The explicit pyramid below is the readable reference for both.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot

import cv2
import numpy as np


def laplacian_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """Split an (H, W, C) float image into `levels` bands from fine to coarse, the low-pass residual last (eq. 4)."""
    gaussian = gaussian_pyramid(image, levels)
    return [fine - up(coarse, fine) for fine, coarse in pairwise(gaussian)] + gaussian[-1:]


def collapse(pyramid: Sequence[np.ndarray]) -> np.ndarray:
    """The image whose Laplacian pyramid this is (eq. 7): the inverse of `laplacian_pyramid`."""
    image = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        image = band + up(image, band)
    return image


def weighted_collapse(image: np.ndarray, gains: Sequence[float]) -> np.ndarray:
    """Σ_l g_l·L_l of an (H, W, C) float image, telescoped: half the work of building the bands."""
    gaussian = gaussian_pyramid(image, len(gains))
    total = gaussian[-1] * image.dtype.type(gains[-1] - (gains[-2] if len(gains) > 1 else 0))
    for level in range(len(gains) - 2, -1, -1):
        step = gains[level] - (gains[level - 1] if level else 0)
        total = up(total, gaussian[level])
        if step:
            total += gaussian[level] * image.dtype.type(step)
    return total


def gaussian_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """The image and its successive halvings, `levels` in all."""
    pyramid = [image]
    for _ in range(levels - 1):
        pyramid.append(_with_channels(cv2.pyrDown(pyramid[-1])))
    return pyramid


def up(coarse: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Double the size of `coarse` to that of `like`; naming the size is what keeps odd sides right."""
    return _with_channels(cv2.pyrUp(coarse, dstsize=(like.shape[1], like.shape[0])))


def evm_gains(shape: tuple[int, ...], levels: int, alpha: float, cutoff: float = 16.0) -> tuple[float, ...]:
    """α of each level after Wu et al. 2012: full for coarse motion, attenuated for fine detail.

    A level of wavelength λ gets min(α, 2·(λ/8δ − 1)), with δ = λc/8/(1+α); the finest level and the
    residual get 0. λ is a third of the diagonal of `shape`, (H, W), at the residual and halves with each finer
    level; below `cutoff`, λc in pixels, α is attenuated.
    """
    delta = cutoff / 8 / (1 + alpha)
    gains = [0.0] * levels
    for level in range(1, levels - 1):
        wavelength = hypot(*shape) / 3 / 2 ** (levels - 1 - level)
        gains[level] = float(np.clip(2 * (wavelength / 8 / delta - 1), 0, alpha))
    return tuple(gains)


def _with_channels(image: np.ndarray) -> np.ndarray:
    """OpenCV drops a channel axis of length 1; put it back."""
    return image if image.ndim == 3 else image[..., None]
