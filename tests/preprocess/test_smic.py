"""SMIC: classes from names, frames that are not consecutive, sheets that differ, three cameras."""

from pathlib import Path

import official_sets as official
import pytest
from official_sets import Expression

from data_cache.errors import UsageError
from preprocess.datasets.smic import smic
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe


def test_smic_classes_come_from_the_name_and_must_fit_the_place(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    folder = tmp_path / "SMIC_all_cropped/HS/s1/micro"
    (folder / "surprise").mkdir()
    (folder / "negative/s1_ne_01").rename(folder / "surprise/s1_ne_01")
    official.write_frames(folder / "surprise/extra", "reg_image{:06d}.bmp".format, range(4))
    failures = smic(tmp_path).failures
    assert "negative by its name" in failures["s1/s1_ne_01"]
    assert "extra" in failures["s1/extra"]


def test_smic_gaps_are_reported(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    (tmp_path / "SMIC_all_cropped/HS/s2/micro/surprise/s2_sur_01/reg_image100000.bmp").unlink()
    found = smic(tmp_path)
    assert "1 of 6" in found.failures["s2/s2_sur_01"]
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
    with pytest.raises(UsageError, match=r"NIR|hs"):
        smic(tmp_path, camera="nir")


def test_a_clip_of_smic_in_another_subject_would_leak_across_folds(tmp_path: Path) -> None:
    official.smic_tree(tmp_path)
    micro = tmp_path / "SMIC_all_cropped/HS/s2/micro"
    (micro / "positive/s2_po_01").rename(micro / "positive/s1_po_01")
    found = smic(tmp_path)
    assert "s1 by its name" in found.failures["s2/s1_po_01"]
    assert len(found.clips) == len(official.SMIC) - 1


def test_a_row_of_smic_that_names_another_subject_fails(tmp_path: Path) -> None:
    official.smic_long_tree(tmp_path)
    header = ("Subject", "Filename", "OnsetF", "OffsetF")
    rows = [("s03", "s1_ne_01", 1003, 1008), ("s03", "s3_po_02", 2002, 2006)]
    official.write_sheet(next(tmp_path.rglob("*.xlsx")), [header, *rows])
    found = smic(tmp_path)
    assert [clip.key for clip in found.clips] == ["s3/s3_po_02"]
    assert "s1 by its name" in found.failures["s3/s1_ne_01"]


def test_a_second_expression_without_an_end_fails_alone(tmp_path: Path) -> None:
    official.smic_long_tree(tmp_path)
    sheet = next(tmp_path.rglob("*.xlsx"))
    header = ("Subject", "Filename", "OnsetF", "OffsetF", "Onset2F", "Offset2F")
    official.write_sheet(sheet, [header, (3, "s3_po_02", 2002, 2006, 2010, None), (1, "s1_ne_01", 1003, 1008, "", "/")])
    found = smic(tmp_path)
    assert [clip.key for clip in found.clips] == ["s3/s3_po_02", "s1/s1_ne_01"]
    assert list(found.failures) == ["s3/s3_po_02_2"]
