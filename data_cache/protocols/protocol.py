"""A protocol: which emotions count, into which classes they go, and how many clips that must give.

Caches store the raw emotion; a protocol is applied in training, so another protocol needs no new cache.
"""

import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError

ClipKey = tuple[str, str, str]
"""(data set, subject, clip): the only safe name of a clip, for clip names and subjects repeat across sets."""
_KEYS = ("name", "classes", "emotions", "expected", "excluded")


@dataclass(frozen=True)
class Composition:
    """What a full data set gives under a protocol.

    Attributes:
        counts: clips per class.
        subjects: subjects with at least one clip of a class; 0 where that is not known.
        single_class: subjects all of whose clips are of one class; None where that is not known.
        extra: clips that some copies have beyond the official release → their class, and where they come from.
        parts: of a data set with a fixed split, part → clips per class.
    """

    counts: Mapping[str, int]
    subjects: int = 0
    single_class: tuple[str, ...] | None = None
    extra: Mapping[ClipKey, tuple[str, str]] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def counts_for(self, clips: Collection[ClipKey]) -> Counter[str]:
        """Clips per class of the full set, with the extra clips and without the parts that `clips` shows."""
        parts = [self.parts[name] for name in {part_of(key) for key in clips} & set(self.parts)] or [self.counts]
        extra = Counter(emotion for key, (emotion, _) in self.extra.items() if key in clips)
        return sum(map(Counter, parts), extra)


@dataclass(frozen=True)
class Protocol:
    """A classification task over one or more data sets.

    Attributes:
        name: as given to `--protocol`.
        classes: class names in index order.
        emotions: for each data set, raw emotion (lower case) → class. The key "*" holds for any data set.
        composition: what each full data set gives; empty when that is not known.
        excluded: clips left out by the protocol, each with the reason; a clip name may end in * for any ending.
        relabelled: clips whose raw emotion is this one, whatever the sheet says: versions of a sheet differ.
        split: the parts of a fixed split, () for none; the first is trained on, each other one is tested on by
            itself. A clip's part is what its subject's name begins with: testA-sub0101 (`part_of`).
    """

    name: str
    classes: tuple[str, ...]
    emotions: Mapping[str, Mapping[str, str]]
    composition: Mapping[str, Composition] = field(default_factory=dict)
    excluded: Mapping[ClipKey, str] = field(default_factory=dict)
    relabelled: Mapping[ClipKey, str] = field(default_factory=dict)
    split: tuple[str, ...] = ()

    def covers(self, dataset: str) -> bool:
        """Whether this protocol says anything about `dataset`."""
        return dataset in self.emotions or "*" in self.emotions

    def exclusion(self, key: ClipKey) -> str | None:
        """Why the protocol leaves a clip out; None where it does not."""
        by_name = (
            why
            for (dataset, subject, clip), why in self.excluded.items()
            if clip.endswith("*") and (dataset, subject) == key[:2] and key[2].startswith(clip[:-1])
        )
        return self.excluded.get(key) or next(by_name, None)

    @property
    def expected(self) -> dict[str, int]:
        """Clips per class over all its full data sets; empty when that is not known."""
        totals = sum((Counter(full.counts) for full in self.composition.values()), Counter[str]())
        return {name: totals[name] for name in self.classes} if totals else {}


def part_of(key: ClipKey) -> str:
    """The part of a fixed split that a clip is in: testA for the subject testA-sub0101."""
    return key[1].partition("-")[0]


