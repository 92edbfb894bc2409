"""From what a sheet or a folder lists to clips: what all official sets have in common.

Every item ends as a clip, as a failure with its reason, or as an anomaly that says why it counts
as nothing: none is dropped in silence.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.names import name_problem, text_problem
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.datasets.base import VIDEO_SUFFIXES, Anomaly, Discovery, find_root
from preprocess.datasets.corrections import Annotation, correct
from preprocess.datasets.folders import (
    Layout,
    check_span,
    describe_gaps,
    locate,
    missing_between,
    numbered_frames,
    unlisted_clips,
)
from preprocess.datasets.sheet import Row, find_sheet, parse_rate, read_sheet, subject_number, whole_number


@dataclass(frozen=True)
class Listed:
    """One micro-expression as a sheet or a folder lists it: text that nobody has checked yet.

    Attributes:
        line: line of the sheet, or count of the folder, from 1.
        subject: subject in the form that the data set's folders use.
        folder: where its frames are; it may also be a video.
        onset: the cell with the frame number; likewise `apex` and `offset`.
        action_units: the AU cell, whatever its notation (`4+L10`, `(R6 or R12)+R15`).
        whole: whether the clip is all of its folder or video, so that onset and offset are the first and last frame.
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

    @classmethod
    def of_row(cls, row: Row, subject: str, clip: str, folder: Path, fps: str = "") -> "Listed":
        """What a row says under the names that sheets have for these columns."""
        emotion, units = row.text("Estimated Emotion", "emotion"), row.text("Action Units", "AU")
        onset, apex, offset = (row.text(f"{name}Frame", name) for name in ("Onset", "Apex", "Offset"))
        return cls(row.number, subject, clip, folder, emotion, onset, apex, offset, units, fps=fps)


@dataclass(frozen=True)
class Facts:
    """What holds for all clips of a data set.

    Attributes:
        fps: native frame rate in Hz, where neither the annotation nor a video states one; None if there is none.
        labels: spellings of emotions, in lower case → the usual one.
        gaps: whether clips lack frames as a rule, so that the frames that are there are used; elsewhere a clip with
            a gap cannot be used.
    """

    fps: float | None
    labels: Mapping[str, str] = field(default_factory=dict)
    gaps: bool = False


def collect(found: Discovery, listed: Iterable[Listed], facts: Facts, corrected: bool) -> None:
    """Turn what is listed into clips of `found`, `corrected` where an error is known, or failures that say why not."""
    respelled: Counter[str] = Counter()
    seen: dict[str, tuple[int, Annotation]] = {}
    for each in listed:
        key = f"line {each.line}"
        try:
            if problem := name_problem("subject", each.subject) or name_problem("clip", each.clip):
                raise ClipError(problem)
            key = f"{each.subject}/{each.clip}"
            annotation = _annotation(found, key, each)
            if usual := facts.labels.get(annotation.emotion):
                respelled[f"{each.emotion!r} is read as {usual!r}"] += 1
                annotation = annotation._replace(emotion=usual)
            if key in seen:
                first_line, first = seen[key]
                where = f"lines {first_line} and {each.line}"
                if annotation != first:
                    found.clips = [clip for clip in found.clips if clip.key != key]
                    raise ClipError(f"{where} of the sheet contradict each other; remove one of them")
                found.anomalies.append(Anomaly(key, "duplicate row", f"{where} are equal", "read once", True))
                continue
            seen[key] = each.line, annotation
            found.lost[key] = annotation.emotion
            found.clips.append(_clip(found, each, annotation, facts, corrected))
            del found.lost[key]
        except ClipError as error:
            found.failures[key] = str(error)
    found.notes += [f"{line} in {count} rows" for line, count in respelled.items()]


def _annotation(found: Discovery, key: str, each: Listed) -> Annotation:
    """What `each` says, checked; an apex below 0 is how some programs write that it is unknown."""
    if each.fault:
        raise ClipError(each.fault)
    apex = each.apex
    if apex.startswith("-") and apex[1:].removesuffix(".0").isdecimal():
        found.anomalies.append(Anomaly(key, "apex below 0", f"apex {apex}", "taken as unknown"))
        apex = ""
    try:
        if problem := text_problem("emotion", each.emotion):
            raise ClipError(problem)
        cells = {"onset": each.onset, "apex": apex, "offset": each.offset}
        onset, apex_number, offset = (whole_number(name, cell) for name, cell in cells.items())
        return Annotation(onset, apex_number, offset, each.emotion.lower(), each.action_units)
    except ClipError as error:
        raise ClipError(f"line {each.line}: {error}") from error


def _clip(found: Discovery, each: Listed, annotation: Annotation, facts: Facts, corrected: bool) -> Clip:
    video = None
    images: dict[int, Path] = {}
    if each.folder.suffix.lower() in VIDEO_SUFFIXES and each.folder.is_file():
        from preprocess.frames.video import probe  # with OpenCV

        video = probe(each.folder, annotation.offset)
    else:
        images = numbered_frames(each.folder)
    numbers = range(video.frames) if video else images
    if each.whole:
        if not numbers:
            raise ClipError(f"{each.folder} holds no numbered image; unpack the clip again")
        annotation = annotation._replace(onset=min(numbers), offset=max(numbers))
    name = (found.dataset, each.subject, each.clip)
    annotation, repairs = correct(name, annotation, numbers) if corrected else (annotation, [])
    onset, apex, offset, emotion, units = annotation
    if onset is None or offset is None:
        raise ClipError("no onset or offset is known; fill onset and offset (in a manifest, neither means all frames)")
    if apex is not None:
        check_span(0, apex)
    check_span(onset, offset)
    gaps = [] if video else missing_between(images, onset, offset)
    between = tuple(images[number] for number in sorted(images) if onset <= number <= offset)
    if gaps:
        what = describe_gaps(gaps, offset - onset + 1)
        if not (facts.gaps and between):
            held = f"it holds frames {min(images)} to {max(images)}" if images else "it holds no numbered image"
            raise ClipError(f"{what} in {each.folder} ({held}); unpack the clip again, or correct the annotation")
        key = f"{each.subject}/{each.clip}"
        found.anomalies.append(Anomaly(key, "frames missing", what, "the frames that are there are used"))
    found.corrections += repairs
    rate = parse_rate(each.fps, video.rate if video else facts.fps)
    frames = VideoSpan(each.folder, onset, offset) if video else between
    return Clip(*name, frames, onset, apex, offset, rate, emotion, units, missing=tuple(gaps))


COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
"""Columns that the sheet of a `SheetSet` must have; case, spaces and order do not matter."""


@dataclass(frozen=True)
class SheetSet:
    """How a data set is laid out that has one folder per clip and one sheet with a row per clip, as CASME II and SAMM.

    Attributes:
        title: its name as its authors write it.
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
        """Find the clips below `root`, as an `Adapter` does; `supplement` is added where the sheet lacks it."""
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
