"""Names that a data set may have stay text in the terminal, in tables, in figures and on pages."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from commands import Command, MakeCache
from pages import Page
from tiny_runs import QUICK, undrawn

SUBJECTS = {"[red]x[_red]": 2, "<img src=x onerror=alert(1)>": 1, "$frac{a$_%&#{~^": 1, "[bold": 2}
EMOTIONS = ("<b>joy<_b>", "[link=x]", "$a$b^{$", "&amp;", "{{ 7*7 }}")


@pytest.fixture(scope="module")
def told(make_cache: MakeCache, make_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    cache = make_cache(folder / "odd.h5", SUBJECTS, dataset="[i]set[_i]", emotions=EMOTIONS, size=32, frames=4)
    make_run(folder, "mpt-train", "--cache", cache, *QUICK, "--epochs", 1, "--name", "run", "--final")
    with undrawn(texts=True):
        make_run(folder, "mpt-report", "runs/run")
    return folder


def test_on_pages_in_tables_and_in_figures(told: Path) -> None:
    report = told / "runs/run/report"
    html = (report / "index.html").read_text()
    page = Page(html)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not any("alert" in value for value in page.values("src")) and "{{ 7*7 }}" in html
    assert "</script" not in (report / "data.js").read_text() and "<" not in (report / "data.js").read_text()
    with (report / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {row[1] for row in rows[1:]} <= set(EMOTIONS) and {row[0].split("/")[1] for row in rows[1:]} == set(SUBJECTS)
    tex = (report / "subjects.tex").read_text()
    assert r"\$frac\{a\$\_\%\&\#\{\textasciitilde{}\textasciicircum{}" in tex
    assert {path.suffix for path in report.glob("kernels.*")} == {".png", ".pdf"}


def test_on_the_terminal(told: Path, command: Command) -> None:
    cache, run = told / "odd.h5", told / "runs/run"
    for typed in (
        ("mpt-cache", "info", cache),
        ("mpt-cache", "verify", cache),
        ("mpt-cache", "preview", cache, "-o", "p.png"),
        ("mpt-cache", "explore", cache, "-o", "page"),
        ("mpt-train", "--cache", cache, *QUICK, "--epochs", 1, "--dry-run"),
        ("mpt-predict", cache, "--run", run, "--device", "cpu", "--gradcam"),
        ("mpt-compare", run, run),
    ):
        with undrawn(texts=True):
            done = command(*typed)
        assert done.code == 0 and "Traceback" not in done.err, done.err
        assert "\x1b" not in done.out + done.err
    shown = command("mpt-predict", cache, "--run", run, "--device", "cpu", "-o", "again").out
    assert "[red]x[_red]/EP00" in shown and "[bold/EP01" in shown


def test_in_the_model_card(told: Path) -> None:
    card = (told / "runs/run/MODEL_CARD.md").read_text()
    assert r"\[link=x\]" in card and r"\[i\]set" in card and r"\$a\$b" in card
    assert not re.search(r"(?<!\\)[<\[$]", card)
