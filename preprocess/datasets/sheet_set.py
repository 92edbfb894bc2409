"""Data sets that come as one folder per clip and one sheet with a row per clip: CASME II and SAMM."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.collect import Listed, collect
from preprocess.datasets.folders import find_layout, unlisted_clips
from preprocess.datasets.sheet import Row, find_sheet, read_sheet, subject_number

COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
"""Columns that a sheet must have; case, spaces and order do not matter."""


@dataclass(frozen=True)
class SheetSet:
    """How one such data set is laid out.

    Attributes:
        title: its name as its authors write it.
        fps: native frame rate in Hz.
        frame_folders: where the subjects' folders may be, below the root, the preferred place first.
        clip_folders: pattern of the clips' folders below that.
        sheets: patterns of the sheet's name, the preferred version first.
        subject_folder: the name of a subject's folder, from its number.
        expected: an example of the layout, for the message when it is not there.
    """

    title: str
    fps: float
    frame_folders: tuple[str, ...]
    clip_folders: str
    sheets: tuple[str, ...]
    subject_folder: Callable[[int], str]
    expected: str

    def find(self, dataset: str, root: Path, corrected: bool) -> Discovery:
        """Find the clips below `root`.

        Raises:
            UsageError: the folder, its frames or its sheet are missing.
        """
        find_root(root, dataset)
        layout = find_layout(root, self.frame_folders, self.clip_folders)
        if layout is None:
            raise UsageError(f"no {self.title} frames in {root}: expected {self.expected}; unpack the archive there")
        sheet = find_sheet(root, self.sheets, dataset)
        found = Discovery(dataset, root, cropped=layout.cropped)
        found.notes = [layout.describe(root), f"annotation from {sheet.relative_to(root)}"]
        rows = read_sheet(sheet, COLUMNS)
        if not rows:
            raise UsageError(f"{sheet} lists no clips below its header; is it complete?")
        collect(found, (self._listed(row, layout.folder) for row in rows), self.fps, corrected)
        found.anomalies += unlisted_clips(found, layout.folder, self.clip_folders)
        return found

    def _listed(self, row: Row, folder: Path) -> Listed:
        number = subject_number(row.text("Subject"), "sub")
        subject = row.text("Subject") if number is None else self.subject_folder(number)
        return Listed(
            line=row.number,
            subject=subject,
            clip=row.text("Filename"),
            folder=folder / subject / row.text("Filename"),
            emotion=row.text("Estimated Emotion"),
            onset=row.text("OnsetFrame"),
            apex=row.text("ApexFrame"),
            offset=row.text("OffsetFrame"),
            action_units=row.text("Action Units"),
        )
