"""`mpt-preprocess manifest`: recordings of one's own, listed in a CSV."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builds import FAST
from videos import write_video

from data_cache.read.reader import CacheReader

Command = Callable[..., Any]


def test_a_manifest_takes_folders_and_videos(
    command: Command, tmp_path: Path, write_frames: Callable[..., Path]
) -> None:
    write_frames(tmp_path / "frames", range(7, 30), "f_{:05d}.png")
    write_video("clip.avi", (np.full((48, 64, 3), level * 5, np.uint8) for level in range(40)), rate=50)
    Path("own.csv").write_text(
        "Subject;Clip;Path;Emotion;Onset;Offset;fps\n"
        "p1;a;frames;Happy;;;100\n"
        "p1;b;frames;Sad;10;20;100\n"
        "p2;c;clip.avi;Happy;;;\n"
        "p2;d;clip.avi;;3;30;25\n"
    )
    done = command("mpt-preprocess", "manifest", "own.csv", *FAST)
    assert done.code == 0, done.err
    clips = CacheReader("data_cache/own.h5").clips
    assert clips.keys == ["p1/a", "p1/b", "p2/c", "p2/d"]
    assert clips.n_frames.tolist() == [23, 11, 40, 28]
    assert clips.fps.tolist() == [100, 100, 50, 25]
    assert clips.emotion == ["happy", "sad", "happy", ""]


@pytest.mark.parametrize(("size", "said"), [((48, 64), True), ((64, 48), False), ((56, 64), False)])
def test_frames_that_look_like_whole_scenes_are_warned_of(
    command: Command, write_frames: Callable[..., Path], tmp_path: Path, size: tuple[int, int], said: bool
) -> None:
    write_frames(tmp_path / "a", range(1, 9), size=size)
    Path("own.csv").write_text("subject,clip,path,emotion,fps\np,a,a,happy,100\n")
    done = command("mpt-preprocess", "manifest", "own.csv", *FAST)
    assert done.code == 0, done.err
    assert (f"p/a are {size[1]}×{size[0]} pixels" in done.err and "--faces auto" in done.err) == said
    checked = command("mpt-preprocess", "check", "own.csv")
    assert ("whole scenes" in checked.out) == said
    write_video("a.avi", np.zeros((9, *size, 3), np.uint8), rate=50)
    Path("video.csv").write_text("subject,clip,path,emotion\np,a,a.avi,happy\n")
    assert ("whole scenes" in command("mpt-preprocess", "check", "video.csv").out) == said
