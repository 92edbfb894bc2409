"""CASME II (Yan et al. 2014): 200 fps, 26 subjects, frames numbered as in the sheet.

Layout as delivered: `Cropped/sub01/EP02_01f/reg_img46.jpg` (numbers without leading zeros, from
OnsetFrame to OffsetFrame) beside `CASME2-coding-20140508.xlsx` or the 2019 sheet. `CASME2-RAW`
holds whole recordings with the same numbers. Clip names are irregular and repeat across subjects
(EP02_07 is in sub05 and in sub24), so (subject, clip) is the key. ApexFrame may read '/'. Released
under a licence agreement: http://casme.psych.ac.cn
"""

from pathlib import Path

from preprocess.datasets.base import Discovery
from preprocess.datasets.sheet_set import SheetSet

CASME2 = SheetSet(
    title="CASME II",
    fps=200.0,
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
    sheets=("CASME2-coding-2019*.xlsx", "CASME2-coding-2014*.xlsx", "CASME2-coding*.xlsx", "CASME2*.xls*"),
    subject_folder="sub{:02d}".format,
    expected="Cropped/sub01/…/reg_img46.jpg (or CASME2_RAW_selected/sub01/…)",
)


def casme2(root: Path, *, corrected: bool = True) -> Discovery:
    """Find the clips of CASME II below `root`.

    Args:
        root: the folder as delivered.
        corrected: whether to apply the known corrections of the annotation.

    Raises:
        UsageError: the folder, its frames or its sheet are missing.
    """
    return CASME2.find("casme2", root, corrected)
