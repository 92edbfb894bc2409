"""The pages about data sets: their tables agree with the code, their recipes work on sheets as they are delivered."""

import re
import tomllib
from pathlib import Path

import pytest
from official_sets import write_frames, write_sheet

from data_cache.protocols.protocol import read_protocol
from data_cache.protocols.published import PROTOCOLS
from preprocess.datasets.corrections import CORRECTIONS
from preprocess.datasets.manifest import manifest
from preprocess.faces import read_boxes

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("how-to/datasets", "how-to/own-recordings", "how-to/faces", "explanation/protocols")
PAGE = "".join((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in NAMES)

ONLY_IF = {  # in words, `Correction.is_needed`
    "onset": "onset lies after offset, or is 0 without a frame 0",
    "apex": "apex lies outside",
    "offset": "frames are missing",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_of_corrections_is_the_one_in_force() -> None:
    table = PAGE.split("<!-- corrections -->")[1].split("<!-- end -->")[0]
    rows = [
        f"| {dataset} {subject}/{clip} | {each.field} → {'unknown' if each.value is None else each.value} | "
        f"{ONLY_IF[each.field]} | {each.reason} |"
        for (dataset, subject, clip), each in CORRECTIONS.items()
    ]
    assert table.strip().splitlines()[2:] == rows


def test_the_table_of_protocols_is_the_one_in_force() -> None:
    for protocol in PROTOCOLS.values():
        if protocol.composition:
            clips = sum(protocol.expected.values())
            subjects = sum(part.subjects for part in protocol.composition.values())
            classes = ", ".join(f"{name} {count}" for name, count in protocol.expected.items())
            assert f"| {protocol.name} | {clips} | {subjects or '–'} | {classes}" in PAGE


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


RECIPES: dict[str, tuple[str, str, list[tuple[object, ...]], dict[str, str], float]] = {
    "mmew": (
        "MMEW_Micro_Exp.xlsx",
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion,remarks",
        [(13, "S13-07-001", 1, 4, 9, "4", "others", None), (3, "S03-01-002", 1, "/", 8, 12, "happiness", None)],
        {"13/S13-07-001": "MMEW_Final/Micro_Expression/repression/S13-07-001/{}.jpg"}
        | {"3/S03-01-002": "MMEW_Final/Micro_Expression/happiness/S03-01-002/{}.jpg"},
        90,
    ),
    "casme": (
        "CASME-coded-20190721.xlsx",
        "Subject,Filename,,OnsetF,ApexF1,ApexF2,OffsetF,,Onset,Total,AU,Emotion",
        [(1, "EP01_5", None, 1, 4, "\\", 9, None, 50, 90, 12, "happiness")],
        {"1/EP01_5": "Cropped/sub01/EP01_5/reg_EP01_5-{:03d}.jpg"},
        60,
    ),
    "4dme": (
        "4DME_Labelling_Micro_release v1.xlsx",
        "sub_ID,fold_name,Emotion,Onset,Apex,Offset,AUs",
        [("S1", "clip 2", "Surprise+Positive", 1, 4, 9, "1+2(k)")],
        {"S1/clip 2": "gray_micro/S1/clip 2/{}.jpg"},
        60,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_for_other_sets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, header, rows, frames, fps = RECIPES[name]
    write_sheet(tmp_path / sheet, header.split(","), *rows)  # type: ignore[arg-type]
    for pattern in frames.values():
        path = Path(pattern)
        write_frames(tmp_path / path.parent, path.name.format, range(1, 12))
    monkeypatch.chdir(tmp_path)
    (recipe,) = blocks("python")
    exec(compile(recipe.replace('NAME = "mmew"', f"NAME = {name!r}"), "own-recordings.md", "exec"), {})
    found = manifest(tmp_path / f"{name}.csv")
    assert found.failures == {}
    assert {clip.key for clip in found.clips} == set(frames)
    assert {(clip.onset, clip.fps) for clip in found.clips} == {(1, fps)}
