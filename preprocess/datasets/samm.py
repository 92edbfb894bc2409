"""SAMM (Davison et al. 2018): 200 fps, grey, 29 subjects, whole scenes of 960×650 pixels.

Layout as delivered: `SAMM/006/006_1_2/006_05562.jpg`, numbered as in the sheet and padded with
zeros to a width that varies by clip, beside `SAMM_Micro_FACS_Codes_v2.xlsx`, whose header stands
below 13 lines of text (copies without them are about). Crops are made by each lab; a folder with
'crop' in its name counts as such. Released under a licence agreement by Manchester Metropolitan
University.
"""

from pathlib import Path

from preprocess.datasets.base import Discovery
from preprocess.datasets.collect import Facts, SheetSet

SAMM = SheetSet(
    title="SAMM",
    facts=Facts(fps=200.0, labels={"others": "other"}),
    frame_folders=("SAMM_CROP", "SAMM_Cropped", "SAMM_cropped", "Cropped", "SAMM", "SAMM/SAMM", "."),
    clip_folders="[0-9][0-9][0-9]/*",
    sheets=("SAMM_Micro_FACS_Codes*", "SAMM*Micro*", "SAMM_2*", "SAMM", "SAMM*"),
    subject_folder="{:03d}".format,
    expected="SAMM/006/006_1_2/006_05562.jpg (or your own crops as SAMM_CROP/006/…)",
)


def samm(root: Path, *, corrected: bool = True, sheet: Path | None = None) -> Discovery:
    """An `Adapter`; `sheet` is the sheet to read, by default the newest that is found."""
    return SAMM.find("samm", root, corrected, sheet)
