"""SMIC (Li et al. 2013): a high-speed (HS), a visual (VIS) and a near-infrared (NIR) camera, 16 subjects.

Layouts as delivered:
- `SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01/reg_image559740.bmp`, and the same with
  `SMIC_all_raw` and `image559740.bmp`; a sibling `non_micro` is no micro-expression. There is no
  sheet: a folder holds its clip from onset to offset, and its name says the class.
- `HS_long/SMIC-HS-E/s01/s1_ne_01/image559740.jpg` with `SMIC-HS-E_annotation*.xlsx`: long videos,
  up to three micro-expressions in a row of the sheet.

No apex is annotated in any. Released under a licence agreement by the University of Oulu.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_cache.errors import UsageError
from preprocess.clip import ClipError
from preprocess.datasets.base import Annotation, Anomaly, Discovery, find_root
from preprocess.datasets.collect import collect
from preprocess.datasets.folders import numbered_frames
from preprocess.datasets.layout import Layout, find_layout
from preprocess.datasets.sheet import Row, find_sheet, read_sheet, subject_number

Camera = Literal["hs", "vis", "nir"]
FPS: dict[Camera, float] = {"hs": 100.0, "vis": 25.0, "nir": 25.0}
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
"""Class by the token in a clip's name."""
SHEET_COLUMNS = ("Subject", "Filename", "OnsetF", "OffsetF")
_SHORT = ("SMIC_all_cropped/{0}", "SMIC_all_cropped/SMIC_all_cropped/{0}", "SMIC_all_raw/{0}")
SHORT_FOLDERS = (*_SHORT, "SMIC_all_raw/SMIC_all_raw/{0}", "{0}", ".")
_LONG = ("{0}_long/SMIC-{0}-E", "{0}_long/SMIC_{0}_E", "SMIC-{0}-E", "SMIC_{0}_E")
LONG_FOLDERS = tuple(
    f"{outer}{name}{inner}" for outer in ("", "SMIC-E_raw image/") for name in _LONG for inner in ("", "/{0}")
)
_CLIP_NAME = re.compile(r"s(\d+)_(ne|po|sur)_\d+", re.IGNORECASE)


def smic(root: Path, *, corrected: bool = True, camera: Camera = "hs") -> Discovery:
    """Find the clips of one camera of SMIC below `root`.

    The data set is called smic for the HS camera, which protocols mean, and smic-vis or smic-nir
    for the others.

    Args:
        root: the folder as delivered.
        corrected: whether to apply the known corrections of the annotation.
        camera: which recordings.

    Raises:
        UsageError: the folder, its frames or its sheet are missing.
    """
    find_root(root, "smic")
    found = Discovery("smic" if camera == "hs" else f"smic-{camera}", root)
    name = camera.upper()
    short = find_layout(root, [folder.format(name) for folder in SHORT_FOLDERS], "s[0-9]*/micro/*/*")
    long = find_layout(root, [folder.format(name) for folder in LONG_FOLDERS], "s[0-9]*/s[0-9]*_*_*")
    if short is not None:
        _collect_folders(found, short, FPS[camera], corrected)
    elif long is not None:
        _collect_rows(found, long, name, FPS[camera], corrected)
    else:
        raise UsageError(
            f"no SMIC {name} frames in {root}: expected SMIC_all_cropped/{name}/s1/micro/negative/s1_ne_01/… "
            f"(or SMIC_all_raw/{name}/…, or {name}_long/SMIC-{name}-E/s01/…); unpack the archive there, or choose "
            "another --camera"
        )
    return found


@dataclass(frozen=True)
class _FolderRow:
    """A clip's folder in the place of a row; `number` counts folders."""

    number: int
    subject: str
    emotion: str
    folder: Path


def _collect_folders(found: Discovery, layout: Layout, fps: float, corrected: bool) -> None:
    found.cropped = layout.cropped
    found.notes = [layout.describe(found.root), "classes and intervals from the folders; SMIC annotates no apex"]
    rows = list(_clip_folders(layout.folder))
    folders = {(row.subject, row.folder.name): row.folder for row in rows}
    collect(
        found,
        rows,
        names=lambda row: (row.subject, row.folder.name),
        annotate=_from_folder,
        folder_of=lambda annotation: folders[annotation.subject, annotation.clip],
        fps=fps,
        corrected=corrected,
    )


