"""Data sets that come as one folder per clip and one sheet with a row per clip: CASME II and SAMM."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import Layout, locate, unlisted_clips
from preprocess.datasets.sheet import Row, find_sheet, read_sheet, subject_number

COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
"""Columns that a sheet must have; case, spaces and order do not matter."""


@dataclass(frozen=True)
class SheetSet:
    """How one such data set is laid out.

    Attributes:
        title: its name as its authors write it.
        facts: its frame rate and the like.
        frame_folders: where the subjects' folders may be, below the root, the preferred place first.
        clip_folders: pattern of the clips' folders below that.
        sheets: patterns of the sheet's name without its suffix, the preferred version first.
        subject_folder: the name of a subject's folder, from its number.
        expected: an example of the layout, for the message when it is not there.
    """

    title: str
    facts: Facts
    frame_folders: tuple[str, ...]
    clip_folders: str
    sheets: tuple[str, ...]
    subject_folder: Callable[[int], str]
    expected: str

    def find(
        self, dataset: str, root: Path, corrected: bool, sheet: Path | None = None, supplement: Sequence[Listed] = ()
    ) -> Discovery:
        """Find the clips of `dataset` below `root`, as an `Adapter` does.

        Args:
            sheet: the sheet to read; by default the newest that is found.
            supplement: rows to add where the sheet lacks them.
        """
        found = Discovery(dataset, find_root(root, dataset))
        layout = locate(found, self.title, {self.clip_folders: self.frame_folders}, self.expected)
        path = find_sheet(found, self.sheets, sheet)
        listed = [self._listed(row, layout) for row in read_sheet(path, COLUMNS)]
        if not listed:
            raise UsageError(f"{path} lists no clips below its header; is it complete?")
        there = {(each.subject, each.clip) for each in listed}
        for each in supplement:
            if (each.subject, each.clip) not in there:
                row = f"row added: {each.emotion}, {each.onset}–{each.apex}–{each.offset}, which no official sheet has"
                found.corrections.append(f"{each.subject}/{each.clip}: {row} (--supplement)")
                listed.append(replace(each, folder=layout.folder / each.subject / each.clip))
        collect(found, listed, self.facts, corrected)
        found.anomalies += unlisted_clips(found, layout)
        return found

    def _listed(self, row: Row, layout: Layout) -> Listed:
        number = subject_number(row.text("Subject"), "sub")
        subject = row.text("Subject") if number is None else self.subject_folder(number)
        clip = row.text("Filename")
        folder = layout.clips.get(f"{subject}/{clip}".lower(), layout.folder / subject / clip)
        return Listed.of_row(row, subject, clip, folder)
