"""The matrices along time against definitions, closed forms and scipy; `test_motion_laws` has what they do to clips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from preprocess.motion.temporal import (
    filter_matrix,
    rank_pooling_weights,
    sample_rate,
    sampling_matrix,
    temporal_plan,
    usable_band,
)
from preprocess.recipe import Recipe

BAND = (0.4, 4.0)
LENGTHS = st.integers(1, 300)


@given(n=LENGTHS, t=st.integers(1, 40))
def test_nearest_takes_the_closest_frame_and_linear_is_interpolation(n: int, t: int) -> None:
    positions, clip = np.linspace(0, n - 1, t), np.random.default_rng(n).normal(size=n)
    expected = np.interp(positions, np.arange(n), clip)
    np.testing.assert_allclose(sampling_matrix(n, t, "linear") @ clip, expected, atol=1e-9)
    if n >= t:
        matrix = sampling_matrix(n, t, "nearest")
        assert np.all(matrix.sum(1) == 1) and np.all((matrix == 0) | (matrix == 1))
        assert np.all(np.abs(matrix @ np.arange(n) - positions) <= 0.5 + 1e-9)


@pytest.mark.parametrize("method", ["nearest", "box"])
def test_short_clips_are_interpolated_whatever_the_method(method: str) -> None:
    np.testing.assert_array_equal(sampling_matrix(11, 16, method), sampling_matrix(11, 16, "linear"))


@given(n=st.integers(16, 300))
def test_box_averages_the_frames_around_each_sample(n: int) -> None:
    fine = 400  # frame i fills (i − ½, i + ½); average finely sampled values within half an interval
    clip = np.random.default_rng(n).normal(size=n)
    half = (n - 1) / 15 / 2
    for sample, position in zip(sampling_matrix(n, 16, "box") @ clip, np.linspace(0, n - 1, 16), strict=True):
        low, high = max(position - max(half, 0.5), -0.5), min(position + max(half, 0.5), n - 0.5)
        places = low + (np.arange(fine) + 0.5) / fine * (high - low)
        # the error of the sum is at most one fine step per frame boundary within the box
        boundaries = high - low + 1
        tolerance = 2 * np.abs(clip).max() * boundaries / fine
        assert abs(sample - clip[np.rint(places).astype(int)].mean()) <= tolerance


@given(n=LENGTHS, method=st.sampled_from(["nearest", "linear", "box"]))
def test_sampling_keeps_constants_and_both_ends(n: int, method: str) -> None:
    matrix = sampling_matrix(n, 16, method)
    np.testing.assert_allclose(matrix.sum(1), 1)
    assert matrix.min() >= 0
    assert matrix[0, 0] > 0 and matrix[-1, -1] > 0


def test_sampling_needs_at_least_one_frame() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sampling_matrix(0, 16, "nearest")


@given(t=st.integers(2, 100))
def test_bilen_weights_have_their_closed_form(t: int) -> None:
    harmonic = np.r_[0, np.cumsum(1 / np.arange(1, t + 1))]
    i = np.arange(1, t + 1)
    expected = 2 * (t - i + 1) - (t + 1) * (harmonic[t] - harmonic[i - 1])
    np.testing.assert_allclose(rank_pooling_weights(t, "bilen"), expected, atol=1e-9)


@pytest.mark.parametrize("method", ["bilen", "linear"])
def test_a_constant_clip_pools_to_nothing_and_one_frame_to_itself(method: str) -> None:
    assert max(abs(rank_pooling_weights(t, method).sum()) for t in (2, 3, 16, 64)) < 1e-9
    assert rank_pooling_weights(1, method).tolist() == [1.0]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("rate", [9.0, 47.0, 200.0])
def test_filters_are_those_of_scipy_for_each_pixel(order: int, rate: float, rng: np.random.Generator) -> None:
    T = 16 if order < 3 else 24  # scipy asks for more samples than it pads with
    clip = rng.uniform(0, 255, (T, 5))
    sos = signal.butter(order, BAND, "bandpass", fs=rate, output="sos")
    start = signal.sosfilt_zi(sos)
    causal = [signal.sosfilt(sos, pixel, zi=start * pixel[0])[0] for pixel in clip.T]
    both_ways = [signal.sosfiltfilt(sos, pixel) for pixel in clip.T]
    for kind, expected in {"causal": causal, "filtfilt": both_ways}.items():
        np.testing.assert_allclose((filter_matrix(T, rate, BAND, order, kind) @ clip).T, expected, atol=1e-8)


def test_difference_is_two_recursions_started_on_the_first_frame(rng: np.random.Generator) -> None:
    clip = rng.uniform(0, 255, 16)

    def lowpass(cut: float) -> np.ndarray:
        (b0, b1), (_, a1) = signal.butter(1, cut, fs=47.0)
        out = [clip[0]]
        for now, before in zip(clip[1:], clip, strict=False):
            out.append(b0 * now + b1 * before - a1 * out[-1])
        return np.array(out)

    matrix = filter_matrix(16, 47.0, BAND, 1, "difference")
    np.testing.assert_allclose(matrix @ clip, lowpass(4.0) - lowpass(0.4), atol=1e-8)


@pytest.mark.parametrize("kind", ["causal", "difference"])
@given(n=LENGTHS, order=st.integers(1, 8))
def test_the_onset_frame_stays_and_constants_vanish(kind: str, n: int, order: int) -> None:
    rate = sample_rate(n, 200.0, 16)
    matrix = filter_matrix(16, rate, usable_band(*BAND, rate), order, kind)
    assert max(np.abs(matrix[0]).max(), np.abs(matrix.sum(1)).max()) <= 1e-9


def test_true_rate_of_the_samples() -> None:
    assert sample_rate(61, 200.0, 16) == pytest.approx(50.0)  # 0.3 s hold 15 intervals
    assert sample_rate(1, 200.0, 16) == 200.0


@given(n=st.integers(1, 20_000), fps=st.floats(1, 1000))
def test_any_length_and_rate_gives_a_finite_plan(n: int, fps: float) -> None:
    rate = sample_rate(n, fps, 16)
    low, high = usable_band(*BAND, rate)
    assert 0 < low < high <= 0.49 * rate + 1e-12 or (low, high) == BAND
    assert np.isfinite(filter_matrix(16, rate, (low, high), 1, "causal")).all()


def test_a_lowered_band_keeps_its_shape() -> None:
    assert usable_band(0.4, 4.0, 50.0) == (0.4, 4.0)
    low, high = usable_band(0.4, 4.0, 0.5)
    assert high == pytest.approx(0.245) and high / low == pytest.approx(10)


def test_only_the_sampled_frames_are_needed() -> None:
    assert temporal_plan(66, 200.0, Recipe()).needed_frames == [round(65 * t / 15) for t in range(16)]
    assert len(temporal_plan(66, 200.0, Recipe(sampling="box")).needed_frames) == 66
    assert temporal_plan(11, 100.0, Recipe()).needed_frames == list(range(11))


def test_pooling_up_to_the_apex_ignores_what_follows() -> None:
    plan = temporal_plan(61, 200.0, Recipe(rank_pool_span="onset-apex"), 30)
    assert np.all(plan.rank_pooling[8:] == 0)  # samples lie 4 frames apart: 0, 4, …, 28 come before the apex
    np.testing.assert_allclose(plan.rank_pooling[:8], rank_pooling_weights(8, "bilen"))
