"""Protocols on tables of the official size, and protocols of one's own."""

from pathlib import Path

import pytest
from full_sets import full_table

from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey, apply_protocol, count_differences, part_of
from data_cache.protocols.published import OFFICIAL_EMOTIONS, PROTOCOLS, choose_protocol

NEW_SETS = {"casme3": 860, "casme3-c": 165, "casme-sq": 57, "dfme": 2629}
Labelled = list[tuple[ClipKey, str]]


def labelled(*datasets: str) -> Labelled:
    return [
        ((dataset.split()[0], subject, clip), emotion)
        for dataset in datasets
        for subject, clip, emotion in full_table(dataset)
    ]


@pytest.mark.parametrize(
    ("protocol", "datasets", "clips", "subjects"),
    [
        ("casme2-5", "casme2", 246, 26),
        ("casme2-5", "casme2 2014", 246, 26),
        ("casme2-5", "casme2 2019", 246, 26),
        ("casme2-5", "casme2 247", 247, 26),
        ("casme2-5-2019", "casme2", 249, 26),
        ("casme2-5-2019", "casme2 2014", 249, 26),
        ("casme2-5-2019", "casme2 2019", 249, 26),
        ("casme2-3", "casme2", 145, 24),
        ("casme2-3", "casme2 2019", 145, 24),
        ("casme2-3", "casme2 247", 145, 24),
        ("samm-5", "samm", 136, 27),
        ("samm-3", "samm", 133, 28),
        ("smic-3", "smic", 164, 16),
        ("megc2019", "casme2, samm, smic", 442, 68),
    ],
)
def test_the_official_counts_come_out_of_every_sheet(protocol: str, datasets: str, clips: int, subjects: int) -> None:
    labelling = apply_protocol(PROTOCOLS[protocol], table := labelled(*datasets.split(", ")))
    used = [key for (key, _), label in zip(table, labelling.labels, strict=True) if label >= 0]
    assert (len(used), len({key[:2] for key in used})) == (clips, subjects)
    assert sum(part.subjects for part in PROTOCOLS[protocol].composition.values()) == subjects
    for keys in (used, [key for key, _ in table]):
        assert count_differences(PROTOCOLS[protocol], labelling.counts, keys) == []


@pytest.mark.parametrize(
    ("protocol", "dataset", "counts"),
    [
        ("casme3-7", "casme3", (64, 250, 86, 55, 161, 57, 187)),
        ("casme3-4", "casme3", (457, 161, 55, 187)),
        ("casme3-3", "casme3", (457, 55, 187)),
        ("casme3-3-687", "casme3", (449, 54, 184)),
        ("casme3-c-4", "casme3-c", (99, 20, 16, 30)),
        ("casme-sq-4", "casme-sq", (21, 19, 8, 9)),
        ("casme-sq-3", "casme-sq", (21, 8, 9)),
        ("dfme", "dfme", (241, 171, 735, 365, 311, 359, 447)),
    ],
)
def test_the_published_counts_of_the_other_sets(protocol: str, dataset: str, counts: tuple[int, ...]) -> None:
    assert tuple(PROTOCOLS[protocol].expected[name] for name in sorted(PROTOCOLS[protocol].classes)) == counts
    assert choose_protocol(None, [dataset], []).name == {"casme3": "casme3-7", "dfme": "dfme"}.get(
        dataset, f"{dataset}-4"
    )


USUAL = {"casme2": "casme2-5", "samm": "samm-5", "smic": "smic-3", "demo": "demo-5", "lab": "as-labelled"}


@pytest.mark.parametrize(("datasets", "name"), [*USUAL.items(), ("smic samm casme2 samm", "megc2019")])
def test_the_usual_protocol(datasets: str, name: str) -> None:
    assert choose_protocol(None, datasets.split(), []).name == name


def test_the_687_clips_leave_out_whole_videos_and_single_clips() -> None:
    clips = [("spNO.217", "a_12"), ("spNO.217", "l_164"), ("spNO.217", "l_16"), ("spNO.21", "a_12"), ("spNO.9", "h_4")]
    table: Labelled = [(("casme3", subject, clip), "happiness") for subject, clip in clips]
    assert apply_protocol(PROTOCOLS["casme3-3-687"], table).labels == [-1, -1, 1, 1, -1]


def test_the_parts_of_dfme_are_told_by_their_subjects() -> None:
    protocol = PROTOCOLS["dfme"]
    assert [sum(part.values()) for part in protocol.composition["dfme"].parts.values()] == [1856, 474, 299]
    assert protocol.split == ("training", "testA", "testB")
    key: ClipKey = ("dfme", "testA-sub0101", "sub0101_01")
    assert part_of(key) == "testA"
    assert sum(protocol.composition["dfme"].counts_for([key]).values()) == 474  # of the parts that are there


