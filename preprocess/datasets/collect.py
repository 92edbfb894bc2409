"""From the rows of a sheet (or a folder listing) to clips: what all official sets have in common.

Every row ends as a clip, as a failure with its reason, or as an anomaly that says why it counts
as nothing: none is dropped in silence.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from data_cache.names import name_problem, text_problem
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Annotation, Anomaly, Discovery
from preprocess.datasets.corrections import correct
from preprocess.datasets.folders import check_span, frames_between, numbered_frames


class NumberedRow(Protocol):
    """A row that knows its line."""

    @property
    def number(self) -> int:
        """Its line, counted from 1."""
        ...


SheetRow = TypeVar("SheetRow", bound=NumberedRow)


def collect(
    found: Discovery,
    rows: Iterable[SheetRow],
    names: Callable[[SheetRow], tuple[str, str]],
    annotate: Callable[[SheetRow, str, str], Sequence[Annotation]],
    folder_of: Callable[[Annotation], Path],
    fps: float,
    corrected: bool,
) -> None:
    """Turn rows into clips of `found`, or into failures that say why not.

    Args:
        found: where clips, failures, corrections and anomalies go.
        rows: the lines of the annotation.
        names: subject and clip of a row.
        annotate: the micro-expressions of a row, given its subject and clip; some sets have several.
        folder_of: where the frames of an annotation are.
        fps: native frame rate in Hz.
        corrected: whether known corrections are applied.
    """
    seen: dict[str, tuple[int, Annotation]] = {}
    for row in rows:
        key = f"line {row.number}"
        try:
            subject, name = names(row)
            check_name("subject", subject)
            check_name("clip", name)
            key = f"{subject}/{name}"
            annotations = annotate(row, subject, name)
        except (ClipError, ValueError) as error:
            found.failures[key] = str(error)
            continue
        for annotation in annotations:
            key = f"{annotation.subject}/{annotation.clip}"
            if key in seen:
                _repeated(found, key, row.number, annotation, *seen[key])
                continue
            seen[key] = (row.number, annotation)
            try:
                found.clips.append(_clip(found, annotation, folder_of(annotation), fps, corrected))
            except ClipError as error:
                found.failures[key] = str(error)


def check_name(what: str, name: str) -> None:
    """Refuse names that are no plain names: they would lead out of the data set's folder, or deceive a reader.

    Raises:
        ClipError: the name is empty, too long, a path, a formula, or holds characters that cannot be printed.
    """
    _refuse(name_problem(what, name))


def check_text(what: str, text: str) -> None:
    """Refuse text that is no plain text.

    Raises:
        ClipError: it is too long, a formula, or holds characters that cannot be printed.
    """
    _refuse(text_problem(what, text))


def _refuse(problem: str | None) -> None:
    if problem:
        raise ClipError(problem)


def _repeated(
    found: Discovery, key: str, line: int, annotation: Annotation, first_line: int, first: Annotation
) -> None:
    if annotation == first:
        where = f"in lines {first_line} and {line}, alike"
        found.anomalies.append(Anomaly(key, "listed twice", where, "read once", unexpected=True))
        return
    found.clips = [clip for clip in found.clips if clip.key != key]
    found.failures[key] = f"lines {first_line} and {line} of the sheet contradict each other; remove one of them"


def _clip(found: Discovery, annotation: Annotation, folder: Path, fps: float, corrected: bool) -> Clip:
    frames = numbered_frames(folder)
    repairs: list[str] = []
    if corrected:
        annotation, repairs = correct(found.dataset, annotation, frames)
    if annotation.onset is None or annotation.offset is None:
        raise ClipError("no onset or offset is annotated; complete the sheet")
    if annotation.apex is not None:
        check_span(0, annotation.apex)
    clip = Clip(
        dataset=found.dataset,
        subject=annotation.subject,
        clip=annotation.clip,
        frames=frames_between(frames, annotation.onset, annotation.offset, folder),
        onset=annotation.onset,
        apex=annotation.apex,
        offset=annotation.offset,
        fps=fps,
        emotion=annotation.emotion,
        action_units=annotation.action_units,
    )
    found.corrections += repairs
    return clip