@dataclass(frozen=True)
class Labelling:
    """The outcome of a protocol on a list of clips.

    Attributes:
        labels: class index per clip, −1 for a clip that the protocol does not use.
        left_out: reason → number of clips not used.
    """

    classes: tuple[str, ...]
    labels: list[int]
    left_out: Mapping[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Clips per class, every class named."""
        found = Counter(self.labels)
        return {name: found[index] for index, name in enumerate(self.classes)}


def apply_protocol(protocol: Protocol, clips: Sequence[tuple[ClipKey, str]]) -> Labelling:
    """Class indices for `clips`, given as ((data set, subject, clip), raw emotion)."""
    index = {name: i for i, name in enumerate(protocol.classes)}
    labels: list[int] = []
    left_out: Counter[str] = Counter()
    for key, emotion in clips:
        mapping = protocol.emotions.get(key[0], protocol.emotions.get("*", {}))
        emotion = protocol.relabelled.get(key, emotion)
        if excluded := protocol.exclusion(key):
            left_out[f"excluded: {excluded}"] += 1
            labels.append(-1)
        elif emotion not in mapping:
            left_out[f"emotion {emotion or 'unknown'!r} is in no class of {protocol.name}"] += 1
            labels.append(-1)
        else:
            labels.append(index[mapping[emotion]])
    return Labelling(protocol.classes, labels, dict(left_out))


def count_differences(protocol: Protocol, counts: Mapping[str, int], clips: Collection[ClipKey]) -> list[str]:
    """How the `counts` of `clips` differ from what the full data sets, or parts, among them give; empty: they agree.

    Extra clips that some copies have are allowed for.
    """
    there = {key[0] for key in clips}
    full_sets = (full for name, full in protocol.composition.items() if name in there)
    expected = sum((full.counts_for(clips) for full in full_sets), Counter[str]())
    return [
        f"{name}: {counts.get(name, 0)} clips, {protocol.name} has {expected[name]}"
        for name in protocol.classes
        if expected and counts.get(name, 0) != expected[name]
    ]


def read_protocol(path: Path) -> Protocol:
    """The protocol that a TOML file describes; its name is the file's unless it gives one.

        classes = ["negative", "positive"]

        [emotions.casme2]            # one table per data set; [emotions."*"] holds for any
        happiness = "positive"
        disgust = "negative"

        [expected.casme2]            # optional: clips per class of the full set, to be checked
        negative = 64
        positive = 32

        [excluded]                   # optional: clips left out, each with its reason
        "casme2/sub05/EP09_05f" = "onset equals apex"

    Raises:
        UsageError: the file is missing or no TOML, has unknown keys, or maps to a class that it does not list.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the protocol {path} cannot be read as TOML: {error}") from error
    if unknown := sorted(set(values) - set(_KEYS)):
        raise UsageError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    classes = values.get("classes")
    names = [name for name in classes if isinstance(name, str) and name] if isinstance(classes, list) else []
    if names != classes or len(set(names)) != len(names) or len(names) < 2:
        raise UsageError(f"{path}: classes is {classes!r}; expected a list of two or more different names")
    emotions = _tables(path, values, "emotions", str)
    expected = _tables(path, values, "expected", int)
    if not emotions:
        raise UsageError(f"{path} has no [emotions.<data set>]; map raw emotions to classes there")
    used: dict[str, Iterable[str]] = {f"emotions.{name}": mapping.values() for name, mapping in emotions.items()}
    used |= {f"expected.{name}": counts for name, counts in expected.items()}
    for table, new in used.items():
        if strange := [name for name in new if name not in classes]:
            raise UsageError(f"{path}, [{table}]: {strange[0]!r} is no class; classes are {', '.join(classes)}")
    lower = {dataset: {raw.lower(): new for raw, new in mapping.items()} for dataset, mapping in emotions.items()}
    full = {dataset: Composition(counts) for dataset, counts in expected.items()}
    excluded = {_clip_key(path, text): why for text, why in _table(path, values, "excluded", str).items()}
    return Protocol(str(values.get("name", path.stem)), tuple(classes), lower, full, excluded)


def _tables(path: Path, values: Mapping[str, Any], name: str, kind: type) -> dict[str, dict[str, Any]]:
    tables = _table(path, values, name, dict)
    return {dataset: _table(path, tables, dataset, kind) for dataset in tables}


def _table(path: Path, values: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(value, kind) for value in table.values()):
        raise UsageError(f"{path}: {name} is {table!r}; expected a table of {kind.__name__} values")
    return table


def _clip_key(path: Path, text: str) -> ClipKey:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise UsageError(f"{path}, [excluded]: {text!r}; expected 'dataset/subject/clip'")
    return parts[0], parts[1], parts[2]
