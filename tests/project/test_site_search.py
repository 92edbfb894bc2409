"""What newcomers search, they find: the built site in a browser."""

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("material", reason="mkdocs-material is not installed")

FIRST: dict[tuple[str, ...], tuple[str, ...]] = {
    ("troubleshooting",): ("FAQ", "out of memory", "wrong"),
    ("start/install",): ("install", "Windows", "docker", "offline"),
    ("start/install", "troubleshooting"): ("GPU", "weights"),
    ("how-to/own-recordings",): ("own video", "mp4"),
    ("how-to/faces",): ("crop", "face"),
    ("how-to/training",): ("resume",),
    ("how-to/training", "reference/glossary"): ("seed",),
    ("how-to/choose-a-recipe", "troubleshooting"): ("blurry",),
    ("how-to/choose-a-recipe", "reference/glossary"): ("α",),
    ("how-to/write-a-paper",): ("cite",),
    ("how-to/sharing",): ("licence",),
    ("explanation/protocols", "reference/glossary"): ("UF1", "LOSO"),
    ("reference/glossary",): ("apex", "onset", "kernel"),
    ("reference/cache-format",): ("cache",),
}
"""Pages of which one must come first → what is searched."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", site]
    subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        yield opened
        browser.close()
    server.shutdown()
    server.server_close()


def first_found(page: Any, words: str) -> str:
    """The page that the site's search puts first."""
    page.reload()
    typed, found = page.locator("input.md-search__input"), page.locator(".md-search-result__item a")
    typed.fill(words)  # at once, so that no page is first which is found for the first letters
    for _ in range(300):
        typed.press("Shift")  # the page listens to keys, from some time after it was loaded
        page.wait_for_timeout(100)
        if found.count():
            break
    return str(found.first.get_attribute("href"))


@pytest.mark.slow
def test_what_newcomers_search_they_find(page: Any) -> None:
    tried = {words: (pages, first_found(page, words)) for pages, searched in FIRST.items() for words in searched}
    assert len(tried) == 25
    assert {
        what: found for what, (pages, found) in tried.items() if not found.partition(".html")[0].endswith(pages)
    } == {}
