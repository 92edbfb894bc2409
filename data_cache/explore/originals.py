"""What the magnified frames of a cache were made of, recovered from the cache alone.

Along time magnification is one matrix, x̃ = (I + αF) x, so x = (I + αF)⁻¹ x̃; by linearity a magnification by any
other α′ is (1 − α′/α)·x + (α′/α)·x̃. Both are off where x̃ was cut to 0..255.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_cache.filters import BAND_OFFSET, middle_scales, recipe_filter

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B (ITU-R BT.709), those of a browser's `grayscale` filter."""
MOST_CLIPPED = 0.01
"""The share of values that a picture for the eye may cut."""

_NEEDED = ("frames", "alpha", "filter", "fs", "low", "high", "order", "motion_form", "gains", "algorithm")
_HARMLESS = {"sampling", "rank_pool", "rank_pool_span", "levels", "explicit_pyramid", "size", "faces", "face_margin"}
_INVERTIBLE = {"motion_form": "additive", "gains": "uniform", "algorithm": 1, "stabilise": "none", "blur": 0.0}


class NotInvertibleError(ValueError):
    """The original frames cannot be had from this cache; the message says why."""


@dataclass(frozen=True)
class Inverse:
    """How the frames of one clip come back.

    Attributes:
        alpha: α of the cache.
        filter: F (T, T).
        matrix: (I + αF)⁻¹, (T, T).
    """

    alpha: float
    filter: np.ndarray
    matrix: np.ndarray

    @property
    def typical_error(self) -> float:
        """Standard deviation, in grey levels, of the error by independent 8-bit roundings, in the worst frame."""
        return float(np.sqrt((self.matrix**2).sum(1).max() / 12))


def find_inverse(recipe: Mapping[str, Any], n_frames: int, fps: float) -> Inverse:
    """The inverse of the magnification of a clip of `n_frames` native frames at `fps` Hz.

    Raises:
        NotInvertibleError: the recipe mixes pixels or drops the still face, holds an option that this version does
            not know, or has a filter whose inverse would turn rounding into more than one grey level of noise.
    """
    for name, value in recipe.items():
        if value != _INVERTIBLE.get(name, value) or name not in {*_NEEDED, *_HARMLESS, *_INVERTIBLE}:
            raise NotInvertibleError(f"the recipe says {name} = {value}, which cannot be undone")
    if lacking := [name for name in _NEEDED if name not in recipe]:
        raise NotInvertibleError(f"the recipe does not say {', '.join(lacking)}")
    temporal = recipe_filter(recipe, n_frames, fps)
    try:
        matrix = np.linalg.inv(np.eye(len(temporal)) + recipe["alpha"] * temporal)
    except np.linalg.LinAlgError:
        matrix = np.full_like(temporal, np.inf)
    inverse = Inverse(float(recipe["alpha"]), temporal, matrix)
    if not inverse.typical_error <= 1:
        raise NotInvertibleError(
            f"undoing a {recipe['filter']} filter of order {recipe['order']} at α = {recipe['alpha']:g} would turn "
            f"rounding into noise of {inverse.typical_error:.3g} grey levels"
        )
    return inverse


def original(motion: np.ndarray, inverse: Inverse) -> np.ndarray:
    """The standardised frames (T, S, S, 3), float32 0..255, of which `motion`, uint8, was made."""
    flat = motion.reshape(len(motion), -1).astype(np.float32)
    return np.clip(inverse.matrix.astype(np.float32) @ flat, 0, 255).reshape(motion.shape)


@dataclass(frozen=True)
class Recovered:
    """What the cache shows of a clip besides the frames for the network.

    Attributes:
        original: the standardised frames (T, S, S, 3), float32 0..255; None where they cannot be had.
        error: standard deviation of their rounding errors in the worst frame, in grey levels.
        why: why there is no original; "" where there is one.
        eye: a magnification made to be looked at, (T, S, S) uint8; None where there is none.
        eye_alpha: its α.
    """

    original: np.ndarray | None = None
    error: float = 0.0
    why: str = ""
    eye: np.ndarray | None = None
    eye_alpha: float = 0.0


def recover(
    motion: np.ndarray, onset: np.ndarray | None, recipe: Mapping[str, Any], n_frames: int, fps: float
) -> Recovered:
    """The original of a clip and a magnification for the eye; where only the band was kept, one on its onset frame.

    Args:
        motion: the frames for the network, (T, S, S, 3) uint8.
        onset: the onset frame, (S, S, 3) uint8, if the cache has it.
        recipe: of the cache.
        n_frames: number of native frames.
        fps: of the recording, in Hz.
    """
    try:
        inverse = find_inverse(recipe, n_frames, fps)
    except NotInvertibleError as error:
        kept = recipe.get("motion_form"), recipe.get("gains")
        band_alone = kept == ("band", "uniform") and recipe.get("alpha", 0) > 0
        if onset is None or not band_alone:
            return Recovered(why=str(error))
        moved = (motion.astype(np.float32) - np.float32(BAND_OFFSET)) / np.float32(recipe["alpha"])
        eye, alpha = _shown(_luminance(onset)[None], _luminance(moved), float(recipe["alpha"]))
        return Recovered(why=str(error), eye=eye, eye_alpha=alpha)
    frames = original(motion, inverse)
    return Recovered(frames, inverse.typical_error, "", *for_the_eye(frames, inverse.alpha, inverse.filter))


def for_the_eye(frames: np.ndarray, alpha: float, temporal: np.ndarray) -> tuple[np.ndarray, float]:
    """A magnification made to be looked at: luminance, middle scales, and α lowered until next to nothing clips.

    Args:
        frames: the original frames, (T, S, S, 3), 0..255; after them those of nuisances that the filter uses, if any.
        alpha: of the recipe.
        temporal: F (T, T), or wider by the number of nuisances.

    Returns:
        Grey frames (T, S, S) uint8, and the α used: the largest of at most the recipe's, in steps of 0.1, that cuts
        less than 1 % of the values.
    """
    grey = _luminance(frames)
    return _shown(grey[: len(temporal)], np.tensordot(temporal.astype(np.float32), grey, axes=1), alpha)


def _luminance(frames: np.ndarray) -> np.ndarray:
    return np.asarray(frames @ np.array(LUMINANCE, np.float32))


def _shown(grey: np.ndarray, moved: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    moved = middle_scales(moved)
    room = np.where(moved > 0, 255.5 - grey, grey + 0.5) / np.maximum(np.abs(moved), 1e-6)  # α at which a value clips
    alpha = min(alpha, float(np.quantile(room, MOST_CLIPPED, method="lower")))
    alpha = float(np.floor(alpha * 10 + 1e-6) / 10)
    return np.rint(np.clip(grey + alpha * moved, 0, 255)).astype(np.uint8), alpha
