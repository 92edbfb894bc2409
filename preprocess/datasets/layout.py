"""Which of the layouts about a copy of a data set has, and whether its frames are cropped already."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preprocess.datasets.base import Anomaly, Discovery

_MOST_LISTED = 5
_CROP = re.compile(r"(?<!un)(?<!not_)(?<!not)crop", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Where the clips of a data set are.

    Attributes:
        folder: the folder that holds the subjects.
        cropped: whether the frames show faces only, as official crops do.
    """

    folder: Path
    cropped: bool

    def describe(self, root: Path) -> str:
        """One line for the user and the provenance."""
        kind = "cropped faces" if self.cropped else "whole scenes"
        return f"frames from {self.folder.relative_to(root)} ({kind})"


def find_layout(root: Path, candidates: Iterable[str], clips: str) -> Layout | None:
    """The first of `candidates` below `root` with a folder that matches the pattern `clips`; None without any."""
    for name in candidates:
        folder = root / name
        clip = min((path for path in folder.glob(clips) if path.is_dir()), default=None)
        if clip is not None:
            return Layout(folder, _is_cropped(root, folder, clip))
    return None


def _is_cropped(root: Path, folder: Path, clip: Path) -> bool:
    """By the name of a folder (Cropped, SAMM_CROP), or of its images (official crops are called reg_…)."""
    names = [root.name, *folder.relative_to(root).parts]
    return any(_CROP.search(name) for name in names) or any(clip.glob("reg_*"))


def unlisted_clips(found: Discovery, folder: Path, clips: str) -> list[Anomaly]:
    """Folders of clips that no row of the sheet names: a sign of another version of the sheet."""
    known = {clip.key for clip in found.clips} | set(found.failures)
    unlisted = sorted(
        key
        for path in folder.glob(clips)
        if path.is_dir() and (key := path.relative_to(folder).as_posix()) not in known
    )
    if not unlisted:
        return []
    shown = ", ".join(unlisted[:_MOST_LISTED]) + (", …" if len(unlisted) > _MOST_LISTED else "")
    what = f"{len(unlisted)} folders have no row in the sheet: {shown}"
    return [Anomaly(folder.name, "not in the sheet", what, "ignored", unexpected=False)]
