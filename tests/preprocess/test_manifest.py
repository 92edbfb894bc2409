"""`mpt-preprocess manifest`: recordings of one's own, listed in a CSV."""

from pathlib import Path

import numpy as np
import pytest
from builds import FAST
from commands import Command, WriteFrames
from videos import write_video

from data_cache.errors import UsageError
from data_cache.read.reader import CacheReader
from preprocess.datasets.manifest import manifest


def test_a_manifest_takes_folders_and_videos(command: Command, tmp_path: Path, write_frames: WriteFrames) -> None:
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
    command: Command, write_frames: WriteFrames, tmp_path: Path, size: tuple[int, int], said: bool
) -> None:
    write_frames(tmp_path / "a", range(1, 9), size=(64, 64))
    write_frames(tmp_path / "b", range(1, 9), size=size)  # not the first clip alone is looked at
    Path("own.csv").write_text("subject,clip,path,emotion,fps\np,a,a,happy,100\np,b,b,happy,100\n")
    done = command("mpt-preprocess", "manifest", "own.csv", *FAST)
    assert done.code == 0, done.err
    assert (f"p/b, {size[1]}×{size[0]} pixels" in done.err) == said
    assert ("p/b" in str(CacheReader("data_cache/own.h5").attributes.provenance["notes"])) is False
    write_video("a.avi", np.zeros((9, *size, 3), np.uint8), rate=50)
    Path("video.csv").write_text("subject,clip,path,emotion\np,a,a.avi,happy\n")
    for csv_file in ("own.csv", "video.csv"):
        assert ("wide frames" in command("mpt-preprocess", "check", csv_file).out) == said


HEADER = "subject,clip,path,emotion,onset,apex,offset,fps"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\np,a,frames,happy,3.0,NaN,9.0,100.0\n",  # pandas
        f"\ufeff{HEADER};;\np;a;frames;happy;3;;9;100;;\n".replace(",", ";"),  # Excel
        f"{HEADER}\np,a,frames,happy,3,?,9,100\n".replace(",", "\t"),
        f"{HEADER}\np,a,frames,happy,3,-1,9,100\n",  # an apex that a program did not find
    ],
)
def test_numbers_as_programs_write_them(text: str, tmp_path: Path, write_frames: WriteFrames) -> None:
    write_frames(tmp_path / "frames", range(1, 20))
    (tmp_path / "own.csv").write_text(text, encoding="utf-8")
    (clip,) = manifest(tmp_path / "own.csv").clips
    assert (clip.onset, clip.apex, clip.offset, clip.fps) == (3, None, 9, 100)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("subject,clip,path,emotion,Onset Frame,Offset Frame", ("'Onset Frame'", "onset")),
        ("subject,clip,path,emotion,emotions", ("'emotions'", "emotion")),
        ("subject,clip,path,emotion,Emotion", ("'emotion'", "twice")),
        ("subject,clip,path,emotion,remarks of the rater", ("'remarks of the rater'", "action_units")),
    ],
)
def test_columns_that_are_not_known_or_repeated_are_named(columns: str, named: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(f"{columns}\np,a,frames,happy,3,9\n")
    with pytest.raises(UsageError) as error:
        manifest(tmp_path / "own.csv")
    assert all(part in str(error.value) for part in named)


def test_boxes_beside_a_manifest_are_used(command: Command, tmp_path: Path, write_frames: WriteFrames) -> None:
    write_frames(tmp_path / "frames", range(1, 20), size=(64, 90))
    Path("own.csv").write_text(f"{HEADER}\np,a,frames,happy,,,,100\n")
    Path("face_boxes.csv").write_text("subject,clip,x,y,width,height\np,a,10,10,40,40\n")
    assert command("mpt-preprocess", "manifest", "own.csv", *FAST).code == 0
    assert CacheReader("data_cache/own.h5").attributes.recipe["faces"] == "csv"


@pytest.mark.parametrize("name", ["own.csv", "own.tsv", "own.txt"])
def test_a_manifest_is_checked_as_it_is_built(
    name: str, command: Command, tmp_path: Path, write_frames: WriteFrames
) -> None:
    write_frames(tmp_path / "frames", range(1, 41))
    Path(name).write_text("subject,clip,path,emotion\np,a,frames,happy\n")
    assert command("mpt-preprocess", "check", name).code == 3  # no frame rate
    done = command("mpt-preprocess", "check", name, "--fps", "25")
    assert done.code == 0, done.out
    assert "40 frames, 25 Hz, 1.6 s" in done.out and "long" in done.out
