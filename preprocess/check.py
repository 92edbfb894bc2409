"""Look a data set over before hours are spent on it: layout, counts, and every anomaly; it decodes a few frames."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_cache.errors import ClipsFailed, grouped
from data_cache.filters import recipe_notes
from data_cache.names import visible
from data_cache.protocols.protocol import Composition, Labelling, apply_protocol, count_differences, part_of
from data_cache.protocols.published import OFFICIAL_EMOTIONS, choose_protocol
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.datasets.base import Anomaly, Discovery
from preprocess.datasets.corrections import KNOWN_ANOMALIES
from preprocess.frames.read import block_notes, check_image_file
from preprocess.recipe import Recipe

LONG = 1.0  # seconds above which a micro-expression is asked about
SHORT = Recipe.frames  # clips of fewer frames than the default recipe samples are interpolated

_COUNTS = "counts differ"
_GO_ON = "what is there is used; is the copy complete?"
_LEFT_OUT = "left out; the build stops unless --allow-missing"
_WHOLE_SCENES = "whole scenes? --faces auto cuts the faces out"
_APEX_UNUSED = "kept; only --rank-pool-span onset-apex uses it, and refuses this clip"


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        layout: what was found and chosen.
        classes: class → "clips" found, and how many the "full_set" has (None where that is not known).
        subjects: subject → clips of each class.
        expected_subjects: subjects of the full set, None where that is not known.
        anomalies: everything but corrections, unexpected ones first.
    """

    dataset: str
    root: str
    layout: list[str]
    cropped: bool
    protocol: str
    clips: int
    classes: dict[str, dict[str, int | None]]
    subjects: dict[str, dict[str, int]]
    expected_subjects: int | None
    corrections: list[str]
    anomalies: list[Anomaly]

    @property
    def unexpected(self) -> int:
        """How many anomalies the official release does not have."""
        return sum(anomaly.unexpected for anomaly in self.anomalies)

    def raise_unexpected(self) -> None:
        """Raise `ClipsFailed`, exit code 3, if anything is not as it should be."""
        if count := self.unexpected:
            what = f"{count} deviation{'s' * (count > 1)} from the official release in {self.root}"
            raise ClipsFailed(f"{what}; see the list above")


def check(found: Discovery, protocol_name: str | None = None) -> Report:
    """Compare what an adapter found with what the full data set holds, and look at every file's header.

    A `UsageError` where there is no such protocol, or it says nothing about this data set.
    """
    clips = found.labels
    protocol = choose_protocol(protocol_name, [found.dataset], [emotion for _, emotion in clips])
    labelling = apply_protocol(protocol, clips)
    unusable = {key for key in found.failures if KNOWN_ANOMALIES.get((found.dataset, key)) == "unusable"}
    lost = [((found.dataset, *key.partition("/")[::2]), name) for key, name in found.lost.items() if key in unusable]
    keys = [key for key, _ in clips + lost]
    whole = protocol.composition.get(found.dataset, Composition({}))
    full = whole.counts_for(keys)
    subjects = _subjects(found.clips, labelling)
    differences = count_differences(protocol, apply_protocol(protocol, clips + lost).counts, keys)
    lengths = [(len(clip.frames), clip.fps) for clip in found.clips]
    notes = [*block_notes(found.clips), *recipe_notes(Recipe().as_json(), lengths)]
    anomalies = [
        *(Anomaly(key, "unusable", why, _LEFT_OUT, key not in unusable) for key, why in found.failures.items()),
        *_files(found.clips),
        *_annotation(found.clips),
        *(Anomaly(found.dataset, "as recorded", note, "cached as it is") for note in notes),
        *found.anomalies,
        *(Anomaly(key, "wide frames", size, _WHOLE_SCENES) for key, size in found.wide.items()),
        *(Anomaly(found.dataset, _COUNTS, text, _GO_ON, unexpected=True) for text in differences),
        *_subject_anomalies(subjects, whole, found.dataset),
        *(
            Anomaly(f"{count} clips", "not in the protocol", reason, f"not used by {protocol.name}")
            for reason, count in labelling.left_out.items()
        ),
    ]
    return Report(
        dataset=found.dataset,
        root=str(found.root),
        layout=[*found.notes, *_spans(found.clips)],
        cropped=found.cropped,
        protocol=protocol.name,
        clips=len(clips),
        classes={
            name: {"clips": count, "full_set": full[name] if whole.counts else None}
            for name, count in labelling.counts.items()
        },
        subjects=subjects,
        expected_subjects=whole.subjects or None,
        corrections=found.corrections,
        anomalies=sorted(anomalies, key=lambda anomaly: not anomaly.unexpected),
    )


