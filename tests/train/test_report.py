"""`mpt-report`: tables and figures from a run's folder alone, and clear words where a file is amiss."""

import contextlib
import csv
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from commands import Command, MakeCache, MakeRun
from pages import Page
from tiny_runs import QUICK, undrawn

from data_cache.filters import recover
from data_cache.read.reader import CacheReader
from train.data.task import open_clips
from train.report.compare import compare_runs
from train.report.figures import pictures_of
from train.results.run_folder import RunFolder

SECTIONS = ["clips", "scores", "confusion", "subjects", "gallery", "kernels", "features", "curves", "settings"]


@pytest.fixture(scope="module")
def lab(make_cache: MakeCache, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache and two runs on it."""
    folder = tmp_path_factory.mktemp("lab")
    make_cache(folder / "demo.h5", {"sub01": 6, "sub02": 7, "sub03": 6})
    quick = ("--cache", "demo.h5", *QUICK)
    make_run(folder, "mpt-train", *quick, "--name", "a")
    make_run(folder, "mpt-train", *quick, "--name", "b", "--prompt", "none", "--adapter", "none")
    return folder


@pytest.fixture(scope="module")
def reported(lab: Path, make_run: MakeRun) -> Path:
    """Run `a` with a report of its own and one that sets it beside run `b`."""
    with undrawn():
        make_run(lab, "mpt-report", "runs/a")
    before = {path: path.read_bytes() for path in (lab / "runs" / "a" / "report").rglob("*") if path.is_file()}
    make_run(lab, "mpt-report", "runs/a", "runs/b", "--paper", "column")
    assert all(path.read_bytes() == data for path, data in before.items()), "its own report is left alone"
    return lab / "runs" / "a"


@pytest.fixture
def run(lab: Path, tmp_path: Path) -> Path:
    """A copy of run `a`, to be spoilt."""
    return Path(shutil.copytree(lab / "runs" / "a", tmp_path / "a", ignore=shutil.ignore_patterns("report")))


@pytest.mark.parametrize("name", ["report", "report-vs-b"])
def test_a_report_is_a_page_with_its_figures_and_tables(reported: Path, name: str) -> None:
    folder = reported / name
    page = Page((folder / "index.html").read_text())
    assert [name for name in page.values("id") if name in SECTIONS] == SECTIONS
    keys = {f"{p.key[1]}/{p.key[2]}" for p in RunFolder(reported).load().predictions}
    links = page.values("href", "src")
    places = {link[1:] for link in links if link.startswith("#") and not link.startswith("#?")}
    assert places <= {*page.values("id"), *keys, ""}
    beside = {link for link in links if link and not link.startswith(("#", "data:"))}
    assert all((folder / link).is_file() for link in beside), "nothing is loaded from elsewhere"
    figures = {path.name for path in folder.glob("*.png")}
    assert len(figures) >= 7 and figures <= beside


def test_clips_hold_what_both_runs_predict(reported: Path, lab: Path) -> None:
    text = (reported / "report-vs-b" / "data.js").read_text()
    data = json.loads(text.removeprefix("window.MPT = ").rstrip(";\n"))
    assert data["runs"] == ["a", "b"] and len(data["clips"]) == 19
    runs = [RunFolder(lab / "runs" / name).load() for name in ("a", "b")]
    for number, run in enumerate(runs):
        for prediction in run.predictions:
            clip = next(clip for clip in data["clips"] if clip["key"] == "/".join(prediction.key[1:]))
            assert data["classes"][clip["predicted"][number]] == run.classes[prediction.predicted]
            assert data["classes"][clip["truth"]] == clip["label"] == run.classes[prediction.true]
    assert all(
        len(clip["mu"]) == len(clip["sigma"]) > 0 and set(clip["strips"]) >= {"m", "d"} for clip in data["clips"]
    )
    assert all("image" in clip["heat"] for clip in data["clips"])


@pytest.mark.parametrize(
    ("change", "there"), [({}, True), ({"blur": 1.0}, False), ({"motion_form": "band", "blur": 1.0}, True)]
)
def test_the_gallery_shows_clips_for_the_eye_where_it_can(
    lab: Path, change: dict[str, object], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(lab / "runs" / "a").load()
    with CacheReader(lab / "demo.h5") as reader:
        recipe = {"frames": reader.frames, "alpha": 20.0, "filter": "causal", "fs": "true", "low": 0.2, "high": 2.4}
    recipe |= {"order": 1, "motion_form": "additive", "gains": "uniform", "algorithm": 1, **change}
    monkeypatch.setattr("train.report.figures.recover", lambda a, b, _, *rest: recover(a, b, recipe, *rest))
    clips = open_clips([lab / "demo.h5"])
    for prediction, panels in zip(run.predictions[:2], pictures_of(clips, run.predictions[:2], [{}, {}]), strict=True):
        onset = clips.read("motion", clips.keys.index(prediction.key))[0]
        assert next(iter(panels)) == "onset" and np.array_equal(panels["onset"].image, onset)
        assert ("for the eye" in panels) == there
        if there:
            image, _, note = panels["for the eye"]
            assert image.shape == panels["dynamic image"].image.shape[:2]
            assert 0 <= float(note.removeprefix("α = ")) <= 20


def test_tables_say_what_the_run_says(reported: Path) -> None:
    folds = {fold.name: fold for fold in RunFolder(reported).read_folds()}
    classes = RunFolder(reported).config["classes"]
    with (reported / "report" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 19
    for row in rows:
        dataset, subject, clip = row["clip"].split("/")
        fold = folds[f"{dataset}__{subject}"]
        place = fold.keys.index((dataset, subject, clip))
        exponents = np.exp(fold.logits[place].astype(float))
        np.testing.assert_allclose([float(row[name]) for name in classes], exponents / exponents.sum(), atol=6e-5)
        assert row["predicted"] == classes[fold.predicted[place]] and row["true"] == classes[fold.true[place]]
        assert row["correct"] == ("yes" if row["predicted"] == row["true"] else "no")
    page = (reported / "report" / "index.html").read_text()
    summary = RunFolder(reported).summary
    assert f"{summary['final_epoch']['accuracy']:.1%} accuracy over 19 clips of 3 subjects" in page
    assert "RANDOM weights" in page and "test data" in page and "leak" in page


def test_runs_side_by_side(command: Command, run: Path, lab: Path, reported: Path) -> None:
    with (reported / "report-vs-b" / "runs.csv").open() as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    other = RunFolder(lab / "runs" / "b").summary["final_epoch"]
    assert float(rows["b"]["Acc"]) == other["accuracy"]
    assert [float(rows["b"][f"Acc {end}"]) for end in ("low", "high")] == list(other["interval_95"]["accuracy"])
    assert "prompt" in next(value for name, value in rows["b"].items() if name.startswith("settings"))
    a, b = (RunFolder(lab / "runs" / name).load() for name in "ab")
    found = compare_runs([a], [b])
    with (reported / "report-vs-b" / "comparison.csv").open() as file:
        counts = [int(row["clips"]) for row in csv.DictReader(file)]
    assert counts[:2] == [found.only_a, found.only_b] and sum(counts) == 19
    assert f"p = {found.p_value:.4f}" in (reported / "report-vs-b" / "index.html").read_text()
    assert command("mpt-report", run, lab / "runs" / "c").code == 2


def test_figures_are_as_wide_as_a_column_with_text_of_one_size(reported: Path) -> None:
    """Read from the PDF files: the box of the page, the fonts, the size that every piece of text is set in."""
    figures = list((reported / "report-vs-b").glob("*.pdf"))
    assert len(figures) >= 7
    for path in figures:
        image, data = cv2.imread(str(path.with_suffix(".png"))), path.read_bytes()
        assert image is not None and image.std() > 1, path
        if path.stem == "gallery":  # pictures of clips, for a page
            continue
        width = float(re.search(rb"/MediaBox \[\s*0 0 ([\d.]+)", data)[1])
        assert width <= 3.5 * 72 + 0.01, path
        assert b"/FontFile2" in data and b"/Type3" not in data, "fonts are embedded, as outlines that journals accept"
        sizes = set()
        for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
            with contextlib.suppress(zlib.error):
                sizes |= {float(size) for size in re.findall(rb"/F\d+ ([\d.]+) Tf", zlib.decompress(stream))}
        assert sizes == {8}, path


@pytest.mark.usefixtures("plain_report")
def test_faces_can_be_left_out(command: Command, run: Path, reported: Path) -> None:
    done = command("mpt-report", run, "--no-images")
    assert done.code == 0 and done.out.strip() == f"report: {(run / 'report' / 'index.html').as_uri()}"
    assert (reported / "report" / "gallery.png").exists() and not (run / "report" / "gallery.png").exists()
    assert "no pictures of clips" in (run / "report" / "index.html").read_text()
    assert not list((run / "report").glob("clips/*")) and 'strips":{"m' not in (run / "report" / "data.js").read_text()


@pytest.mark.usefixtures("plain_report")
def test_a_cache_that_is_not_the_runs_gives_no_pictures(
    command: Command, run: Path, make_cache: MakeCache, tmp_path: Path
) -> None:
    other = make_cache(tmp_path / "other.h5", {"sub01": 2}, seed=9)
    done = command("mpt-report", run, "--cache", other)
    assert done.code == 0 and str(other) in done.err
    assert not (run / "report" / "gallery.png").exists()


def spoil_table(path: Path) -> None:
    header, first, *others = path.read_text().splitlines()
    true = first.split(",")[header.split(",").index("true")]
    path.write_text("\n".join([header, first.replace(true, "joy"), *others]))


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def now(data: bytes) -> Callable[[Path], Any]:
    """Other content."""
    return lambda path: path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "spoil", "code"),
    [
        ("config.json", Path.unlink, 2),
        ("config.json", now(b"<!doctype html><title>404</title>"), 4),
        ("config.json", now(b"{}"), 4),
        ("config.json", now(b"[1]"), 4),
        ("env.json", halve, 4),
        ("summary.json", Path.unlink, 2),
        ("summary.json", now(b"<!doctype html><title>404</title>"), 4),
        ("summary.json", now(b'{"final_epoch": 3}'), 4),
        ("folds/demo__sub02.csv", Path.unlink, 4),
        ("folds/demo__sub02.csv", spoil_table, 4),
        ("folds/demo__sub02.csv", now(b"\xff\xfe\x00"), 4),
        ("folds/demo__sub02.json", halve, 4),
        ("folds/demo__sub02.json", now(b'{"dataset": "demo"}'), 4),
        ("folds/demo__sub02.safetensors", halve, 4),
        ("folds/demo__sub02.safetensors", Path.unlink, 4),
        ("folds/demo__sub02.json", Path.unlink, 4),
        ("overview.safetensors", halve, 4),
    ],
)
def test_a_missing_or_foreign_file_is_one_line(
    command: Command, run: Path, name: str, spoil: Callable[[Path], Any], code: int
) -> None:
    spoil(run / name)
    done = command("mpt-report", run)
    assert done.code == code, done.err
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("mpt-report: ") and str(run) in last and "Traceback" not in done.err


@pytest.mark.usefixtures("plain_report")
def test_damaged_checkpoints_cost_the_heat_maps_only(command: Command, run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        halve(path)
    done = command("mpt-report", run)
    assert done.code == 0 and "Grad-CAM" in done.err
    assert (run / "report" / "gallery.png").exists()


def test_a_folder_that_is_no_run(command: Command, tmp_path: Path) -> None:
    done = command("mpt-report", tmp_path)
    assert done.code == 2 and str(tmp_path) in done.err and done.err.count("\n") == 1
    assert command("mpt-report").code == 2


@pytest.mark.slow
def test_a_browser_shows_the_page_without_a_complaint_or_a_request(reported: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    address = (reported / "report" / "index.html").as_uri()
    messages: list[str] = []
    requests: list[str] = []
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(address)
            page.wait_for_load_state("networkidle")
            page.wait_for_function("document.getElementById('over').naturalWidth > 0")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out sideways"
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.tagName") == "A"
        chromium.close()
    assert messages == []
    assert all(url.startswith((address.removesuffix("index.html"), "data:")) for url in requests)


def test_runs_with_other_classes_are_not_set_side_by_side(command: Command, run: Path) -> None:
    done = command("mpt-report", run, Path(__file__).parents[1] / "archive/run-v1")
    assert done.code == 2 and "has the classes disgust, surprise" in done.err
