"""Protocols: which emotions count, into which classes they go, and how many clips that must give.

Caches store the raw emotion; a protocol is applied in training, so another protocol needs no new
cache. Class counts come from the published composition of each set (docs/datasets.md).
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
        classes: class names.
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


_CASME2_NEGATIVE = {"disgust": "negative", "repression": "negative"}
_THREE_CASME2 = {"happiness": "positive", "surprise": "surprise", **_CASME2_NEGATIVE}
_THREE_SAMM = {
    "happiness": "positive",
    "surprise": "surprise",
    **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
}
_THREE_SMIC = {"negative": "negative", "positive": "positive", "surprise": "surprise"}
_THREE = ("negative", "positive", "surprise")
_FIVE_CASME2 = ("disgust", "happiness", "others", "repression", "surprise")
_FIVE_SAMM = ("anger", "contempt", "happiness", "other", "surprise")

OFFICIAL_EMOTIONS: Mapping[str, Mapping[str, int]] = {
    "casme2": {
        "disgust": 64,
        "fear": 2,
        "happiness": 32,
        "others": 99,
        "repression": 27,
        "sadness": 7,
        "surprise": 25,
    },
    "samm": {
        "anger": 57,
        "contempt": 12,
        "disgust": 9,
        "fear": 8,
        "happiness": 26,
        "other": 26,
        "sadness": 6,
        "surprise": 15,
    },
    "smic": {"negative": 70, "positive": 51, "surprise": 43},
}
"""Clips per raw emotion in the full official releases."""

_LATER_ROW: ClipKey = ("casme2", "sub24", "EP02_07")
_MEGC_CASME2_EXCLUDED: Mapping[ClipKey, str] = {
    ("casme2", "sub04", "EP12_01f"): "not among the 145 CASME II clips of the MEGC 2019 list (no apex annotated)",
    ("casme2", "sub05", "EP09_05f"): "not among the 145 CASME II clips of the MEGC 2019 list (onset equals apex)",
    _LATER_ROW: "not among the 145 CASME II clips of the MEGC 2019 list (row of later sheets only)",
}
_CASME2_THREE = Composition({"negative": 88, "positive": 32, "surprise": 25}, subjects=24)
_SAMM_THREE = Composition({"negative": 92, "positive": 26, "surprise": 15}, subjects=28)
_SMIC_THREE = Composition(OFFICIAL_EMOTIONS["smic"], subjects=16, single_class=("s13",))

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "casme2-5",
            _FIVE_CASME2,
            {"casme2": {name: name for name in _FIVE_CASME2}},
            {
                "casme2": Composition(
                    {name: OFFICIAL_EMOTIONS["casme2"][name] for name in _FIVE_CASME2},
                    subjects=26,
                    single_class=("sub10", "sub18", "sub22"),
                    absent_at_times={_LATER_ROW: ("disgust", "some versions of the sheet lack its row and give 246")},
                )
            },
        ),
        Protocol("casme2-3", _THREE, {"casme2": _THREE_CASME2}, {"casme2": _CASME2_THREE}, _MEGC_CASME2_EXCLUDED),
        Protocol(
            "samm-5",
            _FIVE_SAMM,
            {"samm": {name: name for name in _FIVE_SAMM} | {"others": "other"}},
            {
                "samm": Composition(
                    {name: OFFICIAL_EMOTIONS["samm"][name] for name in _FIVE_SAMM},
                    subjects=27,
                    single_class=("010", "012", "013", "021", "023", "025", "030", "031", "034"),
                )
            },
        ),
        Protocol("samm-3", _THREE, {"samm": _THREE_SAMM}, {"samm": _SAMM_THREE}),
        Protocol("smic-3", _THREE, {"smic": _THREE_SMIC}, {"smic": _SMIC_THREE}),
        Protocol(
            "megc2019",
            _THREE,
            {"casme2": _THREE_CASME2, "samm": _THREE_SAMM, "smic": _THREE_SMIC},
            {"casme2": _CASME2_THREE, "samm": _SAMM_THREE, "smic": _SMIC_THREE},
            _MEGC_CASME2_EXCLUDED,
        ),
        Protocol("demo-5", _FIVE_CASME2, {"demo": {name: name for name in _FIVE_CASME2}}),
    )
}


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
        protocol: the protocol.
        counts: clips per class.
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