def count_notes(found: Discovery) -> list[str]:
    """How the classes of the usual protocol differ in number from the full set; empty when they agree."""
    clips = found.labels
    protocol = choose_protocol(None, [found.dataset], [emotion for _, emotion in clips])
    return count_differences(protocol, apply_protocol(protocol, clips).counts, [key for key, _ in clips])


def _files(clips: Iterable[Clip]) -> Iterator[Anomaly]:
    """Images whose header says that they cannot be decoded, or that they differ in size."""
    for clip in clips:
        faults: list[str] = []
        sizes: dict[str, None] = {}  # in the order in which they are met
        for path in () if isinstance(clip.frames, VideoSpan) else clip.frames:
            try:
                header = check_image_file(path)
                sizes[f"{header.width}×{header.height}"] = None
            except ClipError as error:
                faults.append(str(error))
        if faults:
            more = f" (and {len(faults) - 1} more images)" if len(faults) > 1 else ""
            action = "the clip fails if such an image is sampled"
            yield Anomaly(clip.key, "unreadable image", faults[0] + more, action, unexpected=True)
        if len(sizes) > 1:
            yield Anomaly(clip.key, "sizes differ", f"frames of {', '.join(sizes)} pixels", "the clip fails", True)


def _annotation(clips: Iterable[Clip]) -> Iterator[Anomaly]:
    """Labels and apexes that need a look."""
    clips = list(clips)
    has_apexes = any(clip.apex is not None for clip in clips)
    for clip in clips:
        emotions = OFFICIAL_EMOTIONS.get(clip.dataset)
        if not clip.emotion or (emotions and clip.emotion not in emotions):
            found = f"emotion {clip.emotion!r}" if clip.emotion else "no emotion"
            action = "cached with that label, used by no protocol"
            yield Anomaly(clip.key, "label unknown", found, action, unexpected=True)
        if clip.apex is None and has_apexes:
            yield Anomaly(clip.key, "apex unknown", "no apex is annotated", _APEX_UNUSED)
        elif clip.apex is not None and not clip.onset <= clip.apex <= clip.offset:
            found = f"apex {clip.apex} outside {clip.onset}–{clip.offset}"
            known = KNOWN_ANOMALIES.get((clip.dataset, clip.key)) == "apex outside"
            yield Anomaly(clip.key, "apex outside", found, _APEX_UNUSED, unexpected=not known)
        elif clip.apex == clip.onset:
            yield Anomaly(clip.key, "apex at onset", f"both are {clip.onset}", _APEX_UNUSED)
        if len(clip.frames) == 1:
            found = f"onset and offset are both {clip.onset}"
            yield Anomaly(clip.key, "a single frame", found, "kept, though nothing can move in it", unexpected=True)
        elif len(clip.frames) < SHORT:
            yield Anomaly(clip.key, "short", f"{len(clip.frames)} frames", f"interpolated to {SHORT} frames")
        elif (seconds := len(clip.frames) / clip.fps) > LONG:
            found = f"{len(clip.frames)} frames at {clip.fps:g} Hz are {seconds:.2g} s"
            yield Anomaly(clip.key, "long", found, "kept; are onset, offset and fps right?")


def _spans(clips: Sequence[Clip]) -> list[str]:
    """One line on frames, rates and lengths, where a wrong frame rate or an open interval shows."""
    if not clips:
        return []
    rows = [(len(clip.frames), clip.fps, len(clip.frames) / clip.fps) for clip in clips]
    spans = [(f"{min(values):.3g}", f"{max(values):.3g}") for values in zip(*rows, strict=True)]
    texts = [low if low == high else f"{low} to {high}" for low, high in spans]
    return ["clips of " + ", ".join(f"{text} {unit}" for text, unit in zip(texts, ("frames", "Hz", "s"), strict=True))]


