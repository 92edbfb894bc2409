"""However clips are stored, the model sees the same; and what augmentation may do to them."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import MakeCache
from flips import flip

from data_cache.errors import InvalidFile, UsageError
from train.config import Execution, TrainConfig
from train.data.augment import AUGMENTATIONS, Augmentation, Change, apply_change
from train.data.stream import DeviceStream, FileStream, Request, Stream, open_stream
from train.data.task import ClipPixels, open_clips
from train.model.tokenizer import patchify

CPU = torch.device("cpu")
CLIPS = np.array([[3, 0, 3], [5, 1, 0]])


@pytest.fixture(scope="module")
def cache(make_cache: MakeCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cache(tmp_path_factory.mktemp("cache") / "demo.h5", {"sub01": 4, "sub02": 3})


def pixels_of(cache: Path, **options: object) -> ClipPixels:
    return ClipPixels(open_clips([cache]), TrainConfig(**options))  # type: ignore[arg-type]


def check(stream: Stream, cache: Path) -> None:
    reader = open_clips([cache]).readers[0]
    requests = [Request(CLIPS), Request(CLIPS[:, ::-1]), Request(CLIPS[:1])]
    for request, inputs in zip(requests, stream.steps(requests), strict=True):
        assert inputs.patches is not None and inputs.patches.dtype == torch.uint8
        for place in np.ndindex(request.clips.shape):
            clip = int(request.clips[place])
            image = inputs.images[inputs.index[place]]
            np.testing.assert_array_equal(image.numpy(), reader.dynamic_image(clip))
            expected = patchify(torch.from_numpy(reader.motion(clip)))
            assert torch.equal(inputs.patches[place], expected)


@pytest.mark.parametrize("augment", ["none", "flip"])
def test_streams_serve_what_the_cache_holds(cache: Path, augment: str) -> None:
    pixels = pixels_of(cache, augment=augment)
    check(Stream(pixels, CPU), cache)
    check(DeviceStream(pixels, range(7), CPU), cache)
    check(DeviceStream(pixels, [5, 3, 1, 0], CPU), cache)


@pytest.mark.parametrize("start_method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes_read_the_file(cache: Path, start_method: str) -> None:
    stream = FileStream(pixels_of(cache), CPU, 2, start_method)
    check(stream, cache)
    check(stream, cache)  # a second epoch, with the same workers
    assert stream.read.shared
    assert torch.equal(stream.inputs(Request(CLIPS)).images, next(iter(stream.steps([Request(CLIPS)]))).images)


def test_where_shared_memory_is_small_clips_come_through_pipes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.data.stream.disk_usage", lambda _: SimpleNamespace(free=10**5))
    stream = FileStream(pixels_of(cache), CPU, 2)
    check(stream, cache)
    assert not stream.read.shared and all(isinstance(part, np.ndarray) for part in next(iter(stream.loader)))


def test_each_clip_is_fetched_once_a_step_and_motion_only_for_models_that_look_at_it(cache: Path) -> None:
    assert len(DeviceStream(pixels_of(cache), range(7), CPU).inputs(Request(CLIPS)).images) == len(np.unique(CLIPS))
    pixels = pixels_of(cache, prompt="none")
    assert DeviceStream(pixels, range(7), CPU).inputs(Request(CLIPS)).patches is None
    assert pixels.bytes_per_clip == 32 * 32 * 3


@pytest.mark.parametrize("onset_frames", [False, True])
def test_the_onset_frame_is_the_first_of_the_motion(make_cache: MakeCache, tmp_path: Path, onset_frames: bool) -> None:
    cache = make_cache(tmp_path / "c.h5", {"a": 4, "b": 3}, onset_frames=onset_frames)
    pixels = pixels_of(cache, image="onset", prompt="none")
    inputs = DeviceStream(pixels, range(7), CPU).inputs(Request(CLIPS))
    first = open_clips([cache]).readers[0].motion(5)[0]
    np.testing.assert_array_equal(inputs.images[inputs.index[1, 0]].numpy(), first)


OTHER = {"motion_form": "x"}


@pytest.mark.parametrize(
    ("changed", "kept"),
    [({}, True), ({"filter": "butter"}, False), (OTHER, False), ({**OTHER, "onset_frames": True}, True)],
)
def test_onset_frames_need_a_cache_that_has_them_or_a_recipe_that_keeps_them(
    make_cache: MakeCache, tmp_path: Path, changed: dict[str, object], kept: bool
) -> None:
    path = make_cache(tmp_path / "other.h5", {"sub01": 1}, **{"onset_frames": False, **changed})
    with contextlib.nullcontext() if kept else pytest.raises(UsageError, match=r"other\.h5"):
        pixels_of(path, image="onset")


def test_modes_are_chosen_by_what_fits(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = pixels_of(cache)
    for free, kind in ((10**9, DeviceStream), (1000, FileStream)):
        monkeypatch.setattr("train.data.stream.free_memory", lambda device, free=free: free)
        assert type(open_stream(pixels, range(7), CPU, Execution())) is kind
    with pytest.raises(UsageError, match="--cache-mode stream"):
        open_stream(pixels, range(7), CPU, Execution(cache_mode="device"))


def test_a_corrupt_clip_stops_the_reading_and_is_named(make_cache: MakeCache, tmp_path: Path) -> None:
    path = make_cache(tmp_path / "demo.h5", {"sub01": 4, "sub02": 3})
    place = path.read_bytes().index(open_clips([path]).readers[0].motion(4).tobytes())
    flip(path, 8 * place)
    with pytest.raises(InvalidFile, match="sub02/EP00"):
        DeviceStream(pixels_of(path), range(7), CPU)


def change_of(batch: int = 2, **values: object) -> Change:
    usual = {"mirror": False, "gain": 1.0, "offset": 0.0, "left": 0.0, "top": 0.0, "side": 1.0}
    return Change(**{name: np.full((1, batch), values.get(name, usual[name])) for name in usual})


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (1, 2, 4, 32, 32, 3), dtype=torch.uint8)


def test_mirroring_is_exact_and_moves_columns(frames: torch.Tensor) -> None:
    assert torch.equal(apply_change(change_of(mirror=True), frames), frames.flip(4))
    assert torch.equal(apply_change(change_of(), frames), frames)
    resampled = apply_change(change_of(mirror=True, offset=1e-9), frames)  # the general path
    assert (resampled.int() - frames.flip(4).int()).abs().max() <= 1


def test_crops_are_the_enlarged_part(frames: torch.Tensor) -> None:
    image = frames.clone()
    image[..., :16, :16, :] = 200
    cropped = apply_change(change_of(left=0.0, top=0.0, side=0.5), image)
    assert (cropped[..., :30, :30, :] == 200).all()


@pytest.mark.parametrize("name", ["flip", "flip+jitter", "crop"])
def test_all_frames_of_a_clip_change_alike(name: str, frames: torch.Tensor) -> None:
    """Frames that are equal before must be equal after: a change between frames would be motion."""
    still = frames[:, :, :1].expand(-1, -1, 4, -1, -1, -1).contiguous()
    change = AUGMENTATIONS[name].draw([np.random.default_rng(0)], 2)  # type: ignore[union-attr]
    changed = apply_change(change, still)
    assert torch.equal(changed, changed[:, :, :1].expand_as(changed))
    assert not torch.equal(changed, still) or name == "flip"


def test_image_and_motion_change_alike(cache: Path) -> None:
    pixels = pixels_of(cache, image="onset", augment="flip")
    stream = DeviceStream(pixels, range(7), CPU)
    change = Augmentation(gain=0.2, offset=20, crop=0.3).draw([np.random.default_rng(f) for f in range(2)], 3)
    inputs = stream.inputs(Request(CLIPS, change))
    assert inputs.patches is not None
    for place in np.ndindex(CLIPS.shape):
        image = inputs.images[inputs.index[place]]
        assert torch.equal(patchify(image[None])[0], inputs.patches[place][0])


def test_a_fold_draws_from_its_own_generator_and_in_the_ranges() -> None:
    augmentation = Augmentation(gain=0.1, offset=12, crop=0.125)
    together = augmentation.draw([np.random.default_rng(seed) for seed in (1, 0)], 5000)
    change = augmentation.draw([np.random.default_rng(0)], 5000)
    for name, values in vars(together).items():
        np.testing.assert_array_equal(values[1], vars(change)[name][0])
    assert 0.45 < change.mirror.mean() < 0.55
    assert np.abs(change.gain - 1).max() <= 0.1 and np.abs(change.offset).max() <= 12
    assert change.side.min() >= 0.875 and (change.left + change.side).max() <= 1 + 1e-12
