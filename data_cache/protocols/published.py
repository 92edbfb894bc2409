"""The protocols that papers use, with the class counts of the published composition of each set (docs/datasets.md)."""

from collections.abc import Mapping

from data_cache.protocols.protocol import ClipKey, Composition, Protocol

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
        "disgust": 63,
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
    "casme3": {
        "anger": 64,
        "disgust": 250,
        "fear": 86,
        "happiness": 55,
        "others": 161,
        "sadness": 57,
        "surprise": 187,
    },
    "casme3-c": {"negative": 99, "others": 20, "positive": 16, "surprise": 30},
    "casme-sq": {"negative": 21, "others": 19, "positive": 8, "surprise": 9},
    "dfme": {
        "anger": 241,
        "contempt": 171,
        "disgust": 735,
        "fear": 365,
        "happiness": 311,
        "sadness": 359,
        "surprise": 447,
    },
}
"""Clips per raw emotion in the full official releases; CASME II as its sheet of 2014 has them."""

CASME2_RELABELLED: tuple[ClipKey, ...] = (
    ("casme2", "sub24", "EP07_01"),
    ("casme2", "sub24", "EP07_04f"),
    ("casme2", "sub24", "EP10_03"),
)
"""Sadness in the sheet of 2014, surprise in that of 2019; the two sheets agree in every other label."""
_LABELS_2014 = dict.fromkeys(CASME2_RELABELLED, "sadness")
_LABELS_2019 = dict.fromkeys(CASME2_RELABELLED, "surprise")
CASME2_UNLISTED: ClipKey = ("casme2", "sub24", "EP02_07")
"""Its frames are delivered; its row is in no official sheet, but in the lists that give the paper's 247 clips."""
_CASME2_EXTRA = {CASME2_UNLISTED: ("disgust", "no official sheet has its row")}
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
_SEVEN_DFME = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
_DFME_PARTS = {
    "training": dict(zip(_SEVEN_DFME, (161, 100, 548, 265, 206, 278, 298), strict=True)),
    "testA": dict(zip(_SEVEN_DFME, (39, 34, 129, 62, 63, 46, 101), strict=True)),
    "testB": dict(zip(_SEVEN_DFME, (41, 37, 58, 38, 42, 35, 48), strict=True)),
}


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
        Protocol(
            "casme2-5",
            _FIVE_CASME2,
            {"casme2": {name: name for name in _FIVE_CASME2}},
            {
                "casme2": Composition(
                    {name: OFFICIAL_EMOTIONS["casme2"][name] for name in _FIVE_CASME2},
                    subjects=26,
                    single_class=("sub10", "sub18", "sub22"),
                    extra=_CASME2_EXTRA,
                )
            },
            relabelled=_LABELS_2014,
        ),
        Protocol(
            "casme2-5-2019",
            _FIVE_CASME2,
            {"casme2": {name: name for name in _FIVE_CASME2}},
            {
                "casme2": Composition(
                    {name: OFFICIAL_EMOTIONS["casme2"][name] for name in _FIVE_CASME2} | {"surprise": 28},
                    subjects=26,
                    single_class=("sub10", "sub18", "sub22"),
                    extra=_CASME2_EXTRA,
                )
            },
            relabelled=_LABELS_2019,
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
