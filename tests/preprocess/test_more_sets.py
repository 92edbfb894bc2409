"""CAS(ME)³, DFME, CAS(ME)² and SMIC: what is published about their faults, and what they alone have."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import more_sets as more
import pytest
from builds import SMALL
from commands import Command
from official_sets import Expression, clips_of, smic_long_tree, smic_tree, write_frames, write_sheet

from data_cache import CacheReader
from data_cache.errors import UsageError
from preprocess.check import check
from preprocess.datasets.casme3 import casme3
from preprocess.datasets.casme_sq import casme_sq
from preprocess.datasets.dfme import dfme
from preprocess.datasets.find import find
from preprocess.datasets.smic import smic
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe


def faulty_casme3(root: Path, held: Expression, **stated: Any) -> None:
    """Frames of `held`, and a sheet that states something else; the folder is named by the sheet's onset."""
    row = replace(held, **stated)
    row = replace(row, clip=f"{held.clip.split('_')[0]}_{row.onset}")
    held.film(root / "Part_A_ME_clip/frame" / f"{row.subject}_{row.clip}", "{}.jpg")
    more.casme3_sheet(root / more.CASME3_SHEET, [row])


@pytest.mark.parametrize(
    ("held", "stated", "read"),
    [
        (Expression("spNO.216", "d_2647", 2647, 2668, 2694, "disgust"), {"onset": 3647}, ("d_3647", 2647, 2668, 48)),
        (Expression("spNO.149", "d_112", 112, 83, 130, "surprise"), {}, ("d_112", 112, None, 19)),  # no two agree
        (Expression("spNO.216", "e_1", 1, 1, 9, "others"), {"onset": 0, "apex": 0}, ("e_0", 1, 0, 9)),
    ],
)
def test_errors_on_which_sources_agree_are_corrected(
    held: Expression, stated: dict[str, Any], read: tuple[object, ...], tmp_path: Path
) -> None:
    faulty_casme3(tmp_path, held, **stated)
    (clip,) = (found := casme3(tmp_path)).clips
    assert (clip.clip, clip.onset, clip.apex, len(clip.frames)) == read
    assert len(found.corrections) == 1
    assert not any(anomaly.unexpected for anomaly in check(found).anomalies if anomaly.kind == "apex outside")
    assert list(casme3(tmp_path, corrected=False).failures) == (["spNO.216/d_3647"] if held.onset == 2647 else [])


def test_a_sheet_that_is_right_is_left_alone(tmp_path: Path) -> None:
    clips = [
        Expression("spNO.216", "d_2647", 2647, 2668, 2694, "disgust"),
        Expression("spNO.216", "d_3647", 3647, 3650, 3660, "disgust"),
    ]
    more.casme3_tree(tmp_path, clips)
    found = casme3(tmp_path)
    assert [clip.onset for clip in found.clips] == [2647, 3647] and found.corrections == []


def test_rows_without_an_offset_fail_and_are_known(tmp_path: Path) -> None:
    more.casme3_tree(tmp_path, [*more.CASME3, Expression("spNO.40", "e_1812", 1812, 1820, 0, "others")])
    found = casme3(tmp_path)
    assert list(found.failures) == ["spNO.40/e_1812"] and found.lost == {"spNO.40/e_1812": "others"}
    report = check(found)
    assert [anomaly.unexpected for anomaly in report.anomalies if anomaly.kind == "unusable"] == [False]


