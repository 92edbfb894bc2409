"""Stabilisation: rigid motion and flicker leave the band, local movement stays, and the fit is least squares."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.motion.stabilise import append_nuisances, without_nuisances
from preprocess.motion.temporal import temporal_plan
from preprocess.recipe import Recipe

T = 16
FILTER = temporal_plan(66, 200.0, Recipe()).filter


def texture(rng: np.random.Generator, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Noise at four grains: (H, W, C) float32 around 120."""
    total = np.zeros((height, width, channels), np.float32)
    for grain in (2, 4, 8, 16):
        noise = rng.standard_normal((height, width, channels)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), grain).reshape(noise.shape)
        total += noise / noise.std() * np.sqrt(grain)
    return np.asarray((total - total.mean()) / total.std() * 35 + 120, np.float32)


def drifting(image: np.ndarray, pixels: float, rng: np.random.Generator) -> np.ndarray:
    """A head that shifts by `pixels`, turns, comes nearer and is lit unevenly in time: (T, H, W, C)."""
    height, width = image.shape[:2]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    phase, speed = rng.uniform(0, 2 * np.pi, 5), np.pi * rng.uniform(0.5, 1) / T * 2
    path = (np.sin(speed * np.arange(T)[:, None] + phase) - np.sin(phase)) / 1.5
    frames = []
    for x, y, turn, zoom, light in path:
        cos, sin = np.cos(0.008 * pixels * turn), np.sin(0.008 * pixels * turn)
        linear = (1 + 0.006 * pixels * zoom) * np.array([[cos, -sin], [sin, cos]])
        shift = np.array([middle_x, middle_y]) - linear @ [middle_x, middle_y] + pixels * np.array([x, y])
        moved = cv2.warpAffine(
            image, np.c_[linear, shift], (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        frames.append((1 + 0.015 * light) * moved.reshape(image.shape))
    return np.stack(frames).astype(np.float32)


def band(clip: np.ndarray, kind: str = "none") -> np.ndarray:
    """The filtered clip (T, P), stabilised or not, as the product computes it."""
    extended = append_nuisances(clip, kind, T)
    matrix = without_nuisances(FILTER, extended).astype(np.float32)
    return np.asarray(matrix @ extended.reshape(len(extended), -1))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


@pytest.mark.parametrize(("pixels", "share"), [(0.25, 0.10), (0.5, 0.15), (1.0, 0.25)])
def test_drift_turn_zoom_and_flicker_leave_the_band(pixels: float, share: float) -> None:
    left = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clip = drifting(texture(rng, 96, 96), pixels, rng)
        left.append(rms(band(clip, "rigid")) / rms(band(clip)))
    assert max(left) <= share


@pytest.mark.parametrize("pixels", [0.2, 0.5, 1.0])
def test_a_local_movement_keeps_its_energy(pixels: float) -> None:
    rng = np.random.default_rng(3)
    image = texture(rng, 112, 112)
    rows, columns = np.mgrid[0:112, 0:112].astype(np.float32)
    bump = np.exp(-((columns - 70) ** 2 + (rows - 40) ** 2) / (2 * 6.0**2)).astype(np.float32)
    rise = np.sin(np.pi * np.arange(T) / (T - 1)) ** 2
    clip = np.stack([cv2.remap(image, columns, rows + np.float32(pixels * r) * bump, cv2.INTER_CUBIC) for r in rise])
    assert rms(band(clip, "rigid")) ** 2 > 0.9 * rms(band(clip)) ** 2


@settings(max_examples=30)
@given(st.integers(5, 40), st.integers(5, 40), st.sampled_from([1, 3]), st.integers(0, 9))
def test_it_is_the_least_squares_fit(height: int, width: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = drifting(texture(rng, height, width, channels), 0.7, rng)
    mean = clip.mean(0, dtype=np.float64)
    down, across = np.gradient(mean, axis=(0, 1))
    y, x = np.mgrid[0:height, 0:width][..., None] - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None, None]
    columns = [across, down, x * across + y * down, x * down - y * across, mean, np.ones_like(mean)]
    design = np.stack([column.ravel() for column in columns], 1)
    filtered = FILTER @ clip.reshape(T, -1).astype(np.float64)
    fit = design @ np.linalg.lstsq(design, filtered.T, rcond=None)[0]
    np.testing.assert_allclose(band(clip, "rigid"), filtered - fit.T, atol=1e-4 * max(1.0, np.abs(filtered).max()))


@pytest.mark.parametrize("kind", ["rigid", "affine"])
@pytest.mark.parametrize("shape", [(T, 9, 7, 3), (T, 8, 8, 1), (T, 2, 2, 3)])
def test_what_stands_still_or_shows_nothing_stays_so(kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    still = np.broadcast_to(rng.uniform(0, 255, shape[1:]), shape).astype(np.float32)
    assert np.abs(band(still, kind)).max() < 2e-3
    flat = np.broadcast_to(np.float32(90), shape).astype(np.float32)
    assert np.isfinite(band(flat, kind)).all() and np.abs(band(flat, kind)).max() < 2e-3


def test_flicker_alone_is_taken_out_even_of_flat_frames() -> None:
    light = np.float32(100) + 10 * np.sin(np.arange(T, dtype=np.float32))[:, None, None, None]
    clip = np.broadcast_to(light, (T, 12, 12, 3)).astype(np.float32)
    assert rms(band(clip)) > 1 and rms(band(clip, "rigid")) < 1e-3


def test_without_stabilisation_nothing_is_added() -> None:
    clip = texture(np.random.default_rng(1), 8, 8)[None].repeat(T, 0)
    assert append_nuisances(clip, "none", T) is clip and without_nuisances(FILTER, clip) is FILTER
