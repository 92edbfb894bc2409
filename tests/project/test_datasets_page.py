"""docs/datasets.md: its tables agree with the code, and its recipes work on sheets of the kind that they name."""

import re
import tomllib
from pathlib import Path

import pytest
from official_sets import write_frames, write_sheet

from data_cache.protocols import PROTOCOLS, read_protocol
from preprocess.datasets.corrections import CORRECTIONS
from preprocess.datasets.manifest import manifest
from preprocess.faces.boxes import read_boxes

PAGE = (Path(__file__).parents[2] / "docs/datasets.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_of_corrections_is_the_one_in_force() -> None:
    table = PAGE.split("<!-- corrections -->")[1].split("<!-- end -->")[0]
    rows = [
        f"| {dataset} {subject}/{clip} | {each.field} → {'unknown' if each.value is None else each.value} | "
        f"{each.only_if} | {each.reason} |"
        for (dataset, subject, clip), each in CORRECTIONS.items()
    ]
    assert table.strip().splitlines()[2:] == rows


def test_the_table_of_protocols_is_the_one_in_force() -> None:
    for protocol in PROTOCOLS.values():
        if protocol.composition:
            clips, subjects = (
                sum(protocol.expected.values()),
                sum(part.subjects for part in protocol.composition.values()),
            )
            classes = ", ".join(f"{name} {count}" for name, count in protocol.expected.items())
            assert f"| {protocol.name} | {clips} | {subjects} | {classes}" in PAGE


def test_the_example_of_a_protocol_is_one(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    assert tomllib.loads(example)
    (tmp_path / "mine.toml").write_text(example, encoding="utf-8")
    assert read_protocol(tmp_path / "mine.toml").classes == ("negative", "positive")


def test_the_example_of_boxes_is_one(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(blocks("text")[1], encoding="utf-8")
    assert read_boxes(tmp_path / "boxes.csv")["006/006_2_4"].roll == 2.5


def test_the_example_of_a_manifest_is_one(tmp_path: Path) -> None:
    example = blocks("text")[0]
    write_frames(tmp_path / "recordings/p01/smile_1", "{}.png".format, range(110, 170))
    (tmp_path / "own.csv").write_text(example, encoding="utf-8")
    found = manifest(tmp_path / "own.csv")
    assert [clip.key for clip in found.clips] == ["p01/smile_1"]
    assert set(found.failures) == {"p01/long_2", "p02/whole"}  # whose videos are not here


def run_recipe(index: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(blocks("python")[index], "docs/datasets.md", "exec"), {})


def test_the_recipe_for_casme3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
    rows = [
        ("spNO.1", "A", "166", "170", "175", "4+7", "II", "Disgust"),  # case-mixed letter, numbers as text
        ("spNO.1", "a", 201, 204, 210, 12, "I", "others"),  # a second one in the same video
        ("spNO.40", "e", 50, 52, 0, None, "I", "Others"),  # no offset
    ]
    write_sheet(tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", [header, *rows])
    write_frames(tmp_path / "part_A/spNO.1/a/color", "{}.jpg".format, range(160, 220))
    write_frames(tmp_path / "part_A/spNO.40/e/color", "{}.jpg".format, range(40, 60))
    run_recipe(0, tmp_path, monkeypatch)
    found = manifest(tmp_path / "casme3.csv")
    read = [(clip.key, clip.onset, clip.apex, clip.offset, clip.emotion, clip.fps) for clip in found.clips]
    assert read == [("spNO.1/a_166", 166, 170, 175, "disgust", 30.0), ("spNO.1/a_201", 201, 204, 210, "others", 30.0)]
    assert list(found.failures) == ["spNO.40/e_50"]


def test_the_recipe_for_dfme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "Fps", "AU")
    rows = [
        ("sub0003", "sub0003_01", 3, 9, 15, "Surprise", 500, "1+2"),
        ("sub0004", "sub0004_07", 1, 4, 8, "Anger", 300, "4"),
    ]
    write_sheet(tmp_path / "training.xlsx", [header, *rows])
    for row in rows:
        write_frames(tmp_path / "DFME_train" / row[1], "{:05d}.png".format, range(1, 20))
    run_recipe(1, tmp_path, monkeypatch)
    found = manifest(tmp_path / "dfme.csv")
    assert [(clip.key, clip.fps, clip.emotion, clip.action_units) for clip in found.clips] == [
        ("sub0003/sub0003_01", 500.0, "surprise", "1+2"),
        ("sub0004/sub0004_07", 300.0, "anger", "4"),
    ]


def test_the_page_names_options_that_exist() -> None:
    from typer.main import get_command

    from preprocess.cli import app

    command = get_command(app)
    known = {option for sub in command.commands.values() for parameter in sub.params for option in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--protocol"}
    assert named <= known
    for line in "".join(blocks("bash")).splitlines():
        assert line.split()[1] in command.commands
