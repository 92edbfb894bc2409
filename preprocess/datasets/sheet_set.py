"""Data sets that come as one folder per clip and one sheet with a row per clip: CASME II and SAMM."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Annotation, Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import find_layout, index_folders, unlisted_clips
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
        self,
        dataset: str,
        root: Path,
        corrected: bool,
        sheet: Path | None = None,
        supplement: Sequence[Annotation] = (),
    ) -> Discovery:
        """Find the clips of `dataset` below `root`, as an `Adapter` does.

        Args:
            sheet: the sheet to read; by default the newest that is found.
            supplement: rows to add where the sheet lacks them.
        """
        found = Discovery(dataset, find_root(root, dataset))
        layout = find_layout(root, self.frame_folders, self.clip_folders)
        if layout is None:
            raise UsageError(f"no {self.title} frames in {root}: expected {self.expected}; unpack the archive there")
        found.notes, found.cropped = [layout.describe(root)], layout.cropped
        path = find_sheet(found, self.sheets, sheet)
        rows = read_sheet(path, COLUMNS)
        if not rows:
            raise UsageError(f"{path} lists no clips below its header; is it complete?")
        folders = index_folders(layout.folder, self.clip_folders)
        listed = [self._listed(row, layout.folder, folders) for row in rows]
        listed += _added(found, listed, supplement, layout.folder)
        collect(found, listed, self.facts, corrected)
        found.anomalies += unlisted_clips(found, layout.folder, folders)
        return found

    def _listed(self, row: Row, folder: Path, folders: Mapping[str, Path]) -> Listed:
        number = subject_number(row.text("Subject"), "sub")
        subject = row.text("Subject") if number is None else self.subject_folder(number)
        clip = row.text("Filename")
        return Listed(
            line=row.number,
            subject=subject,
            clip=clip,
            folder=folders.get(f"{subject}/{clip}".lower(), folder / subject / clip),
            emotion=row.text("Estimated Emotion"),
            onset=row.text("OnsetFrame"),
            apex=row.text("ApexFrame"),
            offset=row.text("OffsetFrame"),
            action_units=row.text("Action Units"),
        )


def _added(
    found: Discovery, listed: Sequence[Listed], supplement: Sequence[Annotation], folder: Path
) -> Iterator[Listed]:
    there = {(each.subject, each.clip) for each in listed}
    for row in supplement:
        if (row.subject, row.clip) not in there:
            onset, apex, offset = (str(number) for number in (row.onset, row.apex, row.offset))
            line = f"row added: {row.emotion}, {onset}–{apex}–{offset}, which no official sheet has (--supplement)"
            found.corrections.append(f"{row.subject}/{row.clip}: {line}")
            path = folder / row.subject / row.clip
            yield Listed(0, row.subject, row.clip, path, row.emotion, onset, apex, offset)
