"""What public code stumbles over in the releases: names, numbers, sheets and layouts, one test for each trap."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import official_sets as official
import pytest
from official_sets import CASME2, Expression, casme2_tree, clips_of, samm_tree, smic_tree, write_frames

from data_cache.errors import UsageError
from data_cache.protocols.protocol import apply_protocol
from data_cache.protocols.published import PROTOCOLS
from preprocess.datasets.base import Discovery
from preprocess.datasets.casme2 import CASME2 as CASME2_SET
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.folders import numbered_frames
from preprocess.datasets.samm import SAMM, samm
from preprocess.datasets.sheet import subject_number
from preprocess.datasets.smic import LONG_FOLDERS, SHORT_FOLDERS, smic

Build = Callable[..., list[Expression]]
Adapter = Callable[[Path], Discovery]


def keys(found: Discovery) -> set[str]:
    assert found.failures == {}
    return {clip.key for clip in found.clips}


LAYOUTS = [
    *((casme2_tree, casme2, folder) for folder in CASME2_SET.frame_folders),
    *((samm_tree, samm, folder) for folder in SAMM.frame_folders),
    *((smic_tree, smic, folder.format("HS")) for folder in SHORT_FOLDERS),
    # deeper, and in another case
    (casme2_tree, casme2, "CASME2_preprocessed_Li Xiaobai/Cropped"),
    (casme2_tree, casme2, "CASME2_preprocessed_Li Xiaobai/CASME2_preprocessed_Li Xiaobai/cropped"),
    (casme2_tree, casme2, "Casme2_Raw_Selected"),
    (samm_tree, samm, "Delivery 2021"),
    (samm_tree, samm, "Delivery 2021/Samm"),
    (smic_tree, smic, "SMIC/SMIC_all_cropped/HS"),
    (smic_tree, smic, "smic_all_cropped/hs"),
]


@pytest.mark.parametrize(("build", "adapter", "frames"), LAYOUTS)
def test_every_layout_is_found(build: Build, adapter: Adapter, frames: str, tmp_path: Path) -> None:
    expected = build(tmp_path, frames=frames)
    found = adapter(tmp_path)
    assert keys(found) == {each.key for each in expected}
    if adapter is casme2 and frames in CASME2_SET.frame_folders:
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


def classes_in_another_case(root: Path) -> list[Expression]:
    expected = smic_tree(root)
    for folder in (root / "SMIC_all_cropped/HS").glob("*/micro"):
        for emotion in list(folder.iterdir()):
            emotion.rename(emotion.with_name(emotion.name.title()))
        folder.rename(folder.with_name("Micro"))
    return expected


def clips_in_another_case(root: Path) -> list[Expression]:
    expected = casme2_tree(root)
    for folder in list((root / "Cropped").glob("*/*")):
        folder.rename(folder.with_name(folder.name.lower()))
    return expected


def exported_as_csv(root: Path, delimiter: str) -> list[Expression]:
    expected = casme2_tree(root)
    next(root.glob("*.xlsx")).unlink()
    rows = [official.CASME2_HEADER, *official.casme2_rows(*expected)]
    lines = [delimiter.join("" if cell is None else str(cell) for cell in row) for row in rows]
    (root / "CASME2-coding-20140508.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return expected


def wrong_dimension_tag(root: Path) -> list[Expression]:
    expected = casme2_tree(root)
    sheet = next(root.glob("*.xlsx"))
    with zipfile.ZipFile(sheet) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', parts[name])
    with zipfile.ZipFile(sheet, "w") as book:
        for part, content in parts.items():
            book.writestr(part, content)
    return expected


def with_files_of_other_programs(root: Path) -> list[Expression]:
    """A hidden copy of a frame, and previews."""
    expected = casme2_tree(root)
    for name in ("._reg_img99.jpg", "Thumbs.db"):
        (root / "Cropped/sub01/EP02_01f" / name).write_bytes(b"Mac OS X        2")
    return expected


VARIANTS: dict[str, tuple[Callable[[Path], list[Expression]], Adapter]] = {
    "classes in another case": (classes_in_another_case, smic),
    "clips in another case": (clips_in_another_case, casme2),
    "commas": (partial(exported_as_csv, delimiter=","), casme2),
    "semicolons": (partial(exported_as_csv, delimiter=";"), casme2),
    "tabs": (partial(exported_as_csv, delimiter="\t"), casme2),
    "a wrong dimension tag": (wrong_dimension_tag, casme2),
    "files of other programs": (with_files_of_other_programs, casme2),
    "subjects as floats": (partial(samm_tree, subject=float), samm),
    "subjects as text": (partial(samm_tree, subject=lambda text: str(int(text))), samm),
    "subjects of two digits": (partial(samm_tree, subject=lambda text: f"{int(text):02}"), samm),
} | {f"{lines} lines above the header": (partial(samm_tree, preamble=lines), samm) for lines in (0, 1, 10, 13, 14)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_only_written_otherwise_is_read_all_the_same(variant: str, tmp_path: Path) -> None:
    build, adapter = VARIANTS[variant]
    expected = build(tmp_path)
    found = adapter(tmp_path)
    assert {clip.key: clip.apex for clip in found.clips} == {each.key: each.apex for each in expected}
    assert (found.failures, found.anomalies) == ({}, [])


def test_the_crops_come_before_the_scenes(tmp_path: Path) -> None:
    casme2_tree(tmp_path, frames="CASME2_RAW_selected")
    casme2_tree(tmp_path)
    assert casme2(tmp_path).notes[0] == "frames from Cropped (cropped faces)"


@pytest.mark.parametrize("folder", ["SAMM_uncropped", "not_cropped", "notcropped"])
def test_a_folder_called_uncropped_is_not_cropped(folder: str, tmp_path: Path) -> None:
    samm_tree(tmp_path / folder)
    assert not samm(tmp_path / folder).cropped


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("reg_img100.jpg", "reg_img99.jpg"), [99, 100]),  # CASME II: no padding
        (("006_05562.jpg", "006_5563.jpg"), [5562, 5563]),  # SAMM: padding varies, the subject stands in front
        (("reg_image076518.bmp", "reg_image17771577.bmp"), [76518, 17771577]),  # SMIC: 5 to 8 digits
        (("00123.bmp",), [123]),  # SMIC, NIR: no prefix
        (("reg_EP01_5-113.jpg", "reg_EP01_5-114.jpg"), [113, 114]),  # CASME: the clip's name holds digits too
        (("IMG_7.JPG", "IMG_8.Jpeg"), [7, 8]),
        (("frame (1).jpg", "frame (2).jpg"), [1, 2]),  # nothing was copied here
    ],
)
def test_the_last_number_of_a_name_is_the_frame(names: tuple[str, ...], numbers: list[int], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert sorted(numbered_frames(tmp_path)) == numbers


def test_a_second_download_of_a_frame_is_named(tmp_path: Path) -> None:
    smic_tree(tmp_path)
    folder = tmp_path / "SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01"
    (folder / "reg_image559742 (1).bmp").write_bytes((folder / "reg_image559742.bmp").read_bytes())
    assert "reg_image559742 (1).bmp" in smic(tmp_path).failures["s1/s1_ne_01"]


SHEETS = ["CASME2-coding-20140508", "CASME2-coding-20190701", "CASME2-coding-updated", "CASME2_label_Ver_2"]
SHEETS += ["SAMM_Micro_FACS_Codes_v2", "SAMM_20181215_Micro_FACS_Codes", "SAMM_20181215", "SAMM"]


@pytest.mark.parametrize("name", [f"{stem}.xlsx" for stem in SHEETS])
def test_sheets_are_found_by_each_name_they_go_by(name: str, tmp_path: Path) -> None:
    build, adapter = (casme2_tree, casme2) if name.startswith("CASME2") else (samm_tree, samm)
    build(tmp_path)  # type: ignore[operator]
    next(tmp_path.glob("*.xlsx")).rename(tmp_path / name)
    assert keys(adapter(tmp_path))
    assert f"annotation from {name}" in adapter(tmp_path).notes


def test_other_sheets_are_not_taken_for_the_coding(tmp_path: Path) -> None:
    samm_tree(tmp_path / "samm")
    official.write_sheet(tmp_path / "samm/SAMM_LongVideos_V1_Release.xlsx", ("Subject", "Filename", "Onset"))
    assert samm(tmp_path / "samm").notes[1].startswith("annotation from SAMM_Micro_FACS_Codes_v2.xlsx")
    casme2_tree(tmp_path)
    objective = (("Subject", "Filename", "Objective Class"), (1, "EP02_01f", 3))
    official.write_sheet(tmp_path / "CASME2-ObjectiveClasses.xlsx", *objective)
    assert casme2(tmp_path).notes[1].startswith("annotation from CASME2-coding-20140508.xlsx")
    (tmp_path / "CASME2-coding-20140508.xlsx").unlink()
    with pytest.raises(UsageError, match="CASME2-ObjectiveClasses"):
        casme2(tmp_path)


def test_the_newest_sheet_is_read_a_backup_is_not_and_any_may_be_chosen(tmp_path: Path) -> None:
    casme2_tree(tmp_path, CASME2[:2])
    backup = "CASME2-coding-20140508_backup.xlsx"
    casme2_tree(tmp_path, CASME2[:3], sheet=backup)
    assert len(casme2(tmp_path).clips) == 2
    assert len(casme2(tmp_path, sheet=tmp_path / backup).clips) == 3
    official.casme2_2019(tmp_path)
    found = casme2(tmp_path)
    assert len(found.clips) == len(CASME2)
    assert found.notes[1].startswith("annotation from CASME2-coding-20190701.xlsx")
    assert "CASME2-coding-20140508.xlsx" in found.notes[1]  # it was there, and not read


@pytest.mark.parametrize(("folder", "camera"), [("VIS", "hs"), ("HS", "vis"), ("SMIC_all_raw/NIR", "hs")])
def test_a_folder_of_another_camera_is_refused(folder: str, camera: str, tmp_path: Path) -> None:
    smic_tree(tmp_path, frames=folder)
    for root in (tmp_path, tmp_path / folder):
        with pytest.raises(UsageError, match=f"--camera {folder[-3:].strip('/').lower()}"):
            smic(root, camera=camera)


def test_both_spellings_of_other_are_read_as_one(tmp_path: Path) -> None:
    samm_tree(tmp_path, [replace(each, emotion="others") for each in official.SAMM[:2]])
    found = samm(tmp_path)
    assert {clip.emotion for clip in found.clips} == {"other"}
    assert any("'Others'" in note for note in found.notes)


@pytest.mark.parametrize("frames", ["Cropped", "CASME2-RAW"])
def test_the_row_that_no_official_sheet_has_is_added_on_demand(frames: str, tmp_path: Path) -> None:
    casme2_tree(tmp_path, CASME2[:-1], frames=frames)
    folder = tmp_path / frames / "sub24/EP02_07"
    write_frames(folder, ("img{}.jpg" if "RAW" in frames else "reg_img{}.jpg").format, range(61, 107))
    found = casme2(tmp_path)
    assert "sub24/EP02_07" not in keys(found) and any("--supplement" in note for note in found.notes)
    found = casme2(tmp_path, supplement=True)
    clip = clips_of(found)["sub24/EP02_07"]
    assert (clip.emotion, clip.onset, clip.apex, clip.offset) == ("disgust", 61, 91, 106)
    assert found.corrections[0].startswith("sub24/EP02_07")
    casme2_tree(tmp_path, CASME2, frames=frames)  # a list that has the row is left alone
    found = casme2(tmp_path, supplement=True)
    assert found.corrections == [] and len(keys(found)) == len(CASME2)


def test_a_subject_is_a_number_however_written_or_stays_text() -> None:
    assert {subject_number(text, "sub") for text in ("6", "06", "006", "6.0", " 6 ", "sub06", "Sub6")} == {6}
    assert {subject_number(text, "sub") for text in ("", "sub", "6a", "6.5", "-6", "1" * 20, "²")} == {None}


@pytest.mark.parametrize("emotion", ["sadness", "surprise"])
def test_the_labels_of_2014_hold_whichever_sheet_is_there(emotion: str, tmp_path: Path) -> None:
    """The sheet of 2019 calls three clips of sub24 surprise, that of 2014 sadness; the cache stores what is read."""
    clips = [Expression("sub24", clip, 11, 14, 26, emotion) for clip in ("EP07_01", "EP07_04f", "EP10_03")]
    casme2_tree(tmp_path, clips)
    found = casme2(tmp_path)
    assert {clip.emotion for clip in found.clips} == {emotion}
    assert any("2019" in note for note in found.notes[2:]) == (emotion == "surprise")
    for name in ("casme2-5", "casme2-3", "megc2019"):
        assert apply_protocol(PROTOCOLS[name], found.labels).labels == [-1, -1, -1]
    assert apply_protocol(PROTOCOLS["casme2-5-2019"], found.labels).counts["surprise"] == 3


def test_fear_and_sadness_are_negative_in_samm_but_unused_in_casme2() -> None:
    table = [((dataset, "1", emotion), emotion) for dataset in ("samm", "casme2") for emotion in ("fear", "sadness")]
    assert apply_protocol(PROTOCOLS["megc2019"], table).labels == [0, 0, -1, -1]
