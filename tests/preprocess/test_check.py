"""`mpt-preprocess check`: nothing to say of a full release as documented, and a finding for each departure."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import more_sets as more
import numpy as np
import official_sets as official
import pytest
from commands import Command
from full_sets import full_expressions
from official_sets import Expression

from preprocess.check import Report, check
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.casme3 import casme3
from preprocess.datasets.casme_sq import casme_sq
from preprocess.datasets.dfme import dfme
from preprocess.datasets.samm import samm
from preprocess.datasets.smic import smic
from preprocess.frames.read import SAMPLED

BUILD: dict[str, tuple[Callable[[Path, Sequence[Expression]], object], Callable]] = {
    "casme2": (official.casme2_tree, casme2),
    "samm": (official.samm_tree, samm),
    "smic": (official.smic_tree, smic),
    "casme3": (more.casme3_tree, casme3),
    "casme-sq": (more.casme_sq_tree, casme_sq),
    "dfme": (more.dfme_tree, dfme),
}


@pytest.fixture(autouse=True)
def light_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """One encoded picture for all frames: a full release has thousands."""
    picture = np.full((6, 5, 3), 90, np.uint8)
    encoded = {suffix: cv2.imencode(suffix, picture)[1].tobytes() for suffix in (".jpg", ".bmp", ".png")}

    def write_frames(folder: Path, names: Callable[[int], str], numbers: Sequence[int], grey: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            path = folder / names(number)
            path.write_bytes(encoded[path.suffix])

    monkeypatch.setattr(official, "write_frames", write_frames)


def report_of(dataset: str, root: Path, expressions: Sequence[Expression], protocol: str | None = None) -> Report:
    build, find = BUILD[dataset.split()[0]]
    build(root, expressions)
    return check(find(root), protocol)


def unexpected(report: Report) -> list[tuple[str, str]]:
    return [(anomaly.key, anomaly.kind) for anomaly in report.anomalies if anomaly.unexpected]


@pytest.mark.parametrize(
    ("dataset", "clips", "subjects", "others"),
    [
        ("casme2 2014", 255, 26, {"megc2019": (145, 24)}),
        ("casme2 2019", 255, 26, {}),
        ("casme2 247", 256, 26, {}),
        ("samm", 159, 29, {}),
        ("smic", 164, 16, {}),
        ("casme3", 860, 94, {"casme3-4": (860, 94), "casme3-3": (699, 88)}),
        ("casme-sq", 57, 14, {}),
        ("dfme", 2629, 259, {}),
    ],
)
def test_a_full_release_gives_nothing_unexpected(
    dataset: str, clips: int, subjects: int, others: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """By its own protocol, and by others, which have fewer clips and subjects."""
    build, find = BUILD[dataset.split()[0]]
    build(tmp_path, full_expressions(dataset))
    found = find(tmp_path)
    for protocol in (None, *others):
        report = check(found, protocol)
        assert unexpected(report) == []
        assert (report.clips, len(report.subjects)) == (clips, subjects)
        assert all(counts["clips"] == counts["full_set"] for counts in report.classes.values())
        report.raise_unexpected()
        if protocol is not None:
            counted = sum(counts["clips"] or 0 for counts in report.classes.values())
            assert (counted, sum(bool(counts) for counts in report.subjects.values())) == others[protocol]
            assert report.expected_subjects == others[protocol][1]


def test_the_command_ends_well_or_with_three_and_a_build_compares_counts_too(tmp_path: Path, command: Command) -> None:
    expressions = full_expressions("smic")
    official.smic_tree(tmp_path / "whole", expressions)
    official.smic_tree(tmp_path / "part", expressions[:-1])
    done = command("mpt-preprocess", "check", "smic", "--root", tmp_path / "whole")
    assert done.code == 0
    assert "164 clips of 16 subjects" in done.out and "s13: " in done.out
    done = command("mpt-preprocess", "check", "smic", "--root", tmp_path / "part")
    assert done.code == 3
    assert "surprise: 42" in done.out
    done = command("mpt-preprocess", "smic", "--root", tmp_path / "part", "--dry-run")
    assert done.code == 0 and "surprise: 42 clips, smic-3 has 43" in done.err


@pytest.mark.parametrize("dataset", ["casme2", "samm", "smic", "manifest"])
def test_people_and_programs_read_the_same_report(dataset: str, tmp_path: Path, command: Command) -> None:
    where: tuple[object, ...] = (dataset, "--root", tmp_path)
    rows = full_expressions(dataset.replace("manifest", "samm"))
    BUILD[dataset.replace("manifest", "samm")][0](tmp_path, rows)
    if dataset == "manifest":
        where = (own := tmp_path / "own.csv",)
        lines = [f"{row.subject},{row.clip},SAMM/{row.subject}/{row.clip},{row.emotion},200" for row in rows]
        own.write_text("\n".join(["subject,clip,path,emotion,fps", *lines]))
    shown, printed = (command("mpt-preprocess", "check", *where, *form) for form in ((), ("--json",)))
    assert shown.code == printed.code == 0
    report = json.loads(printed.out)
    assert report["as_expected"] is True
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.out.splitlines()]
    table = {row[0]: row[1:] for row in cells if len(row) > 1}
    classes = list(report["classes"].values())
    assert table["found"] == [*(str(each["clips"]) for each in classes), str(sum(each["clips"] for each in classes))]
    if dataset != "manifest":
        assert table["full set"] == table["found"]
        assert report["subjects"].get("036", {}) == {}  # of SAMM: a subject without a clip of these classes
    assert report["cropped"] == (dataset != "samm")
    for subject, counts in report["subjects"].items():
        assert table[subject][-1] == str(sum(counts.values()))
    for kind in {anomaly["kind"] for anomaly in report["anomalies"]}:
        first = next(anomaly for anomaly in report["anomalies"] if anomaly["kind"] == kind)
        assert f"{first['key']}: {first['found']}" in shown.out


def test_the_parts_of_dfme_that_are_there_are_counted(tmp_path: Path) -> None:
    rows = [row for row in full_expressions("dfme") if row.subject.startswith("testB")]
    report = report_of("dfme", tmp_path, rows)
    assert unexpected(report) == [] and report.clips == 299


def test_many_equal_lines_are_shown_as_a_few(tmp_path: Path, command: Command) -> None:
    expressions = full_expressions("smic")
    official.smic_tree(tmp_path, [replace(each, offset=24) for each in expressions])
    done = command("mpt-preprocess", "check", "smic", "--root", tmp_path)
    assert done.code == 0
    assert done.out.count("14 frames") == 7 and "… and 159 more" in done.out


def test_annotation_that_needs_a_look_and_what_is_known_of_the_release(tmp_path: Path) -> None:
    """Each in a clip of its own; of the release, two apexes and three subjects of a single class are known."""
    changes: list[tuple[dict[str, object], str, str]] = [
        ({"apex": 99}, "apex outside", "apex 99 outside 11–26"),
        ({"apex": 11}, "apex at onset", "both are 11"),
        ({"apex": None}, "apex unknown", "no apex is annotated"),
        ({"offset": 24}, "short", "14 frames"),
        ({"offset": 11, "apex": None}, "a single frame", "onset and offset are both 11"),
    ]
    rows = full_expressions("casme2", offset=26)
    named = {"sub04/EP12_01f": ("apex unknown", None), "sub05/EP09_05f": ("apex at onset", 11)}
    expected = {(key, kind) for key, (kind, _) in named.items()} | {(f"sub{n}", "single class") for n in (10, 18, 22)}
    rows = [replace(row, apex=named.get(row.key, ("", row.apex))[1]) for row in rows]
    for number, (change, _, _) in enumerate(changes):
        rows[number] = replace(rows[number], **change)  # type: ignore[arg-type]
    report = report_of("casme2", tmp_path, rows)
    found = {(anomaly.key, anomaly.kind): anomaly.found for anomaly in report.anomalies}
    for row, (_, kind, words) in zip(rows, changes, strict=False):
        assert found.pop((row.key, kind)) == words
    kinds, changed = {kind for _, kind in expected} | {change[1] for change in changes}, {row.key for row in rows[:5]}
    assert {place for place in found if place[1] in kinds and place[0] not in changed} == expected
    assert set(unexpected(report)) == {(rows[0].key, "apex outside"), (rows[4].key, "a single frame")}


@pytest.mark.parametrize("emotion", ["", "suprise"])
def test_an_unknown_label_is_unexpected(emotion: str, tmp_path: Path) -> None:
    first, *rest = full_expressions("samm")
    report = report_of("samm", tmp_path, [replace(first, emotion=emotion), *rest])
    assert (first.key, "label unknown") in unexpected(report)
    assert ("samm", "counts differ") in unexpected(report)


def test_a_new_subject_of_one_class_is_unexpected(tmp_path: Path) -> None:
    rows = [
        replace(row, clip=f"s19_po_{number:03d}", emotion="positive") if row.subject == "s19" else row
        for number, row in enumerate(full_expressions("smic"))
    ]
    assert ("s19", "single class") in unexpected(report_of("smic", tmp_path, rows))


def test_next_to_no_image_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expressions = full_expressions("smic")
    official.smic_tree(tmp_path, expressions)
    one, two = expressions[:2]
    hs = tmp_path / "SMIC_all_cropped/HS"
    folder, other = (hs / each.subject / "micro" / each.emotion / each.clip for each in (one, two))
    whole = (folder / "reg_image000012.bmp").read_bytes()
    (folder / "reg_image000012.bmp").write_bytes(whole[:-1])
    (folder / "reg_image000014.bmp").write_bytes(b"")
    cv2.imwrite(str(other / "reg_image000012.bmp"), np.zeros((9, 9, 3), np.uint8))

    decoded, decode = [], cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: decoded.append(1) or decode(*arguments))
    report = check(smic(tmp_path))
    assert len(decoded) <= SAMPLED
    found = {(anomaly.key, anomaly.kind): anomaly.found for anomaly in report.anomalies}
    assert "truncated BMP" in found[one.key, "unreadable image"]
    assert "and 1 more images" in found[one.key, "unreadable image"]
    assert found[two.key, "sizes differ"] == "frames of 5×6, 9×9 pixels"
    assert len(unexpected(report)) == 2


def test_corrections_are_listed(tmp_path: Path, command: Command) -> None:
    rows = full_expressions("samm")
    report = report_of("samm", tmp_path, [*rows[:-1], replace(rows[-1], subject="028", clip="028_4_1", apex=4)])
    assert report.corrections[0].startswith("028/028_4_1: apex 4 → unknown, because ")
    done = command("mpt-preprocess", "check", "samm", "--root", tmp_path)
    assert "corrected (--no-corrections takes the annotation as delivered)\n  028/028_4_1: apex 4" in done.out
    done = command("mpt-preprocess", "check", "samm", "--root", tmp_path, "--no-corrections")
    assert "corrected" not in done.out and "028/028_4_1: apex 4 outside 11–13" in done.out


def test_a_manifest_has_no_full_set_to_compare_with(tmp_path: Path, command: Command) -> None:
    for clip in ("a", "b"):
        official.write_frames(tmp_path / clip, "{}.jpg".format, range(20))
    rows = "1,a,a,joy,200\n1,b,b,joy,200\n"
    (tmp_path / "lab.csv").write_text("subject,clip,path,emotion,fps\n" + rows)
    done = command("mpt-preprocess", "check", tmp_path / "lab.csv", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["protocol"] == "as-labelled"
    assert [anomaly["kind"] for anomaly in report["anomalies"]] == ["as recorded", "single class"]  # of 0.1 s


def test_where_a_set_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    done = command("mpt-preprocess", "check", "casme4")
    assert done.code == 2 and "casme2, samm, smic" in done.err
    done = command("mpt-preprocess", "check", "smic", "--root", tmp_path, "--camera", "uv")
    assert done.code == 2 and "SMIC has hs, vis, nir" in done.err
    done = command("mpt-preprocess", "check", "samm")
    assert done.code == 2
    assert "the samm folder datasets/samm does not exist; put the data set there" in done.err
    official.samm_tree(tmp_path / "elsewhere", full_expressions("samm"))
    monkeypatch.setenv("MPT_SAMM", str(tmp_path / "elsewhere"))
    assert command("mpt-preprocess", "check", "samm").code == 0
    monkeypatch.delenv("MPT_SAMM")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/samm").symlink_to(tmp_path / "elsewhere")
    assert command("mpt-preprocess", "check", "samm").code == 0
