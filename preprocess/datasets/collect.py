"""From what a sheet or a folder lists to clips: what all official sets have in common.

Every item ends as a clip, as a failure with its reason, or as an anomaly that says why it counts
as nothing: none is dropped in silence.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_cache.names import name_problem, text_problem
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Annotation, Anomaly, Discovery
from preprocess.datasets.corrections import correct
from preprocess.datasets.folders import check_span, describe_gaps, frames_between, missing_between, numbered_frames
from preprocess.datasets.sheet import parse_rate, whole_number


@dataclass(frozen=True)
class Listed:
    """One micro-expression as a sheet or a folder lists it: text that nobody has checked yet.

    Attributes:
        line: line of the sheet, or count of the folder, from 1.
        subject: subject in the form that the data set's folders use.
        folder: where its frames are.
        onset: the cell with the frame number; likewise `apex` and `offset`.
        action_units: the AU cell, whatever its notation (`4+L10`, `(R6 or R12)+R15`).
        whole: whether the clip is all of its folder, so that onset and offset are its first and last frame.
        fault: why it cannot be used, where the adapter knows already.
        fps: the cell with its frame rate in Hz, "" where it is that of the data set.
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
    fps: str = ""


@dataclass(frozen=True)
class Facts:
    """What holds for all clips of a data set.

    Attributes:
        fps: native frame rate in Hz, where the annotation states none.
        labels: spellings of emotions, in lower case → the usual one.
        gaps: whether clips lack frames as a rule, so that the frames that are there are used; elsewhere a clip with
            a gap cannot be used.
    """

    fps: float
    labels: Mapping[str, str] = field(default_factory=dict)
    gaps: bool = False


def collect(found: Discovery, listed: Iterable[Listed], facts: Facts, corrected: bool) -> None:
    """Turn what is listed into clips of `found`, `corrected` where an error is known, or failures that say why not."""
    respelled: Counter[str] = Counter()
    seen: dict[str, tuple[int, Annotation]] = {}
    for each in listed:
        key = f"line {each.line}"
        try:
            check_name("subject", each.subject)
            check_name("clip", each.clip)
            key = f"{each.subject}/{each.clip}"
            annotation = _annotation(found, key, each)
            if usual := facts.labels.get(annotation.emotion):
                respelled[f"{each.emotion!r} is read as {usual!r}"] += 1
                annotation = replace(annotation, emotion=usual)
            if key in seen:
                _repeated(found, key, each.line, annotation, *seen[key])
                continue
            seen[key] = (each.line, annotation)
            found.lost[key] = annotation.emotion
            found.clips.append(_clip(found, each, annotation, facts, corrected))
            del found.lost[key]
        except ClipError as error:
            found.failures[key] = str(error)
    found.notes += [f"{line} in {count} rows" for line, count in respelled.items()]


def check_name(what: str, name: str) -> None:
    """Refuse names that are no plain names: they would lead out of the data set's folder, or deceive a reader.

    Raises:
        ClipError: the name is empty, too long, a path, a formula, or holds characters that cannot be printed.
    """
    if problem := name_problem(what, name):
        raise ClipError(problem)


def check_text(what: str, text: str) -> None:
    """Refuse text that is no plain text.

    Raises:
        ClipError: it is too long, a formula, or holds characters that cannot be printed.
    """
    if problem := text_problem(what, text):
        raise ClipError(problem)


def _annotation(found: Discovery, key: str, each: Listed) -> Annotation:
    """The numbers and the label of `each`; an apex below 0 is how some programs write that it is unknown."""
    if each.fault:
        raise ClipError(each.fault)
    if each.apex.startswith("-") and each.apex[1:].removesuffix(".0").isdecimal():
        found.anomalies.append(Anomaly(key, "apex below 0", f"apex {each.apex}", "taken as unknown"))
        each = replace(each, apex="")
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


def _clip(found: Discovery, each: Listed, annotation: Annotation, facts: Facts, corrected: bool) -> Clip:
    frames = numbered_frames(each.folder)
    repairs: list[str] = []
    if each.whole and not frames:
        raise ClipError(f"{each.folder} holds no numbered image; unpack the clip again")
    if each.whole:
        annotation = replace(annotation, onset=min(frames), offset=max(frames))
    if corrected:
        annotation, repairs = correct(found.dataset, annotation, frames)
    onset, apex, offset = annotation.onset, annotation.apex, annotation.offset
    if onset is None or offset is None:
        raise ClipError("no onset or offset is annotated; complete the sheet")
    if apex is not None:
        check_span(0, apex)
    check_span(onset, offset)
    gaps = tuple(missing_between(frames, onset, offset)) if facts.gaps else ()
    between = tuple(frames[number] for number in sorted(frames) if onset <= number <= offset)
    if not gaps or not between:
        between, gaps = frames_between(frames, onset, offset, each.folder), ()
    if gaps:
        key, what = f"{each.subject}/{each.clip}", describe_gaps(gaps, offset - onset + 1)
        found.anomalies.append(Anomaly(key, "frames missing", what, "the frames that are there are used"))
    found.corrections += repairs
    rate = parse_rate(each.fps, facts.fps)
    emotion, units = annotation.emotion, annotation.action_units
    return Clip(
        found.dataset, each.subject, each.clip, between, onset, apex, offset, rate, emotion, units, missing=gaps
    )
