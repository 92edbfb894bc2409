"""One contract for every adapter, on trees in the layouts and with the quirks of the official releases."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import more_sets as more
import numpy as np
import official_sets as official
import pytest
from official_sets import Expression
from videos import write_video

from data_cache.errors import UsageError
from preprocess.clip import VideoSpan
from preprocess.datasets.base import Discovery
from preprocess.datasets.casme2 import casme2, demo
from preprocess.datasets.casme3 import casme3
from preprocess.datasets.casme_sq import casme_sq
from preprocess.datasets.dfme import dfme
from preprocess.datasets.manifest import manifest
from preprocess.datasets.samm import samm
from preprocess.datasets.smic import smic
from preprocess.frames.read import read_frames
from preprocess.job.provenance import file_identities, source_digest
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe

TINY = Recipe(frames=4, size=16, levels=2)


class Case(NamedTuple):
    """One layout of one data set."""

    name: str
    build: Callable[[Path], Sequence[Expression]]
    find: Callable[[Path], Discovery]
    fps: float
    cropped: bool


def manifest_of_folders(root: Path) -> Sequence[Expression]:
    expressions = official.samm_tree(root, preamble=0)
    lines = ["Subject;Clip;Path;Emotion;Onset;Apex;Offset;Fps;Action units"]
    for each in expressions:
        names = f"{each.subject};{each.clip};SAMM/{each.subject}/{each.clip};{each.emotion.upper()}"
        lines.append(f"{names};{each.onset};{each.apex};{each.offset};90;{each.units}")
    (root / "own.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return expressions


def manifest_of_videos(root: Path) -> Sequence[Expression]:
    for name in ("one.avi", "two.avi"):
        frames = (np.full((24, 32, 3), official.frame_level(number), np.uint8) for number in range(12))
        write_video(root / name, frames, rate=30)
    (root / "own.csv").write_text(
        "subject,clip,path,emotion,onset,offset\nA,whole,one.avi,joy,,\nA,part,two.avi,joy,3,9\n"
    )
    return [Expression("A", "whole", 0, None, 11, "joy"), Expression("A", "part", 3, None, 9, "joy")]


SMIC_NIR = partial(official.smic_tree, frames="SMIC_all_raw/NIR", name="{:05d}.bmp")
CASES = [
    Case("casme2", official.casme2_tree, casme2, 200, True),
    Case("casme2 raw", partial(official.casme2_tree, frames="CASME2_RAW_selected"), casme2, 200, False),
    Case("casme2 2019", official.casme2_2019, casme2, 200, True),
    Case("demo", official.casme2_tree, demo, 200, True),
    Case("samm", official.samm_tree, samm, 200, False),
    Case("samm trimmed", partial(official.samm_tree, preamble=0, subject=str), samm, 200, False),
    Case("samm crops", partial(official.samm_tree, frames="SAMM_CROP"), samm, 200, True),
    Case("smic", official.smic_tree, smic, 100, True),
    Case("smic raw", partial(official.smic_tree, frames="SMIC_all_raw/HS", name="image{:06d}.bmp"), smic, 100, False),
    Case("smic nir", SMIC_NIR, partial(smic, camera="nir"), 25, False),
    Case("smic long", official.smic_long_tree, smic, 100, False),
    Case("casme3 videos", more.casme3_tree, casme3, 30, False),
    Case("casme3 clips", partial(more.casme3_tree, frames="Part_A_ME_clip/Part_A_ME_clip/frame"), casme3, 30, False),
    Case("casme3 split", partial(more.casme3_tree, frames="part_A_split/part_A"), casme3, 30, False),
    Case("casme3 part c", more.casme3_c_tree, partial(casme3, part="c"), 30, False),
    Case("dfme", more.dfme_tree, dfme, 300, False),
    Case("casme-sq", more.casme_sq_tree, casme_sq, 30, True),
    Case("casme-sq clips", partial(more.casme_sq_tree, frames="selectedpic/selectedpic"), casme_sq, 30, False),
    Case("casme-sq long", partial(more.casme_sq_tree, frames="rawpic/rawpic"), casme_sq, 30, False),
    Case("manifest folders", manifest_of_folders, lambda root: manifest(root / "own.csv"), 90, True),
    Case("manifest videos", manifest_of_videos, lambda root: manifest(root / "own.csv"), 30, True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_adapter_reads_its_set_exactly_and_writes_nothing_and_its_clips_are_processed(
    case: Case, tmp_path: Path
) -> None:
    expected = case.build(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = case.find(tmp_path)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (found.failures, found.corrections) == ({}, [])
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
    for clip in found.clips:
        assert len(clip.frames) == clip.offset - clip.onset + 1
        assert clip.apex_index == (None if clip.apex is None else clip.apex - clip.onset)
        for index, image in read_frames(clip.frames, range(len(clip.frames))):
            assert abs(int(np.median(image)) - official.frame_level(clip.onset + index)) <= 3
            assert (image[..., 0] == image[..., 2]).all() or isinstance(clip.frames, VideoSpan)
    assert len({source_digest(clip, found.root, file_identities(clip)) for clip in found.clips}) == len(found.clips)
    record = process_clip(found.clips[0], [TINY])[0]
    assert record.motion.shape == (4, 16, 16, 3)
    assert record.n_frames == len(found.clips[0].frames)


@pytest.mark.parametrize("case", [case for case in CASES if not case.name.startswith("manifest")], ids=lambda c: c.name)
def test_a_folder_without_the_set_or_without_its_sheet_is_refused(case: Case, tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError, match=r"pass --root|unpack"):
            case.find(root)
    case.build(tmp_path)
    if sheets := list(tmp_path.rglob("*.xlsx")):
        for sheet in sheets:
            sheet.unlink()
        with pytest.raises(UsageError, match="no annotation sheet"):
            case.find(tmp_path)