def _clip_folders(folder: Path) -> Iterator[_FolderRow]:
    paths = sorted(path for path in folder.glob("s[0-9]*/micro/*/*") if path.is_dir())
    for number, path in enumerate(paths, 1):
        yield _FolderRow(number, _subject(path.parts[-4]), path.parts[-2].lower(), path)


def _from_folder(row: _FolderRow, subject: str, clip: str) -> list[Annotation]:
    emotion = _emotion(clip)
    if emotion != row.emotion:
        raise ClipError(f"{row.folder} is {emotion} by its name and {row.emotion} by its place; move or rename it")
    if _owner(clip) != subject:
        raise ClipError(
            f"{row.folder} is of {_owner(clip)} by its name and of {subject} by its place; move or rename it"
        )
    numbers = numbered_frames(row.folder)
    if not numbers:
        raise ClipError(f"{row.folder} holds no numbered image; unpack the clip again")
    return [Annotation(subject, clip, min(numbers), None, max(numbers), emotion)]


def _collect_rows(found: Discovery, layout: Layout, camera: str, fps: float, corrected: bool) -> None:
    sheet = find_sheet(found.root, (f"SMIC-{camera}-E_annotation*.xls*", f"SMIC*{camera}*annotation*.xls*"), "smic")
    found.cropped = layout.cropped
    found.notes = [layout.describe(found.root), f"annotation from {sheet.relative_to(found.root)}"]
    folders = {
        (_subject(path.parent.name), path.name): path for path in layout.folder.glob("s[0-9]*/*") if path.is_dir()
    }
    videos: dict[str, str] = {}

    def annotate(row: Row, subject: str, clip: str) -> list[Annotation]:
        annotations = list(_from_row(row, subject, clip))
        if _owner(clip) != subject:
            raise ClipError(f"line {row.number}: {clip} is of {_owner(clip)} by its name, but Subject says {subject}")
        videos.update({annotation.clip: clip for annotation in annotations})
        _compare_emotion(found, row, f"{subject}/{clip}", _emotion(clip))
        return annotations

    def folder_of(annotation: Annotation) -> Path:
        key = annotation.subject, videos[annotation.clip]
        return folders.get(key, layout.folder / key[0] / key[1])

    collect(
        found,
        read_sheet(sheet, SHEET_COLUMNS),
        names=lambda row: (_subject(row.text("Subject")), row.text("Filename")),
        annotate=annotate,
        folder_of=folder_of,
        fps=fps,
        corrected=corrected,
    )


def _from_row(row: Row, subject: str, clip: str) -> Iterator[Annotation]:
    """Up to three micro-expressions; the second and third of a video are called clip_2 and clip_3."""
    for number in (1, 2, 3):
        part = "" if number == 1 else str(number)
        onset, offset = row.integer(f"Onset{part}F"), row.integer(f"Offset{part}F")
        if number == 1 or onset is not None or offset is not None:
            name = clip if number == 1 else f"{clip}_{number}"
            yield Annotation(subject, name, onset, None, offset, _emotion(clip))


def _compare_emotion(found: Discovery, row: Row, key: str, by_name: str) -> None:
    by_sheet = row.text("Emotion").lower()
    if by_sheet and by_sheet[:2] != by_name[:2]:
        what = f"the sheet says {by_sheet!r}, the clip's name {by_name}"
        found.anomalies.append(Anomaly(key, "label differs", what, "the name counts", unexpected=False))


def _emotion(clip: str) -> str:
    match = _CLIP_NAME.fullmatch(clip)
    if not match:
        raise ClipError(f"{clip!r} is no clip name of SMIC (s1_ne_01, s1_po_01 or s1_sur_01); rename the folder")
    return EMOTIONS[match[2].lower()]


def _owner(clip: str) -> str:
    """The subject that a clip's name says; a clip in another subject's place would leak across folds."""
    return _subject(clip.partition("_")[0])


def _subject(text: str) -> str:
    """The short form of a subject, s1, whichever is written."""
    number = subject_number(text, "s")
    return text if number is None else f"s{number}"
