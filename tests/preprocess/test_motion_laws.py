"""What must hold of every clip, whatever its length, size, filter and gains: from native frames to stored pixels."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import equations
from scipy import signal

from preprocess import pipeline
from preprocess.clip import Clip
from preprocess.motion.magnify import Rendered, magnified, minmax_image, quantise, render, stabilised
from preprocess.motion.pyramid import collapse, evm_gains, laplacian_pyramid, weighted_collapse
from preprocess.motion.temporal import temporal_plan
from preprocess.pipeline import plan_for, standardise
from preprocess.recipe import Recipe

FORMS = st.sampled_from(["additive", "band"])
LENGTHS = st.integers(1, 300)
SHAPES = st.tuples(st.integers(9, 61), st.integers(9, 61))
RATES = st.sampled_from([25.0, 30.0, 100.0, 200.0, 500.0])
SEEDS = st.integers(0, 2**31)


def recipes(**others: st.SearchStrategy[Any]) -> st.SearchStrategy[Recipe]:
    """Recipes of four levels, of any filter, gains and small size, and of what `others` say."""
    usual = {
        "levels": st.just(4),
        "size": st.integers(9, 33),
        "filter": st.sampled_from(["causal", "filtfilt", "difference"]),
        "gains": st.sampled_from(["uniform", "evm", "0,5,12,20", "3,-2,0,11"]),
        "explicit_pyramid": st.booleans(),
    }
    return st.builds(Recipe, **usual | others)


def standard(frames: np.ndarray, fps: float, recipe: Recipe) -> tuple[np.ndarray, list[int]]:
    """The standardised clip, and which native frames were asked for; it has no files."""
    asked: list[int] = []

    def read(_paths: Sequence[Path], indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        for index in sorted(indices):
            asked.append(index)
            yield index, frames[index]

    paths = tuple(Path(str(number)) for number in range(len(frames)))
    clip = Clip("lab", "s", "c", paths, 0, None, len(frames) - 1, fps, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "read_frames", read)
        return standardise(clip, plan_for(clip, recipe), recipe.size), asked


def rendered(clip: np.ndarray, n: int, fps: float, recipe: Recipe) -> Rendered:
    """A standardised clip of `n` native frames at `fps` Hz, rendered."""
    return render(*stabilised(clip, temporal_plan(n, fps, recipe), recipe), recipe)


@settings(max_examples=60)
@given(
    recipe=recipes(frames=st.integers(1, 24), sampling=st.sampled_from(["nearest", "linear"]), motion_form=FORMS),
    n=LENGTHS,
    shape=st.tuples(st.integers(9, 45), st.integers(9, 45)),
    fps=RATES,
    seed=SEEDS,
)
def test_stored_pixels_are_those_of_the_equations(
    recipe: Recipe, n: int, shape: tuple[int, int], fps: float, seed: int
) -> None:
    """Against float64 from all native frames: resized, sampled, ranked by running means, a pyramid for each frame."""
    samples, size = recipe.frames, recipe.size
    frames = np.random.default_rng(seed).integers(0, 256, (n, *shape, 3), np.uint8)
    method = cv2.INTER_AREA if min(shape) >= size else cv2.INTER_LINEAR
    resized = np.stack([cv2.resize(frame.astype(np.float64), (size, size), interpolation=method) for frame in frames])
    positions = np.linspace(0, n - 1, samples)
    if recipe.sampling == "nearest" and n >= samples:
        x = resized[np.floor(positions + 0.5 + 1e-9).astype(int)]
    else:
        before = np.minimum(positions.astype(int), max(n - 2, 0))
        share = (positions - before)[:, None, None, None]
        x = (1 - share) * resized[before] + share * resized[np.minimum(before + 1, n - 1)]
    clip, asked = standard(frames, fps, recipe)
    assert asked == sorted(set(asked))  # each at most once
    assert np.abs(clip - x).max() <= 2e-3

    plan = temporal_plan(n, fps, recipe)
    expected = equations(x, recipe, plan.rate, plan.band)
    assert np.abs(magnified(clip, plan, recipe) - expected).max() <= 1e-2
    stored = rendered(clip, n, fps, recipe)
    assert np.abs(stored.motion.astype(int) - np.rint(np.clip(expected, 0, 255))).max() <= 1
    cut = np.mean((expected < -0.5) | (expected > 255.5))
    assert stored.clipped_fraction == pytest.approx(cut, abs=2e-3)

    t = np.arange(1, samples + 1)
    running = np.cumsum(x, axis=0) / t[:, None, None, None]
    pooled = np.tensordot(2.0 * t - samples - 1, running, axes=1)
    if np.ptp(pooled) > 1:
        image = (pooled - pooled.min()) / np.ptp(pooled) * 255
        assert np.abs(stored.dynamic_image - image).max() <= 1


@settings(max_examples=40)
@given(
    recipe=recipes(motion_form=FORMS, alpha=st.sampled_from([0.0, 20.0, 300.0]), order=st.integers(1, 8)),
    n=LENGTHS,
    level=st.integers(0, 255),
)
def test_constant_grey_stays_constant(recipe: Recipe, n: int, level: int) -> None:
    clip, _ = standard(np.full((n, 20, 26, 3), level, np.uint8), 200.0, recipe)
    stored = rendered(clip, n, 200.0, recipe)
    assert np.all(stored.motion == (level if recipe.motion_form == "additive" else 128))
    assert np.all(stored.dynamic_image == 128)
    assert stored.clipped_fraction == 0


@settings(max_examples=40)
@given(
    recipe=recipes(filter=st.sampled_from(["causal", "difference"]), order=st.integers(1, 8)),
    n=LENGTHS,
    fps=RATES,
    seed=SEEDS,
)
def test_the_onset_frame_is_stored_as_it_came(recipe: Recipe, n: int, fps: float, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (n, recipe.size, recipe.size, 3), np.uint8)
    clip, _ = standard(frames, fps, recipe)
    np.testing.assert_array_equal(rendered(clip, n, fps, recipe).motion[0], frames[0])


@pytest.mark.parametrize("explicit", [False, True])
def test_a_2_hz_wave_is_stored_at_its_magnified_size(explicit: bool) -> None:
    """A grey face that brightens and darkens by 2 levels at 2 Hz comes out at 1 + α|H(2 Hz)| times that."""
    frames, fps, swing = 501, 50.0, 2.0
    recipe = Recipe(frames=501, size=8, levels=2, explicit_pyramid=explicit)
    time = np.arange(frames) / fps
    clip = (128 + swing * np.sin(2 * np.pi * 2 * time)).astype(np.float32)
    clip = np.broadcast_to(clip[:, None, None, None], (frames, 8, 8, 3)).copy()
    assert temporal_plan(frames, fps, recipe).rate == fps
    stored = rendered(clip, frames, fps, recipe).motion.astype(float)[250:500]  # 10 whole periods, after the start
    measured = 2 * np.abs(np.tensordot(np.exp(-2j * np.pi * 2 * time[250:500]), stored, axes=1)) / 250
    sos = signal.butter(1, (0.4, 4.0), "bandpass", fs=fps, output="sos")
    gain = abs(signal.sosfreqz(sos, [2.0], fs=fps)[1][0])
    np.testing.assert_allclose(measured, swing * (1 + 20 * gain), rtol=0.02)


@given(n=st.integers(2, 24), seed=SEEDS)
@settings(max_examples=30)
def test_reversing_a_clip_turns_its_linear_dynamic_image_into_the_negative(n: int, seed: int) -> None:
    recipe = Recipe(frames=n, size=12, levels=2, rank_pool="linear")
    clip = np.random.default_rng(seed).uniform(0, 255, (n, 12, 12, 3)).astype(np.float32)
    there, back = (rendered(x, n, 100.0, recipe).dynamic_image.astype(int) for x in (clip, clip[::-1].copy()))
    assert np.abs(there + back - 255).max() <= 1


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("samples", [1, 2, 3, 16])
@pytest.mark.parametrize("sampling", ["nearest", "linear", "box"])
@pytest.mark.parametrize("filter", ["causal", "filtfilt", "difference"])
@pytest.mark.parametrize("gains", ["uniform", "evm"])
def test_the_shortest_clips_are_rendered(n: int, samples: int, sampling: Any, filter: Any, gains: str) -> None:
    recipe = Recipe(frames=samples, sampling=sampling, filter=filter, gains=gains, size=16, levels=3)
    frames = np.random.default_rng(n).integers(0, 256, (n, 16, 16, 3), np.uint8)
    clip, asked = standard(frames, 200.0, recipe)
    assert asked == list(range(min(n, samples))) or samples < n
    motion = rendered(clip, n, 200.0, recipe).motion
    assert motion.shape == (samples, 16, 16, 3)
    if n == 1:
        np.testing.assert_array_equal(motion, np.repeat(frames, samples, axis=0))


@given(shape=SHAPES, levels=st.integers(1, 4), seed=SEEDS)
def test_a_pyramid_of_any_size_collapses_to_its_image(shape: tuple[int, int], levels: int, seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (*shape, 3))
    np.testing.assert_allclose(collapse(laplacian_pyramid(image, levels)), image, atol=1e-9)


@given(shape=SHAPES, gains=st.lists(st.floats(-5, 20), min_size=1, max_size=4), seed=SEEDS)
def test_telescoped_gains_equal_weighted_bands(shape: tuple[int, int], gains: list[float], seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (*shape, 1))
    bands = [gain * band for gain, band in zip(gains, laplacian_pyramid(image, len(gains)), strict=True)]
    np.testing.assert_allclose(weighted_collapse(image, gains), collapse(bands), atol=1e-8)


def test_evm_gains_are_those_of_the_original_code() -> None:
    """Gains that the authors' MATLAB code gives for 340×280 pixels, 7 levels, α = 20 (worked out by hand)."""
    assert evm_gains((340, 280), 7, 20.0, cutoff=16) == pytest.approx([0, 10.0, 20, 20, 20, 20, 0], abs=0.1)
    assert evm_gains((340, 280), 7, 20.0, cutoff=80) == pytest.approx([0, 0.4, 2.8, 7.6, 17.3, 20, 0], abs=0.05)


def test_alpha_zero_is_the_clip_itself(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (16, 24, 24, 3)).astype(np.float32)
    stored = rendered(clip, 66, 200.0, Recipe(size=24, levels=3, alpha=0.0))
    np.testing.assert_array_equal(stored.motion, clip)
    assert stored.clipped_fraction == 0


def test_clipped_fraction_counts_the_values_that_were_cut() -> None:
    values = np.array([[-0.6, -0.5, -0.4, 0.0, 255.4, 255.5, 255.6, 300.0]])
    rounded, cut = quantise(values)
    assert rounded.tolist() == [[0, 0, 0, 0, 255, 255, 255, 255]]
    assert cut == 3


def test_dynamic_image_spans_all_grey_levels(rng: np.random.Generator) -> None:
    pooled = rng.normal(size=(20, 20, 3))
    image = minmax_image(pooled)
    assert image.min() == 0 and image.max() == 255
    order = np.argsort(pooled.ravel())
    assert np.all(np.diff(image.ravel()[order].astype(int)) >= 0)
