"""Crops of raw frames: geometry, boxes from a file, the detector, and one crop for the whole clip."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import official_sets as official
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_cache import CacheReader
from data_cache.errors import UsageError
from preprocess.datasets.base import Clip, ClipError
from preprocess.datasets.casme2 import casme2
from preprocess.demo.face import Window
from preprocess.demo.identity import draw_identity
from preprocess.demo.motion import Camera, film
from preprocess.faces import choose
from preprocess.faces.box import FaceBox, median_box
from preprocess.faces.boxes import read_boxes
from preprocess.faces.choose import crop_for, settle_faces
from preprocess.faces.crop import FaceCrop, square_around
from preprocess.frames import read_frames
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe
from preprocess.sources import source_digest

Command = Callable[..., Any]

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
TINY = Recipe(frames=4, size=16, levels=2)
SMALL = ("--size", 16, "--frames", 4, "--levels", 2, "-j", 1)


# --- geometry -------------------------------------------------------------------------------------


@given(st.integers(0, 40), st.integers(0, 30), st.integers(16, 30))
def test_an_upright_crop_takes_pixels_as_they_are(x: int, y: int, side: int) -> None:
    crop = square_around(FaceBox(x, y, side, side), margin=0)
    assert np.array_equal(crop(NOISE), NOISE[y : y + side, x : x + side])


@given(st.integers(-20, 79), st.integers(-20, 59), st.integers(16, 60))
def test_what_lies_outside_repeats_the_edge(x: int, y: int, side: int) -> None:
    centre = x + side / 2, y + side / 2
    if not (0 <= centre[0] <= 80 and 0 <= centre[1] <= 60):
        return
    rows, columns = np.clip(np.arange(y, y + side), 0, 59), np.clip(np.arange(x, x + side), 0, 79)
    assert np.array_equal(square_around(FaceBox(x, y, side, side), 0)(NOISE), NOISE[np.ix_(rows, columns)])


def test_the_square_has_the_box_in_its_middle() -> None:
    crop = square_around(FaceBox(10, 20, 30, 40), margin=0.25)
    assert (crop.x, crop.y, crop.side) == (25, 40, 60)


def picture_of_eyes(left: tuple[float, float], right: tuple[float, float]) -> np.ndarray:
    """Two soft dots at sub-pixel places, in the coordinates of boxes: (0.5, 0.5) is the middle of the first pixel."""
    rows, columns = np.mgrid[0:120, 0:160] + 0.5
    picture = np.zeros((120, 160, 3), np.float32)
    for channel, (x, y) in enumerate((left, right)):
        picture[..., channel] = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return picture.round().astype(np.uint8)


def centroid(channel: np.ndarray) -> tuple[float, float]:
    weights = channel.astype(float)
    rows, columns = np.mgrid[0 : channel.shape[0], 0 : channel.shape[1]] + 0.5
    return float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())


@pytest.mark.parametrize("roll", [-35.0, -8.0, 0.0, 3.0, 20.0])
def test_eyes_come_out_level_and_at_the_same_place(roll: float, tmp_path: Path) -> None:
    middle, half = (82.3, 55.6), 15.0
    across = half * math.cos(math.radians(roll)), half * math.sin(math.radians(roll))
    left, right = (middle[0] - across[0], middle[1] - across[1]), (middle[0] + across[0], middle[1] + across[1])
    table = tmp_path / "boxes.csv"
    header = "subject,clip,left_eye_x,left_eye_y,right_eye_x,right_eye_y\n"
    table.write_text(header + f"s,c,{left[0]},{left[1]},{right[0]},{right[1]}\n")
    crop = square_around(read_boxes(table)["s/c"], margin=0)
    cut = crop(picture_of_eyes(left, right))
    assert crop.side == round(2.75 * 2 * half)
    found = centroid(cut[..., 0]), centroid(cut[..., 1])
    eye_line = crop.side / 2 - 0.4 * 2 * half
    for (x, y), side in zip(found, (-1, 1), strict=True):
        assert abs(x - (crop.side / 2 + side * half)) < 0.6
        assert abs(y - eye_line) < 0.6


def test_a_small_roll_changes_little() -> None:
    smooth = cv2.GaussianBlur(NOISE, (0, 0), 3)
    upright, tilted = (FaceCrop(40, 30, 32, roll)(smooth).astype(int) for roll in (0.0, 0.01))
    assert np.abs(upright - tilted).max() <= 1


@pytest.mark.parametrize(
    "box",
    [
        FaceBox(5, 5, 3, 3),
        FaceBox(math.nan, 5, 30, 30),
        FaceBox(5, 5, math.inf, 30),
        FaceBox(5, 5, 30, 30, math.nan),
        FaceBox(5, 5, 1e9, 1e9),
        FaceBox(200, 5, 30, 30),
        FaceBox(-60, -60, 300, 300),
    ],
)
def test_a_box_that_is_no_face_is_refused(box: FaceBox) -> None:
    with pytest.raises(ClipError, match="its face box"):
        square_around(box, 0)(NOISE)


def test_one_wild_box_does_not_move_the_median() -> None:
    boxes = [FaceBox(10, 10, 50, 50), FaceBox(12, 11, 51, 50), FaceBox(900, 3, 7, 9), FaceBox(11, 9, 50, 52)]
    middle = median_box(boxes)
    assert abs(middle.x - 11.5) <= 0.5
    assert abs(middle.width - 50) <= 0.5


# --- boxes from a file ----------------------------------------------------------------------------


def raw_clip(root: Path) -> Clip:
    official.casme2_tree(root, official.CASME2[:1], frames="CASME2_RAW_selected")
    return casme2(root).clips[0]


def test_several_rows_of_a_clip_give_their_median(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("Subject;Clip;X;Y;Width;Height;Roll\ns;c;1;2;30;40;\ns;c;3;4;32;40;2\ns;c;2;90;31;40;1\n")
    assert read_boxes(table) == {"s/c": FaceBox(2, 4, 31, 40, 1)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,clip\ns,c\n", "line 2: no box"),
        ("subject,clip,x,y,width,height\ns,c,1,2,3,\n", "line 2: x, y, width, height read"),
        ("subject,clip,x,y,width,height\ns,c,a,b,c,d\n", "expected four numbers"),
        ("clip,x,y,width,height\nc,1,2,3,4\n", "lacks the column subject"),
    ],
)
def test_a_bad_table_of_boxes_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_boxes(tmp_path / "boxes.csv")


def test_clips_without_a_box_fail_and_the_others_go_on(tmp_path: Path, command: Command) -> None:
    official.casme2_tree(tmp_path, frames="CASME2_RAW_selected")
    rows = [f"{each.subject},{each.clip},1,2,18,18" for each in official.CASME2[1:]]
    boxes = tmp_path / "mine.csv"
    boxes.write_text("subject,clip,x,y,width,height\n" + "\n".join(rows))
    output = tmp_path / "out.h5"
    arguments = ("casme2", "--root", tmp_path, "-o", output, "--face-boxes", boxes, "--allow-missing", *SMALL)
    done = command("mpt-preprocess", *arguments)
    assert done.code == 3
    assert "sub01/EP02_01f: " in done.err
    cache = CacheReader(output)
    assert len(cache) == len(official.CASME2) - 1
    assert cache.attributes.recipe["faces"] == "csv"
    # another box makes other pixels: the cache is stale
    boxes.write_text(boxes.read_text().replace(",1,2,18,18", ",0,2,18,18"))
    done = command("mpt-preprocess", *arguments)
    assert done.code == 5


def test_the_identity_of_a_clip_includes_its_box(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    boxed = [replace(clip, face=FaceBox(1, 1, 18, 18, roll)) for roll in (0, 1)]
    assert len({source_digest(each, tmp_path) for each in (clip, *boxed)}) == 3


# --- which crop -----------------------------------------------------------------------------------


def settled(root: Path, given: dict, boxes: Path | None = None) -> str:
    settle_faces(casme2(root), given, boxes)
    return given["faces"]


def test_cropped_frames_are_used_as_they_are(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    assert settled(tmp_path, {}) == "none"


def test_whole_scenes_go_by_boxes_or_to_the_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "load_detector", lambda: None)
    raw_clip(tmp_path)
    assert settled(tmp_path, {}) == "auto"
    (tmp_path / "face_boxes.csv").write_text("subject,clip,x,y,width,height\nsub01,EP02_01f,1,1,18,18\n")
    assert settled(tmp_path, {}) == "csv"
    assert settled(tmp_path, {"faces": "none"}) == "none"
    assert settled(tmp_path, {"faces": "auto"}) == "auto"
    with pytest.raises(UsageError, match="goes with --faces csv, not with --faces none"):
        settled(tmp_path, {"faces": "none"}, tmp_path / "face_boxes.csv")
    with pytest.raises(UsageError, match="no face boxes at"):
        settled(tmp_path, {}, tmp_path / "nowhere.csv")


def test_without_the_extra_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    official.samm_tree(tmp_path)
    monkeypatch.setitem(sys.modules, "dlib", None)
    done = command("mpt-preprocess", "samm", "--root", tmp_path, "-o", tmp_path / "out.h5", *SMALL)
    assert done.code == 2
    assert "pip install 'motion-prompt-tuning[faces]'" in done.err
    done = command("mpt-preprocess", "samm", "--root", tmp_path, "-o", tmp_path / "out.h5", "--faces", "none", *SMALL)
    assert done.code == 0


def test_a_clip_is_cropped_alike_in_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dot that drifts through the scene drifts as far through the crop: nothing follows it."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(12):
        picture = np.zeros((60, 90, 3), np.uint8)
        picture[30:34, 30 + number : 34 + number] = 255
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    paths = tuple(folder / f"{number}.png" for number in range(12))
    clip = Clip("lab", "s", "c", paths, 0, None, 11, 100, "")
    seen: list[int] = []

    def found(frames: Sequence[np.ndarray]) -> FaceBox:
        seen.append(len(frames))
        return FaceBox(20, 14, 32, 32)

    monkeypatch.setattr(choose, "find_face", found)
    recipe = Recipe(frames=12, size=32, levels=2, alpha=0, faces="auto")
    motion = process_clip(clip, [recipe, recipe.with_alpha(5)])[0].motion
    places = [centroid(frame[..., 0])[0] for frame in motion]
    assert np.allclose(np.diff(places), 1)
    assert seen == [8]


def test_where_nothing_is_found_the_clip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = raw_clip(tmp_path)
    monkeypatch.setattr(choose, "find_face", lambda frames: None)
    with pytest.raises(ClipError, match="no face was found in its first 8 frames; give it a box"):
        crop_for(clip, replace(TINY, faces="auto"))
    with pytest.raises(ClipError, match="no face box is known"):
        crop_for(clip, replace(TINY, faces="csv"))
    assert crop_for(clip, TINY) is None


# --- the detector on drawn faces ------------------------------------------------------------------

SIZE, SCENE = 112, Window(-120, -40, 280, 190)


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    """First frames of drawn persons, off centre in a larger scene."""
    persons = [np.random.default_rng([7, number]) for number in range(4)]
    camera = Camera(size=SIZE, fps=50)
    return [film(draw_identity(rng), ["12"], camera, rng, SCENE).frames for rng in persons]


def test_the_detector_finds_drawn_faces(scenes: list[np.ndarray]) -> None:
    pytest.importorskip("dlib")
    from preprocess.faces.detect import find_face

    for frames in scenes:
        face = find_face(frames)
        assert face is not None
        off_centre = face.x + face.width / 2 + SCENE.left - SIZE / 2, face.y + face.height / 2 + SCENE.top - SIZE / 2
        assert max(map(abs, off_centre)) < 0.12 * SIZE
        assert 0.8 < max(face.width, face.height) / SIZE < 1.4


def test_the_detector_finds_none_in_walls_and_noise(scenes: list[np.ndarray]) -> None:
    pytest.importorskip("dlib")
    from preprocess.faces.detect import find_face

    noise = np.random.default_rng(1).integers(0, 256, (8, 120, 160, 3), np.uint8)
    assert find_face(list(noise)) is None
    assert find_face([np.full((90, 90, 3), 127, np.uint8)] * 8) is None
    for frames in scenes:
        assert find_face(frames[:, :, : -SCENE.left - 10]) is None


def test_scenes_of_samm_are_cropped_without_a_word(scenes: list[np.ndarray], tmp_path: Path, command: Command) -> None:
    pytest.importorskip("dlib")
    expressions = official.samm_tree(tmp_path / "set")
    for each, frames in zip(expressions, scenes, strict=True):
        folder = tmp_path / "set/SAMM" / each.subject / each.clip
        for path, frame in zip(sorted(folder.iterdir()), frames, strict=False):
            cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    assert command("mpt-preprocess", "samm", "--root", tmp_path / "set", "-o", "samm.h5", *SMALL).code == 0
    cache = CacheReader("samm.h5")
    assert cache.attributes.recipe["faces"] == "auto"
    done = command("mpt-preprocess", "samm", "--root", tmp_path / "set", "-o", "whole.h5", "--faces", "none", *SMALL)
    assert done.code == 0
    whole = CacheReader("whole.h5")
    assert len(whole) == len(cache) == len(expressions)
    for row, (subject, clip) in enumerate(zip(cache.clips.subject, cache.clips.clip, strict=True)):
        assert (subject, clip) == (whole.clips.subject[row], whole.clips.clip[row])
        assert not np.array_equal(cache.motion(row)[0], whole.motion(row)[0])


def test_a_face_must_be_in_one_place(scenes: list[np.ndarray]) -> None:
    pytest.importorskip("dlib")
    from preprocess.faces.detect import find_face

    mixed = [scenes[0][0], *[np.full_like(scenes[0][0], 120)] * 7]
    assert find_face(mixed) is None


def test_scenes_of_the_demo_set_come_with_their_boxes(tmp_path: Path) -> None:
    from preprocess.datasets.find import find
    from preprocess.demo.generate import DemoSet, generate

    small = DemoSet(subjects=1, clips_per_class=1, camera=Camera(size=48, fps=100))
    generate(tmp_path / "raw", replace(small, raw=True), jobs=1)
    generate(tmp_path / "faces", small, jobs=1)
    raw, faces = find("demo", tmp_path / "raw"), find("demo", tmp_path / "faces")
    assert (raw.cropped, faces.cropped) == (False, True)
    given: dict = {}
    raw = settle_faces(raw, given, None)
    assert given["faces"] == "csv"
    recipe = replace(TINY, faces="csv")
    for scene, face in zip(raw.clips, faces.clips, strict=True):
        assert (scene.key, scene.apex_index, scene.emotion) == (face.key, face.apex_index, face.emotion)
        (_, whole), (_, cropped) = next(read_frames(scene.frames, [0])), next(read_frames(face.frames, [0]))
        crop = crop_for(scene, recipe)
        assert crop is not None
        assert whole.shape == (90, 120, 3)
        assert crop(whole).shape == cropped.shape
        # the same person in the same pose: only texture and noise are drawn anew
        assert np.corrcoef(crop(whole).ravel(), cropped.ravel())[0, 1] > 0.95


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.4, 2))
def test_the_margin_scales_the_square(margin: float) -> None:
    assert square_around(FaceBox(0, 0, 200, 100), margin).side == round(200 * (1 + 2 * margin))
