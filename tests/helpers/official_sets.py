"""Small trees in the layouts of the official releases: their names, their sheets' quirks, synthetic frames.

Nothing here is copied from a data set: clips, numbers and pictures are made up. Real are the naming
rules, and the few clip names that protocols and corrections mention.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from openpyxl import Workbook

from preprocess.clip import Clip
from preprocess.datasets.base import Discovery

Value = str | int | float | None


@dataclass(frozen=True)
class Expression:
    """A micro-expression as a sheet states it, and as an adapter must read it."""

    subject: str
    clip: str
    onset: int
    apex: int | None
    offset: int
    emotion: str
    units: str = ""

    @property
    def key(self) -> str:
        return f"{self.subject}/{self.clip}"

    def film(self, folder: Path, names: str, grey: bool = False) -> None:
        """Write its frames, from onset to offset."""
        write_frames(folder, names.format, range(self.onset, self.offset + 1), grey)


GOOD = [Expression("sub01", "EP01_01", 1, 3, 6, "happiness"), Expression("sub02", "EP01_01", 1, 3, 6, "surprise")]
"""Two clips of CASME II that nothing is wrong with."""


def clips_of(found: Discovery) -> dict[str, Clip]:
    """Key → clip."""
    return {clip.key: clip for clip in found.clips}


def frame_level(number: int) -> int:
    """The grey level of frame `number`: pictures tell which frame they are."""
    return 40 + number * 7 % 160


def write_frames(folder: Path, names: Callable[[int], str], numbers: Iterable[int], grey: bool = False) -> None:
    """Frames of 20×24 pixels, written in an order that is not that of their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in sorted(numbers, key=str, reverse=True):
        shape = (24, 20) if grey else (24, 20, 3)
        picture = np.full(shape, frame_level(number), np.uint8)
        assert cv2.imwrite(str(folder / names(number)), picture)


def write_book(path: Path, sheets: Mapping[str, Sequence[Sequence[Value]]]) -> None:
    """An .xlsx file of sheets by their titles."""
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def write_sheet(path: Path, *rows: Sequence[Value]) -> None:
    write_book(path, {"Sheet1": rows})


CASME2 = (
    Expression("sub01", "EP02_01f", 95, 99, 104, "happiness", "12"),
    Expression("sub03", "EP01_2", 51, 55, 58, "surprise", "1"),
    Expression("sub04", "EP12_01f", 261, None, 265, "disgust", "4+7+L10"),
    Expression("sub05", "EP02_07", 36, 38, 41, "surprise", "1+2"),
    Expression("sub07", "EP06_02_01", 8, 10, 12, "disgust", "4+R10"),
    Expression("sub09", "EP09f", 26, 27, 30, "happiness", "?"),
    Expression("sub24", "EP02_07", 61, 64, 66, "disgust", "R2+15"),
)
_FRAMES = ("OnsetFrame", "ApexFrame", "OffsetFrame")
CASME2_HEADER = ("Subject", "Filename", None, *_FRAMES, None, "Action Units", "Estimated Emotion")


def casme2_rows(*expressions: Expression) -> list[list[Value]]:
    """Int subjects, int and text AUs, '/' for an unknown apex, two columns without a name."""
    rows: list[list[Value]] = []
    for each in expressions:
        units = int(each.units) if each.units.isdigit() else each.units
        moments = (each.onset, "/" if each.apex is None else each.apex, each.offset)
        rows.append([int(each.subject.removeprefix("sub")), each.clip, None, *moments, None, units, each.emotion])
    return rows


def casme2_tree(
    root: Path,
    expressions: Sequence[Expression] = CASME2,
    frames: str = "Cropped",
    sheet: str = "CASME2-coding-20140508.xlsx",
    rows: Sequence[Sequence[Value]] | None = None,
) -> list[Expression]:
    """Frames of `expressions`, and a sheet of them or of other `rows`."""
    for each in expressions:
        name = "img{}.jpg" if "RAW" in frames else "reg_img{}.jpg"
        each.film(root / frames / each.subject / each.clip, name)
    write_sheet(root / sheet, CASME2_HEADER, *(casme2_rows(*expressions) if rows is None else rows))
    return list(expressions)


