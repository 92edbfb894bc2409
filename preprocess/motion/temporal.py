"""Every operation along time as a small matrix: sampling, band-pass filter, rank pooling.

A clip of N native frames becomes T samples, X (T, P) = S (T, N) · frames (N, P) over P = H·W·C
pixels. Rank pooling is a row w (T,), the temporal filter a matrix F (T, T). All of them are linear
and act on time alone, so they commute with everything that acts on space alone: resizing and
Laplacian pyramids. That is why a whole clip costs one matrix product over its pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_cache.filters import filter_matrix, sample_rate, usable_band
from preprocess.recipe import Recipe


@dataclass(frozen=True)
class TemporalPlan:
    """The matrices for all clips of one length, frame rate and recipe.

    Attributes:
        sampling: S (T, N); rows sum to 1.
        rank_pooling: w (T,); sums to 0 (unless one frame is pooled).
        filter: F (T, T).
        rate: sampling rate in Hz that the cut-offs refer to.
        band: cut-offs in Hz that were used; lower than the recipe's where the rate does not allow them.
    """

    sampling: np.ndarray
    rank_pooling: np.ndarray
    filter: np.ndarray
    rate: float
    band: tuple[float, float]

    @property
    def needed_frames(self) -> list[int]:
        """Indices of the native frames that any sample uses: the only ones to decode."""
        return [int(i) for i in np.flatnonzero(self.sampling.any(axis=0))]


@lru_cache(maxsize=1024)
def temporal_plan(n_frames: int, fps: float, recipe: Recipe, apex_index: int | None = None) -> TemporalPlan:
    """The plan for a clip of N ≥ 1 native frames at `fps` Hz, onset to offset inclusive.

    `apex_index`, of the apex among the N frames, is needed for `--rank-pool-span onset-apex`.
    """
    T = recipe.frames
    rate = recipe.nominal_rate or sample_rate(n_frames, fps, T)
    band = usable_band(recipe.low, recipe.high, rate)
    pooled = T
    if recipe.rank_pool_span == "onset-apex":
        if apex_index is None:
            raise ValueError("an apex is needed to pool from onset to apex")
        positions = np.linspace(0, n_frames - 1, T)
        pooled = max(2, int((positions <= apex_index).sum())) if T > 1 else 1
    weights = np.zeros(T)
    weights[:pooled] = rank_pooling_weights(pooled, recipe.rank_pool)
    return TemporalPlan(
        sampling=sampling_matrix(n_frames, T, recipe.sampling),
        rank_pooling=weights,
        filter=filter_matrix(T, rate, band, recipe.order, recipe.filter),
        rate=rate,
        band=band,
    )


def sampling_matrix(n_frames: int, n_samples: int, method: str) -> np.ndarray:
    """S (T, N): how T samples at regular intervals are made of N native frames (paper, IV-A).

    nearest takes the frame closest to linspace(0, N−1, T); linear interpolates between the two
    neighbours; box averages the frames within half an interval. Fewer frames than samples are
    interpolated linearly, whatever the method, as the paper does for clips shorter than 16.
    """
    N, T = n_frames, n_samples
    if N < 1 or T < 1:
        raise ValueError(f"{N} frames and {T} samples; both must be at least 1")
    positions, frames, steps = np.linspace(0, N - 1, T)[:, None], np.arange(N), max(T - 1, 1)
    if method == "linear" or N < T:
        return np.maximum(0, 1 - np.abs(positions - frames))
    if method == "nearest":
        taken = (2 * np.arange(T) * (N - 1) + steps) // (2 * steps)  # exact rounding, in integers
        return (taken[:, None] == frames).astype(float)
    half = max((N - 1) / steps, 1) / 2
    left = np.maximum(positions - half, frames - 0.5)  # frame n stands for n−½ .. n+½
    overlap = np.maximum(0, np.minimum(positions + half, frames + 0.5) - left)
    overlap[overlap < 1e-9] = 0  # rounding must not make a frame needed
    return overlap / overlap.sum(axis=1, keepdims=True)


def rank_pooling_weights(n_samples: int, method: str) -> np.ndarray:
    """Weights w (T,) of the dynamic image, d = Σ_t w_t x_t (eq. 1). Their sum is 0 for T ≥ 2.

    bilen is approximate rank pooling, w_t = Σ_{i=t..T} (2i−T−1)/i (Bilen et al. 2017). A popular
    Python port has (2i−T)/i, whose weights sum to T: that gives an ordinary mean-like face. linear
    is 2t−T−1.
    """
    i = np.arange(1, n_samples + 1)
    if n_samples == 1:
        return np.ones(1)
    if method == "linear":
        return (2 * i - n_samples - 1).astype(float)
    return np.cumsum(((2 * i - n_samples - 1) / i)[::-1])[::-1]
