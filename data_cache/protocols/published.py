"""The protocols that papers use, with the published class counts (docs/explanation/protocols.md); the choice of one."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey, Composition, Protocol, read_protocol

log = logging.getLogger(__name__)

_THREE = ("negative", "positive", "surprise")
_TO_THREE = {"happiness": "positive", **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative")}
_FIVE_CASME2 = ("disgust", "happiness", "others", "repression", "surprise")


def _counts(text: str) -> dict[str, int]:
    """Class → clips, written as `anger 57, contempt 12`."""
    return {name: int(count) for name, count in (pair.split() for pair in text.split(", "))}


_DFME_PARTS = {
    part: dict(zip(("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"), counts, strict=True))
    for part, counts in {
        "training": (161, 100, 548, 265, 206, 278, 298),
        "testA": (39, 34, 129, 62, 63, 46, 101),
        "testB": (41, 37, 58, 38, 42, 35, 48),
    }.items()
}
OFFICIAL_EMOTIONS: Mapping[str, Mapping[str, int]] = {
    "casme2": _counts("disgust 63, fear 2, happiness 32, others 99, repression 27, sadness 7, surprise 25"),
    "samm": _counts("anger 57, contempt 12, disgust 9, fear 8, happiness 26, other 26, sadness 6, surprise 15"),
    "smic": _counts("negative 70, positive 51, surprise 43"),
    "casme3": _counts("anger 64, disgust 250, fear 86, happiness 55, others 161, sadness 57, surprise 187"),
    "casme3-c": _counts("negative 99, others 20, positive 16, surprise 30"),
    "casme-sq": _counts("negative 21, others 19, positive 8, surprise 9"),
    "dfme": {name: sum(part[name] for part in _DFME_PARTS.values()) for name in _DFME_PARTS["training"]},
}
"""Clips per raw emotion in the full official releases; CASME II as its sheet of 2014 has them."""

CASME2_RELABELLED = tuple(("casme2", "sub24", clip) for clip in ("EP07_01", "EP07_04f", "EP10_03"))
"""Sadness in the sheet of 2014, surprise in that of 2019; the two sheets agree in every other label."""
CASME2_UNLISTED: ClipKey = ("casme2", "sub24", "EP02_07")
"""Its frames are delivered; its row is in no official sheet, but in the lists that give the paper's 247 clips."""
_NOT_MEGC = "not among the 145 CASME II clips of the MEGC 2019 list"
_MEGC_CASME2_EXCLUDED: Mapping[ClipKey, str] = {
    ("casme2", "sub04", "EP12_01f"): f"{_NOT_MEGC} (no apex annotated)",
    ("casme2", "sub05", "EP09_05f"): f"{_NOT_MEGC} (onset equals apex)",
    CASME2_UNLISTED: f"{_NOT_MEGC} (its row is in no official sheet)",
    **dict.fromkeys(CASME2_RELABELLED, f"{_NOT_MEGC} (sadness in the sheet of 2014)"),
}
_NOT_IN_687: Mapping[ClipKey, str] = {
    ("casme3", f"spNO.{subject}", clip): "not among the 687 clips of the HTNet list"
    for subject, clips in {
        186: ("f_448", "l_3634", "l_3677"),
        217: ("a_*", "c_*", "g_*", "k_*", "l_164", "l_3201"),
        9: ("g_234", "g_980", "h_4"),
    }.items()
    for clip in clips
}


def _published(
    name: str, dataset: str, classes: Iterable[str], full: Composition, mapping: Mapping[str, str] | None = None
) -> Protocol:
    """Classes of one data set: an emotion goes where `mapping` says, else into the class of its own name, if any.

    Args:
        full: the official release; of its counts, only those that do not follow from `OFFICIAL_EMOTIONS`.
    """
    official, classes = OFFICIAL_EMOTIONS[dataset], tuple(classes)
    emotions = {raw: new for raw in official if (new := (mapping or {}).get(raw, raw)) in classes}
    counts = {new: sum(official[raw] for raw in emotions if emotions[raw] == new) for new in classes}
    return Protocol(name, classes, {dataset: emotions}, {dataset: replace(full, counts={**counts, **full.counts})})


def _casme2_5(name: str, label: str, surprises: int) -> Protocol:
    """Five classes of CASME II, with the `label` that one version of its sheet gives to `CASME2_RELABELLED`."""
    extra = {CASME2_UNLISTED: ("disgust", "no official sheet has its row")}
    full = Composition({"surprise": surprises}, 26, ("sub10", "sub18", "sub22"), extra)
    relabelled = dict.fromkeys(CASME2_RELABELLED, label)
    return replace(_published(name, "casme2", _FIVE_CASME2, full), relabelled=relabelled)