def casme2_2019(root: Path) -> list[Expression]:
    """The later sheet: other case and spacing, subjects as text, another order of columns."""
    sheet = "CASME2-coding-20190701.xlsx"
    expected = casme2_tree(root, sheet=sheet)
    rows = [(f"{row[0]:02d}", row[1], row[8], row[3], row[5], row[4], row[7]) for row in casme2_rows(*CASME2)]
    header = ("subject ", "FileName", "Estimated emotion", "Onset Frame", "offset frame", "Apex Frame", "Action units")
    write_sheet(root / sheet, header, *rows)
    return expected


SAMM = (
    Expression("006", "006_1_2", 5562, 5565, 5568, "anger", "4A/B"),
    Expression("006", "006_2_4", 98, 100, 103, "other", "L12 or L14"),
    Expression("016", "016_7_8", 12256, 12258, 12260, "happiness", "(R6 or R12)+R15"),
    Expression("028", "028_4_3", 370, 372, 375, "surprise", "A/L12"),
)
SAMM_HEADER = ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration")
SAMM_HEADER += ("Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes")


def samm_tree(
    root: Path,
    expressions: Sequence[Expression] = SAMM,
    frames: str = "SAMM",
    preamble: int = 13,
    subject: Callable[[str], Value] = int,
    stated: Sequence[Expression] | None = None,
) -> list[Expression]:
    """Grey frames, their numbers padded to any width; and a sheet of them, or of what is `stated`."""
    for each, width in zip(expressions, cycle((5, 4, 6)), strict=False):
        each.film(root / frames / each.subject / each.clip, f"{each.subject}_{{:0{width}d}}.jpg", grey=True)
    rows: list[Sequence[Value]] = [(f"SAMM release text, line {line}", *(None,) * 11) for line in range(preamble)]
    rows.append(SAMM_HEADER)
    for each in stated or expressions:
        moments = (each.onset, each.apex, each.offset, each.offset - each.onset + 1)
        labels = ("Micro - 1/2", each.units, each.emotion.title(), 2, None)
        rows.append((subject(each.subject), each.clip, "1", *moments, *labels))
    write_book(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO_ONLY": rows})
    return list(expressions)


SMIC_TOKENS = {"negative": "ne", "positive": "po", "surprise": "sur"}
SMIC = (
    Expression("s1", "s1_ne_01", 559740, None, 559746, "negative"),
    Expression("s2", "s2_po_01", 76518, None, 76523, "positive"),
    Expression("s2", "s2_sur_01", 99998, None, 100003, "surprise"),
    Expression("s20", "s20_sur_05", 17771577, None, 17771581, "surprise"),
)


def smic_tree(
    root: Path,
    expressions: Sequence[Expression] = SMIC,
    frames: str = "SMIC_all_cropped/HS",
    name: str = "reg_image{:06d}.bmp",
) -> list[Expression]:
    for each in expressions:
        subject = root / frames / each.subject
        each.film(subject / "micro" / each.emotion / each.clip, name)
        write_frames(subject / "non_micro" / f"{each.subject}_non_01", name.format, range(3))
    return list(expressions)


SMIC_LONG = (
    Expression("s1", "s1_ne_01", 1003, None, 1008, "negative"),
    Expression("s3", "s3_po_02", 2002, None, 2006, "positive"),
    Expression("s3", "s3_po_02_2", 2010, None, 2013, "positive"),
    Expression("s3", "s3_po_02_3", 2016, None, 2020, "positive"),
)


def smic_long_tree(root: Path) -> list[Expression]:
    """Long videos: subjects padded in the folders, not in the clips; three micro-expressions in one row."""
    folder = root / "SMIC-E_raw image" / "HS_long" / "SMIC-HS-E"
    write_frames(folder / "s01" / "s1_ne_01", "image{:06d}.jpg".format, range(1000, 1015))
    write_frames(folder / "s03" / "s3_po_02", "image{:06d}.jpg".format, range(2000, 2025))
    header = ("Subject", "Filename", "OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F")
    header += ("TotalMF1", "TotalMF2", "TotalMF3", "Emotion", "FirstF", "LastF", "TotalVL", None, None)
    rows = [
        (1, "s1_ne_01", 1003, 1008, None, None, None, None, 6, None, None, "negative", 1000, 1014, 15, None, None),
        (3, "s3_po_02", 2002, 2006, 2010, 2013, 2016, 2020, 5, 4, 5, "positive", 2000, 2024, 25, None, None),
    ]
    write_sheet(root / "SMIC-E_raw image" / "SMIC-HS-E_annotation_2019.xlsx", header, *rows)
    return list(SMIC_LONG)
