"""Pyramids, gains and rounding; `test_motion_laws` holds the whole against the equations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.motion.magnify import minmax_image, quantise, render
from preprocess.motion.pyramid import collapse, evm_gains, laplacian_pyramid, weighted_collapse
from preprocess.motion.temporal import temporal_plan
from preprocess.recipe import Recipe

SIZES = st.tuples(st.integers(9, 61), st.integers(9, 61))


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


def test_alpha_zero_is_the_clip_itself(rng: np.random.Generator) -> None:
    clip = rng.integers(0, 256, (16, 24, 24, 3)).astype(np.float32)
    rendered = render(clip, temporal_plan(66, 200.0, Recipe(size=24, levels=3)), Recipe(size=24, levels=3, alpha=0.0))
    np.testing.assert_array_equal(rendered.motion, clip)
    assert rendered.clipped_fraction == 0


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
