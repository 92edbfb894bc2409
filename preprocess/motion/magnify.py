"""From a standardised clip to what the cache stores: its dynamic image and its magnified motion.

A standardised clip X is (T, S, S, 3) float32, 0..255. All three ways below to magnify it give the
same result within rounding; they differ in speed and in how literally they follow the equations.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from preprocess.motion.pyramid import collapse, evm_gains, laplacian_pyramid, weighted_collapse
from preprocess.motion.temporal import TemporalPlan
from preprocess.recipe import Recipe

BAND_OFFSET = 128.0
"""Grey level that stands for no motion in `--motion-form band`, and for no change in a flat dynamic image."""
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


def render(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> Rendered:
    """Dynamic image (eq. 1) and magnified sequence (eq. 4 to 7) of a standardised clip, rounded once, last."""
    if recipe.gains == "uniform" and not recipe.explicit_pyramid:
        return _render_fused(clip, plan, recipe)
    flat = clip.reshape(len(clip), -1)  # (T, P)
    pooled = plan.rank_pooling.astype(np.float32) @ flat
    motion = magnified(clip, plan, recipe)
    rounded, cut = quantise(motion.reshape(flat.shape))
    return Rendered(minmax_image(pooled).reshape(clip.shape[1:]), rounded.reshape(clip.shape), cut / rounded.size)


def magnified(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> np.ndarray:
    """The magnified sequence before rounding: (T, S, S, 3), the dtype of `clip`."""
    if recipe.explicit_pyramid:
        return _magnify_explicitly(clip, plan, recipe)
    band = (plan.filter.astype(clip.dtype) @ clip.reshape(len(clip), -1)).reshape(clip.shape)
    gains = level_gains(recipe, clip.shape[1:3])
    if recipe.gains == "uniform":
        moved = band * clip.dtype.type(recipe.alpha)
    else:
        moved = np.stack([weighted_collapse(frame, gains) for frame in band])
    return moved + _base(clip, recipe)


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


def _render_fused(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> Rendered:
    """Equal gains make the pyramid the identity: one product with I + αF, in blocks that stay in the cache."""
    T = clip.shape[0]
    flat = clip.reshape(T, -1)  # (T, P)
    identity = np.eye(T) if recipe.motion_form == "additive" else 0
    matrix = np.vstack([plan.rank_pooling, identity + recipe.alpha * plan.filter]).astype(np.float32)
    pooled = np.empty(flat.shape[1], np.float32)
    motion = np.empty(flat.shape, np.uint8)
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
    return Rendered(minmax_image(pooled).reshape(clip.shape[1:]), motion.reshape(clip.shape), cut / motion.size)


def _magnify_explicitly(clip: np.ndarray, plan: TemporalPlan, recipe: Recipe) -> np.ndarray:
    """Eq. 4 to 7 as they read: a pyramid per frame, a filter per level, gains, and reconstruction."""
    gains = level_gains(recipe, clip.shape[1:3])
    pyramids = [laplacian_pyramid(frame, recipe.levels) for frame in clip]
    filtered = [
        np.tensordot(plan.filter.astype(clip.dtype), np.stack(level), axes=1) * clip.dtype.type(gain)
        for level, gain in zip(zip(*pyramids, strict=True), gains, strict=True)
    ]
    moved = np.stack([collapse([level[t] for level in filtered]) for t in range(len(clip))])
    return moved + _base(clip, recipe)


def _base(clip: np.ndarray, recipe: Recipe) -> np.ndarray:
    """What the magnified band is added to: the clip, or mid-grey."""
    return clip if recipe.motion_form == "additive" else np.full_like(clip, BAND_OFFSET)