def test_missing_frames_are_normal_here_and_said(tmp_path: Path, command: Command) -> None:
    more.casme3_tree(tmp_path / "set", [Expression("spNO.1", "a_1", 1, 12, 30, "disgust")])
    for number in (*range(1, 8), 10):
        (tmp_path / f"set/part_A/spNO.1/a/color/{number}.jpg").unlink()
    (clip,) = (found := casme3(tmp_path / "set")).clips
    assert (clip.onset, clip.offset, len(clip.frames)) == (1, 30, 22)
    assert clip.apex_index is not None and clip.frames[clip.apex_index].name == "12.jpg"  # type: ignore[index]
    (said,) = [anomaly for anomaly in found.anomalies if anomaly.kind == "frames missing"]
    assert "8 of 30" in said.found and "1–7, 10" in said.found and not said.unexpected
    done = command("mpt-preprocess", "casme3", "--root", tmp_path / "set", "-o", "a.h5", "--faces", "none", *SMALL)
    assert done.code == 0, done.err
    clips = CacheReader("a.h5").clips
    assert (clips.keys, clips.n_frames.tolist(), clips.onset.tolist()) == (["spNO.1/a_1"], [22], [1])


def test_a_clip_without_any_of_its_frames_fails_even_here(tmp_path: Path) -> None:
    more.casme3_tree(tmp_path, [Expression("spNO.1", "a_1", 1, 5, 9, "disgust")])
    for path in (tmp_path / "part_A/spNO.1/a/color").iterdir():
        path.rename(path.with_stem(f"9{path.stem}"))
    assert "9 of 9" in casme3(tmp_path).failures["spNO.1/a_1"]


