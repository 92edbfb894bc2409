"""Folders as data sets have them: where the clips are, which image is which frame, and which are missing."""

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.names import first_few
from preprocess.clip import ClipError
from preprocess.datasets.base import Anomaly, Discovery

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
MOST_FRAME_NUMBER = 2**31 - 1  # frame numbers are stored as int32
_COPY = re.compile(r"(.+?)(?:\([0-9]+\)| - Copy.*| copy.*)")
"""What browsers and file managers make of a name when the file is there already."""
_CROP = re.compile(r"(?<!un)(?<!not_)(?<!not)crop", re.IGNORECASE)


def numbered_frames(folder: Path) -> dict[int, Path]:
    """The images of a folder by frame number: the last integer in each name (006_05562.jpg → 5562).

    Numbers have no leading zeros in some sets and many in others, so names must not be sorted as text. Other files are
    ignored, and so are hidden ones (macOS leaves a `._x.jpg` beside each x.jpg). A `ClipError` where the folder cannot
    be read, two images have the same number, or something with an image's name is no file.
    """
    if not folder.is_dir():
        raise ClipError(f"there is no folder {folder}; unpack the frames there, or correct the sheet")
    try:
        with os.scandir(folder) as scan:
            entries = list(scan)
    except OSError as error:
        raise ClipError(f"{folder} cannot be listed ({error.strerror}); correct its permissions") from error
    frames: dict[int, Path] = {}
    names = {entry.name for entry in entries}
    for entry in entries:
        path = folder / entry.name
        numbers = re.findall(r"[0-9]+", path.stem)
        if path.suffix.lower() not in IMAGE_SUFFIXES or not numbers or entry.name.startswith("."):
            continue
        number = int(numbers[-1])
        if (copy := _COPY.fullmatch(path.stem)) and copy[1].rstrip() + path.suffix in names:
            raise ClipError(f"{path} looks like a second copy of {copy[1].rstrip()}{path.suffix}; remove one of them")
        if number in frames:
            raise ClipError(f"{path} and {frames[number].name} are two images with frame number {number}; remove one")
        if not (entry.is_file(follow_symlinks=False) or path.is_file()):
            what = "a folder" if path.is_dir() else "no regular file (a link that leads nowhere?)"
            raise ClipError(f"{path} is {what}, expected an image; remove it, or unpack the clip again")
        frames[number] = path
    return frames


def describe_gaps(gaps: Sequence[tuple[int, int]], frames: int) -> str:
    """Which of so many `frames` are missing, in words: 17 of 40 frames are missing: 1–3, 7, 9–21."""
    parts = [str(first) if first == last else f"{first}–{last}" for first, last in gaps]
    missing = sum(last - first + 1 for first, last in gaps)
    return f"{missing} of {frames} frames are missing: {first_few(parts, 5, ', ')}"


def check_span(onset: int, offset: int) -> None:
    """A `ClipError` for an interval that ends before it begins, or that a cache cannot store."""
    if onset > offset:
        raise ClipError(f"onset {onset} lies after offset {offset}; correct the annotation")
    if not 0 <= onset <= offset <= MOST_FRAME_NUMBER:
        raise ClipError(f"frame numbers {onset} to {offset} are outside 0 to {MOST_FRAME_NUMBER}; correct them")


def missing_between(frames: Iterable[int], onset: int, offset: int) -> list[tuple[int, int]]:
    """The frame numbers from `onset` to `offset` that are not in `frames`, as (first, last) of each gap."""
    present = sorted(number for number in frames if onset <= number <= offset)
    return [(a + 1, b - 1) for a, b in pairwise([onset - 1, *present, offset + 1]) if b - a > 1]


@dataclass(frozen=True)
class Layout:
    """Where the clips of a data set are."""

    folder: Path  # that of the subjects
    cropped: bool  # whether the frames show faces only, as official crops do
    clips: Mapping[str, Path]  # the clips' folders, by their path below `folder` in lower case
    pattern: str  # which these match


def locate(found: Discovery, title: str, layouts: Mapping[str, Iterable[str]], expected: str) -> Layout:
    """The first layout that is there, said in the notes of `found`, which also learns whether its frames are cropped.

    Without one, a `UsageError` shows the `title` of the data set and what is `expected`. `layouts` are patterns of the
    clips' folders → where those may be, as for `find_layout`.
    """
    for pattern, candidates in layouts.items():
        if layout := find_layout(found.root, candidates, pattern):
            kind = "cropped faces" if layout.cropped else "whole scenes"
            found.notes.append(f"frames from {layout.folder.relative_to(found.root)} ({kind})")
            found.cropped = layout.cropped
            return layout
    raise UsageError(f"no {title} frames in {found.root}: expected {expected}; unpack the archive there")


def find_layout(root: Path, candidates: Iterable[str], clips: str) -> Layout | None:
    """The first of `candidates` below `root` with folders that match the pattern `clips`; None without any.

    Names count in any case, and candidates may lie up to two folders deeper: archives are unpacked into
    folders of their own, such as `CASME2_preprocessed_Li Xiaobai/Cropped`.
    """
    places = list(_places(root, re.compile(fnmatch.translate(clips.partition("/")[0]), re.IGNORECASE)))
    for name in candidates:
        for place in places:
            for folder in [place] if name == "." else sorted(place.glob(_any_case(name))):
                if paths := sorted(path for path in folder.glob(_any_case(clips)) if path.is_dir()):
                    index = {path.relative_to(folder).as_posix().lower(): path for path in paths}
                    # Folders are called Cropped or SAMM_CROP; images of official crops, reg_….
                    names = [root.name, *folder.relative_to(root).parts]
                    cropped = any(map(_CROP.search, names)) or any(paths[0].glob("reg_*"))
                    return Layout(folder, cropped, index, clips)
    return None


def _places(root: Path, subject: re.Pattern[str], depth: int = 2) -> Iterator[Path]:
    """`root` and the folders in it, without those that look like a subject's."""
    yield root
    if depth:
        for path in sorted(root.glob("*/")):
            if not subject.fullmatch(path.name) and not path.name.startswith((".", "__MACOSX")):
                yield from _places(path, subject, depth - 1)


def _any_case(pattern: str) -> str:
    """A glob pattern whose letters match in any case; what stands in brackets stays as it is."""
    return re.sub(
        r"\[[^]]*\]|[a-zA-Z]", lambda m: m[0] if m[0][0] == "[" else f"[{m[0].lower()}{m[0].upper()}]", pattern
    )


def unlisted_clips(found: Discovery, layout: Layout) -> list[Anomaly]:
    """Folders of clips that no row of the sheet names: a sign of another version of the sheet."""
    known = {key.lower() for key in [*(clip.key for clip in found.clips), *found.failures]}
    unlisted = sorted(
        path.relative_to(layout.folder).as_posix() for key, path in layout.clips.items() if key not in known
    )
    if not unlisted:
        return []
    what = f"{len(unlisted)} folders have no row in the sheet: {first_few(unlisted, 5, ', ')}"
    return [Anomaly(layout.folder.name, "not in the sheet", what, "ignored")]
