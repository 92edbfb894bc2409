"""What every data set becomes: a list of clips, each with its frames, its annotation and its name.

An adapter finds the files of one data set and yields `Clip`s. It reads sheets and folder listings,
never pixels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from data_cache.errors import ClipsFailed, UsageError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})


class ClipError(ClipsFailed):
    """One clip cannot be used. The message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class VideoSpan:
    """Frames `first` to `last` (counted from 0, both included) of a video file."""

    path: Path
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Clip:
    """One annotated micro-expression.

    Attributes:
        dataset: name of the data set.
        subject: subject as the data set writes it; unique within the data set.
        clip: clip name; unique within the subject only.
        frames: the native frames from onset to offset, in order: image files, or a span of a video.
        onset: annotated frame number of the onset.
        apex: annotated frame number of the apex, None where unknown.
        offset: annotated frame number of the offset.
        fps: native frame rate in Hz.
        emotion: raw emotion label in lower case, "" where unknown.
    """

    dataset: str
    subject: str
    clip: str
    frames: tuple[Path, ...] | VideoSpan
    onset: int
    apex: int | None
    offset: int
    fps: float
    emotion: str

    @property
    def key(self) -> str:
        """`subject/clip`, the name of the clip in every message."""
        return f"{self.subject}/{self.clip}"

    @property
    def apex_index(self) -> int | None:
        """Index of the apex among the frames, None where unknown."""
        return None if self.apex is None else self.apex - self.onset


@dataclass
class Discovery:
    """What an adapter found.

    Attributes:
        dataset: name of the data set.
        root: the folder to which reported paths are relative.
        clips: usable clips.
        failures: clip key → why the clip cannot be used.
        notes: what was found and chosen (layout, sheet), for the user and the provenance.
    """

    dataset: str
    root: Path
    clips: list[Clip] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Adapter(Protocol):
    """A function that finds the clips of one data set below `root`."""

    def __call__(self, root: Path) -> Discovery:
        """Find every clip.

        Raises:
            UsageError: the folder or the sheet is missing or is not that data set's.
        """
        ...


def numbered_frames(folder: Path) -> dict[int, Path]:
    """The images of a folder by frame number: the last integer in each name (reg_img46.jpg → 46).

    Numbers have no leading zeros in some sets and many in others, so names must not be sorted as text.

    Raises:
        ClipError: the folder is missing, or two images have the same number.
    """
    if not folder.is_dir():
        raise ClipError(f"there is no folder {folder}; unpack the frames there, or correct the sheet")
    frames: dict[int, Path] = {}
    for path in folder.iterdir():
        numbers = re.findall(r"\d+", path.stem)
        if path.suffix.lower() not in IMAGE_SUFFIXES or not numbers:
            continue
        number = int(numbers[-1])
        if number in frames:
            raise ClipError(
                f"{folder} has two images with frame number {number}: {frames[number].name} and {path.name}; remove one"
            )
        frames[number] = path
    return frames


def frames_between(frames: Mapping[int, Path], onset: int, offset: int, folder: Path) -> tuple[Path, ...]:
    """The images numbered `onset` to `offset`, both included.

    Raises:
        ClipError: onset after offset, or some are missing (the message lists which).
    """
    if onset > offset:
        raise ClipError(f"the sheet has onset {onset} after offset {offset}; correct the sheet")
    missing = [number for number in range(onset, offset + 1) if number not in frames]
    if missing:
        found = f"it holds frames {min(frames)} to {max(frames)}" if frames else "it holds no numbered image"
        raise ClipError(
            f"{len(missing)} of {offset - onset + 1} frames are missing in {folder}: {ranges(missing)} ({found}); "
            "unpack the clip again, or correct the sheet"
        )
    return tuple(frames[number] for number in range(onset, offset + 1))


def ranges(numbers: Sequence[int], most: int = 5) -> str:
    """Sorted numbers in short: 1–3, 7, 9–12."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(a) if a == b else f"{a}–{b}" for a, b in runs]
    return ", ".join(parts[:most]) + (", …" if len(parts) > most else "")


def find_root(root: Path, dataset: str) -> Path:
    """`root` if it is a folder.

    Raises:
        UsageError: it is not; the message says how to name the right one.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(
            f"the {dataset} folder {root} {what}; put the data set there, pass --root FOLDER, "
            f"or set MPT_{dataset.upper()}=FOLDER"
        )
    return root
