"""Studies: every row is run once, what is missing is listed, and the table's arithmetic is right."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command, MakeCache
from tiny_runs import QUICK, TINY

from data_cache.errors import UsageError
from train.paper import studies
from train.paper.presets import PaperRow
from train.paper.studies import STUDIES, Study, run_study, study_table
from train.results.run_folder import RunFolder
from train.results.tables import Row, Share, Table
from train.terminal import print_study

TWO_ROWS = Study(
    "T", "two rows", {"one": PaperRow("row one", {"lr": 0.1}, 50.0, 40.0), "two": PaperRow("row two", {}, 60.0)}
)


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(studies.STUDIES, "two", TWO_ROWS)


def artificial(folder: Path, accuracy: float, macro_f1: float) -> dict[str, Any]:
    """Write a finished run with known scores."""
    folder.mkdir(parents=True)
    summary = {"clips": 10, "final_epoch": {"accuracy": accuracy, "macro_f1": macro_f1}}
    (folder / "config.json").write_text(json.dumps({"protocol": "smic-3"}))
    (folder / "summary.json").write_text(json.dumps(summary))
    return summary


@pytest.mark.usefixtures("two_rows")
def test_a_table_of_known_results(tmp_path: Path) -> None:
    found = {"row one": ((0.5, 0.4), (0.6, 0.5)), "row two": ((0.7, 0.7), (0.9, 0.7))}
    order: list[tuple[str, int]] = []

    def run_row(row: PaperRow, caches: Sequence[Path], folder: Path, seed: int) -> dict[str, Any]:
        order.append((row.label, seed))
        return artificial(folder, *found[row.label][seed])

    run_study("two", [Path("c.h5")], tmp_path, "demo", run_row, seeds=2)
    assert order == [("row one", 0), ("row two", 0), ("row one", 1), ("row two", 1)]
    table, missing = study_table("two", tmp_path, None)
    assert missing == []
    assert table.rows[0].cells == ("row one", "50.00", "55.00 ± 7.07", "+5.00", "40.00", "45.00 ± 7.07", "+5.00")
    assert table.rows[1].cells == ("row two", "60.00", "80.00 ± 14.14", "+20.00", "–", "70.00 ± 0.00", "–")
    assert "smic-3, 10 clips" in table.caption and "runs per row: 2" in table.caption
    table.write(tmp_path)
    assert (tmp_path / "study-two.csv").read_text().count("\n") == 3
    assert r"55.00 $\pm$ 7.07" in (tmp_path / "study-two.tex").read_text()


@pytest.mark.usefixtures("two_rows")
def test_what_cannot_run_is_listed_and_run_later(tmp_path: Path) -> None:
    def without_weights(row: PaperRow, caches: Sequence[Path], folder: Path, seed: int) -> dict[str, Any] | None:
        if row.label == "row one":
            raise UsageError("no weights here; pass --weights FILE")
        return None

    run_study("two", [Path("c.h5")], tmp_path, "demo", without_weights)
    table, missing = study_table("two", tmp_path, "demo")
    assert missing == ["row one: no weights here; pass --weights FILE", "row two: some folds are not trained yet"]
    assert table.rows[0].cells[1:4] == ("50.00", "–", "–")

    run_study("two", [], tmp_path, "demo", lambda row, caches, folder, seed: artificial(folder, 0.25, 0.25))
    table, missing = study_table("two", tmp_path, "demo")
    assert missing == [] and table.rows[0].cells[2:4] == ("25.00", "-25.00")


def test_an_unknown_or_absent_study_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="strategies"):
        study_table("nonsense", tmp_path, None)
    with pytest.raises(UsageError, match="--study adapters"):
        study_table("adapters", tmp_path, None)


def test_the_index_of_a_study_is_not_taken_for_one_whose_name_ends_alike(tmp_path: Path) -> None:
    for study in ("prompts", "num-prompts"):
        run_study(study, [], tmp_path, "demo", lambda *_: None)
    table, missing = study_table("prompts", tmp_path, None)
    assert table.name == "study-prompts" and len(missing) == len(STUDIES["prompts"].rows)


def test_each_row_of_the_alpha_study_takes_its_cache(make_cache: MakeCache, tmp_path: Path) -> None:
    """The cache of the fixture has α = 20; the other rows say how to make theirs."""
    cache, ran = make_cache(tmp_path / "c.h5", {"s1": 2, "s2": 2}), []
    index = run_study("alpha", [cache], tmp_path, "x", lambda row, caches, *_: ran.append((row.alpha, list(caches))))
    assert ran == [(20.0, [cache])]
    reasons = {entry["row"]: entry["missing"] for entry in json.loads(index.read_text())["rows"]}
    assert "--alpha 50" in reasons["alpha50"]


def test_studies_resume(
    command: Command, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(studies.STUDIES, "two", TWO_ROWS)
    cache = make_cache(tmp_path / "demo.h5", {"sub01": 5, "sub02": 6})
    arguments = ("--cache", cache, *TINY, "--epochs", 1, "--device", "cpu", "--study", "two")
    first = command("mpt-train", *arguments)
    assert first.code == 0 and "row two" in first.out, first.err
    done = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.csv")}
    assert len(done) == 4
    again = command("mpt-train", *arguments, "--json")
    assert [row[0] for row in json.loads(again.out)["rows"]] == ["row one", "row two"]
    assert again.code == 0 and again.err.count("is already finished") == 2
    assert done == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.csv")}
    printed = command("mpt-report", "--study", "two")
    assert printed.code == 0 and "row one" in printed.out and Path("runs/study-two.tex").exists()


@pytest.mark.usefixtures("plain_report")
def test_a_study_of_ours_sets_caches_side_by_side(
    command: Command, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = {"still": STUDIES["recipes"].rows["still"], "probe": STUDIES["recipes"].rows["probe"]}
    monkeypatch.setitem(studies.STUDIES, "recipes", replace(STUDIES["recipes"], rows=rows))
    cache = make_cache(tmp_path / "demo.h5", {"sub01": 5, "sub02": 6})
    for name in ("easy", "hard"):
        studied = ("--study", "recipes", "--seeds", 2, "--name", name)
        done = command("mpt-train", "--cache", cache, *QUICK, "--epochs", 1, *studied)
        assert done.code == 0 and "approximate" in done.out, done.err
    assert command("mpt-report", "--study", "recipes").code == 0
    with (tmp_path / "runs" / "study-recipes.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["data"] for row in found] == ["easy", "easy", "hard", "hard"]
    for row, part in zip(found, ["still", "probe"] * 2, strict=True):
        folders = [RunFolder(tmp_path / f"runs/{row['data']}-recipes-{part}-seed{seed}") for seed in (0, 1)]
        each = [folder.summary["final_epoch"]["accuracy"] for folder in folders]
        assert float(row["Acc"]) == pytest.approx(np.mean(each))
        assert row["Acc of each, %"] == ", ".join(f"{100 * value:.1f}" for value in each)
        assert float(row["Acc low"]) <= np.mean(each) <= float(row["Acc high"])
        assert folders[0].config["settings"]["tuning"] == ("probe" if part == "probe" else "prompt")
    assert {path.suffix for path in (tmp_path / "runs").glob("study-recipes.*")} == {".csv", ".tex", ".pdf", ".png"}


def test_the_papers_rows_and_figures_are_complete() -> None:
    """Counts of rows, and the full model's accuracy in every table, as the paper prints them."""
    names = ("strategies", "prompts", "num-prompts", "adapters", "backbones", "alpha", "reduction")
    assert [len(STUDIES[name].rows) for name in names] == [6, 4, 5, 3, 4, 5, 3]
    for name in names:
        assert 86.59 in [row.accuracy for row in STUDIES[name].rows.values()]
    assert all(row.accuracy is None for name in ("variants", "recipes") for row in STUDIES[name].rows.values())


@pytest.mark.parametrize(("columns", "there"), [(80, False), (160, True)])
def test_a_study_can_be_read_in_80_columns(
    columns: int, there: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    cells = ("easy-clean-moving", "group adapters, no prompts", 3, *[Share(0.5, (0.4125, 0.6))] * 3, "50.0, 50.0, 50.0")
    print_study(Table("study", "A study.", ("data", "", "runs", "Acc", "UF1", "UAR", "each"), (Row(cells),)), [])
    printed = capsys.readouterr().out
    assert ("41.2" in printed) == there and printed.count("50.0%") == 3 and "…" not in printed
    assert max(map(len, printed.splitlines())) <= columns
