"""DFME (Zhao et al. 2023), as released for its challenges: 2,629 clips of 259 subjects at 200, 300 or 500 fps.

Layout as delivered: `train_data/train_data/sub0003_01/00109.png`, `test_data_A/…` and
`test_data_B/…`, a folder for each clip, frames numbered from 0 as in the sheets, beside
`training_full_with_AU.xlsx`, `testA_full_with_AU.xlsx` and `testB_full_with_AU.xlsx`, which state
the frame rate in every row. Whole scenes.

The parts are a fixed split: a subject is called by its part and its number, training-sub0003 or
testA-sub0101, so that a cache tells them apart (`data_cache.protocols.part_of`). Released under a
licence agreement: https://mea-lab-421.github.io
"""

from collections.abc import Iterator
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import Layout, find_layout
from preprocess.datasets.sheet import find_sheet, read_sheet

PARTS = {
    "training": ("train_data/train_data", "train_data", "DFME_train"),
    "testA": ("test_data_A/test_data_A", "test_data_A", "DFME_testA"),
    "testB": ("test_data_B/test_data_B", "test_data_B", "DFME_testB"),
}
"""Part → where its clips may be."""
COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "Fps")
_CLIPS = "sub[0-9]*_[0-9]*"


def dfme(root: Path, *, corrected: bool = True) -> Discovery:
    """An `Adapter` for the parts that are below `root`: some may be missing, each that is there needs its sheet."""
    found = Discovery("dfme", find_root(root, "dfme"), cropped=False)
    located = {part: find_layout(root, folders, _CLIPS) for part, folders in PARTS.items()}
    layouts = {part: layout for part, layout in located.items() if layout is not None}
    if not layouts:
        raise UsageError(f"no DFME frames in {root}: expected train_data/train_data/sub0003_01/00109.png; unpack them")
    for part, layout in layouts.items():
        found.notes.append(f"{part}: frames from {layout.folder.relative_to(root)} (whole scenes)")
    found.notes += [f"{part} is not there" for part in PARTS if part not in layouts]
    listed = (each for part, layout in layouts.items() for each in _listed(found, part, layout))
    collect(found, listed, Facts(200.0), corrected)
    return found


def _listed(found: Discovery, part: str, layout: Layout) -> Iterator[Listed]:
    for row in read_sheet(find_sheet(found, (f"{part}_full*", f"{part}*")), COLUMNS):
        clip = row.text("Filename")
        folder = layout.clips.get(clip.lower(), layout.folder / clip)
        subject, fps = f"{part}-{row.text('Subject')}", row.text("Fps") or "unknown"
        yield Listed.of_row(row, subject, clip, folder, fps)
