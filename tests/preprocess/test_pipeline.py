"""From files to records, against a plain reading of the same files."""

from pathlib import Path

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


def clip_of(frames: tuple[Path, ...] | VideoSpan, apex: int | None = None) -> Clip:
    return Clip("demo", "sub01", "EP01", frames, 1, apex, len(frames), 200.0, "happiness")


def files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir(), key=lambda path: int(path.stem.removeprefix("reg_img"))))


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
def test_a_standardised_clip_is_the_sampled_frames(
    tmp_path: Path, write_frames: WriteFrames, sampling: str, n: int
) -> None:
    paths = files(write_frames(tmp_path / "clip", range(1, n + 1)))
    recipe = Recipe(size=24, sampling=sampling, levels=3)  # type: ignore[arg-type]
    plan = plan_for(clip_of(paths), recipe)
    everything = np.stack([resize(read_image(path), 24) for path in paths])
    expected = np.tensordot(plan.sampling, everything, axes=1)
    np.testing.assert_allclose(standardise(clip_of(paths), plan, 24), expected, atol=1e-3)


def test_unneeded_frames_are_not_read(tmp_path: Path, write_frames: WriteFrames) -> None:
    paths = files(write_frames(tmp_path / "clip", range(1, 41)))
    needed = plan_for(clip_of(paths), Recipe()).needed_frames
    for index in set(range(40)) - set(needed):
        paths[index].write_bytes(b"not an image")
    assert len(process_clip(clip_of(paths), [Recipe(size=24, levels=3)])) == 1


def test_a_record_carries_the_annotation(tmp_path: Path, write_frames: WriteFrames) -> None:
    paths = files(write_frames(tmp_path / "clip", range(1, 21)))
    record = process_clip(clip_of(paths, apex=9), [Recipe(size=24, levels=3)])[0]
    assert (record.key, record.onset, record.apex, record.offset, record.n_frames) == ("sub01/EP01", 1, 9, 20, 20)
    assert record.motion.shape == (16, 24, 24, 3) and record.dynamic_image.shape == (24, 24, 3)
    assert 0 < record.clipped_fraction < 1
    assert np.array_equal(record.onset_frame, record.motion[0])  # which this recipe leaves as it is
    stabilised = Recipe(size=24, levels=3, stabilise="rigid", motion_form="band", filter="filtfilt")
    assert np.array_equal(record.onset_frame, process_clip(clip_of(paths), [stabilised])[0].onset_frame)
    assert process_clip(clip_of(paths), [Recipe(size=24, levels=3)])[0].apex == -1


@pytest.mark.parametrize(("apex", "reason"), [(None, "not annotated"), (99, "outside")])
def test_pooling_to_the_apex_needs_one(
    tmp_path: Path, write_frames: WriteFrames, apex: int | None, reason: str
) -> None:
    paths = files(write_frames(tmp_path / "clip", range(1, 21)))
    with pytest.raises(ClipError, match=reason):
        process_clip(clip_of(paths, apex), [Recipe(size=24, levels=3, rank_pool_span="onset-apex")])


def test_frames_of_different_size_are_refused(tmp_path: Path, write_frames: WriteFrames) -> None:
    folder = write_frames(tmp_path / "clip", range(1, 20))
    write_frames(folder, range(20, 21), size=(50, 30))
    with pytest.raises(ClipError, match="30×50 pixels"):
        process_clip(clip_of(files(folder)), [Recipe(size=24, levels=3)])


def test_video_frames_are_counted_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    write_video(path, (np.full((48, 64, 3), level, np.uint8) for level in range(0, 200, 8)), rate=100)
    clip = Clip("own", "p1", "c1", VideoSpan(path, 5, 20), 5, None, 20, 100.0, "")
    recipe = Recipe(size=16, levels=3)
    samples = standardise(clip, plan_for(clip, recipe), 16)
    np.testing.assert_allclose(samples.mean((1, 2, 3)), np.arange(5, 21) * 8, atol=2.5)
    with pytest.raises(ClipError, match="ends after 25 frames"):
        late = Clip("own", "p1", "c1", VideoSpan(path, 20, 40), 20, None, 40, 100.0, "")
        standardise(late, plan_for(late, recipe), 16)


def test_pooling_to_the_apex_ranks_the_rising_half_alone(tmp_path: Path, write_frames: WriteFrames) -> None:
    """Frames 1 to 31, apex 15: the samples at 1, 3, …, 15 are ranked; what follows changes nothing."""
    paths = files(write_frames(tmp_path / "clip", range(1, 32), "reg_img{}.png"))
    recipe = Recipe(size=24, levels=3, rank_pool_span="onset-apex")
    image = process_clip(clip_of(paths, apex=15), [recipe])[0].dynamic_image
    x = np.stack([resize(read_image(path), 24).astype(np.float64) for path in paths[:15:2]])
    running = np.cumsum(x, axis=0) / np.arange(1, 9)[:, None, None, None]
    pooled = np.tensordot(2.0 * np.arange(1, 9) - 9, running, axes=1)
    assert np.abs(image - (pooled - pooled.min()) / np.ptp(pooled) * 255).max() <= 0.6
    for path in paths[20:]:
        path.write_bytes(paths[19].read_bytes())
    assert np.array_equal(process_clip(clip_of(paths, apex=15), [recipe])[0].dynamic_image, image)


def test_an_image_that_vanishes_or_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"gone\.png cannot be read \(No such file or directory\)"):
        read_image(tmp_path / "gone.png")
    whole = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    start = whole.index(b"IDAT")
    (tmp_path / "hollow.png").write_bytes(whole[: start + 4] + b"\xff" * 8 + whole[start + 12 :])
    with pytest.raises(ClipError, match=r"hollow\.png (is a damaged|cannot be decoded as) PNG"):
        read_image(tmp_path / "hollow.png")


def test_a_worker_keeps_opencv_to_one_thread(tmp_path: Path, write_frames: WriteFrames) -> None:
    paths = files(write_frames(tmp_path / "clip", range(1, 18)))
    cv2.setNumThreads(4)
    try:
        process_clip(clip_of(paths), [Recipe(size=24, levels=3)])
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(1)
