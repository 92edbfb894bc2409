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
    "casme2": {"disgust": 64, "fear": 2, "happiness": 32, "others": 99, "repression": 27, "sadness": 7, "surprise": 25},
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
