"""What must hold of every clip, whatever its length, size, filter and gains: from native frames to stored pixels."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import equations
from scipy import signal

from preprocess import pipeline
from preprocess.clip import Clip
from preprocess.motion.magnify import magnified, render
from preprocess.motion.temporal import temporal_plan
from preprocess.pipeline import plan_for, standardise
from preprocess.recipe import Recipe

FILTERS = st.sampled_from(["causal", "filtfilt", "difference"])
GAINS = st.sampled_from(["uniform", "evm", "0,5,12,20", "3,-2,0,11"])
FORMS = st.sampled_from(["additive", "band"])
LENGTHS = st.integers(1, 300)
SIZES = st.integers(9, 33)
RATES = st.sampled_from([25.0, 30.0, 100.0, 200.0, 500.0])
SEEDS = st.integers(0, 2**31)


def in_memory(frames: np.ndarray, fps: float) -> Clip:
    """A clip whose files are not there; see `process`."""
    paths = tuple(Path(str(number)) for number in range(len(frames)))
    return Clip("lab", "s", "c", paths, 0, None, len(frames) - 1, fps, "")


def standard(frames: np.ndarray, fps: float, recipe: Recipe) -> tuple[np.ndarray, list[int]]:
    """The standardised clip, and which native frames were asked for."""
    asked: list[int] = []

    def read(_paths: Sequence[Path], indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        for index in sorted(indices):
            asked.append(index)
            yield index, frames[index]

    clip = in_memory(frames, fps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "read_frames", read)
        return standardise(clip, plan_for(clip, recipe), recipe.size), asked


@settings(max_examples=60)
@given(
    n=LENGTHS,
    samples=st.sampled_from([2, 5, 16, 24]),
    sampling=st.sampled_from(["nearest", "linear"]),
    shape=st.tuples(st.integers(9, 45), st.integers(9, 45)),
    size=SIZES,
    filter=FILTERS,
    gains=GAINS,
    form=FORMS,
    explicit=st.booleans(),
    fps=RATES,
    seed=SEEDS,
)
def test_stored_pixels_are_those_of_the_equations(
    n: int,
    samples: int,
    sampling: str,
    shape: tuple[int, int],
    size: int,
    filter: str,
    gains: str,
    form: str,
    explicit: bool,
    fps: float,
    seed: int,
) -> None:
    """Against float64 from all native frames: resized, sampled, ranked by running means, a pyramid for each frame."""
    recipe = Recipe(
        frames=samples,
        sampling=sampling,  # type: ignore[arg-type]
        filter=filter,  # type: ignore[arg-type]
        gains=gains,
        motion_form=form,  # type: ignore[arg-type]
        levels=4,
        size=size,
        explicit_pyramid=explicit,
    )
    frames = np.random.default_rng(seed).integers(0, 256, (n, *shape, 3), np.uint8)
    method = cv2.INTER_AREA if min(shape) >= size else cv2.INTER_LINEAR
    resized = np.stack([cv2.resize(frame.astype(np.float64), (size, size), interpolation=method) for frame in frames])
    positions = np.linspace(0, n - 1, samples)
    if sampling == "nearest" and n >= samples:
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
    rendered = render(clip, plan, recipe)
    assert np.abs(rendered.motion.astype(int) - np.rint(np.clip(expected, 0, 255))).max() <= 1
    cut = np.mean((expected < -0.5) | (expected > 255.5))
    assert rendered.clipped_fraction == pytest.approx(cut, abs=2e-3)

    t = np.arange(1, samples + 1)
    running = np.cumsum(x, axis=0) / t[:, None, None, None]
    pooled = np.tensordot(2.0 * t - samples - 1, running, axes=1)
    if np.ptp(pooled) > 1:
        image = (pooled - pooled.min()) / np.ptp(pooled) * 255
        assert np.abs(rendered.dynamic_image - image).max() <= 1


@settings(max_examples=40)
@given(
    n=LENGTHS,
    size=SIZES,
    level=st.integers(0, 255),
    filter=FILTERS,
    gains=GAINS,
    form=FORMS,
    alpha=st.sampled_from([0.0, 20.0, 300.0]),
    explicit=st.booleans(),
    order=st.integers(1, 4),
)
def test_constant_grey_stays_constant(
    n: int, size: int, level: int, filter: str, gains: str, form: str, alpha: float, explicit: bool, order: int
) -> None:
    recipe = Recipe(
        size=size,
        levels=4,
        filter=filter,  # type: ignore[arg-type]
        gains=gains,
        motion_form=form,  # type: ignore[arg-type]
        alpha=alpha,
        explicit_pyramid=explicit,
        order=order,
    )
    clip, _ = standard(np.full((n, 20, 26, 3), level, np.uint8), 200.0, recipe)
    rendered = render(clip, temporal_plan(n, 200.0, recipe), recipe)
    assert np.all(rendered.motion == (level if form == "additive" else 128))
    assert np.all(rendered.dynamic_image == 128)
    assert rendered.clipped_fraction == 0


@settings(max_examples=40)
@given(
    n=LENGTHS,
    size=SIZES,
    filter=st.sampled_from(["causal", "difference"]),
    gains=GAINS,
    explicit=st.booleans(),
    order=st.integers(1, 4),
    fps=RATES,
    seed=SEEDS,
)
def test_the_onset_frame_is_stored_as_it_came(
    n: int, size: int, filter: str, gains: str, explicit: bool, order: int, fps: float, seed: int
) -> None:
    recipe = Recipe(
        size=size,
        levels=4,
        filter=filter,  # type: ignore[arg-type]
        gains=gains,
        explicit_pyramid=explicit,
        order=order,
    )
    frames = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)
    clip, _ = standard(frames, fps, recipe)
    np.testing.assert_array_equal(render(clip, temporal_plan(n, fps, recipe), recipe).motion[0], frames[0])


@pytest.mark.parametrize("explicit", [False, True])
def test_a_2_hz_wave_is_stored_at_its_magnified_size(explicit: bool) -> None:
    """A grey face that brightens and darkens by 2 levels at 2 Hz comes out at 1 + α|H(2 Hz)| times that."""
    frames, fps, swing = 501, 50.0, 2.0
    recipe = Recipe(frames=501, size=8, levels=2, explicit_pyramid=explicit)
    time = np.arange(frames) / fps
    clip = (128 + swing * np.sin(2 * np.pi * 2 * time)).astype(np.float32)
    clip = np.broadcast_to(clip[:, None, None, None], (frames, 8, 8, 3)).copy()
    plan = temporal_plan(frames, fps, recipe)
    assert plan.rate == fps
    stored = render(clip, plan, recipe).motion.astype(float)[250:500]  # 10 whole periods, long after the start
    measured = 2 * np.abs(np.tensordot(np.exp(-2j * np.pi * 2 * time[250:500]), stored, axes=1)) / 250
    sos = signal.butter(1, (0.4, 4.0), "bandpass", fs=fps, output="sos")
    gain = abs(signal.sosfreqz(sos, [2.0], fs=fps)[1][0])
    np.testing.assert_allclose(measured, swing * (1 + 20 * gain), rtol=0.02)


@given(n=st.integers(2, 24), seed=SEEDS)
@settings(max_examples=30)
def test_reversing_a_clip_turns_its_linear_dynamic_image_into_the_negative(n: int, seed: int) -> None:
    recipe = Recipe(frames=n, size=12, levels=2, rank_pool="linear")
    clip = np.random.default_rng(seed).uniform(0, 255, (n, 12, 12, 3)).astype(np.float32)
    plan = temporal_plan(n, 100.0, recipe)
    forwards, backwards = (render(x, plan, recipe).dynamic_image.astype(int) for x in (clip, clip[::-1].copy()))
    assert np.abs(forwards + backwards - 255).max() <= 1


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("samples", [1, 2, 3, 16])
@pytest.mark.parametrize("sampling", ["nearest", "linear", "box"])
@pytest.mark.parametrize("filter", ["causal", "filtfilt", "difference"])
@pytest.mark.parametrize("gains", ["uniform", "evm"])
def test_the_shortest_clips_are_rendered(n: int, samples: int, sampling: str, filter: str, gains: str) -> None:
    recipe = Recipe(
        frames=samples,
        sampling=sampling,  # type: ignore[arg-type]
        filter=filter,  # type: ignore[arg-type]
        gains=gains,
        size=16,
        levels=3,
    )
    frames = np.random.default_rng(n).integers(0, 256, (n, 16, 16, 3), np.uint8)
    clip, asked = standard(frames, 200.0, recipe)
    assert asked == list(range(min(n, samples))) or samples < n
    rendered = render(clip, temporal_plan(n, 200.0, recipe), recipe)
    assert rendered.motion.shape == (samples, 16, 16, 3)
    if n == 1:
        np.testing.assert_array_equal(rendered.motion, np.repeat(frames, samples, axis=0))
