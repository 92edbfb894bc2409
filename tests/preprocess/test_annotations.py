"""Sheets and frames that contradict each other: noticed, listed, never guessed at."""

from pathlib import Path

import numpy as np
import official_sets as official
import pytest
from official_sets import GOOD, clips_of

from data_cache.errors import MptError, UsageError
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.samm import samm


def test_frame_numbers_are_absolute(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    clip = clips_of(casme2(tmp_path))["sub01/EP02_01f"]
    assert clip.apex_index == 4
    assert [path.name for path in clip.frames][4:6] == ["reg_img99.jpg", "reg_img100.jpg"]


def test_one_clip_name_under_two_subjects_is_two_clips(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    clips = clips_of(casme2(tmp_path))
    assert clips["sub05/EP02_07"].emotion == "surprise"
    assert clips["sub24/EP02_07"].emotion == "disgust"


def test_the_newer_of_two_sheets_is_read_and_said(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path, official.CASME2[:2])
    official.casme2_2019(tmp_path)
    official.casme2_tree(tmp_path, official.CASME2[:2])
    found = casme2(tmp_path)
    assert len(found.clips) == len(official.CASME2)
    assert found.notes[1].startswith("annotation from CASME2-coding-20190701.xlsx")
    assert "CASME2-coding-20140508.xlsx" in found.notes[1]  # it was there, and not read


def test_an_old_xls_sheet_says_what_to_do(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    next(tmp_path.glob("*.xlsx")).rename(tmp_path / "CASME2_label_Ver_2.xls")
    with pytest.raises(UsageError, match=r"Ver_2\.xls"):
        casme2(tmp_path)


def test_a_folder_without_a_row_is_noticed(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    official.write_sheet(
        next(tmp_path.glob("*.xlsx")), [official.CASME2_HEADER, *official.casme2_rows(official.CASME2[:-1])]
    )
    (anomaly,) = casme2(tmp_path).anomalies
    assert anomaly.found.endswith("sub24/EP02_07")


def test_missing_frames_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    for number in (97, 98, 104):
        (tmp_path / f"Cropped/sub01/EP02_01f/reg_img{number}.jpg").unlink()
    found = casme2(tmp_path)
    assert all(part in found.failures["sub01/EP02_01f"] for part in ("3 of 10", "97–98, 104", "95 to 103"))
    assert len(found.clips) == len(official.CASME2) - 1


def test_rows_that_repeat_or_contradict_are_not_guessed_at(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    rows = official.casme2_rows(official.CASME2)
    contradicting = [*rows[1]]
    contradicting[8] = "disgust"
    sheet = next(tmp_path.glob("*.xlsx"))
    official.write_sheet(sheet, [official.CASME2_HEADER, *rows, rows[0], contradicting])
    found = casme2(tmp_path)
    assert [(anomaly.key, anomaly.kind) for anomaly in found.anomalies] == [("sub01/EP02_01f", "duplicate row")]
    assert "lines 3 and 10" in found.failures["sub03/EP01_2"]
    assert "sub03/EP01_2" not in clips_of(found)


def test_hidden_copies_of_images_are_no_frames(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    folder = tmp_path / "Cropped/sub01/EP02_01f"
    (folder / "._reg_img99.jpg").write_bytes(b"Mac OS X        2")
    (folder / "Thumbs.db").write_bytes(b"0")
    assert casme2(tmp_path).failures == {}


def test_long_videos_of_samm_are_not_taken_for_its_sheet(tmp_path: Path) -> None:
    official.samm_tree(tmp_path)
    official.write_sheet(tmp_path / "SAMM_LongVideos_V1_Release.xlsx", [("Subject", "Filename", "Onset")])
    assert samm(tmp_path).notes[1].startswith("annotation from SAMM_Micro_FACS_Codes_v2.xlsx")


def test_a_damaged_sheet_is_refused_or_read_as_it_was(tmp_path: Path, rng: np.random.Generator) -> None:
    official.casme2_tree(tmp_path, GOOD)
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
