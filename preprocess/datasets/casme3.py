"""CAS(ME)³ (Li et al. 2022): 30 fps, whole scenes of 1280×720 pixels; part A has 94 subjects, part C 30.

Layouts of part A as delivered, both with a frame's number in the sheet as its name:
- `part_A/spNO.1/a/color/166.jpg`, a folder for each video, beside `depth`, which is left alone;
- `Part_A_ME_clip/frame/spNO.1_a_355/355.jpg`, a folder for each clip, with its onset in its name.

`cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx` lists several micro-expressions in one video: a clip is
named by its video and its onset as the sheet has it, a_355. Frames are missing as a rule: most
videos lack their first seven or eight (its authors, issue #3 of CAS-ME-3), so those that are there
are used. Part C: `part_C/01/a/color/12.jpg` and `CAS(ME)3_part_C_ME.xlsx`, no apex (its authors:
issue #5). Released under a licence agreement: http://casme.psych.ac.cn
"""

from collections.abc import Iterator
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Anomaly, Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import Layout, locate
from preprocess.datasets.sheet import Row, find_sheet, read_sheet

FACTS = Facts(fps=30.0, labels={"sad": "sadness", "happy": "happiness", "other": "others"}, gaps=True)
LAYOUTS = {
    "sp*/[a-zA-Z]/color": ("part_A", "part_A_split/part_A", "part_A/part_A", "."),
    "sp*_[a-zA-Z]_[0-9]*": ("Part_A_ME_clip/frame", "Part_A_ME_clip/Part_A_ME_clip/frame", "frame", "."),
}
"""Pattern of the clips' folders → where those may be."""
_HIDDEN = (
    "2/e_138 145/g_150 146/a_530 147/d_1146 147/e_1058 155/d_5 179/b_7 200/b_518 204/a_606 206/a_10 206/c_69 214/b_5 "
    "214/k_4 215/f_5 215/f_2183"
)
HIDDEN_AT_APEX = frozenset(f"spNO.{clip}" for clip in _HIDDEN.split())
"""The authors' exception list: clips whose face is hidden at the apex."""


def casme3(root: Path, *, corrected: bool = True, sheet: Path | None = None, part: str = "a") -> Discovery:
    """An `Adapter` for part a (data set casme3) or c (casme3-c); `sheet` is by default the newest that is found."""
    if part not in ("a", "c"):
        raise UsageError(f"no part {part!r}; micro-expressions are in part a and part c of CAS(ME)³")
    found = Discovery("casme3" if part == "a" else "casme3-c", find_root(root, "casme3"))
    collect(found, (_part_a if part == "a" else _part_c)(found, sheet), FACTS, corrected)
    found.cropped = False
    found.anomalies += [
        Anomaly(clip.key, "face hidden", "on the authors' exception list: hidden at the apex", "kept")
        for clip in found.clips
        if part == "a" and clip.key in HIDDEN_AT_APEX
    ]
    return found


def _part_a(found: Discovery, chosen: Path | None) -> Iterator[Listed]:
    expected = "part_A/spNO.1/a/color/166.jpg (or Part_A_ME_clip/frame/spNO.1_a_355/355.jpg)"
    layout = locate(found, "CAS(ME)³", LAYOUTS, expected)
    sheet = find_sheet(found, ("*part_A*JpgIndex*",), chosen)
    for row in read_sheet(sheet, ("Filename", "Onset", "Offset", "emotion")):
        yield _listed(row, layout, row.text("Subject"), row.text("Filename").lower())


def _part_c(found: Discovery, chosen: Path | None) -> Iterator[Listed]:
    places = {"[0-9]*/*/color": ("part_C/part_C", "part_C", ".")}
    layout = locate(found, "CAS(ME)³", places, "part_C/01/a/color/12.jpg")
    for row in read_sheet(find_sheet(found, ("*part_C*ME*",), chosen), ("sub", "count", "onset", "offset", "emotion")):
        yield _listed(row, layout, row.text("sub").removesuffix(".0").zfill(2), "a")


def _listed(row: Row, layout: Layout, subject: str, video: str) -> Listed:
    clip = f"{video}_{row.text('Onset').removesuffix('.0')}"
    names = (f"{subject}/{video}/color", f"{subject}_{clip}")
    folder = next((layout.clips[name.lower()] for name in names if name.lower() in layout.clips), None)
    return Listed.of_row(row, subject, clip, folder or layout.folder / names[0])