_MEGC = (
    _published(
        "casme2-3",
        "casme2",
        _THREE,
        Composition({"negative": 88}, 24),
        {"happiness": "positive", "disgust": "negative", "repression": "negative"},
    ),
    _published("samm-3", "samm", _THREE, Composition({}, 28), _TO_THREE),
    _published("smic-3", "smic", _THREE, Composition({}, 16, ("s13",))),
)
_SAMM_5 = _published(
    "samm-5",
    "samm",
    ("anger", "contempt", "happiness", "other", "surprise"),
    Composition({}, 27, ("010", "012", "013", "021", "023", "025", "030", "031", "034")),
)
_CASME3_3 = _published("casme3-3", "casme3", _THREE, Composition({}, 88), _TO_THREE)
_CASME3_687 = Composition({"negative": 449, "positive": 54, "surprise": 184})

# The first one of a data set, or of several together, is the usual one.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        _casme2_5("casme2-5", "sadness", 25),
        _casme2_5("casme2-5-2019", "surprise", 28),
        replace(_MEGC[0], excluded=_MEGC_CASME2_EXCLUDED),
        replace(_SAMM_5, emotions={"samm": {**_SAMM_5.emotions["samm"], "others": "other"}}),
        *_MEGC[1:],
        Protocol(
            "megc2019",
            _THREE,
            {dataset: emotions for each in _MEGC for dataset, emotions in each.emotions.items()},
            {dataset: full for each in _MEGC for dataset, full in each.composition.items()},
            _MEGC_CASME2_EXCLUDED,
        ),
        _published("casme3-7", "casme3", OFFICIAL_EMOTIONS["casme3"], Composition({}, 94)),
        _published("casme3-4", "casme3", sorted([*_THREE, "others"]), Composition({}, 94), _TO_THREE),
        _CASME3_3,
        replace(_CASME3_3, name="casme3-3-687", composition={"casme3": _CASME3_687}, excluded=_NOT_IN_687),
        _published("casme3-c-4", "casme3-c", OFFICIAL_EMOTIONS["casme3-c"], Composition({}, 30)),
        _published("casme-sq-4", "casme-sq", OFFICIAL_EMOTIONS["casme-sq"], Composition({}, 14)),
        _published("casme-sq-3", "casme-sq", _THREE, Composition({})),
        replace(
            _published("dfme", "dfme", OFFICIAL_EMOTIONS["dfme"], Composition({}, 259, parts=_DFME_PARTS)),
            split=tuple(_DFME_PARTS),
        ),
        Protocol("demo-5", _FIVE_CASME2, {"demo": {name: name for name in _FIVE_CASME2}}),
    )
}
SAME_PERSONS = {"smic", "smic-vis", "smic-nir"}
"""Data sets that show the same persons under the same names: together, a test subject would be trained on."""


def choose_protocol(name: str | None, datasets: Sequence[str], emotions: Sequence[str]) -> Protocol:
    """The protocol called `name`, or the usual one for `datasets`.

    That is the first of `PROTOCOLS` for just these; where there is none, each raw emotion is a class ("as-labelled").
    A name that ends in .toml is a file with a mapping of one's own (`read_protocol`).

    Raises:
        UsageError: no such protocol, it says nothing about one of the data sets, or two of them show the same persons.
    """
    distinct = sorted(set(datasets))
    if len(both := sorted(SAME_PERSONS & set(distinct))) > 1:
        raise UsageError(f"{' and '.join(both)} show the same persons, who would be trained and tested on; take one")
    if name is None:
        name = next((each.name for each in PROTOCOLS.values() if sorted(each.emotions) == distinct), "as-labelled")
    if name == "as-labelled":
        classes = tuple(sorted({emotion for emotion in emotions if emotion}))
        if {"other", "others"} <= set(classes):
            log.info("note: other and others are two classes here; a protocol of your own (FILE.toml) can join them")
        return Protocol(name, classes, {"*": {emotion: emotion for emotion in classes}})
    if name.lower().endswith(".toml"):
        protocol = read_protocol(Path(name))
    elif name in PROTOCOLS:
        protocol = PROTOCOLS[name]
    else:
        known = ", ".join([*PROTOCOLS, "as-labelled"])
        raise UsageError(f"no protocol {name!r}; choose one of {known}, or name a file (FILE.toml)")
    if beyond := [dataset for dataset in distinct if not protocol.covers(dataset)]:
        what = f"protocol {protocol.name} says nothing about data set {beyond[0]!r}"
        covered = f"it covers {', '.join(protocol.emotions)}"
        raise UsageError(f"{what} ({covered}); pass another --protocol, such as as-labelled")
    return protocol
