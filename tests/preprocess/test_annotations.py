"""Sheets and frames that contradict each other: known errors are corrected and said, others listed, none guessed at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from official_sets import CASME2, GOOD, Expression, casme2_rows, casme2_tree, clips_of, samm_tree, write_frames

from data_cache.errors import MptError, UsageError
from preprocess.datasets.casme2 import casme2, demo
from preprocess.datasets.samm import samm


def shortened_clip(root: Path, last_frame: int) -> None:
    """The sheet says 110; the folder ends earlier."""
    held = Expression("sub16", "EP01_08", 90, 94, last_frame, "repression", "17")
    casme2_tree(root, [*CASME2, held], rows=casme2_rows(*CASME2, replace(held, offset=110)))


def test_a_known_error_is_corrected_and_said_unless_that_is_switched_off_or_the_set_another(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 96)
    found = casme2(tmp_path)
    assert clips_of(found)["sub16/EP01_08"].offset == 96
    (line,) = found.corrections
    assert "sub16/EP01_08: offset 110 → 96" in line
    for uncorrected in (casme2(tmp_path, corrected=False), demo(tmp_path)):
        assert uncorrected.corrections == []
        assert "14 of 21" in uncorrected.failures["sub16/EP01_08"]


def test_a_copy_that_is_right_is_left_alone(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 110)
    found = casme2(tmp_path)
    assert clips_of(found)["sub16/EP01_08"].offset == 110
    assert found.corrections == []


@pytest.mark.parametrize(("apex", "read"), [(9999, None), (1072, 1072)])
def test_an_apex_outside_its_clip_is_unknown(apex: int, read: int | None, tmp_path: Path) -> None:
    samm_tree(tmp_path, [Expression("028", "028_4_1", 1071, apex, 1075, "contempt")])
    found = samm(tmp_path)
    assert clips_of(found)["028/028_4_1"].apex == read
    assert len(found.corrections) == (read is None)


def test_an_offset_that_does_not_fit_the_frames(tmp_path: Path) -> None:
    held = Expression("013", "013_1_9", 5730, 5733, 5739, "anger")
    samm_tree(tmp_path, [held], stated=[replace(held, offset=573)])
    assert clips_of(samm(tmp_path))["013/013_1_9"].offset == 5739
    assert "offset 573" in samm(tmp_path, corrected=False).failures["013/013_1_9"]


@pytest.mark.parametrize(
    ("key", "sheet", "frames"),
    [("sub07/EP06_01", (15, 49, 68), (56, 116)), ("sub12/EP09_02", (16, 60, 101), (161, 206))],
)
def test_an_interval_that_tables_disagree_on_is_not_guessed(
    key: str, sheet: tuple[int, int, int], frames: tuple[int, int], tmp_path: Path
) -> None:
    """Either the folder holds the sheet's interval, or the clip fails and says what the folder holds."""
    subject, clip = key.split("/")
    stated = Expression(subject, clip, *sheet, "disgust")
    casme2_tree(tmp_path, [stated])
    (read,) = casme2(tmp_path).clips
    assert (read.onset, read.apex, read.offset) == sheet
    held = replace(stated, onset=frames[0], apex=None, offset=frames[1])
    casme2_tree(tmp_path / "other", [held], rows=casme2_rows(stated))
    found = casme2(tmp_path / "other")
    assert found.clips == [] and found.corrections == []
    assert f"it holds frames {frames[0]} to {frames[1]}" in found.failures[key]


def test_an_apex_below_zero_is_unknown(tmp_path: Path) -> None:
    samm_tree(tmp_path, [Expression("006", "006_1_2", 5562, -1, 5568, "anger")])
    (clip,) = (found := samm(tmp_path)).clips
    assert clip.apex is None and [anomaly.kind for anomaly in found.anomalies] == ["apex below 0"]


@pytest.mark.parametrize("unknown", ["/", "\\", "", None, "?"])
def test_an_unknown_apex_in_any_spelling(unknown: str | None, tmp_path: Path) -> None:
    rows = casme2_rows(*CASME2)
    rows[0][4] = unknown
    casme2_tree(tmp_path, rows=rows)
    assert clips_of(casme2(tmp_path))["sub01/EP02_01f"].apex is None


def test_a_folder_without_a_row_is_noticed(tmp_path: Path) -> None:
    casme2_tree(tmp_path, rows=casme2_rows(*CASME2[:-1]))
    (anomaly,) = casme2(tmp_path).anomalies
    assert anomaly.found.endswith("sub24/EP02_07")


def test_missing_frames_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    casme2_tree(tmp_path)
    for number in (97, 98, 104):
        (tmp_path / f"Cropped/sub01/EP02_01f/reg_img{number}.jpg").unlink()
    found = casme2(tmp_path)
    assert all(part in found.failures["sub01/EP02_01f"] for part in ("3 of 10", "97–98, 104", "95 to 103"))
    assert len(found.clips) == len(CASME2) - 1


def test_rows_that_repeat_or_contradict_are_not_guessed_at(tmp_path: Path) -> None:
    rows = casme2_rows(*CASME2)
    contradicting = [*rows[1][:8], "disgust"]
    casme2_tree(tmp_path, rows=[*rows, rows[0], contradicting])
    found = casme2(tmp_path)
    assert [(anomaly.key, anomaly.kind) for anomaly in found.anomalies] == [("sub01/EP02_01f", "duplicate row")]
    assert "lines 3 and 10" in found.failures["sub03/EP01_2"]
    assert "sub03/EP01_2" not in clips_of(found)


def test_a_whole_recording_is_read_from_onset_to_offset(tmp_path: Path) -> None:
    """CASME2-RAW numbers its frames as the sheet does, from 1, and holds more than the expression."""
    casme2_tree(tmp_path, frames="CASME2-RAW")
    write_frames(tmp_path / "CASME2-RAW/sub01/EP02_01f", "img{}.jpg".format, range(1, 130))
    clip = clips_of(casme2(tmp_path))["sub01/EP02_01f"]
    assert [path.name for path in clip.frames] == [f"img{number}.jpg" for number in range(95, 105)]


def test_an_old_xls_sheet_says_what_to_do(tmp_path: Path) -> None:
    casme2_tree(tmp_path)
    next(tmp_path.glob("*.xlsx")).rename(tmp_path / "CASME2_label_Ver_2.xls")
    with pytest.raises(UsageError, match=r"Ver_2\.xls"):
        casme2(tmp_path)


def test_a_damaged_sheet_is_refused_or_read_as_it_was(tmp_path: Path, rng: np.random.Generator) -> None:
    casme2_tree(tmp_path, GOOD)
    (path,) = tmp_path.glob("*.xlsx")
    whole = path.read_bytes()
    keys, refused = [clip.key for clip in casme2(tmp_path).clips], 0
    for place in rng.integers(0, len(whole), 60).tolist():
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            try:
                assert {clip.key for clip in casme2(tmp_path).clips} <= set(keys)
            except MptError as error:
                refused += 1
                assert error.exit_code == 2 and "\n" not in str(error)
    assert refused > 60
