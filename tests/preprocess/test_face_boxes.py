"""Boxes of faces and the squares that are cut around them: geometry, and tables of boxes."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import official_sets as official
import pytest
from builds import SMALL
from commands import Command
from hypothesis import given
from hypothesis import strategies as st
from oracles import centroid, raw_clip

from data_cache import CacheReader
from data_cache.errors import UsageError
from preprocess.clip import ClipError, FaceBox
from preprocess.faces import FaceCrop, read_boxes, square_around
from preprocess.job.provenance import file_identities, source_digest
from preprocess.recipe import Recipe

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
TINY = Recipe(frames=4, size=16, levels=2)


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


@given(st.floats(-0.4, 2))
def test_the_square_has_the_box_in_its_middle_and_grows_with_the_margin(margin: float) -> None:
    crop = square_around(FaceBox(10, 20, 150, 200), margin)
    assert (crop.x, crop.y, crop.side) == (85, 120, round(200 * (1 + 2 * margin)))
    assert square_around(FaceBox(0, 0, 200, 150), margin).side == crop.side


def picture_of_eyes(left: tuple[float, float], right: tuple[float, float]) -> np.ndarray:
    """Two soft dots at sub-pixel places, in the coordinates of boxes: (0.5, 0.5) is the middle of the first pixel."""
    rows, columns = np.mgrid[0:120, 0:160] + 0.5
    picture = np.zeros((120, 160, 3), np.float32)
    for channel, (x, y) in enumerate((left, right)):
        picture[..., channel] = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return picture.round().astype(np.uint8)


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


def test_several_rows_of_a_clip_give_their_median_which_no_wild_one_moves(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("Subject;Clip;X;Y;Width;Height;Roll\ns;c;1;2;30;40;\ns;c;3;4;32;40;2\ns;c;2;90;31;40;1\n")
    with table.open("a") as file:
        file.write("s;d;10;10;50;50;\ns;d;12;11;51;50;\ns;d;900;3;7;9;\ns;d;11;9;50;52;\n")
    assert read_boxes(table) == {"s/c": FaceBox(2, 4, 31, 40, 1), "s/d": FaceBox(11.5, 9.5, 50, 50)}


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
    arguments = ("casme2", "--root", tmp_path, "-o", "out.h5", "--face-boxes", boxes, "--allow-missing", *SMALL)
    done = command("mpt-preprocess", *arguments)
    assert done.code == 3 and "sub01/EP02_01f: " in done.err
    cache = CacheReader("out.h5")
    assert len(cache) == len(official.CASME2) - 1
    assert cache.attributes.recipe["faces"] == "csv"
    # another box makes other pixels: the cache is stale
    boxes.write_text(boxes.read_text().replace(",1,2,18,18", ",0,2,18,18"))
    assert command("mpt-preprocess", *arguments).code == 5


def test_the_identity_of_a_clip_includes_its_box(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    boxed = [replace(clip, face=FaceBox(1, 1, 18, 18, roll)) for roll in (0, 1)]
    assert len({source_digest(each, tmp_path, file_identities(each)) for each in (clip, *boxed)}) == 3