def test_two_cameras_of_smic_are_the_same_persons() -> None:
    with pytest.raises(UsageError, match="smic and smic-vis"):
        choose_protocol(None, ["smic", "smic-vis"], [])


def test_the_composite_is_what_was_published() -> None:
    counts = apply_protocol(PROTOCOLS["megc2019"], labelled("casme2", "samm", "smic")).counts
    assert counts == {"negative": 250, "positive": 109, "surprise": 83}


def test_the_releases_are_as_large_as_published() -> None:
    totals = {dataset: sum(counts.values()) for dataset, counts in OFFICIAL_EMOTIONS.items()}
    assert totals == {"casme2": 255, "samm": 159, "smic": 164, **NEW_SETS}


def test_another_missing_clip_is_not_blamed_on_the_sheet() -> None:
    table = labelled("casme2")
    table.remove(next(row for row in table if row[1] == "surprise"))
    labelling = apply_protocol(PROTOCOLS["casme2-5"], table)
    assert count_differences(PROTOCOLS["casme2-5"], labelling.counts, [key for key, _ in table]) == [
        "surprise: 24 clips, casme2-5 has 25"
    ]


@pytest.mark.parametrize("spelling", ["other", "others"])
def test_both_spellings_of_other_count_in_samm(spelling: str) -> None:
    table: Labelled = [(("samm", "006", "a"), spelling)]
    assert apply_protocol(PROTOCOLS["samm-5"], table).counts["other"] == 1


def test_equal_names_in_two_sets_are_two_clips() -> None:
    table: Labelled = [(("samm", "sub04", "EP12_01f"), "disgust"), (("casme2", "sub04", "EP12_01f"), "disgust")]
    assert apply_protocol(PROTOCOLS["megc2019"], table).labels == [0, -1]


# --- protocols of one's own -------------------------------------------------------------------------

OWN = """
classes = ["calm", "not calm"]
[emotions.casme2]
Others = "calm"
surprise = "not calm"
[emotions."*"]
joy = "not calm"
[expected.casme2]
calm = 99
"not calm" = 25
[excluded]
"casme2/sub24/EP02_07" = "only in some sheets"
"""


def own(folder: Path, text: str = OWN) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_protocol_of_ones_own(tmp_path: Path) -> None:
    protocol = choose_protocol(own(tmp_path), ["casme2"], [])
    assert (protocol.name, protocol.classes) == ("mine", ("calm", "not calm"))
    clips = [*labelled("casme2 247"), (("lab", "1", "a"), "joy")]
    labelling = apply_protocol(protocol, clips)
    assert labelling.counts == {"calm": 99, "not calm": 26}
    assert count_differences(protocol, labelling.counts, [key for key, _ in clips]) == [
        "not calm: 26 clips, mine has 25"
    ]
    assert labelling.left_out["excluded: only in some sheets"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = [", "cannot be read as TOML"),
        ("clases = ['a', 'b']", "unknown key 'clases'"),
        ("classes = ['a']", "two or more different names"),
        ("classes = [1, 2]\n[emotions.x]\njoy = '1'", "two or more different names"),
        ("classes = ['a', '']", "two or more different names"),
        ("classes = ['a', 'b']", r"no \[emotions"),
        ("classes = ['a', 'b']\n[emotions]\njoy = 'a'", "expected a table of dict values"),
        ("classes = ['a', 'b']\n[emotions.x]\njoy = 'c'", "'c' is no class"),
        ("classes = ['a', 'b']\n[emotions.x]\njoy = 'a'\n[expected.x]\na = 'many'", "expected a table of int values"),
        ("classes = ['a', 'b']\n[emotions.x]\njoy = 'a'\n[excluded]\nclip = 'why'", "dataset/subject/clip"),
    ],
)
def test_a_bad_protocol_file_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        choose_protocol(own(tmp_path, text), ["x"], [])


def test_a_protocol_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        choose_protocol(str(tmp_path / "none.toml"), ["x"], [])
    with pytest.raises(UsageError, match="no protocol 'casme9'"):
        choose_protocol("casme9", ["x"], [])


def test_a_protocol_must_say_something_about_the_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="megc2019 says nothing about data set 'demo'"):
        choose_protocol("megc2019", ["demo"], [])


def test_other_beside_others_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        chosen = choose_protocol(None, ["casme2", "samm"], ["others", "other", "happiness"])
    assert set(chosen.classes) >= {"other", "others"} and "others" in caplog.text
