"""The filters behind a cache's pixels, along time and across space, what a recipe does to clips with them, and back.

The temporal filter is a small matrix F (T, T), so a cache tells from its recipe alone how its motion was made of the
original frames, x̃ = (I + αF) x. So x = (I + αF)⁻¹ x̃, and by linearity a magnification by any other α′ is
(1 − α′/α)·x + (α′/α)·x̃; both are off where x̃ was cut to 0..255. Both stages read the filter from here. scipy is
imported inside: reading a cache needs none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BAND_OFFSET = 128.0
"""Grey level that stands for no motion in `--motion-form band`, and for no change in a flat dynamic image."""
NYQUIST_SHARE = 0.49
"""The upper cut-off is held below this share of the sampling rate."""
CLIPPED = 0.03
"""Share of clipped values to speak of: the default recipe cuts 4.8 % on the demo set, with --stabilise rigid 3.0 %."""
GAIN = 0.5
"""Gain at the apex to speak of: the default filter has 0.6 to 0.74 for movements of 0.2 to 1 s, 0.48 at 0.13 s."""
LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B (ITU-R BT.709), those of a browser's `grayscale` filter."""
MOST_CLIPPED = 0.01
"""The share of values that a picture for the eye may cut."""

_NEEDED = ("frames", "alpha", "filter", "fs", "low", "high", "order", "motion_form", "gains", "algorithm")
_HARMLESS = {"sampling", "rank_pool", "rank_pool_span", "levels", "explicit_pyramid", "size", "faces", "face_margin"}
_INVERTIBLE = {"motion_form": "additive", "gains": "uniform", "algorithm": 1, "stabilise": "none", "blur": 0.0}


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
    from scipy import signal

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


def recipe_filter(recipe: Mapping[str, Any], n_frames: int, fps: float) -> np.ndarray:
    """F (T, T) of a clip of `n_frames` native frames at `fps` Hz, by the recipe that a cache stores."""
    T, fs = int(recipe["frames"]), str(recipe["fs"])
    rate = sample_rate(n_frames, fps, T) if fs == "true" else float(fs.partition(":")[2])
    return filter_matrix(T, rate, usable_band(recipe["low"], recipe["high"], rate), recipe["order"], recipe["filter"])


def _from_first_frame(sos: np.ndarray, frames: np.ndarray) -> np.ndarray:
    from scipy import signal

    state = signal.sosfilt_zi(sos)[..., None] * frames[0]
    return np.asarray(signal.sosfilt(sos, frames, axis=0, zi=state)[0])


def middle_scales(images: np.ndarray) -> np.ndarray:
    """The spatial band of (…, S, S) images between S/50 and S/12: what is finer is noise, what is coarser light.

    A difference of two Gaussian blurs with these standard deviations in pixels, edges mirrored: about levels 2 and 3
    of a pyramid of five at S = 112.
    """
    from scipy.ndimage import gaussian_filter

    size, still = images.shape[-1], (0,) * (images.ndim - 2)
    fine, coarse = (gaussian_filter(images, (*still, size / part, size / part)) for part in (50, 12))
    return np.asarray(fine - coarse)


def apex_gain(temporal: np.ndarray, apex: float = 0.5) -> float:
    """The share of a movement that the filter F (T, T) lets pass when the movement is largest.

    It rises from 0 at the onset to 1 at the apex, a share of the clip, and falls to 0 again, each as half a cosine.
    """
    at, peak = np.linspace(0, 1, len(temporal)), min(max(apex, 1e-3), 1 - 1e-3)
    movement = 0.5 - 0.5 * np.cos(np.pi * np.where(at <= peak, at / peak, (1 - at) / (1 - peak)))
    before, after = (float(np.interp(apex, at, values)) for values in (movement, temporal @ movement))
    return after / before if before else 0.0


def recipe_notes(
    recipe: Mapping[str, Any], lengths: Iterable[tuple[int, float]], clipped: float | None = None
) -> list[str]:
    """What deserves a look before these clips are trained on.

    Args:
        recipe: as a cache stores it; one that lacks the settings of the filter gets no word on it.
        lengths: native frames and frame rate in Hz of each clip.
        clipped: mean share of values that were cut to 0..255; None where nothing was rendered.
    """
    notes = []
    if clipped is not None and clipped > CLIPPED:
        calmer = " or --recipe clean" if recipe.get("stabilise", "none") == "none" else ""
        notes.append(f"{clipped:.1%} of the values clip: colours are cut; try a smaller --alpha{calmer}")
    counted = Counter(lengths)
    try:
        gains = {length: abs(apex_gain(recipe_filter(recipe, *length))) for length in counted}
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return notes
    if weak := {length: gain for length, gain in gains.items() if gain < GAIN}:
        (frames, fps), gain = min(weak.items(), key=lambda item: item[1])
        notes.append(
            f"{sum(counted[length] for length in weak)} of {counted.total()} clips are too short or too long for "
            f"{recipe['low']:g} to {recipe['high']:g} Hz: {frames} frames at {fps:g} Hz keep {gain:.2f} of a movement "
            "at its apex; try a higher --high, or a lower --low"
        )
    return notes


class NotInvertibleError(ValueError):
    """The original frames cannot be had from this cache; the message says why."""


@dataclass(frozen=True)
class Inverse:
    """How the frames of one clip come back: α of the cache, the filter F (T, T), and the matrix (I + αF)⁻¹."""

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
        recipe: of the cache; this, `n_frames` and `fps` as for `find_inverse`.
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
