"""CASME II (Yan et al. 2014): 200 fps, 26 subjects, frames numbered as in the sheet.

Layout as delivered: `Cropped/sub01/EP02_01f/reg_img46.jpg` (numbers without leading zeros, from
OnsetFrame to OffsetFrame) beside `CASME2-coding-20140508.xlsx` or the 2019 sheet. Clip names are
irregular and repeat across subjects (EP02_07 is in sub05 and in sub24), so (subject, clip) is the
key. ApexFrame may read '/'. Released under a licence agreement: http://casme.psych.ac.cn
"""

from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Clip, ClipError, Discovery, find_root, frames_between, numbered_frames
from preprocess.datasets.sheet import Row, find_sheet, read_sheet

FPS = 200.0
FRAME_FOLDERS = (
    "Cropped",
    "Cropped/Cropped",
    "Cropped-updated",
    "Cropped-updated/Cropped",
    "CASME2_RAW_selected",
    "CASME2_RAW_selected/CASME2_RAW_selected",
    ".",
)
SHEETS = ("CASME2-coding-2019*.xlsx", "CASME2-coding-2014*.xlsx", "CASME2-coding*.xlsx", "CASME2*.xls*")
COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")


def casme2(root: Path, dataset: str = "casme2") -> Discovery:
    """Find the clips of CASME II below `root`.

    Raises:
        UsageError: the folder, its frames or its sheet are missing.
    """
    find_root(root, dataset)
    frame_folder = _frame_folder(root)
    sheet = find_sheet(root, SHEETS, dataset)
    found = Discovery(dataset, root)
    found.notes = [f"frames from {frame_folder.relative_to(root)}", f"annotation from {sheet.relative_to(root)}"]
    for row in read_sheet(sheet, COLUMNS):
        subject, name = _subject(row), row.text("Filename")
        try:
            found.clips.append(_clip(row, dataset, subject, name, frame_folder / subject / name))
        except (ClipError, ValueError) as error:
            found.failures[f"{subject}/{name}"] = str(error)
    if not found.clips and not found.failures:
        raise UsageError(f"{sheet} lists no clips below its header; is it complete?")
    return found


def _frame_folder(root: Path) -> Path:
    for name in FRAME_FOLDERS:
        if any(path.is_dir() for path in (root / name).glob("sub[0-9]*")):
            return root / name
    raise UsageError(
        f"no CASME II frames in {root}: expected Cropped/sub01/…/reg_img46.jpg (or CASME2_RAW_selected/sub01/…); "
        "unpack the archive there"
    )


def _subject(row: Row) -> str:
    digits = "".join(filter(str.isdigit, row.text("Subject")))
    return f"sub{int(digits):02d}" if digits else row.text("Subject")


def _clip(row: Row, dataset: str, subject: str, name: str, folder: Path) -> Clip:
    onset, offset = row.integer("OnsetFrame"), row.integer("OffsetFrame")
    if onset is None or offset is None:
        raise ClipError(f"line {row.number} of the sheet has no onset or offset; complete the sheet")
    return Clip(
        dataset=dataset,
        subject=subject,
        clip=name,
        frames=frames_between(numbered_frames(folder), onset, offset, folder),
        onset=onset,
        apex=row.integer("ApexFrame"),
        offset=offset,
        fps=FPS,
        emotion=row.text("Estimated Emotion").lower(),
    )
