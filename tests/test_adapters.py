"""One contract for every adapter, on trees in the layouts and with the quirks of the official releases."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import official_sets as official
import pytest
from official_sets import Expression

from data_cache.errors import UsageError
from preprocess.datasets.base import Clip, Discovery, VideoSpan
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.demo import demo
from preprocess.datasets.manifest import manifest
from preprocess.datasets.samm import samm
from preprocess.datasets.smic import smic
from preprocess.frames import read_frames
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe
from preprocess.sources import source_digest

TINY = Recipe(frames=4, size=16, levels=2)


@dataclass(frozen=True)
class Case:
    """One layout of one data set."""

    name: str
    build: Callable[[Path], Sequence[Expression]]
    find: Callable[[Path], Discovery]
    fps: float
    cropped: bool


def manifest_of_folders(root: Path) -> Sequence[Expression]:
    expressions = official.samm_tree(root, preamble=0)
    fields = ("Subject", "Clip", "Path", "Emotion", "Onset", "Apex", "Offset", "Fps", "Action units")
    with (root / "own.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(fields)
        for each in expressions:
            path = f"SAMM/{each.subject}/{each.clip}"
            writer.writerow(
                (
                    each.subject,
                    each.clip,
                    path,
                    each.emotion.upper(),
                    each.onset,
                    each.apex,
                    each.offset,
                    90,
                    each.units,
                )
            )
    return expressions


def manifest_of_videos(root: Path) -> Sequence[Expression]:
    for name in ("one.avi", "two.avi"):
        writer = cv2.VideoWriter(str(root / name), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (32, 24))
        for number in range(12):
            writer.write(np.full((24, 32, 3), official.frame_level(number), np.uint8))
        writer.release()
    (root / "own.csv").write_text(
        "subject,clip,path,emotion,onset,offset\nA,whole,one.avi,joy,,\nA,part,two.avi,joy,3,9\n"
    )
    return [Expression("A", "whole", 0, None, 11, "joy"), Expression("A", "part", 3, None, 9, "joy")]


def with_layout(
    build: Callable[..., Sequence[Expression]], **settings: object
) -> Callable[[Path], Sequence[Expression]]:
    return lambda root: build(root, **settings)


CASES = [
    Case("casme2", official.casme2_tree, casme2, 200, True),
    Case("casme2 nested", with_layout(official.casme2_tree, frames="Cropped/Cropped"), casme2, 200, True),
    Case("casme2 updated", with_layout(official.casme2_tree, frames="Cropped-updated/Cropped"), casme2, 200, True),
    Case("casme2 raw", with_layout(official.casme2_tree, frames="CASME2_RAW_selected"), casme2, 200, False),
    Case("casme2 2019", official.casme2_2019, casme2, 200, True),
    Case("demo", official.casme2_tree, demo, 200, True),
    Case("samm", official.samm_tree, samm, 200, False),
    Case("samm trimmed", with_layout(official.samm_tree, preamble=0, subject=str), samm, 200, False),
    Case("samm crops", with_layout(official.samm_tree, frames="SAMM_CROP"), samm, 200, True),
    Case("smic", official.smic_tree, smic, 100, True),
    Case(
        "smic nested", with_layout(official.smic_tree, frames="SMIC_all_cropped/SMIC_all_cropped/HS"), smic, 100, True
    ),
    Case(
        "smic raw",
        with_layout(official.smic_tree, frames="SMIC_all_raw/HS", name="image{:06d}.bmp"),
        smic,
        100,
        False,
    ),
    Case(
        "smic nir",
        with_layout(official.smic_tree, frames="SMIC_all_raw/NIR", name="{:05d}.bmp"),
        lambda root: smic(root, camera="nir"),
        25,
        False,
    ),
    Case("smic long", official.smic_long_tree, smic, 100, False),
    Case("manifest folders", manifest_of_folders, lambda root: manifest(root / "own.csv"), 90, True),
    Case("manifest videos", manifest_of_videos, lambda root: manifest(root / "own.csv"), 30, True),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_every_adapter_reads_its_set_exactly(case: Case, tmp_path: Path) -> None:
    expected = case.build(tmp_path)
    found = case.find(tmp_path)
    assert found.failures == {}
    assert found.corrections == []
    read = {
        clip.key: (clip.onset, clip.apex, clip.offset, clip.emotion, clip.action_units, clip.fps)
        for clip in found.clips
    }
    assert read == {
        each.key: (each.onset, each.apex, each.offset, each.emotion, each.units, case.fps) for each in expected
    }
    assert found.cropped == case.cropped
    assert {clip.dataset for clip in found.clips} == {found.dataset}
    assert found.licence_notice


def test_every_adapter_gives_the_frames_in_order(case: Case, tmp_path: Path) -> None:
    case.build(tmp_path)
    for clip in case.find(tmp_path).clips:
        assert len(clip.frames) == clip.offset - clip.onset + 1
        for index, image in read_frames(clip.frames, range(len(clip.frames))):
            assert abs(int(np.median(image)) - official.frame_level(clip.onset + index)) <= 3
            assert (image[..., 0] == image[..., 2]).all() or isinstance(clip.frames, VideoSpan)


def test_every_clip_goes_through_the_pipeline_and_has_an_identity(case: Case, tmp_path: Path) -> None:
    case.build(tmp_path)
    found = case.find(tmp_path)
    digests = {source_digest(clip, found.root) for clip in found.clips}
    assert len(digests) == len(found.clips)
    record = process_clip(found.clips[0], [TINY])[0]
    assert record.motion.shape == (4, 16, 16, 3)
    assert record.n_frames == len(found.clips[0].frames)


def test_no_adapter_writes_into_the_data_set(case: Case, tmp_path: Path) -> None:
    case.build(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    case.find(tmp_path)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("adapter", [casme2, samm, smic, demo])
def test_a_folder_without_the_set_is_refused(adapter: Callable[[Path], Discovery], tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError, match=r"pass --root|unpack the archive"):
            adapter(root)


@pytest.mark.parametrize(("build", "adapter"), [(official.casme2_tree, casme2), (official.samm_tree, samm)])
def test_a_missing_sheet_is_named(build: Callable[[Path], object], adapter: Callable, tmp_path: Path) -> None:
    build(tmp_path)
    next(tmp_path.glob("*.xlsx")).unlink()
    with pytest.raises(UsageError, match="no annotation sheet"):
        adapter(tmp_path)


def clips_of(found: Discovery) -> dict[str, Clip]:
    return {clip.key: clip for clip in found.clips}


# --- traps of CASME II ----------------------------------------------------------------------------


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
    assert "annotation from CASME2-coding-20190701.xlsx" in found.notes


def test_an_old_xls_sheet_says_what_to_do(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    next(tmp_path.glob("*.xlsx")).rename(tmp_path / "CASME2_label_Ver_2.xls")
    with pytest.raises(UsageError, match=r"save it as \.xlsx"):
        casme2(tmp_path)


def test_a_folder_without_a_row_is_noticed(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    official.write_sheet(
        next(tmp_path.glob("*.xlsx")), [official.CASME2_HEADER, *official.casme2_rows(official.CASME2[:-1])]
    )
    (anomaly,) = casme2(tmp_path).anomalies
    assert anomaly.found == "1 folders have no row in the sheet: sub24/EP02_07"


def test_missing_frames_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    for number in (97, 98, 104):
        (tmp_path / f"Cropped/sub01/EP02_01f/reg_img{number}.jpg").unlink()
    found = casme2(tmp_path)
    assert "3 of 10 frames are missing" in found.failures["sub01/EP02_01f"]
    assert "97–98, 104 (it holds frames 95 to 103)" in found.failures["sub01/EP02_01f"]
    assert len(found.clips) == len(official.CASME2) - 1


def test_rows_that_repeat_or_contradict_are_not_guessed_at(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    rows = official.casme2_rows(official.CASME2)
    contradicting = [*rows[1]]
    contradicting[8] = "disgust"
    sheet = next(tmp_path.glob("*.xlsx"))
    official.write_sheet(sheet, [official.CASME2_HEADER, *rows, rows[0], contradicting])
    found = casme2(tmp_path)
    assert [(anomaly.key, anomaly.kind) for anomaly in found.anomalies] == [("sub01/EP02_01f", "listed twice")]
    assert "lines 3 and 10 of the sheet contradict" in found.failures["sub03/EP01_2"]
    assert "sub03/EP01_2" not in clips_of(found)


def test_hidden_copies_of_images_are_no_frames(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    folder = tmp_path / "Cropped/sub01/EP02_01f"
    (folder / "._reg_img99.jpg").write_bytes(b"Mac OS X        2")
    (folder / "Thumbs.db").write_bytes(b"0")
    assert casme2(tmp_path).failures == {}


# --- corrections ----------------------------------------------------------------------------------

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
    assert line.startswith("sub16/EP01_08: offset 110 → 96, because ")


def test_corrections_can_be_switched_off(tmp_path: Path) -> None:
    shortened_clip(tmp_path, 96)
    found = casme2(tmp_path, corrected=False)
    assert found.corrections == []
    assert "14 of 21 frames are missing" in found.failures["sub16/EP01_08"]


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
    assert "onset 5730 lies after offset 573" in samm(tmp_path, corrected=False).failures["013/013_1_9"]


# --- traps of SAMM and SMIC -----------------------------------------------------------------------


def test_long_videos_of_samm_are_not_taken_for_its_sheet(tmp_path: Path) -> None:
    official.samm_tree(tmp_path)
    official.write_sheet(tmp_path / "SAMM_LongVideos_V1_Release.xlsx", [("Subject", "Filename", "Onset")])
    assert "annotation from SAMM_Micro_FACS_Codes_v2.xlsx" in samm(tmp_path).notes


def test_smic_classes_come_from_the_name_and_must_fit_the_place(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    folder = tmp_path / "SMIC_all_cropped/HS/s1/micro"
    (folder / "surprise").mkdir()
    (folder / "negative/s1_ne_01").rename(folder / "surprise/s1_ne_01")
    official.write_frames(folder / "surprise/extra", "reg_image{:06d}.bmp".format, range(4))
    failures = smic(tmp_path).failures
    assert "is negative by its name and surprise by its place" in failures["s1/s1_ne_01"]
    assert "is no clip name of SMIC" in failures["s1/extra"]


def test_smic_gaps_are_reported(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    (tmp_path / "SMIC_all_cropped/HS/s2/micro/surprise/s2_sur_01/reg_image100000.bmp").unlink()
    found = smic(tmp_path)
    assert "1 of 6 frames are missing" in found.failures["s2/s2_sur_01"]
    assert len(found.clips) == len(official.SMIC) - 1


def test_the_name_decides_where_the_sheet_of_smic_differs(tmp_path: Path) -> None:
    official.smic_long_tree(tmp_path)
    sheet = next(tmp_path.rglob("*.xlsx"))
    header = ("Subject", "Filename", "OnsetF", "OffsetF", "Emotion")
    official.write_sheet(sheet, [header, (1, "s1_ne_01", 1003, 1008, "surprise")])
    found = smic(tmp_path)
    assert found.clips[0].emotion == "negative"
    assert [anomaly.kind for anomaly in found.anomalies] == ["label differs"]


def test_the_one_clip_below_sixteen_frames(tmp_path: Path) -> None:
    official.smic_tree(tmp_path, [Expression("s3", "s3_ne_03", 302370, None, 302380, "negative")])
    record = process_clip(smic(tmp_path).clips[0], [Recipe(size=16, levels=2)])[0]
    assert record.n_frames == 11
    assert record.motion.shape == (16, 16, 16, 3)


def test_cameras_of_smic_are_sets_of_their_own(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    official.smic_tree(tmp_path, official.SMIC[:1], frames="SMIC_all_cropped/VIS")
    assert smic(tmp_path).dataset == "smic"
    vis = smic(tmp_path, camera="vis")
    assert (vis.dataset, len(vis.clips), vis.clips[0].fps) == ("smic-vis", 1, 25.0)
    with pytest.raises(UsageError, match="no SMIC NIR frames"):
        smic(tmp_path, camera="nir")
