"""The examples, run as scripts in an empty folder on small generated data."""

from pathlib import Path

import numpy as np
import pytest
from builds import SMALL
from commands import Command, MakeCache, WriteFrames
from safetensors import safe_open
from tiny_runs import QUICK
from videos import write_video

from data_cache.read.reader import CacheReader
from preprocess.cli import app
from preprocess.clip import VideoSpan
from preprocess.datasets.find import ADAPTERS
from preprocess.frames.read import read_frames
from preprocess.frames.video import probe
from train.model import build
from train.results.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def test_they_are_listed_and_what_contributors_write_is_short_and_on_a_page() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"`{path.name}`" in listed for path in EXAMPLES.glob("*.py"))
    pages = "".join(path.read_text() for path in (ROOT / "docs/how-to").glob("adding-*.md"))
    for script in ("add_a_dataset.py", "custom_adapter.py"):
        lines = [line.strip() for line in (EXAMPLES / script).read_text().splitlines()]
        assert 10 < sum(bool(line) and not line.startswith("#") for line in lines) < 40  # docstrings included
        # in the form of two lines: a formatter of code in Markdown reads the form of one line as arithmetic
        assert f"\n--8<--\nexamples/{script}\n--8<--\n" in pages


def film(path: Path) -> np.ndarray:
    """Write four seconds of a grating that swings by a quarter of a pixel at 1.5 Hz; returns its movement over time."""
    moved = 0.25 * np.sin(2 * np.pi * 1.5 * np.arange(100) / 25)
    rows = 128 + 60 * np.sin(2 * np.pi * (np.arange(96) - moved[:, None]) / 24)
    frames = np.broadcast_to(rows[:, None, :, None], (len(moved), 64, 96, 3)).round().astype(np.uint8)
    write_video(path, frames, 25, "mp4v")
    return moved


def swing(path: Path, moved: np.ndarray) -> float:
    """How much each pixel follows the movement: the slope of grey levels over pixels of shift, over the image."""
    frames = np.stack([frame for _, frame in read_frames(VideoSpan(path, 0, len(moved) - 1), range(len(moved)))])
    settled = slice(len(moved) // 2, None)  # the causal filter starts at rest
    grey, signal = frames[settled].mean(-1), moved[settled] - moved[settled].mean()
    slopes = np.tensordot(signal, grey - grey.mean(0), 1) / (signal @ signal)
    return float(np.abs(slopes).mean())


def test_a_magnified_video_swings_further_and_stays_as_it_was_otherwise(command: Command, tmp_path: Path) -> None:
    moved = film(tmp_path / "in.mp4")
    for alpha in (0, 6):
        done = command(str(EXAMPLES / "magnify_a_video.py"), "in.mp4", f"out{alpha}.mp4", "--alpha", alpha)
        assert done.code == 0, done.err
        video = probe(tmp_path / f"out{alpha}.mp4")
        assert video.frames == len(moved) and video.rate == pytest.approx(25)
    before, same, after = (swing(tmp_path / name, moved) for name in ("in.mp4", "out0.mp4", "out6.mp4"))
    assert same == pytest.approx(before, rel=0.2)  # video compression
    # 1.5 Hz lies in the pass band, 0.4 to 4 Hz, of a filter whose gain there is 1: x + 6 x
    assert after == pytest.approx(7 * before, rel=0.2)


def test_a_file_that_is_no_video_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("not a video")
    done = command(str(EXAMPLES / "magnify_a_video.py"), "in.mp4", "out.mp4")
    assert done.code == 3 and "in.mp4" in done.err and "Traceback" not in done.err
    assert not (tmp_path / "out.mp4").exists()


def test_the_new_data_set_is_checked_and_cached(
    command: Command, tmp_path: Path, write_frames: WriteFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADAPTERS, "mylab", None)  # afterwards it is unknown again
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    for subject, clip, count in (("p1", "a_happy", 20), ("p1", "b_sad", 9), ("p2", "a_sad", 17)):
        write_frames(tmp_path / "recordings" / subject / clip, range(5, 5 + count), "frame_{:04d}.png")
    example = EXAMPLES / "add_a_dataset.py"
    done = command(str(example), "mylab", "--root", "recordings", *SMALL)
    assert done.code == 0, done.err
    with CacheReader(tmp_path / "data_cache/mylab.h5") as reader:
        assert reader.clips.keys == ["p1/a", "p1/b", "p2/a"]
        assert reader.clips.emotion == ["happy", "sad", "sad"]
        assert reader.clips.n_frames.tolist() == [20, 9, 17] and reader.clips.fps.tolist() == [120] * 3
        assert (reader.clips.onset.tolist(), reader.clips.offset.tolist()) == ([5, 5, 5], [24, 13, 21])
        assert "MyLab" in reader.attributes.licence_notice
    (tmp_path / "recordings/p1/a_happy/frame_0010.png").unlink()
    (tmp_path / "recordings/p2/c_fear").mkdir()
    done = command(str(example), "check", "mylab", "--root", "recordings")
    assert done.code == 3 and "p1/a" in done.out and "p2/c" in done.out


def test_the_new_adapter_trains(
    command: Command, tmp_path: Path, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ADAPTERS", {**build.ADAPTERS})
    make_cache(tmp_path / "demo.h5", {"s1": 3, "s2": 3})
    done = command(str(EXAMPLES / "custom_adapter.py"), "--cache", "demo.h5", *QUICK, "--adapter", "scaled")
    assert done.code == 0, done.err
    run = RunFolder(tmp_path / "runs/demo-mpt")
    assert run.config["settings"]["adapter"] == "scaled"
    for fold in run.read_folds():
        with safe_open(run.checkpoint(fold.name), "np") as file:
            assert file.get_tensor("adapter.scale").shape == (2, 64)
            assert all(np.abs(file.get_tensor(f"adapter.{name}")).max() > 0 for name in ("scale", "shift"))


def test_an_unknown_adapter_is_refused(command: Command, make_cache: MakeCache) -> None:
    cache = make_cache(Path("demo.h5"), {"s1": 3, "s2": 3})
    done = command("mpt-train", "--cache", cache, "--random-weights", "--adapter", "scalde", "--dry-run")
    assert done.code == 2 and all(word in done.err for word in ("scalde", "group", "primitive", "none"))
