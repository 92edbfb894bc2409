"""The page in a browser, from disk: what a person clicks, types, sees and hears of it."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_cache.explore.charts import matrix, where
from data_cache.explore.clips import picture_format, strip
from data_cache.explore.page import Chart, Page, Section

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CLASSES = ["anger", "joy", "<b>fear"]
FRAMES = 16

if CHROMIUM is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def clips(count: int, folder: Path) -> list[dict[str, Any]]:
    """Clips of uniform frames whose brightness tells which they are: original 4t + 60, magnified 8t + 40."""
    ramp = np.arange(FRAMES, dtype=np.uint8)[:, None, None, None] * np.ones((FRAMES, 32, 32, 3), np.uint8)
    (folder / "clips").mkdir()
    names = {}
    for kind, frames in {"o": 4 * ramp + 60, "m": 8 * ramp + 40, "e": (8 * ramp + 50)[..., 0], "d": ramp[:1]}.items():
        names[kind] = f"clips/0000-{kind}.{picture_format()}"
        (folder / names[kind]).write_bytes(strip(frames, 32))
    made = []
    for number in range(count):
        truth, guesses = number % 3, [number % 2, number % 3 if number % 5 else 1]
        chances = np.full(3, 0.1)
        chances[guesses[0]] = 0.8
        subject, clip = f"s{number % 20}", f"EP{number:04d}"
        made.append(
            {"key": f"{subject}/{clip}", "subject": subject, "clip": clip, "label": CLASSES[truth], "frames": 31}
            | {"fps": 100.0, "clipped": number % 100 / 1000, "truth": truth, "predicted": guesses, "strips": names}
            | {"probabilities": chances.tolist(), "mu": [2.0, 8.0], "sigma": [1.0, 2.0], "eye": 10.0, "error": 0.3}
            | {"heat": {"image tokens": [1, 2, "AP8="]}}
        )
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("site")
    chart = matrix(np.arange(9).reshape(3, 3), CLASSES, lambda true, other: where(label=true, predicted=other))
    page = Page(
        "A thousand clips",
        "Made up.",
        ["Nobody is shown."],
        clips(1000, folder),
        {"frames": FRAMES, "columns": 4, "rows": 4, "alpha": 20.0},
        [Section("confusion", "Confusion", charts=[Chart(chart, "Rows are true.")])],
        CLASSES,
        ["A", "B"],
    )
    return page.write(folder).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Any]:
    """Open the page at some hash; whatever the console says fails the test."""
    contexts, said = [], []

    def open_page(place: str = "", width: int = 1400, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(site + place)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def grey(page: Any, selector: str) -> float:
    """Mean brightness of the middle of what is seen there."""
    from PIL import Image

    seen = np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("L"), float)
    h, w = seen.shape
    return float(seen[h // 4 : -h // 4, w // 4 : -w // 4].mean())


def shown(page: Any) -> int:
    return int(page.inner_text("#count").split()[0])


def first_column(page: Any, number: int) -> list[str]:
    return page.locator(f"#list tbody tr:not(.gap) td:nth-child({number})").all_inner_texts()


def test_a_list_of_a_thousand_is_ready_at_once_and_filters_fast(visit: Any) -> None:
    page = visit()
    assert shown(page) == 1000
    assert page.locator("#list tbody tr").count() < 80, "only a window of rows is drawn"
    page.select_option("[name=subject]", "s2")
    assert shown(page) == 50 and set(first_column(page, 1)) == {"s2"}
    page.select_option("[name=answer]", "first")
    by_hand = [n for n in range(2, 1000, 20) if n % 2 == n % 3 and (n % 3 if n % 5 else 1) != n % 3]
    assert shown(page) == len(by_hand)
    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('1000')")
    page.click("summary")
    page.fill("[name=clipped-from]", "9")
    assert shown(page) == 100
    took = page.evaluate(
        """() => { const box = document.querySelector('[name=name]'), times = [];
        for (const text of ['1', '12', '', 'EP0', 'zzz', '']) { const start = performance.now(); box.value = text;
          box.dispatchEvent(new Event('input', {bubbles: true})); times.push(performance.now() - start); }
        return times.sort((a, b) => a - b)[2]; }"""
    )
    assert took < 50


def test_sorting_counts_as_people_do_and_says_so(visit: Any) -> None:
    page = visit()
    page.click("#list thead button >> nth=0")
    assert page.get_attribute("#list thead th >> nth=0", "aria-sort") == "ascending"
    page.fill("[name=name]", "EP000")
    assert first_column(page, 1) == [f"s{n}" for n in range(10)]
    page.click("#list thead button >> text=Clipped")
    assert first_column(page, 2)[0] == "EP0009"
    page.evaluate("document.getElementById('list').scrollTop = 1e6")


def test_links_lead_to_clips_and_filters_and_stay_text(visit: Any) -> None:
    page = visit("#s3/EP0043")
    assert page.inner_text("#key") == "s3/EP0043"
    assert page.locator("#list tr[aria-selected=true]").count() == 1
    page.click(".matrix tbody tr >> nth=2 >> a >> nth=1")
    by_hand = [n for n in range(1000) if n % 3 == 2 and n % 2 == 1]
    assert shown(page) == len(by_hand) and page.input_value("[name=label]") == "<b>fear"
    page.locator("#list tbody tr:not(.gap)").nth(1).click()
    assert page.url.endswith(f"#s{by_hand[1] % 20}/EP{by_hand[1]:04d}")
    assert page.locator("main b:not(.matrix b)").count() == 0


def test_the_keyboard_moves_through_clips_and_frames(visit: Any) -> None:
    page = visit("#s0/EP0000", reduced_motion="reduce")
    page.focus("#list")
    for key, expected in (("ArrowDown", "s1/EP0001"), ("ArrowDown", "s2/EP0002"), ("ArrowUp", "s1/EP0001")):
        page.keyboard.press(key)
        assert page.inner_text("#key") == expected
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#frame") == "15"
    page.keyboard.press("ArrowRight")
    assert page.input_value("#frame") == "0"
    assert page.inner_text("#play") == "Play"
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Pause"
    page.wait_for_function("document.getElementById('frame').value > 1")


def test_frame_k_shows_frame_k(visit: Any) -> None:
    page = visit("#s0/EP0000", reduced_motion="reduce")
    page.wait_for_function("[...document.querySelectorAll('#plain, #over')].every(image => image.naturalWidth)")
    for k in (0, 5, 15):
        page.locator("#frame").fill(str(k))
        assert page.inner_text("#time") == f"{k + 1} of 16, {20 * k} ms"
        assert grey(page, "#left .frame") == pytest.approx(4 * k + 60, abs=2.5)
        assert float(page.get_attribute("#cursor", "transform").split("(")[1].split()[0]) == pytest.approx(
            8 + k * 344 / 15
        )


def test_alpha_mixes_as_the_mathematics_says(visit: Any) -> None:
    page = visit("#s0/EP0000", reduced_motion="reduce")
    page.select_option("#view", "m")
    page.wait_for_function("[...document.querySelectorAll('#plain, #over')].every(image => image.naturalWidth)")
    page.locator("#frame").fill("15")
    for view, alpha, end in (("m", 20, 160), ("e", 10, 170)):
        page.select_option("#view", view)
        for ratio in (0, 0.25, 0.5, 1, 1.5, 2):
            page.locator("#alpha").fill(str(ratio))
            if ratio <= 1:
                assert float(page.evaluate("document.getElementById('over').style.opacity")) == ratio  # α′/α
            assert f"α = {alpha * ratio:.1f}" in page.inner_text("#right-text")
            assert grey(page, "#stack") == pytest.approx(120 + ratio * (end - 120), abs=4)
    assert "eye" in page.inner_text("#right-text")


def test_layers_lie_over_the_picture(visit: Any) -> None:
    page = visit("#s0/EP0000", reduced_motion="reduce")
    for layer, seen in (("dynamic", "#dynamic"), ("image tokens", "#heat")):
        page.select_option("#layer", layer)
        assert page.is_visible(seen)
    page.select_option("#layer", "")
    assert page.is_hidden("#dynamic") and page.is_hidden("#heat")


_CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (element, name) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = getComputedStyle(element)[name]; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const written = (e) => [...e.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll('body *')].filter(element => {
    if (!written(element) || !element.checkVisibility() || element.closest('svg, script, style')) return false;
    let under = element;
    while (rgb(under, 'backgroundColor')[3] < 250 && under.parentElement) under = under.parentElement;
    const pair = [light(rgb(element, 'color')), light(rgb(under, 'backgroundColor'))];
    return (Math.max(...pair) + .05) / (Math.min(...pair) + .05) < 4.5;
  }).map(element => element.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(visit: Any, scheme: str) -> None:
    page = visit("#s0/EP0000", color_scheme=scheme)
    for width in (390, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(_CONTRAST) == []


def test_every_control_has_a_name_and_its_turn(visit: Any) -> None:
    page = visit()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button, a, [tabindex]')]
        .filter(e => e.checkVisibility() && !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("[tabindex]:not([tabindex='0'])").count() == 0  # focus follows the order of reading
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.name || document.activeElement.id || document.activeElement.tagName")
        )
    assert [name for name in reached if name in ("name", "subject", "label", "predicted", "answer")] == [
        *("name", "subject", "label", "predicted", "answer")
    ]


def test_without_scripts_all_facts_are_there(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("noscript tr").count() == 1001 and page.is_visible(".matrix")
    assert page.is_hidden("#explorer")