def test_the_newest_sheet_is_read_the_others_are_named_and_so_are_other_spellings_of_labels(tmp_path: Path) -> None:
    more.casme3_tree(tmp_path, more.CASME3[:1])
    newer = "cas(me)3_part_A_ME_label_JpgIndex_v2_20250903.xlsx"
    more.casme3_tree(tmp_path, sheet=newer)
    (tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v1.xls").write_bytes(b"old")
    (tmp_path / "~$cas(me)3_part_A_ME_label_JpgIndex_v3.xlsx").write_bytes(b"the lock of a sheet that is open")
    found = casme3(tmp_path)
    assert len(found.clips) == len(more.CASME3)
    assert found.notes[1].startswith(f"annotation from {newer}") and more.CASME3_SHEET in found.notes[1]
    assert len(casme3(tmp_path, sheet=tmp_path / more.CASME3_SHEET).clips) == 1
    notes = " ".join(found.notes)
    assert "'sad' is read as 'sadness' in 1 rows" in notes and "'happy'" in notes


def test_the_exception_list_is_reported(tmp_path: Path) -> None:
    more.casme3_tree(tmp_path, [Expression("spNO.155", "d_5", 5, 9, 14, "disgust")])
    assert [anomaly.kind for anomaly in casme3(tmp_path).anomalies] == ["face hidden"]


def test_part_c_is_a_set_of_its_own(tmp_path: Path) -> None:
    expected = more.casme3_c_tree(tmp_path)
    found = casme3(tmp_path, part="c")
    assert (found.dataset, set(clips_of(found))) == ("casme3-c", {each.key for each in expected})
    with pytest.raises(UsageError, match="'b'"):
        casme3(tmp_path, part="b")
    with pytest.raises(UsageError, match="--part"):
        find("casme2", tmp_path, part="c")


def test_dfme_has_a_frame_rate_in_every_row(tmp_path: Path) -> None:
    more.dfme_tree(tmp_path, rates=(500, 300.0, "200"))
    assert [clip.fps for clip in dfme(tmp_path).clips] == [500, 300, 200, 500]
    more.dfme_tree(tmp_path / "bad", rates=(500, None))
    assert list(dfme(tmp_path / "bad").failures) == ["training-sub0004/sub0004_07", "testB-sub0201/sub0201_01"]


def test_dfme_may_come_without_its_test_parts(tmp_path: Path) -> None:
    more.dfme_tree(tmp_path, more.DFME[:2])
    found = dfme(tmp_path)
    assert {clip.subject.partition("-")[0] for clip in found.clips} == {"training"}
    assert {"testA is not there", "testB is not there"} <= set(found.notes)


def test_a_frame_with_two_suffixes_is_a_frame_and_a_clip_without_crops_fails_alone(tmp_path: Path) -> None:
    more.casme_sq_tree(tmp_path)
    crops = tmp_path / "cropped/cropped/15"
    (crops / "anger1_1/img560.jpg").rename(crops / "anger1_1/img560.jpg.jpg")
    shutil.rmtree(crops / "happy5_2")
    found = casme_sq(tmp_path)
    assert list(found.failures) == ["s15/happy5_2"] and len(found.clips) == 2


def test_smic_clips_that_lack_frames_or_lie_where_their_name_does_not_say_fail_alone(tmp_path: Path) -> None:
    """In another subject's folder, a clip would leak across folds."""
    smic_tree(tmp_path)
    hs = tmp_path / "SMIC_all_cropped/HS"
    (hs / "s1/micro/surprise").mkdir()
    (hs / "s1/micro/negative/s1_ne_01").rename(hs / "s1/micro/surprise/s1_ne_01")
    write_frames(hs / "s1/micro/surprise/extra", "reg_image{:06d}.bmp".format, range(4))
    (hs / "s2/micro/positive/s2_po_01").rename(hs / "s2/micro/positive/s1_po_01")
    (hs / "s2/micro/surprise/s2_sur_01/reg_image100000.bmp").unlink()
    found = smic(tmp_path)
    assert [clip.key for clip in found.clips] == ["s20/s20_sur_05"]
    said = {"s1_ne_01": "negative by its name", "extra": "extra", "s1_po_01": "s1 by its name", "s2_sur_01": "1 of 6"}
    assert {key.partition("/")[2] for key in found.failures} == set(said)
    assert all(said[key.partition("/")[2]] in reason for key, reason in found.failures.items())


def test_the_sheet_of_smic_may_be_wrong_about_a_class_but_not_about_a_subject(tmp_path: Path) -> None:
    smic_long_tree(tmp_path)
    rows = [
        ("Subject", "Filename", "OnsetF", "OffsetF", "Emotion", "Onset2F", "Offset2F"),
        (1, "s1_ne_01", 1003, 1008, "surprise", "", "/"),
        ("s03", "s1_ne_01", 1003, 1008),
        (3, "s3_po_02", 2002, 2006, "positive", 2010, None),
    ]
    write_sheet(next(tmp_path.rglob("*.xlsx")), *rows)
    found = smic(tmp_path)
    assert {clip.key: clip.emotion for clip in found.clips} == {"s1/s1_ne_01": "negative", "s3/s3_po_02": "positive"}
    assert [(anomaly.key, anomaly.kind) for anomaly in found.anomalies] == [("s1/s1_ne_01", "label differs")]
    assert list(found.failures) == ["s3/s1_ne_01", "s3/s3_po_02_2"]
    assert "s1 by its name" in found.failures["s3/s1_ne_01"]
    write_sheet(next(tmp_path.rglob("*.xlsx")), rows[0][:4], ("s03", *rows[3][1:4]))  # no other column is needed
    found = smic(tmp_path)
    assert ([clip.key for clip in found.clips], found.failures) == (["s3/s3_po_02"], {})


def test_cameras_of_smic_are_sets_of_their_own(tmp_path: Path) -> None:
    clips = smic_tree(tmp_path)
    smic_tree(tmp_path, clips[:1], frames="SMIC_all_cropped/VIS")
    sets = smic(tmp_path), smic(tmp_path, camera="vis")
    assert [(found.dataset, len(found.clips)) for found in sets] == [("smic", len(clips)), ("smic-vis", 1)]
    assert [found.clips[0].fps for found in sets] == [100.0, 25.0]
    with pytest.raises(UsageError, match=r"NIR|hs"):
        smic(tmp_path, camera="nir")


def test_the_one_clip_below_sixteen_frames(tmp_path: Path) -> None:
    smic_tree(tmp_path, [Expression("s3", "s3_ne_03", 302370, None, 302380, "negative")])
    record = process_clip(smic(tmp_path).clips[0], [Recipe(size=16, levels=2)])[0]
    assert (record.n_frames, record.motion.shape) == (11, (16, 16, 16, 3))
