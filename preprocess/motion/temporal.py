"""Every operation along time as a small matrix: sampling, band-pass filter, rank pooling.

A clip of N native frames becomes T samples, X (T, P) = S (T, N) · frames (N, P) over P = H·W·C
pixels. Rank pooling is a row w (T,), the temporal filter a matrix F (T, T). All of them are linear
and act on time alone, so they commute with everything that acts on space alone: resizing and
Laplacian pyramids. That is why a whole clip costs one matrix product over its pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import signal

from preprocess.recipe import Recipe

NYQUIST_SHARE = 0.49
"""The upper cut-off is held below this share of the sampling rate."""


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
    """The plan for a clip of `n_frames` native frames at `fps` Hz.

    Args:
        n_frames: N, onset to offset inclusive, at least 1.
        fps: native frame rate in Hz.
        apex_index: index of the apex among the N frames; needed for `--rank-pool-span onset-apex`.
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
    if N < T:
        method = "linear"
    return {"nearest": _nearest, "linear": _linear, "box": _box}[method](N, T)


def _nearest(N: int, T: int) -> np.ndarray:
    matrix = np.zeros((T, N))
    steps = max(T - 1, 1)
    for t in range(T):
        matrix[t, (2 * t * (N - 1) + steps) // (2 * steps)] = 1  # exact rounding, in integers
    return matrix


def _linear(N: int, T: int) -> np.ndarray:
    positions = np.linspace(0, N - 1, T)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(N)))


def _box(N: int, T: int) -> np.ndarray:
    positions, half = np.linspace(0, N - 1, T)[:, None], max((N - 1) / max(T - 1, 1), 1) / 2
    left = np.maximum(positions - half, np.arange(N) - 0.5)  # frame n stands for n−½ .. n+½
    right = np.minimum(positions + half, np.arange(N) + 0.5)
    overlap = np.maximum(0, right - left)
    overlap[overlap < 1e-9] = 0  # rounding must not make a frame needed
    return overlap / overlap.sum(axis=1, keepdims=True)


def sample_rate(n_frames: int, fps: float, n_samples: int) -> float:
    """The true rate in Hz of T samples that span N frames: (T−1)·fps/(N−1)."""
    return fps if min(n_frames, n_samples) < 2 else (n_samples - 1) * fps / (n_frames - 1)


def usable_band(low: float, high: float, rate: float) -> tuple[float, float]:
    """The cut-offs in Hz that a sampling rate allows.

    The upper one is lowered to 0.49 of the rate if need be (very long clips). Should it then fall
    to the lower one or below, that one is lowered by the same factor, which keeps the band's shape.
    """
    limited = min(high, NYQUIST_SHARE * rate)
    return (low if low < limited else low * limited / high), limited


def filter_matrix(n_samples: int, rate: float, band: tuple[float, float], order: int, kind: str) -> np.ndarray:
    """F (T, T): the temporal filter of eq. 5 as a matrix; column j is its answer to a unit frame at j.

    causal: Butterworth band-pass in second-order sections whose state starts as if the first frame
    had always been there (sosfilt_zi · x[0]). So F maps constants to 0 and its row 0 is 0: the onset
    frame stays untouched and no static texture leaks into the motion. filtfilt: the same filter
    forwards and backwards. difference: low-pass at `high` minus low-pass at `low`, both started on
    the first frame.
    """
    identity = np.eye(n_samples)
    if kind == "difference":
        lowpasses = [signal.butter(order, cut, "lowpass", fs=rate, output="sos") for cut in (band[1], band[0])]
        fast, slow = (_from_first_frame(sos, identity) for sos in lowpasses)
        return fast - slow
    sos = signal.butter(order, band, "bandpass", fs=rate, output="sos")
    if kind == "causal":
        return _from_first_frame(sos, identity)
    default_padding = 3 * (2 * len(sos) + 1 - min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum()))
    return np.asarray(signal.sosfiltfilt(sos, identity, axis=0, padlen=min(default_padding, n_samples - 1)))


def _from_first_frame(sos: np.ndarray, frames: np.ndarray) -> np.ndarray:
    state = signal.sosfilt_zi(sos)[..., None] * frames[0]
    return np.asarray(signal.sosfilt(sos, frames, axis=0, zi=state)[0])


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
