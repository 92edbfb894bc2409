"""Protocols: which emotions count, into which classes they go, and how many clips that must give.

Caches store the raw emotion; a protocol is applied in training, so another protocol needs no new
cache. Class counts come from the published composition of each set (docs/datasets.md).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_cache.errors import UsageError

ClipKey = tuple[str, str, str]
"""(data set, subject, clip): the only safe name of a clip, for clip names and subjects repeat across sets."""


@dataclass(frozen=True)
class Protocol:
    """A classification task over one or more data sets.

    Attributes:
        name: as given to `--protocol`.
        classes: class names in index order.
        emotions: for each data set, raw emotion (lower case) → class. The key "*" holds for any data set.
        expected: clips per class that the full data sets give; empty when that is not known.
        excluded: clips left out by the protocol, each with the reason.
    """

    name: str
    classes: tuple[str, ...]
    emotions: Mapping[str, Mapping[str, str]]
    expected: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[ClipKey, str] = field(default_factory=dict)

    def covers(self, dataset: str) -> bool:
        """Whether this protocol says anything about `dataset`."""
        return dataset in self.emotions or "*" in self.emotions


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
_MEGC_CASME2_EXCLUDED = {
    (
        "casme2",
        "sub04",
        "EP12_01f",
    ): "not among the 145 CASME II clips of the MEGC 2019 list (no apex annotated)",
    (
        "casme2",
        "sub05",
        "EP09_05f",
    ): "not among the 145 CASME II clips of the MEGC 2019 list (onset equals apex)",
    (
        "casme2",
        "sub24",
        "EP02_07",
    ): "not among the 145 CASME II clips of the MEGC 2019 list (row of later sheets only)",
}

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "casme2-5",
            _FIVE_CASME2,
            {"casme2": {name: name for name in _FIVE_CASME2}},
            {"disgust": 64, "happiness": 32, "others": 99, "repression": 27, "surprise": 25},
        ),
        Protocol(
            "casme2-3",
            _THREE,
            {"casme2": _THREE_CASME2},
            {"negative": 88, "positive": 32, "surprise": 25},
            _MEGC_CASME2_EXCLUDED,
        ),
        Protocol(
            "samm-5",
            _FIVE_SAMM,
            {"samm": {name: name for name in _FIVE_SAMM} | {"others": "other"}},
            {"anger": 57, "contempt": 12, "happiness": 26, "other": 26, "surprise": 15},
        ),
        Protocol("samm-3", _THREE, {"samm": _THREE_SAMM}, {"negative": 92, "positive": 26, "surprise": 15}),
        Protocol("smic-3", _THREE, {"smic": _THREE_SMIC}, {"negative": 70, "positive": 51, "surprise": 43}),
        Protocol(
            "megc2019",
            _THREE,
            {"casme2": _THREE_CASME2, "samm": _THREE_SAMM, "smic": _THREE_SMIC},
            {"negative": 250, "positive": 109, "surprise": 83},
            _MEGC_CASME2_EXCLUDED,
        ),
        Protocol("demo-5", _FIVE_CASME2, {"demo": {name: name for name in _FIVE_CASME2}}),
    )
}
DEFAULT_PROTOCOLS = {"casme2": "casme2-5", "samm": "samm-5", "smic": "smic-3", "demo": "demo-5"}


def choose_protocol(name: str | None, datasets: Sequence[str], emotions: Sequence[str]) -> Protocol:
    """The protocol called `name`, or the usual one for `datasets`.

    A data set that we do not know gets one class per raw emotion ("as-labelled"). Three known
    sets together get the MEGC 2019 composite.

    Raises:
        UsageError: no such protocol, or it says nothing about one of the data sets.
    """
    distinct = sorted(set(datasets))
    if name is None:
        if distinct == ["casme2", "samm", "smic"]:
            name = "megc2019"
        else:
            name = DEFAULT_PROTOCOLS.get(distinct[0], "as-labelled") if len(distinct) == 1 else "as-labelled"
    if name == "as-labelled":
        classes = tuple(sorted({emotion for emotion in emotions if emotion}))
        return Protocol(name, classes, {"*": {emotion: emotion for emotion in classes}})
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol {name!r}; choose one of {', '.join([*PROTOCOLS, 'as-labelled'])}")
    protocol = PROTOCOLS[name]
    for dataset in distinct:
        if not protocol.covers(dataset):
            raise UsageError(
                f"protocol {name} says nothing about data set {dataset!r} (it covers {', '.join(protocol.emotions)}); "
                "pass another --protocol, such as as-labelled"
            )
    return protocol


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


def count_differences(protocol: Protocol, counts: Mapping[str, int]) -> list[str]:
    """How `counts` differ from what the protocol's full data sets give; empty when they agree."""
    return [
        f"{name}: {counts.get(name, 0)} clips, {protocol.name} has {expected}"
        for name, expected in protocol.expected.items()
        if counts.get(name, 0) != expected
    ]
