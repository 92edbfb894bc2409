"""From a standardised clip to what the cache stores: its dynamic image and its magnified motion.

A standardised clip X is (T, S, S, 3) float32, 0..255. It is magnified in one of three ways, which give the
same result within rounding; they differ in speed and in how literally they follow the equations.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from data_cache.filters import BAND_OFFSET
from preprocess.motion.pyramid import collapse, evm_gains, laplacian_pyramid, weighted_collapse
from preprocess.motion.stabilise import append_nuisances, without_nuisances
from preprocess.motion.temporal import TemporalPlan
from preprocess.recipe import Recipe

_BLOCK = 1 << 11  # pixels per matrix product: its operands then stay in a core's cache (8192 took twice as long)
_FLAT = 0.02  # a rank-pooled range below this, in grey levels, is rounding noise


@dataclass(frozen=True)
class Rendered:
    """What one clip becomes.

    Attributes:
        dynamic_image: (S, S, 3) uint8 RGB.
        motion: (T, S, S, 3) uint8 RGB.
        clipped_fraction: share of motion values that had to be cut to 0..255.
    """

    dynamic_image: np.ndarray
    motion: np.ndarray
    clipped_fraction: float


def render(extended: np.ndarray, operators: np.ndarray, recipe: Recipe) -> Rendered:
    """Dynamic image (eq. 1) and magnified sequence (eq. 4 to 7) of what `stabilised` returned, rounded once, last."""
    if recipe.gains == "uniform" and not recipe.explicit_pyramid and not recipe.blur:
        return _render_fused(extended, operators, recipe)
    pooled = operators[0].astype(np.float32) @ extended.reshape(len(extended), -1)
    motion, cut = quantise(_magnified(extended, operators[1:], recipe))
    return Rendered(minmax_image(pooled).reshape(motion.shape[1:]), motion, cut / motion.size)


def magnified(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> np.ndarray:
    """The magnified sequence before rounding: (T, S, S, 3), the dtype of `clip`."""
    extended, operators = stabilised(clip, plan, recipe)
    return _magnified(extended, operators[1:], recipe)


def stabilised(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The clip with the K images that stabilisation fits, (T+K, S, S, 3), and w over F for it, (1+T, T+K).

    Args:
        clip: (T, S, S, 3) float32, or (T+K, S, S, 3) with room for what `append_nuisances` puts there.
        recipe: α does not enter, so recipes that differ in it share the result.
    """
    extended = append_nuisances(clip, recipe.stabilise, len(plan.filter))
    return extended, without_nuisances(np.vstack([plan.rank_pooling, plan.filter]), extended)


def _magnified(extended: np.ndarray, band_filter: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The clip (T+K, S, S, 3), filtered by F (T, T+K), magnified and added to its first T frames or to mid-grey."""
    clip, gains = extended[: len(band_filter)], level_gains(recipe, extended.shape[1:3])
    if recipe.explicit_pyramid:
        moved = _magnify_explicitly(extended, band_filter, gains)
    else:
        flat = extended.reshape(len(extended), -1)  # (T+K, P)
        band = (band_filter.astype(clip.dtype) @ flat).reshape(clip.shape)
        if recipe.gains == "uniform":
            moved = band * clip.dtype.type(recipe.alpha)
        else:
            moved = np.stack([weighted_collapse(frame, gains) for frame in band])
    if recipe.blur:
        moved = np.stack([cv2.GaussianBlur(frame, (0, 0), recipe.blur).reshape(frame.shape) for frame in moved])
    return moved + (clip if recipe.motion_form == "additive" else clip.dtype.type(BAND_OFFSET))


def level_gains(recipe: Recipe, shape: tuple[int, ...]) -> tuple[float, ...]:
    """α_l of each pyramid level of H×W images, from fine to coarse, the residual last."""
    if recipe.gains == "evm":
        return evm_gains(shape, recipe.levels, recipe.alpha)
    return recipe.listed_gains or (recipe.alpha,) * recipe.levels


def quantise(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Round to uint8, cutting to 0..255; also the number of values that were cut."""
    cut = int(np.count_nonzero(values < -0.5) + np.count_nonzero(values > 255.5))
    # OpenCV rounds to the nearest even number and saturates, in one pass where numpy needs three.
    return np.asarray(cv2.addWeighted(values, 1, values, 0, 0, dtype=cv2.CV_8U)), cut


def minmax_image(pooled: np.ndarray) -> np.ndarray:
    """Scale a rank-pooled image to 0..255 over all its channels; one without any change becomes mid-grey."""
    low, high = float(pooled.min()), float(pooled.max())
    if high - low < _FLAT:
        return np.full(pooled.shape, BAND_OFFSET, np.uint8)
    return np.rint((pooled - low) * (255.0 / (high - low))).astype(np.uint8)


def _render_fused(extended: np.ndarray, operators: np.ndarray, recipe: Recipe) -> Rendered:
    """Equal gains make the pyramid the identity: one product with I + αF, in blocks that stay in the cache."""
    T, image = len(operators) - 1, extended.shape[1:]
    flat = extended.reshape(len(extended), -1)  # (T+K, P)
    identity = np.eye(T, len(flat)) if recipe.motion_form == "additive" else 0
    matrix = np.vstack([operators[:1], identity + recipe.alpha * operators[1:]]).astype(np.float32)
    pooled = np.empty(flat.shape[1], np.float32)
    motion = np.empty((T, flat.shape[1]), np.uint8)
    cut = 0
    for start in range(0, flat.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        product = matrix @ flat[:, block]
        pooled[block] = product[0]
        moved = product[1:]
        if recipe.motion_form == "band":
            moved += np.float32(BAND_OFFSET)
        motion[:, block], cut_here = quantise(moved)
        cut += cut_here
    return Rendered(minmax_image(pooled).reshape(image), motion.reshape(T, *image), cut / motion.size)


def _magnify_explicitly(extended: np.ndarray, band_filter: np.ndarray, gains: tuple[float, ...]) -> np.ndarray:
    """Eq. 4 to 7 as they read: a pyramid per image, a filter per level, gains, and reconstruction."""
    pyramids = [laplacian_pyramid(image, len(gains)) for image in extended]
    filtered = [
        np.tensordot(band_filter.astype(extended.dtype), np.stack(level), axes=1) * extended.dtype.type(gain)
        for level, gain in zip(zip(*pyramids, strict=True), gains, strict=True)
    ]
    return np.stack([collapse([level[t] for level in filtered]) for t in range(len(band_filter))])
