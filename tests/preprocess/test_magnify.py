"""Magnification against the equations as they read: a pyramid per frame, scipy per level, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import equations

from preprocess.motion.magnify import magnified, minmax_image, quantise, render
from preprocess.motion.pyramid import (
    collapse,
    evm_gains,
    laplacian_pyramid,
    most_levels,
    weighted_collapse,
)
from preprocess.motion.temporal import temporal_plan
from preprocess.recipe import Recipe

SIZES = st.tuples(st.integers(9, 61), st.integers(9, 61))


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(17, 61),
    n=st.integers(1, 300),
    filter=st.sampled_from(["causal", "filtfilt", "difference"]),
    gains=st.sampled_from(["uniform", "evm", "0,5,12,20,0", "3,-2,7,0,11"]),
    form=st.sampled_from(["additive", "band"]),
    explicit=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_fast_paths_equal_the_equations(
    size: int, n: int, filter: str, gains: str, form: str, explicit: bool, seed: int
) -> None:
    recipe = Recipe(
        filter=filter,  # type: ignore[arg-type]
        gains=gains,
        motion_form=form,  # type: ignore[arg-type]
        levels=5,
        explicit_pyramid=explicit,
        size=size,
    )
    clip = np.random.default_rng(seed).uniform(0, 255, (16, size, size, 3)).astype(np.float32)
    plan = temporal_plan(n, 200.0, recipe)
    expected = equations(clip, recipe, plan.rate, plan.band)
    fast = magnified(clip, plan, recipe)
    assert np.abs(fast - expected).max() <= 1e-2
    rounded = render(clip, plan, recipe).motion
    assert np.abs(rounded.astype(int) - np.rint(np.clip(expected, 0, 255)).astype(int)).max() <= 1


@given(shape=SIZES, levels=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_pyramid_of_any_size_collapses_to_its_image(shape: tuple[int, int], levels: int, seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (*shape, 3))
    np.testing.assert_allclose(collapse(laplacian_pyramid(image, levels)), image, atol=1e-9)


@given(shape=SIZES, gains=st.lists(st.floats(-5, 20), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_telescoped_gains_equal_weighted_bands(shape: tuple[int, int], gains: list[float], seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (*shape, 1))
    bands = [gain * band for gain, band in zip(gains, laplacian_pyramid(image, len(gains)), strict=True)]
    np.testing.assert_allclose(weighted_collapse(image, gains), collapse(bands), atol=1e-8)


def test_evm_gains_are_those_of_the_original_code() -> None:
    """Gains that the authors' MATLAB code gives for 340×280 pixels, 7 levels, α = 20 (worked out by hand)."""
    assert evm_gains((340, 280), 7, 20.0, cutoff=16) == pytest.approx([0, 10.0, 20, 20, 20, 20, 0], abs=0.1)
    assert evm_gains((340, 280), 7, 20.0, cutoff=80) == pytest.approx([0, 0.4, 2.8, 7.6, 17.3, 20, 0], abs=0.05)


def test_levels_are_limited_by_the_smaller_side() -> None:
    assert most_levels((224, 224)) == 9
    assert most_levels((224, 3)) == 3
    image = np.zeros((224, 3, 3))
    assert laplacian_pyramid(image, most_levels((224, 3)))[-1].shape[:2] == (56, 1)


def test_alpha_zero_is_the_clip_itself(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (16, 24, 24, 3)).astype(np.float32)
    rendered = render(clip, temporal_plan(66, 200.0, Recipe(size=24, levels=3)), Recipe(size=24, levels=3, alpha=0.0))
    np.testing.assert_array_equal(rendered.motion, clip)
    assert rendered.clipped_fraction == 0


@pytest.mark.parametrize("filter", ["causal", "filtfilt", "difference"])
@pytest.mark.parametrize("gains", ["uniform", "evm"])
def test_a_grey_clip_stays_grey(filter: str, gains: str) -> None:
    recipe = Recipe(size=33, filter=filter, gains=gains)  # type: ignore[arg-type]
    rendered = render(np.full((16, 33, 33, 3), 77, np.float32), temporal_plan(66, 200.0, recipe), recipe)
    assert np.all(rendered.motion == 77)
    assert np.all(rendered.dynamic_image == 128)


def test_the_onset_frame_is_untouched(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (16, 32, 32, 3)).astype(np.float32)
    recipe = Recipe(size=32)
    np.testing.assert_array_equal(render(clip, temporal_plan(40, 200.0, recipe), recipe).motion[0], clip[0])


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


def test_dynamic_image_is_the_ranked_sum(rng: np.random.Generator) -> None:
    clip = rng.uniform(0, 255, (16, 20, 20, 3)).astype(np.float32)
    recipe = Recipe(size=20, levels=3)
    running = np.cumsum(clip.astype(np.float64), axis=0) / np.arange(1, 17)[:, None, None, None]
    pooled = np.tensordot(2.0 * np.arange(1, 17) - 17, running, axes=1)
    expected = (pooled - pooled.min()) / (pooled.max() - pooled.min()) * 255
    rendered = render(clip, temporal_plan(50, 200.0, recipe), recipe)
    assert np.abs(rendered.dynamic_image - expected).max() <= 0.51
