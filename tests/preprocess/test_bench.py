"""Recipes side by side: the numbers are what they say, and the page moves in a browser, from disk."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from commands import Command
from typer.testing import CliRunner

from data_cache.console.options import with_options
from data_cache.filters import CLIPPED, GAIN, apex_gain, recipe_notes
from preprocess.datasets.find import find
from preprocess.frames.read import BLOCKS, block_notes, blockiness
from preprocess.motion.temporal import temporal_plan
from preprocess.preview.bench import noise_gain, options
from preprocess.recipe import NAMED, Recipe

OTHERS = (
    Recipe(alpha=7.5, motion_form="band", size=40, levels=3, stabilise="rigid", blur=0.5),
    Recipe(gains="0,1,2,3,4", explicit_pyramid=True, size=64, fs="nominal:30"),
)


@pytest.mark.parametrize("recipe", [Recipe(), *OTHERS])
def test_the_options_to_copy_make_the_recipe(recipe: Recipe) -> None:
    made: dict[str, Any] = {}
    app = typer.Typer()
    app.command()(with_options(Recipe)(lambda given: made.update(given)))
    assert CliRunner().invoke(app, options(recipe).split()).exit_code == 0
    assert Recipe(**made).digest == recipe.digest


@pytest.mark.parametrize("sampling", ["nearest", "box"])
@pytest.mark.parametrize("motion_form", ["additive", "band"])
def test_the_noise_gain_is_that_of_the_matrices(sampling: Any, motion_form: Any) -> None:
    recipe = Recipe(size=64, sampling=sampling, motion_form=motion_form)
    plan = temporal_plan(44, 200.0, recipe)
    whole = (recipe.alpha * plan.filter + np.eye(16) * (motion_form == "additive")) @ plan.sampling
    assert noise_gain(plan, recipe) == pytest.approx(np.sqrt((whole**2).sum(1).mean()), rel=0.03)


def test_the_gain_at_the_apex() -> None:
    assert apex_gain(np.eye(17)) == pytest.approx(1) and apex_gain(np.zeros((1, 1))) == 0
    slow, fast = (temporal_plan(n, 200.0, Recipe()).filter for n in (60, 20))
    assert apex_gain(slow) > 0.7 and apex_gain(fast) < GAIN
    assert apex_gain(slow, 0.0) < 0.3  # the causal filter starts at rest


def test_notes_say_what_is_beyond_the_thresholds() -> None:
    recipe = Recipe().as_json()
    assert recipe_notes(recipe, [(60, 200.0)], CLIPPED) == []
    clipped, weak = recipe_notes(recipe, [(60, 200.0), (20, 200.0), (20, 200.0)], 0.052)
    assert "5.2%" in clipped and "--recipe clean" in clipped and "2 of 3" in weak and "20 frames" in weak
    assert "--recipe" not in recipe_notes(recipe | {"stabilise": "rigid"}, [(60, 200.0)], 0.052)[0]
    assert recipe_notes({"frames": 16}, [(20, 200.0)]) == []
    assert recipe_notes(recipe | {"fs": "x"}, [(20, 200.0)]) == []


@pytest.mark.parametrize("shift", [0, 3])
def test_blocks_are_seen_wherever_they_begin(shift: int, rng: np.random.Generator) -> None:
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (160, 160, 3)).astype(np.float32), (0, 0), 3)
    image = np.clip((smooth - 128) * 4 + 128 + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
    values = {}
    for quality in (30, 95):
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        values[quality] = blockiness(cv2.imdecode(coded, cv2.IMREAD_COLOR)[shift:, shift:])
    assert values[30] > BLOCKS > values[95] >= blockiness(image[shift:, shift:]) - 0.05
    assert blockiness(np.zeros((1, 9, 3), np.uint8)) == 1


def test_blocks_are_spoken_of_where_nothing_hides_them(drawn_set: Path) -> None:
    clips = find("demo", drawn_set).clips
    assert "--blur" in block_notes(clips)[0] and block_notes(clips, blur=1.0) == []


@pytest.fixture(scope="module")
def page(drawn_set: Path, make_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.json").write_text('{"sampling": "box", "motion_form": "band", "frames": 9}')
    recipes = ("--recipe", "paper", "--recipe", "clean", "--recipe", "mine.json")
    clips = ("sub01/EP01_01f", "sub02/EP01_01f")
    make_run(folder, "mpt-preprocess", "preview", "demo", drawn_set, *clips, "--size", 48, *recipes)
    return folder / "preview/demo-recipes/index.html"


def test_each_clip_is_there_by_each_recipe(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure") == 2 * 4 and "mine.json" in text
    assert "--frames 9 --sampling box --motion-form band --size 48" in text
    for picture in (page.parent / "clips").iterdir():
        assert f'src="clips/{picture.name}"' in text
    assert len(list((page.parent / "clips").iterdir())) == 2 * 4 * 2


def test_a_folder_of_others_is_left_alone(drawn_set: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    arguments = ("demo", "--root", drawn_set, "--recipe", "paper", "--recipe", "clean", "-o", tmp_path)
    done = command("mpt-preprocess", "preview", *arguments)
    assert done.code == 2 and "not empty" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.fixture
def shown(page: Path) -> Iterator[Any]:
    """The page in a browser; whatever its console says fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(reduced_motion="reduce")
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(page.as_uri())
        yield tab
        browser.close()
    assert said == []


def test_all_tiles_show_the_same_moment(shown: Any) -> None:
    for width in (390, 800, 1400):
        shown.set_viewport_size({"width": width, "height": 900})
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    shown.locator("#moment").fill("0.4")
    tiles = shown.evaluate(
        "[...document.querySelectorAll('[data-shape]')].map(i => [i.dataset.shape, i.style.transform])"
    )
    for shape, transform in tiles:
        frames, columns, rows = map(int, shape.split())
        frame = round(0.4 * (frames - 1))
        x, y = map(float, re.findall(r"[-.\d]+", transform))
        assert (x, y) == pytest.approx((-100 * (frame % columns) / columns, -100 * (frame // columns) / rows), abs=0.01)
    assert {shape for shape, _ in tiles} == {"16 4 4", "9 3 3"}
    shown.click("#play")
    assert shown.inner_text("#play") == "Pause"
    shown.wait_for_function("document.getElementById('moment').value > 0.42")
    shown.click("[data-copy] >> nth=1")
    copied = shown.evaluate("getSelection().toString()").split()
    settings = {**NAMED["clean"], "size": 48}
    assert copied == [str(part) for name, value in settings.items() for part in ("--" + name.replace("_", "-"), value)]
