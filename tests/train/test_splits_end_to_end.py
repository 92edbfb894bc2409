"""Splits with folds of several subjects, from made-up caches to the tables of the report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import Command, MakeCache

from train.config import Execution
from train.data.stream import on_device
from train.results.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("plain_report")
ONCE = ("--epochs", 1, "--name", "r")
SEVEN = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


def first_column(name: str) -> list[str]:
    """What a table of the report of the run lists."""
    (table,) = Path("runs/r/report").rglob(name)
    with table.open(newline="") as file:
        return [row[0] for row in csv.reader(file)][1:]


def test_a_fixed_split_of_seven_classes_is_trained_reported_and_not_trained_again(
    command: Command, quick: Command, make_cache: MakeCache, tmp_path: Path
) -> None:
    subjects = {"training-sub1": 6, "training-sub2": 6, "testA-sub3": 4, "testB-sub4": 3, "testB-sub5": 3}
    cache = make_cache(tmp_path / "dfme.h5", subjects, dataset="dfme", emotions=SEVEN)
    done = quick(*ONCE, "--json", on=[cache])
    assert done.code == 0, done.err
    parts = json.loads(done.out)["by_dataset"]
    found = {name: (part["clips"], part["subjects"]) for name, part in parts.items()}
    assert found == {"testA": (4, 1), "testB": (6, 2)}
    stored = Path("runs/r/folds/testA+testB.json").read_bytes()
    assert quick(*ONCE, on=[cache]).code == 0 and Path("runs/r/folds/testA+testB.json").read_bytes() == stored
    assert command("mpt-report", "runs/r", "--no-images").code == 0
    assert first_column("by-dataset.csv") == ["all", "testA", "testB"]


@pytest.mark.parametrize(
    ("split", "folds"),
    [
        (("--split", "lodo"), ["alpha", "beta"]),
        (("--split", "kfold:2"), ["fold-1", "fold-2"]),
        (("--train-on", "alpha", "--test-on", "beta"), ["beta"]),
    ],
)
def test_other_splits_are_trained_compared_and_predicted_with(
    command: Command, quick: Command, make_cache: MakeCache, tmp_path: Path, split: tuple[str, ...], folds: list[str]
) -> None:
    people = {"s1": 5, "s2": 5, "s3": 5}
    caches = [
        make_cache(tmp_path / f"{name}.h5", people, dataset=name, seed=seed, emotions=SEVEN[:2])
        for seed, name in enumerate(("alpha", "beta"))
    ]
    done = quick(*ONCE, *split, on=caches)
    assert done.code == 0, done.err
    stored = {fold.name: fold for fold in RunFolder(Path("runs/r")).load().folds}
    assert sorted(stored) == folds
    assert command("mpt-compare", "runs/r", "runs/r").code == 0
    assert command("mpt-report", "runs/r", "--no-images").code == 0
    done = command("mpt-predict", caches[1], "--run", "runs/r", "--fold", folds[-1], "--device", "cpu", "--json")
    assert done.code == 0, done.err
    said = {(clip["subject"], clip["clip"]): clip["logits"][folds[-1]] for clip in json.loads(done.out)["clips"]}
    for key, logits in zip(stored[folds[-1]].keys, stored[folds[-1]].logits, strict=True):
        if key[0] == "beta":
            np.testing.assert_allclose(said[key[1:]], logits, atol=1e-4)


def test_seven_classes_of_casme3_give_tables_that_a_paper_prints(
    command: Command, quick: Command, make_cache: MakeCache, tmp_path: Path
) -> None:
    emotions, people = (*SEVEN[:1], *SEVEN[2:5], "others", *SEVEN[5:]), {f"spNO.{n}": 7 for n in range(1, 4)}
    done = quick(*ONCE, on=[make_cache(tmp_path / "casme3.h5", people, dataset="casme3", emotions=emotions)])
    assert done.code == 0, done.err
    assert RunFolder(Path("runs/r")).config["protocol"] == "casme3-7"
    assert command("mpt-report", "runs/r", "--no-images").code == 0
    assert first_column("classes.csv") == list(emotions)
    (table,) = Path("runs/r/report").rglob("classes.tex")
    assert r"\toprule" in table.read_text(encoding="utf-8")


def test_dfme_stays_on_a_device_of_24_gb_and_is_streamed_to_one_of_12() -> None:
    size = 2_629 * (1 + 16) * 224 * 224 * 3
    assert 6e9 < size < 7e9
    assert on_device(size, 24 * 10**9, Execution()) and not on_device(size, 12 * 10**9, Execution())
