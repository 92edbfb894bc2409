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
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Anomaly, Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import Layout, locate
from preprocess.datasets.sheet import find_sheet, is_unknown, read_sheet, subject_number

FPS = {"hs": 100.0, "vis": 25.0, "nir": 25.0}
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}  # class by the token in a clip's name
SHEET_COLUMNS = ("Subject", "Filename", "OnsetF", "OffsetF")
_SHORT = ("SMIC_all_cropped/{0}", "SMIC_all_cropped/SMIC_all_cropped/{0}", "SMIC_all_raw/{0}")
SHORT_FOLDERS = (*_SHORT, "SMIC_all_raw/SMIC_all_raw/{0}", "{0}", ".")
_LONG = ("{0}_long/SMIC-{0}-E", "{0}_long/SMIC_{0}_E", "SMIC-{0}-E", "SMIC_{0}_E")
LONG_FOLDERS = tuple(
    f"{outer}{name}{inner}" for outer in ("", "SMIC-E_raw image/") for name in _LONG for inner in ("", "/{0}")
)
_SHORT_CLIPS, _LONG_CLIPS = "s[0-9]*/micro/*/*", "s[0-9]*/s[0-9]*_*_*"
_CLIP_NAME = re.compile(r"s(\d+)_(ne|po|sur)_\d+", re.IGNORECASE)


def smic(root: Path, *, corrected: bool = True, camera: str = "hs", sheet: Path | None = None) -> Discovery:
    """An `Adapter` for the recordings of one camera, hs, vis or nir; `sheet` is the sheet of long videos to read.

    The data set is called smic for the HS camera, which protocols mean, and smic-vis or smic-nir for the others; a
    folder of another camera is refused.
    """
    if camera not in FPS:
        raise UsageError(f"no camera {camera!r}; SMIC has {', '.join(FPS)}")
    found = Discovery("smic" if camera == "hs" else f"smic-{camera}", find_root(root, "smic"))
    name = camera.upper()
    layouts = {_SHORT_CLIPS: SHORT_FOLDERS, _LONG_CLIPS: LONG_FOLDERS}
    layout = locate(
        found,
        f"SMIC {name}",
        {pattern: [folder.format(name) for folder in folders] for pattern, folders in layouts.items()},
        f"SMIC_all_cropped/{name}/s1/micro/negative/s1_ne_01/… (or SMIC_all_raw/{name}/…, {name}_long/SMIC-{name}-E/"
        "s01/…, or another --camera)",
    )
    # In a folder whose name says another camera, frame rate and data set would be wrong.
    names = "/".join([root.absolute().name, *layout.folder.relative_to(root).parts]).lower()
    named = set(re.findall(r"(?<![a-z])(hs|vis|nir)(?![a-z])", names))
    if named and camera not in named:
        raise UsageError(f"{layout.folder} is {'/'.join(sorted(named))} by its name; pass --camera {min(named)}")
    short = layout.pattern == _SHORT_CLIPS
    listed = _from_folders(found, layout) if short else _from_sheet(found, layout, name, sheet)
    collect(found, listed, Facts(FPS[camera]), corrected)
    return found


def _from_folders(found: Discovery, layout: Layout) -> Iterator[Listed]:
    found.notes.append("classes and intervals from the folders; SMIC annotates no apex")
    for count, path in enumerate(layout.clips.values(), 1):
        subject, (owner, emotion, fault) = _subject(path.parts[-4]), _named(path.name)
        # a clip in another subject's place would leak across folds
        for by_name, by_place in ((emotion, path.parts[-2].lower()), (owner, subject)):
            if by_name != by_place:
                fault = fault or f"{path} is {by_name} by its name and {by_place} by its place; move or rename it"
        yield Listed(count, subject, path.name, path, emotion, whole=True, fault=fault)


def _from_sheet(found: Discovery, layout: Layout, camera: str, chosen: Path | None) -> Iterator[Listed]:
    """Up to three micro-expressions of a row; the second and third of a video are called clip_2 and clip_3."""
    sheet = find_sheet(found, (f"SMIC-{camera}-E_annotation*", f"SMIC*{camera}*annotation*"), chosen)
    folders = {(_subject(path.parent.name), path.name): path for path in layout.clips.values()}
    for row in read_sheet(sheet, SHEET_COLUMNS):
        subject, video = _subject(row.text("Subject")), row.text("Filename")
        owner, emotion, fault = _named(video)
        if not fault and owner != subject:
            fault = f"line {row.number}: {video} is of {owner} by its name, but Subject says {subject}"
        by_sheet = row.text("Emotion").lower()
        if not fault and by_sheet and by_sheet[:2] != emotion[:2]:
            what = f"the sheet says {by_sheet!r}, the clip's name {emotion}"
            found.anomalies.append(Anomaly(f"{subject}/{video}", "label differs", what, "the name counts"))
        folder = folders.get((subject, video), layout.folder / subject / video)
        for part in ("", "2", "3"):
            onset, offset = row.text(f"Onset{part}F"), row.text(f"Offset{part}F")
            if not part or not is_unknown(onset) or not is_unknown(offset):
                clip = f"{video}_{part}" if part else video
                yield Listed(row.number, subject, clip, folder, emotion, onset, "", offset, fault=fault)


def _named(clip: str) -> tuple[str, str, str]:
    """The subject and the class that a clip's name says, and what is wrong where it is no clip name of SMIC."""
    match = _CLIP_NAME.fullmatch(clip)
    if match:
        return _subject(clip.partition("_")[0]), EMOTIONS[match[2].lower()], ""
    return "", "", f"{clip!r} is no clip name of SMIC (s1_ne_01, s1_po_01 or s1_sur_01); rename the folder"


def _subject(text: str) -> str:
    """The short form of a subject, s1, whichever is written."""
    number = subject_number(text, "s")
    return text if number is None else f"s{number}"
