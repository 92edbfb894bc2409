"""From what a sheet or a folder lists to clips: what all official sets have in common.

Every item ends as a clip, as a failure with its reason, or as an anomaly that says why it counts
as nothing: none is dropped in silence.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from data_cache.names import name_problem, text_problem
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Annotation, Anomaly, Discovery
from preprocess.datasets.corrections import correct
from preprocess.datasets.folders import check_span, frames_between, numbered_frames
from preprocess.datasets.sheet import whole_number


@dataclass(frozen=True)
class Listed:
    """One micro-expression as a sheet or a folder lists it: text that nobody has checked yet.

    Attributes:
        line: line of the sheet, or count of the folder, from 1.
        subject: subject in the form that the data set's folders use.
        clip: clip name.
        folder: where its frames are.
        emotion: the label as written.
        onset: the cell with the frame number of the onset; likewise `apex` and `offset`.
        action_units: the AU cell, whatever its notation (`4+L10`, `(R6 or R12)+R15`).
        whole: whether the clip is all of its folder, so that onset and offset are its first and last frame.
        fault: why it cannot be used, where the adapter knows already.
    """

    line: int
    subject: str
    clip: str
    folder: Path
    emotion: str
    onset: str = ""
    apex: str = ""
    offset: str = ""
    action_units: str = ""
    whole: bool = False
    fault: str = ""


def collect(found: Discovery, listed: Iterable[Listed], fps: float, corrected: bool) -> None:
    """Turn what is listed into clips of `found`, or into failures that say why not.

    Args:
        found: where clips, failures, corrections and anomalies go.
        listed: the micro-expressions.
        fps: native frame rate in Hz.
        corrected: whether known corrections are applied.
    """
    seen: dict[str, tuple[int, Annotation]] = {}
    for each in listed:
        key = f"line {each.line}"
        try:
            check_name("subject", each.subject)
            check_name("clip", each.clip)
            key = f"{each.subject}/{each.clip}"
            annotation = _annotation(each)
            if key in seen:
                _repeated(found, key, each.line, annotation, *seen[key])
                continue
            seen[key] = (each.line, annotation)
            found.clips.append(_clip(found, each, annotation, fps, corrected))
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


def _annotation(each: Listed) -> Annotation:
    """The numbers and the label of `each`."""
    if each.fault:
        raise ClipError(each.fault)
    try:
        check_text("emotion", each.emotion)
        onset, apex, offset = (whole_number(name, getattr(each, name)) for name in ("onset", "apex", "offset"))
    except ClipError as error:
        raise ClipError(f"line {each.line}: {error}") from error
    return Annotation(each.subject, each.clip, onset, apex, offset, each.emotion.lower(), each.action_units)


def _repeated(
    found: Discovery, key: str, line: int, annotation: Annotation, first_line: int, first: Annotation
) -> None:
    if annotation == first:
        where = f"lines {first_line} and {line} are equal"
        found.anomalies.append(Anomaly(key, "duplicate row", where, "read once", unexpected=True))
        return
    found.clips = [clip for clip in found.clips if clip.key != key]
    found.failures[key] = f"lines {first_line} and {line} of the sheet contradict each other; remove one of them"


def _clip(found: Discovery, each: Listed, annotation: Annotation, fps: float, corrected: bool) -> Clip:
    frames = numbered_frames(each.folder)
    repairs: list[str] = []
    if each.whole and not frames:
        raise ClipError(f"{each.folder} holds no numbered image; unpack the clip again")
    if each.whole:
        annotation = replace(annotation, onset=min(frames), offset=max(frames))
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
        frames=frames_between(frames, annotation.onset, annotation.offset, each.folder),
        onset=annotation.onset,
        apex=annotation.apex,
        offset=annotation.offset,
        fps=fps,
        emotion=annotation.emotion,
        action_units=annotation.action_units,
    )
    found.corrections += repairs
    return clip
