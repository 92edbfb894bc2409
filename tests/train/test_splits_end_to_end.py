"""Splits with folds of several subjects, from made-up caches to the tables of the report."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_runs import TINY

SEVEN = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


def test_a_fixed_split_of_seven_classes_is_trained_reported_and_not_trained_again(
    command: Callable[..., Any], make_cache: Callable[..., Path], tmp_path: Path
) -> None:
    subjects = {"training-sub1": 6, "training-sub2": 6, "testA-sub3": 4, "testB-sub4": 3, "testB-sub5": 3}
    cache = make_cache(tmp_path / "dfme.h5", subjects, dataset="dfme", emotions=SEVEN)
    asked = ("mpt-train", "--cache", cache, *TINY, "--epochs", 1, "--device", "cpu", "--name", "r", "--json")
    done = command(*asked)
    assert done.code == 0, done.err
    parts = json.loads(done.out)["by_dataset"]
    assert {name: (part["clips"], part["subjects"]) for name, part in parts.items()} == {
        "testA": (4, 1),
        "testB": (6, 2),
    }
    stored = Path("runs/r/folds/testA+testB.json").read_bytes()
    assert command(*asked).code == 0 and Path("runs/r/folds/testA+testB.json").read_bytes() == stored
    assert command("mpt-report", "runs/r", "--no-images").code == 0
    (table,) = Path("runs/r/report").rglob("by-dataset.csv")
    with table.open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == ["all", "testA", "testB"]
