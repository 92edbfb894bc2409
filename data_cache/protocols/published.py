"""The protocols that papers use, with the class counts of each set as published (docs/explanation/protocols.md)."""

from collections.abc import Mapping

from data_cache.protocols.protocol import ClipKey, Composition, Protocol

_THREE_CASME2 = {"happiness": "positive", "surprise": "surprise", "disgust": "negative", "repression": "negative"}
_THREE_SAMM = {
    "happiness": "positive",
    "surprise": "surprise",
    **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
}
_THREE_SMIC = {"negative": "negative", "positive": "positive", "surprise": "surprise"}
_THREE = ("negative", "positive", "surprise")
_FIVE_CASME2 = ("disgust", "happiness", "others", "repression", "surprise")
_FIVE_SAMM = ("anger", "contempt", "happiness", "other", "surprise")


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
_CASME2_THREE = Composition({"negative": 88, "positive": 32, "surprise": 25}, subjects=24)
_SAMM_THREE = Composition({"negative": 92, "positive": 26, "surprise": 15}, subjects=28)
_SMIC_THREE = Composition(OFFICIAL_EMOTIONS["smic"], subjects=16, single_class=("s13",))

_THREE_CASME3 = {
    "happiness": "positive",
    "surprise": "surprise",
    "others": "others",
    **dict.fromkeys(("anger", "disgust", "fear", "sadness"), "negative"),
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


def _casme2_5(name: str, label: str, surprises: int) -> Protocol:
    """Five classes of CASME II, with the `label` that one version of its sheet gives to `CASME2_RELABELLED`."""
    counts = {each: OFFICIAL_EMOTIONS["casme2"][each] for each in _FIVE_CASME2} | {"surprise": surprises}
    extra = {CASME2_UNLISTED: ("disgust", "no official sheet has its row")}
    composition = Composition(counts, subjects=26, single_class=("sub10", "sub18", "sub22"), extra=extra)
    emotions = {"casme2": {each: each for each in _FIVE_CASME2}}
    relabelled = dict.fromkeys(CASME2_RELABELLED, label)
    return Protocol(name, _FIVE_CASME2, emotions, {"casme2": composition}, relabelled=relabelled)


def _casme3(
    name: str,
    classes: tuple[str, ...],
    mapping: Mapping[str, str],
    subjects: int,
    excluded: Mapping[ClipKey, str] | None = None,
) -> Protocol:
    """Classes of CAS(ME)³ by `mapping`, or its own seven emotions where that is empty."""
    official = OFFICIAL_EMOTIONS["casme3"]
    emotions = {raw: new for raw in official if (new := mapping.get(raw, raw)) in classes}
    counts = {new: sum(official[raw] for raw in emotions if emotions[raw] == new) for new in classes}
    if excluded:
        counts = {"negative": 449, "positive": 54, "surprise": 184}
    return Protocol(name, classes, {"casme3": emotions}, {"casme3": Composition(counts, subjects)}, excluded or {})


def _as_labelled(name: str, dataset: str, counts: Mapping[str, int], subjects: int) -> Protocol:
    """The classes of `counts` as the sheet calls them."""
    composition = {dataset: Composition(counts, subjects)}
    return Protocol(name, tuple(counts), {dataset: {raw: raw for raw in counts}}, composition)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        _casme2_5("casme2-5", "sadness", 25),
        _casme2_5("casme2-5-2019", "surprise", 28),
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
        _casme3("casme3-7", tuple(OFFICIAL_EMOTIONS["casme3"]), {}, 94),
        _casme3("casme3-4", ("negative", "others", "positive", "surprise"), _THREE_CASME3, 94),
        _casme3("casme3-3", _THREE, _THREE_CASME3, 88),
        _casme3("casme3-3-687", _THREE, _THREE_CASME3, 0, _NOT_IN_687),
        _as_labelled("casme3-c-4", "casme3-c", OFFICIAL_EMOTIONS["casme3-c"], 30),
        _as_labelled("casme-sq-4", "casme-sq", OFFICIAL_EMOTIONS["casme-sq"], 14),
        _as_labelled("casme-sq-3", "casme-sq", {name: OFFICIAL_EMOTIONS["casme-sq"][name] for name in _THREE}, 0),
        Protocol(
            "dfme",
            tuple(OFFICIAL_EMOTIONS["dfme"]),
            {"dfme": {name: name for name in OFFICIAL_EMOTIONS["dfme"]}},
            {"dfme": Composition(OFFICIAL_EMOTIONS["dfme"], subjects=259, parts=_DFME_PARTS)},
            split=tuple(_DFME_PARTS),
        ),
        Protocol("demo-5", _FIVE_CASME2, {"demo": {name: name for name in _FIVE_CASME2}}),
    )
}