def _subjects(clips: Iterable[Clip], labelling: Labelling) -> dict[str, dict[str, int]]:
    """Subject → clips of each class, without classes that it lacks; a subject without any has an empty entry."""
    counts: dict[str, Counter[str]] = {}
    for clip, label in zip(clips, labelling.labels, strict=True):
        counts.setdefault(clip.subject, Counter()).update([labelling.classes[label]] if label >= 0 else [])
    return {subject: dict(counts[subject]) for subject in sorted(counts, key=lambda text: (len(text), text))}


def _subject_anomalies(
    subjects: Mapping[str, Mapping[str, int]], whole: Composition, dataset: str
) -> Iterator[Anomaly]:
    used = {subject: counts for subject, counts in subjects.items() if counts}
    parts = {part_of((dataset, subject, "")) for subject in used}
    if whole.subjects and len(used) != whole.subjects and parts >= set(whole.parts):
        found = f"{len(used)} subjects with clips of these classes, the full set has {whole.subjects}"
        yield Anomaly(dataset, _COUNTS, found, _GO_ON, unexpected=True)
    for subject, counts in used.items():
        if len(counts) == 1:
            known = whole.single_class is None or subject in whole.single_class
            found = f"all its {sum(counts.values())} clips are {next(iter(counts))}"
            yield Anomaly(subject, "single class", found, "a fold like any other", unexpected=not known)


def print_report(report: Report) -> None:
    """Print the report to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{_shown(report.dataset)}[/bold] in {_shown(report.root)}")
    for line in report.layout:
        console.print(f"  {_shown(line)}")
    console.print(_table(report), soft_wrap=False)
    whole = f" (full set: {report.expected_subjects} with clips of these classes)" if report.expected_subjects else ""
    console.print(f"{report.clips} clips of {len(report.subjects)} subjects{whole}")
    if report.corrections:
        console.print("\n[bold]corrected[/bold] (--no-corrections takes the annotation as delivered)")
        for line in report.corrections:
            console.print(f"  {_shown(line)}")
    for (expected, kind, action), anomalies in groupby(sorted(report.anomalies, key=_kind), key=_kind):
        console.print(f"\n[bold]{_shown(kind)}[/bold] → {_shown(action)}")
        mark = " " if expected else "[red]![/red]"
        for line in grouped((anomaly.key, anomaly.found) for anomaly in anomalies):
            console.print(f"{mark} {_shown(line)}")
    console.print(f"\nunexpected, marked !: {report.unexpected}" if report.unexpected else "\nOK: nothing unexpected")


def _shown(text: str) -> str:
    """Text of the data set's as it is: neither markup nor a command to the terminal."""
    return escape(visible(text))


def _kind(anomaly: Anomaly) -> tuple[bool, str, str]:
    return not anomaly.unexpected, anomaly.kind, anomaly.action


def _table(report: Report) -> Table:
    """Subjects × classes, and below the sums and what the full set has."""
    table = Table(title=f"clips by protocol {_shown(report.protocol)}", title_justify="left")
    table.add_column("subject", min_width=max(map(len, report.subjects), default=0), overflow="fold")
    for name in (*report.classes, "all"):
        table.add_column(_shown(name), justify="right")
    for subject, counts in report.subjects.items():
        cells = [str(counts.get(name, "")) for name in report.classes]
        table.add_row(_shown(subject), *cells, str(sum(counts.values())))
    found = {name: counts["clips"] or 0 for name, counts in report.classes.items()}
    whole = {name: counts["full_set"] for name, counts in report.classes.items() if counts["full_set"] is not None}
    table.add_section()
    table.add_row("found", *map(str, found.values()), str(sum(found.values())), style="bold")
    if whole:
        cells = [str(whole[name]) if whole[name] == found[name] else f"[red]{whole[name]}[/red]" for name in whole]
        table.add_row("full set", *cells, str(sum(whole.values())))
    return table
