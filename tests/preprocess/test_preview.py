"""Contact sheets and movies: they are whole files of the right clips and moments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import official_sets as official
import pytest
from PIL import Image

from preprocess.datasets.casme2 import casme2
from preprocess.preview.contact_sheet import _key_frames
from preprocess.preview.movie import REPEATS, side_by_side
from preprocess.preview.scene import make_scene
from preprocess.recipe import Recipe

Command = Callable[..., Any]

SMALL = ("--size", 31, "--frames", 5, "--levels", 2)
RECIPE = Recipe(size=31, frames=5, levels=2)


def test_key_frames_are_those_of_the_annotation(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    for clip in casme2(tmp_path).clips:
        pictures = dict(_key_frames(make_scene(clip, RECIPE)))
        moments = {f"onset {clip.onset}": clip.onset, f"offset {clip.offset}": clip.offset}
        if clip.apex is not None:
            moments[f"apex {clip.apex}"] = clip.apex
        for label, number in moments.items():
            assert abs(int(np.median(pictures[label])) - official.frame_level(number)) <= 3
        assert ("middle sample (apex unknown)" in pictures) == (clip.apex is None)
        assert pictures["dynamic image"].shape == (31, 31, 3)


def test_the_movie_has_the_original_left_and_the_magnified_right(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    scene = make_scene(casme2(tmp_path).clips[0], RECIPE)
    frames = side_by_side(scene)
    assert frames.shape[0] == 5
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    top = frames.shape[1] - 31 - (frames.shape[1] - 31 - 28)  # the strip of labels
    assert np.array_equal(frames[:, top : top + 31, :31], scene.original)
    assert np.array_equal(frames[:, top : top + 31, 31:62], scene.rendered.motion)


@pytest.mark.parametrize("movie", ["mp4", "gif", "none"])
def test_the_command_writes_whole_files(movie: str, tmp_path: Path, command: Command) -> None:
    official.casme2_tree(tmp_path / "set")
    output = tmp_path / "pictures"
    arguments = ("--root", tmp_path / "set", "-o", output, "--movie", movie, *SMALL)
    done = command("mpt-preprocess", "preview", "casme2", "sub01/EP02_01f", "sub05", *arguments)
    assert done.code == 0
    stems = ["sub01__EP02_01f", "sub05__EP02_07"]
    suffixes = ["png"] + [movie] * (movie != "none")
    assert sorted(path.name for path in output.iterdir()) == sorted(f"{s}.{e}" for s in stems for e in suffixes)
    with Image.open(output / f"{stems[0]}.png") as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 500
    if movie == "gif":
        with Image.open(output / f"{stems[0]}.gif") as moving:
            assert (moving.n_frames, moving.info["loop"]) == (5, 0)
    if movie == "mp4":
        video = cv2.VideoCapture(str(output / f"{stems[0]}.mp4"))
        assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5 * REPEATS
        assert video.read()[0]
        video.release()
    assert "2 clips drawn" in done.err


def test_what_cannot_be_drawn_is_said(tmp_path: Path, command: Command) -> None:
    official.casme2_tree(tmp_path)
    arguments = ("--root", tmp_path, "-o", tmp_path / "pictures", *SMALL)
    done = command("mpt-preprocess", "preview", "casme2", "sub99/EP01", *arguments)
    assert done.code == 2
    assert "no clip or subject 'sub99/EP01' in casme2; clips are called as in sub01/EP02_01f" in done.err
    done = command("mpt-preprocess", "preview", "casme2", "--movie", "avi", *arguments)
    assert done.code == 2
    assert "choose one of mp4, gif, none" in done.err
    assert not (tmp_path / "pictures").exists()
    (tmp_path / "Cropped/sub01/EP02_01f/reg_img97.jpg").unlink()
    done = command("mpt-preprocess", "preview", "casme2", "sub01", "sub03", "--movie", "none", *arguments)
    assert done.code == 3
    assert "1 of 10 frames are missing" in done.err and "1 clips drawn" in done.err
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["sub03__EP01_2.png"]
