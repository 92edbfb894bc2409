"""From files to records, against a plain reading of the same files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from commands import WriteFrames
from hypothesis import given
from hypothesis import strategies as st
from videos import write_video

from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.frames.read import area_matrix, read_image, resize
from preprocess.pipeline import plan_for, process_clip, standardise
from preprocess.recipe import Recipe

SMALL = Recipe(size=24, levels=3)
MakeClip = Callable[..., Clip]


@pytest.fixture
def make_clip(tmp_path: Path, write_frames: WriteFrames) -> MakeClip:
    """Write a clip of frames 1 to n."""

    def make(n: int, apex: int | None = None, name: str = "reg_img{}.jpg") -> Clip:
        folder = write_frames(tmp_path / "clip", range(1, n + 1), name)
        paths = tuple(folder / name.format(number) for number in range(1, n + 1))
        return Clip("demo", "sub01", "EP01", paths, 1, apex, n, 200.0, "happiness")

    return make


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff"])
def test_images_come_as_rgb(tmp_path: Path, suffix: str) -> None:
    red = np.zeros((20, 24, 3), np.uint8)
    red[..., 2] = 200  # OpenCV writes blue, green, red
    cv2.imwrite(str(tmp_path / f"1.{suffix}"), red)
    image = read_image(tmp_path / f"1.{suffix}")
    assert image.shape == (20, 24, 3) and image.dtype == np.uint8
    assert image[..., 0].mean() > 190 and image[..., 1:].mean() < 10


def test_grey_images_get_three_equal_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.jpg"), np.tile(np.arange(0, 240, 10, np.uint8), (20, 1)))
    image = read_image(tmp_path / "1.jpg")
    assert image.shape == (20, 24, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


@given(height=st.integers(20, 90), width=st.integers(20, 90), size=st.integers(8, 20))
def test_area_averaging_is_that_of_opencv(height: int, width: int, size: int) -> None:
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resize(image, size), expected, atol=2e-3)
    np.testing.assert_allclose(area_matrix(height, size).sum(axis=1), 1, atol=1e-5)


def test_enlarging_interpolates(rng: np.random.Generator) -> None:
    ramp = np.tile(np.arange(20, dtype=np.float32)[:, None, None] * 10, (1, 20, 3)).astype(np.uint8)
    column = resize(ramp, 40)[:, 20, 0]
    assert np.all(np.diff(column) >= 0) and np.diff(column).max() <= 5.01


@pytest.mark.parametrize("sampling", ["nearest", "linear", "box"])
@pytest.mark.parametrize("n", [5, 16, 37])
def test_a_standardised_clip_is_the_sampled_frames(make_clip: MakeClip, sampling: Any, n: int) -> None:
    clip = make_clip(n)
    plan = plan_for(clip, Recipe(size=24, sampling=sampling, levels=3))
    everything = np.stack([resize(read_image(path), 24) for path in clip.files])
    expected = np.tensordot(plan.sampling, everything, axes=1)
    np.testing.assert_allclose(standardise(clip, plan, 24), expected, atol=1e-3)


def test_unneeded_frames_are_not_read(make_clip: MakeClip) -> None:
    clip = make_clip(40)
    for index in set(range(40)) - set(plan_for(clip, Recipe()).needed_frames):
        clip.files[index].write_bytes(b"not an image")
    assert len(process_clip(clip, [SMALL])) == 1


def test_a_record_carries_the_annotation(make_clip: MakeClip) -> None:
    clip = make_clip(20, apex=9)
    record = process_clip(clip, [SMALL])[0]
    assert (record.key, record.onset, record.apex, record.offset, record.n_frames) == ("sub01/EP01", 1, 9, 20, 20)
    assert record.motion.shape == (16, 24, 24, 3) and record.dynamic_image.shape == (24, 24, 3)
    assert 0 < record.clipped_fraction < 1
    assert np.array_equal(record.onset_frame, record.motion[0])  # which this recipe leaves as it is
    stabilised = replace(SMALL, stabilise="rigid", motion_form="band", filter="filtfilt")
    assert np.array_equal(record.onset_frame, process_clip(clip, [stabilised])[0].onset_frame)
    assert process_clip(replace(clip, apex=None), [SMALL])[0].apex == -1


def test_several_alphas_give_what_each_of_them_gives(make_clip: MakeClip) -> None:
    clip = make_clip(20)
    recipes = [replace(SMALL, stabilise="rigid", alpha=alpha) for alpha in (5.0, 20.0)]
    for together, recipe in zip(process_clip(clip, recipes), recipes, strict=True):
        assert together.sha256 == process_clip(clip, [recipe])[0].sha256


@pytest.mark.parametrize(("apex", "reason"), [(None, "not annotated"), (99, "outside")])
def test_pooling_to_the_apex_needs_one(make_clip: MakeClip, apex: int | None, reason: str) -> None:
    with pytest.raises(ClipError, match=reason):
        process_clip(make_clip(20, apex), [replace(SMALL, rank_pool_span="onset-apex")])


def test_frames_of_different_size_are_refused(make_clip: MakeClip, write_frames: WriteFrames) -> None:
    clip = make_clip(20)
    write_frames(clip.files[0].parent, range(20, 21), size=(50, 30))
    with pytest.raises(ClipError, match="30×50 pixels"):
        process_clip(clip, [SMALL])


def test_video_frames_are_counted_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    write_video(path, (np.full((48, 64, 3), level, np.uint8) for level in range(0, 200, 8)), rate=100)
    clip = Clip("own", "p1", "c1", VideoSpan(path, 5, 20), 5, None, 20, 100.0, "")
    samples = standardise(clip, plan_for(clip, SMALL), 16)
    np.testing.assert_allclose(samples.mean((1, 2, 3)), np.arange(5, 21) * 8, atol=2.5)
    late = replace(clip, frames=VideoSpan(path, 20, 40))
    with pytest.raises(ClipError, match="ends after 25 frames"):
        standardise(late, plan_for(late, SMALL), 16)


def test_pooling_to_the_apex_ranks_the_rising_half_alone(make_clip: MakeClip) -> None:
    """Frames 1 to 31, apex 15: the samples at 1, 3, …, 15 are ranked; what follows changes nothing."""
    clip, recipe = make_clip(31, 15, "reg_img{}.png"), replace(SMALL, rank_pool_span="onset-apex")
    image = process_clip(clip, [recipe])[0].dynamic_image
    x = np.stack([resize(read_image(path), 24).astype(np.float64) for path in clip.files[:15:2]])
    running = np.cumsum(x, axis=0) / np.arange(1, 9)[:, None, None, None]
    pooled = np.tensordot(2.0 * np.arange(1, 9) - 9, running, axes=1)
    assert np.abs(image - (pooled - pooled.min()) / np.ptp(pooled) * 255).max() <= 0.6
    for path in clip.files[20:]:
        path.write_bytes(clip.files[19].read_bytes())
    assert np.array_equal(process_clip(clip, [recipe])[0].dynamic_image, image)


def test_an_image_that_vanishes_or_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"gone\.png cannot be read \(No such file or directory\)"):
        read_image(tmp_path / "gone.png")
    whole = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    start = whole.index(b"IDAT")
    (tmp_path / "hollow.png").write_bytes(whole[: start + 4] + b"\xff" * 8 + whole[start + 12 :])
    with pytest.raises(ClipError, match=r"hollow\.png (is a damaged|cannot be decoded as) PNG"):
        read_image(tmp_path / "hollow.png")


def test_a_worker_keeps_opencv_to_one_thread(make_clip: MakeClip) -> None:
    cv2.setNumThreads(4)
    try:
        process_clip(make_clip(17), [SMALL])
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(1)
