"""A protocol: which emotions count, into which classes they go, and how many clips that must give.

Caches store the raw emotion; a protocol is applied in training, so another protocol needs no new cache.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

ClipKey = tuple[str, str, str]
"""(data set, subject, clip): the only safe name of a clip, for clip names and subjects repeat across sets."""


@dataclass(frozen=True)
class Composition:
    """What a full data set gives under a protocol.

    Attributes:
        counts: clips per class.
        subjects: subjects with at least one clip of a class; 0 where that is not known.
        single_class: subjects all of whose clips are of one class; None where that is not known.
        absent_at_times: clips that some official versions of the data set lack → their class and why.
    """

    counts: Mapping[str, int]
    subjects: int = 0
    single_class: tuple[str, ...] | None = None
    absent_at_times: Mapping[ClipKey, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A classification task over one or more data sets.

    Attributes:
        name: as given to `--protocol`.
        classes: class names in index order.
        emotions: for each data set, raw emotion (lower case) → class. The key "*" holds for any data set.
        composition: what each full data set gives; empty when that is not known.
        excluded: clips left out by the protocol, each with the reason.
    """

    name: str
    classes: tuple[str, ...]
    emotions: Mapping[str, Mapping[str, str]]
    composition: Mapping[str, Composition] = field(default_factory=dict)
    excluded: Mapping[ClipKey, str] = field(default_factory=dict)

    def covers(self, dataset: str) -> bool:
        """Whether this protocol says anything about `dataset`."""
        return dataset in self.emotions or "*" in self.emotions

    @property
    def expected(self) -> dict[str, int]:
        """Clips per class over all its full data sets; empty when that is not known."""
        totals: Counter[str] = Counter()
        for part in self.composition.values():
            totals.update(part.counts)
        return {name: totals[name] for name in self.classes} if totals else {}

    def only(self, dataset: str) -> "Protocol":
        """The part of this protocol that concerns one data set."""
        part = {name: value for name, value in self.composition.items() if name == dataset}
        return replace(self, composition=part)


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
        if key in protocol.excluded:
            left_out[f"excluded: {protocol.excluded[key]}"] += 1
            labels.append(-1)
        elif emotion not in mapping:
            left_out[f"emotion {emotion or 'unknown'!r} is in no class of {protocol.name}"] += 1
            labels.append(-1)
        else:
            labels.append(index[mapping[emotion]])
    return Labelling(protocol.classes, labels, dict(left_out))


def count_differences(
    protocol: Protocol, counts: Mapping[str, int], clips: Collection[ClipKey] | None = None
) -> list[str]:
    """How `counts` differ from what the protocol's full data sets give; empty when they agree.

    Args:
        clips: the clips that were counted; with them, a clip known to be absent at times is named.
    """
    differences = [
        f"{name}: {counts.get(name, 0)} clips, {protocol.name} has {expected}"
        for name, expected in protocol.expected.items()
        if counts.get(name, 0) != expected
    ]
    if not differences or clips is None:
        return differences
    return differences + [
        f"{'/'.join(key[1:])} ({emotion}) is missing: {why}"
        for part in protocol.composition.values()
        for key, (emotion, why) in part.absent_at_times.items()
        if key not in clips
    ]
