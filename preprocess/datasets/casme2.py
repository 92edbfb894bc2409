"""CASME II (Yan et al. 2014): 200 fps, 26 subjects, frames numbered as in the sheet.

Layout as delivered: `Cropped/sub01/EP02_01f/reg_img46.jpg` (numbers without leading zeros, from
OnsetFrame to OffsetFrame), often below `CASME2_preprocessed_Li Xiaobai`, beside
`CASME2-coding-20140508.xlsx` or `-20190701.xlsx`: the same 255 clips, three of them with another
label. `CASME2-RAW` holds whole recordings with the same numbers. Clip names are irregular and repeat across subjects
(EP02_07 is in sub05 and in sub24), so (subject, clip) is the key. ApexFrame may read '/'. Released
under a licence agreement: http://casme.psych.ac.cn
"""

from pathlib import Path

from data_cache.protocols.published import CASME2_RELABELLED, CASME2_UNLISTED
from preprocess.datasets.base import Discovery
from preprocess.datasets.collect import Facts, Listed, SheetSet

CASME2 = SheetSet(
    title="CASME II",
    facts=Facts(fps=200.0),
    frame_folders=(
        "Cropped",
        "Cropped/Cropped",
        "Cropped-updated",
        "Cropped-updated/Cropped",
        "CASME2_RAW_selected",
        "CASME2_RAW_selected/CASME2_RAW_selected",
        "CASME2-RAW",
        "CASME2-RAW/CASME2-RAW",
        ".",
    ),
    clip_folders="sub[0-9]*/*",
    sheets=("CASME2-coding-2019*", "CASME2-coding-2014*", "CASME2-coding*", "CASME2*"),
    subject_folder="sub{:02d}".format,
    expected="Cropped/sub01/…/reg_img46.jpg (or CASME2_RAW_selected/sub01/…)",
)
SUPPLEMENT = Listed(0, *CASME2_UNLISTED[1:], Path(), "disgust", "61", "91", "106")
"""The frames of this clip are delivered, but its row is in no official sheet; lists of 256 clips have it like this."""
SYNTHETIC_NOTICE = (
    "Synthetic: every face in this file was drawn by mpt-preprocess demo; no person is shown. MIT licence."
)


def casme2(root: Path, *, corrected: bool = True, sheet: Path | None = None, supplement: bool = False) -> Discovery:
    """An `Adapter`; `sheet` is by default that of 2019, else that of 2014; `SUPPLEMENT` makes the paper's 247 clips."""
    found = CASME2.find("casme2", root, corrected, sheet, [SUPPLEMENT] if supplement else [])
    if "surprise" in {emotion for name, emotion in found.labels if name in CASME2_RELABELLED}:
        found.notes.append("labels of the sheet of 2019: three clips of sub24 are surprise, in that of 2014 sadness")
    if f"{CASME2_UNLISTED[1]}/{CASME2_UNLISTED[2]}" not in {clip.key for clip in found.clips}:
        found.notes.append("sub24/EP02_07 has no row, as in every official sheet; --supplement adds it")
    return found


def demo(root: Path, *, corrected: bool = True) -> Discovery:
    """An `Adapter` for a generated demo set, which is laid out as CASME II; only name and notice differ."""
    found = CASME2.find("demo", root, corrected)
    found.licence_notice = SYNTHETIC_NOTICE
    return found
