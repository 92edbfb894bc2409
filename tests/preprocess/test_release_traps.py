"""What public code stumbles over in the releases: names, numbers, sheets and layouts, one test for each trap."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import official_sets as official
import pytest
from official_sets import Expression

from data_cache.errors import UsageError
from data_cache.protocols.protocol import apply_protocol
from data_cache.protocols.published import PROTOCOLS
from preprocess.datasets.base import Discovery
from preprocess.datasets.casme2 import CASME2, casme2
from preprocess.datasets.folders import numbered_frames
from preprocess.datasets.samm import SAMM, samm
from preprocess.datasets.sheet import subject_number
from preprocess.datasets.smic import LONG_FOLDERS, SHORT_FOLDERS, smic


def keys(found: Discovery) -> set[str]:
    assert found.failures == {}
    return {clip.key for clip in found.clips}


LAYOUTS = [
    *((official.casme2_tree, casme2, folder) for folder in CASME2.frame_folders),
    *((official.samm_tree, samm, folder) for folder in SAMM.frame_folders),
    *((official.smic_tree, smic, folder.format("HS")) for folder in SHORT_FOLDERS),
    # deeper, and in another case
    (official.casme2_tree, casme2, "CASME2_preprocessed_Li Xiaobai/Cropped"),
    (official.casme2_tree, casme2, "CASME2_preprocessed_Li Xiaobai/CASME2_preprocessed_Li Xiaobai/cropped"),
    (official.casme2_tree, casme2, "Casme2_Raw_Selected"),
    (official.samm_tree, samm, "Delivery 2021"),
    (official.samm_tree, samm, "Delivery 2021/Samm"),
    (official.smic_tree, smic, "SMIC/SMIC_all_cropped/HS"),
    (official.smic_tree, smic, "smic_all_cropped/hs"),
]


@pytest.mark.parametrize(("build", "adapter", "frames"), LAYOUTS)
def test_every_layout_is_found(
    build: Callable[..., list[Expression]], adapter: Callable[[Path], Discovery], frames: str, tmp_path: Path
) -> None:
    expected = build(tmp_path, frames=frames)
    found = adapter(tmp_path)
    assert keys(found) == {each.key for each in expected}
    if adapter is casme2 and frames in CASME2.frame_folders:
        assert found.cropped == ("RAW" not in frames)
    elif adapter is samm:
        assert found.cropped == ("crop" in frames.lower())


@pytest.mark.parametrize("folder", [folder.format("HS") for folder in LONG_FOLDERS])
@pytest.mark.parametrize("name", ["SMIC-HS-E_annotation.xlsx", "SMIC-HS-E_annotation_2019.xlsx"])
def test_every_long_layout_of_smic_is_found(folder: str, name: str, tmp_path: Path) -> None:
    expected = official.smic_long_tree(tmp_path / "built")
    built = tmp_path / "built/SMIC-E_raw image"
    (tmp_path / "set" / folder).parent.mkdir(parents=True, exist_ok=True)
    (built / "HS_long/SMIC-HS-E").rename(tmp_path / "set" / folder)
    (built / "SMIC-HS-E_annotation_2019.xlsx").rename(tmp_path / "set" / name)
    assert keys(smic(tmp_path / "set")) == {each.key for each in expected}


def test_classes_of_smic_in_another_case(tmp_path: Path) -> None:
    expected = official.smic_tree(tmp_path)
    for folder in (tmp_path / "SMIC_all_cropped/HS").glob("*/micro"):
        for emotion in list(folder.iterdir()):
            emotion.rename(emotion.with_name(emotion.name.title()))
        folder.rename(folder.with_name("Micro"))
    assert keys(smic(tmp_path)) == {each.key for each in expected}


def test_clips_of_the_sheet_in_another_case_than_their_folders(tmp_path: Path) -> None:
    expected = official.casme2_tree(tmp_path)
    for folder in list((tmp_path / "Cropped").glob("*/*")):
        folder.rename(folder.with_name(folder.name.lower()))
    found = casme2(tmp_path)
    assert keys(found) == {each.key for each in expected} and found.anomalies == []


def test_the_crops_come_before_the_scenes(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path, frames="CASME2_RAW_selected")
    official.casme2_tree(tmp_path)
    assert casme2(tmp_path).notes[0] == "frames from Cropped (cropped faces)"


@pytest.mark.parametrize("folder", ["SAMM_uncropped", "not_cropped", "notcropped"])
def test_a_folder_called_uncropped_is_not_cropped(folder: str, tmp_path: Path) -> None:
    official.samm_tree(tmp_path / folder)
    assert not samm(tmp_path / folder).cropped


def test_a_whole_recording_is_read_from_onset_to_offset(tmp_path: Path) -> None:
    """CASME2-RAW numbers its frames as the sheet does, from 1, and holds more than the expression."""
    official.casme2_tree(tmp_path, frames="CASME2-RAW")
    official.write_frames(tmp_path / "CASME2-RAW/sub01/EP02_01f", "img{}.jpg".format, range(1, 130))
    clip = next(clip for clip in casme2(tmp_path).clips if clip.key == "sub01/EP02_01f")
    assert [path.name for path in clip.frames] == [f"img{number}.jpg" for number in range(95, 105)]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("reg_img100.jpg", "reg_img99.jpg"), [99, 100]),  # CASME II: no padding
        (("006_05562.jpg", "006_5563.jpg"), [5562, 5563]),  # SAMM: padding varies, the subject stands in front
        (("reg_image076518.bmp", "reg_image17771577.bmp"), [76518, 17771577]),  # SMIC: 5 to 8 digits
        (("00123.bmp",), [123]),  # SMIC, NIR: no prefix
        (("reg_EP01_5-113.jpg", "reg_EP01_5-114.jpg"), [113, 114]),  # CASME: the clip's name holds digits too
        (("IMG_7.JPG", "IMG_8.Jpeg"), [7, 8]),
    ],
)
def test_the_last_number_of_a_name_is_the_frame(names: tuple[str, ...], numbers: list[int], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert sorted(numbered_frames(tmp_path)) == numbers


@pytest.mark.parametrize(
    ("name", "build", "adapter"),
    [
        ("CASME2-coding-20140508.xlsx", official.casme2_tree, casme2),
        ("CASME2-coding-20190701.xlsx", official.casme2_tree, casme2),
        ("CASME2-coding-updated.xlsx", official.casme2_tree, casme2),
        ("CASME2_label_Ver_2.xlsx", official.casme2_tree, casme2),
        ("SAMM_Micro_FACS_Codes_v2.xlsx", official.samm_tree, samm),
        ("SAMM_20181215_Micro_FACS_Codes.xlsx", official.samm_tree, samm),
        ("SAMM_20181215.xlsx", official.samm_tree, samm),
        ("SAMM.xlsx", official.samm_tree, samm),
    ],
)
def test_sheets_are_found_by_each_name_they_go_by(
    name: str, build: Callable[[Path], object], adapter: Callable[[Path], Discovery], tmp_path: Path
) -> None:
    build(tmp_path)
    next(tmp_path.glob("*.xlsx")).rename(tmp_path / name)
    assert keys(adapter(tmp_path))
    assert f"annotation from {name}" in adapter(tmp_path).notes


def test_objective_classes_are_not_taken_for_the_coding(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    official.write_sheet(
        tmp_path / "CASME2-ObjectiveClasses.xlsx", [("Subject", "Filename", "Objective Class"), (1, "EP02_01f", 3)]
    )
    assert casme2(tmp_path).notes[1].startswith("annotation from CASME2-coding-20140508.xlsx")
    (tmp_path / "CASME2-coding-20140508.xlsx").unlink()
    with pytest.raises(UsageError, match="CASME2-ObjectiveClasses"):
        casme2(tmp_path)


def test_a_sheet_may_be_chosen_and_a_backup_is_not(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path, official.CASME2[:2])
    whole = next(tmp_path.glob("*.xlsx"))
    official.casme2_tree(tmp_path, official.CASME2[:3], sheet="CASME2-coding-20140508_backup.xlsx")
    assert len(casme2(tmp_path).clips) == 2
    assert len(casme2(tmp_path, sheet=whole.with_stem(f"{whole.stem}_backup")).clips) == 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_exported_as_csv(delimiter: str, tmp_path: Path) -> None:
    expected = official.casme2_tree(tmp_path)
    next(tmp_path.glob("*.xlsx")).unlink()
    rows = [official.CASME2_HEADER, *official.casme2_rows(expected)]
    lines = [delimiter.join("" if cell is None else str(cell) for cell in row) for row in rows]
    (tmp_path / "CASME2-coding-20140508.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    found = casme2(tmp_path)
    assert keys(found) == {each.key for each in expected}
    assert next(clip for clip in found.clips if clip.key == "sub04/EP12_01f").apex is None


def test_a_wrong_dimension_tag_hides_no_row(tmp_path: Path) -> None:
    expected = official.casme2_tree(tmp_path)
    sheet = next(tmp_path.glob("*.xlsx"))
    with zipfile.ZipFile(sheet) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', parts[name])
    with zipfile.ZipFile(sheet, "w") as book:
        for part, content in parts.items():
            book.writestr(part, content)
    assert keys(casme2(tmp_path)) == {each.key for each in expected}


def test_a_second_download_of_a_frame_is_named(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    folder = tmp_path / "SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01"
    (folder / "reg_image559742 (1).bmp").write_bytes((folder / "reg_image559742.bmp").read_bytes())
    assert "reg_image559742 (1).bmp" in smic(tmp_path).failures["s1/s1_ne_01"]


def test_numbers_in_brackets_are_numbers_where_nothing_was_copied(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"frame ({number}).jpg").write_bytes(b"")
    assert sorted(numbered_frames(tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize(("folder", "camera"), [("VIS", "hs"), ("HS", "vis"), ("SMIC_all_raw/NIR", "hs")])
def test_a_folder_of_another_camera_is_refused(folder: str, camera: str, tmp_path: Path) -> None:
    official.smic_tree(tmp_path, frames=folder)
    for root in (tmp_path, tmp_path / folder):
        with pytest.raises(UsageError, match=f"--camera {folder[-3:].strip('/').lower()}"):
            smic(root, camera=camera)


def test_an_apex_below_zero_is_unknown(tmp_path: Path) -> None:
    official.samm_tree(tmp_path, [replace(official.SAMM[0], apex=-1)])
    (clip,) = (found := samm(tmp_path)).clips
    assert clip.apex is None and [anomaly.kind for anomaly in found.anomalies] == ["apex below 0"]


def test_both_spellings_of_other_are_read_as_one(tmp_path: Path) -> None:
    official.samm_tree(tmp_path, [replace(each, emotion="others") for each in official.SAMM[:2]])
    found = samm(tmp_path)
    assert {clip.emotion for clip in found.clips} == {"other"}
    assert any("'Others'" in note for note in found.notes)


@pytest.mark.parametrize("frames", ["Cropped", "CASME2-RAW"])
def test_the_row_that_no_official_sheet_has_is_added_on_demand(frames: str, tmp_path: Path) -> None:
    official.casme2_tree(tmp_path, official.CASME2[:-1], frames=frames)
    folder = tmp_path / frames / "sub24/EP02_07"
    official.write_frames(folder, ("img{}.jpg" if "RAW" in frames else "reg_img{}.jpg").format, range(61, 107))
    found = casme2(tmp_path)
    assert "sub24/EP02_07" not in keys(found) and any("--supplement" in note for note in found.notes)
    found = casme2(tmp_path, supplement=True)
    clip = next(clip for clip in found.clips if clip.key == "sub24/EP02_07")
    assert (clip.emotion, clip.onset, clip.apex, clip.offset) == ("disgust", 61, 91, 106)
    assert found.corrections[0].startswith("sub24/EP02_07")
    official.casme2_tree(tmp_path, official.CASME2, frames=frames)  # a list that has the row is left alone
    found = casme2(tmp_path, supplement=True)
    assert found.corrections == [] and len(keys(found)) == len(official.CASME2)


def test_a_sheet_open_in_a_spreadsheet_program_is_no_second_one(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    (tmp_path / "~$CASME2-coding-20190701.xlsx").write_bytes(b"lock")
    assert keys(casme2(tmp_path))


@pytest.mark.parametrize("text", ["6", "06", "006", "6.0", " 6 ", "sub06", "Sub6"])
def test_a_subject_is_a_number_however_written(text: str) -> None:
    assert subject_number(text, "sub") == 6


@pytest.mark.parametrize("text", ["", "sub", "6a", "6.5", "-6", "1" * 20, "²"])
def test_what_is_no_subject_number_stays_text(text: str) -> None:
    assert subject_number(text, "sub") is None


@pytest.mark.parametrize("subject", [int, float, str, "{:02}".format])
def test_subjects_of_samm_in_any_type(subject: Callable[..., object], tmp_path: Path) -> None:
    expected = official.samm_tree(tmp_path, subject=lambda text: subject(int(text)))  # type: ignore[arg-type,return-value]
    assert keys(samm(tmp_path)) == {each.key for each in expected}


@pytest.mark.parametrize("preamble", [0, 1, 10, 13, 14])
def test_the_header_is_looked_for_by_its_names(preamble: int, tmp_path: Path) -> None:
    expected = official.samm_tree(tmp_path, preamble=preamble)
    assert keys(samm(tmp_path)) == {each.key for each in expected}


@pytest.mark.parametrize("unknown", ["/", "\\", "", None, "?"])
def test_an_unknown_apex_in_any_spelling(unknown: str | None, tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    rows = [[*row] for row in official.casme2_rows(official.CASME2)]
    rows[0][4] = unknown
    official.write_sheet(next(tmp_path.glob("*.xlsx")), [official.CASME2_HEADER, *rows])
    assert {clip.key: clip.apex for clip in casme2(tmp_path).clips}["sub01/EP02_01f"] is None


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
    held = replace(stated, onset=frames[0], apex=None, offset=frames[1])
    official.casme2_tree(tmp_path, [stated])
    (read,) = casme2(tmp_path).clips
    assert (read.onset, read.apex, read.offset) == sheet
    official.casme2_tree(tmp_path / "other", [held])
    official.write_sheet(
        next((tmp_path / "other").glob("*.xlsx")), [official.CASME2_HEADER, *official.casme2_rows([stated])]
    )
    found = casme2(tmp_path / "other")
    assert found.clips == [] and found.corrections == []
    assert f"it holds frames {frames[0]} to {frames[1]}" in found.failures[key]


@pytest.mark.parametrize("emotion", ["sadness", "surprise"])
def test_the_labels_of_2014_hold_whichever_sheet_is_there(emotion: str, tmp_path: Path) -> None:
    """The sheet of 2019 calls three clips of sub24 surprise, that of 2014 sadness; the cache stores what is read."""
    clips = [Expression("sub24", clip, 11, 14, 26, emotion) for clip in ("EP07_01", "EP07_04f", "EP10_03")]
    official.casme2_tree(tmp_path, clips)
    found = casme2(tmp_path)
    assert {clip.emotion for clip in found.clips} == {emotion}
    assert any("2019" in note for note in found.notes[2:]) == (emotion == "surprise")
    table = [((clip.dataset, clip.subject, clip.clip), clip.emotion) for clip in found.clips]
    for name in ("casme2-5", "casme2-3", "megc2019"):
        assert apply_protocol(PROTOCOLS[name], table).labels == [-1, -1, -1]
    assert apply_protocol(PROTOCOLS["casme2-5-2019"], table).counts["surprise"] == 3


def test_fear_and_sadness_are_negative_in_samm_but_unused_in_casme2() -> None:
    table = [((dataset, "1", emotion), emotion) for dataset in ("samm", "casme2") for emotion in ("fear", "sadness")]
    assert apply_protocol(PROTOCOLS["megc2019"], table).labels == [0, 0, -1, -1]
