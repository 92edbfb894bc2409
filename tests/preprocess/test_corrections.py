"""Known errors of the annotations: corrected where they stand, and said."""

from pathlib import Path

import official_sets as official
import pytest
from official_sets import Expression, clips_of

from preprocess.datasets.casme2 import casme2, demo
from preprocess.datasets.samm import samm

SHORTENED = Expression("sub16", "EP01_08", 90, 94, 96, "repression", "17")


def shortened_clip(root: Path, last_frame: int) -> None:
    """The sheet says 110; the folder ends earlier."""
    official.casme2_tree(root, [*official.CASME2, SHORTENED])
    stated = Expression("sub16", "EP01_08", 90, 94, 110, "repression", "17")
    official.write_sheet(
        next(root.glob("*.xlsx")), [official.CASME2_HEADER, *official.casme2_rows([*official.CASME2, stated])]
    )
    folder = root / "Cropped/sub16/EP01_08"
    official.write_frames(folder, "reg_img{}.jpg".format, range(90, last_frame + 1))


def test_a_known_error_is_corrected_and_said(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 96)
    found = casme2(tmp_path)
    assert clips_of(found)["sub16/EP01_08"].offset == 96
    (line,) = found.corrections
    assert "sub16/EP01_08: offset 110 → 96" in line


def test_corrections_can_be_switched_off(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 96)
    found = casme2(tmp_path, corrected=False)
    assert found.corrections == []
    assert "14 of 21" in found.failures["sub16/EP01_08"]


def test_a_copy_that_is_right_is_left_alone(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 110)
    found = casme2(tmp_path)
    assert clips_of(found)["sub16/EP01_08"].offset == 110
    assert found.corrections == []


def test_corrections_belong_to_one_data_set(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 96)
    assert "sub16/EP01_08" in demo(tmp_path).failures


@pytest.mark.parametrize(("apex", "read"), [(9999, None), (1072, 1072)])
def test_an_apex_outside_its_clip_is_unknown(apex: int, read: int | None, tmp_path: Path) -> None:
    official.samm_tree(tmp_path, [Expression("028", "028_4_1", 1071, apex, 1075, "contempt")])
    found = samm(tmp_path)
    assert clips_of(found)["028/028_4_1"].apex == read
    assert len(found.corrections) == (read is None)


def test_an_offset_that_does_not_fit_the_frames(tmp_path: Path) -> None:
    official.samm_tree(tmp_path, [Expression("013", "013_1_9", 5730, 5733, 5739, "anger")])
    wrong = [Expression("013", "013_1_9", 5730, 5733, 573, "anger")]
    official.write_sheet(
        next(tmp_path.glob("*.xlsx")), [official.SAMM_HEADER, *official.samm_rows(wrong, int)], "MICRO_ONLY"
    )
    assert clips_of(samm(tmp_path))["013/013_1_9"].offset == 5739
    assert "offset 573" in samm(tmp_path, corrected=False).failures["013/013_1_9"]
