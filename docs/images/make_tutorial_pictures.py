"""The pictures of the tutorial: python docs/images/make_tutorial_pictures.py DEMO.

Types what the tutorial says, in the folder DEMO, and keeps what comes out: text of a terminal as SVG, pages as a
browser shows them. What is there already, such as a finished run, is not computed again. Needs
Chromium (playwright) and rich.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FOLDER = Path(__file__).parent / "tutorial"
PAGE = Path(__file__).parents[1] / "start/tutorial.md"
COLUMNS = 100
TERMINAL = {"mpt-preprocess check": "check", "mpt-cache info": "info", "mpt-compare": "compare"}
TERMINAL |= {"mpt-predict": "predict", "mpt-train --cache data_cache/demo.h5 --preset demo --": "train"}
"""Which commands are shown, and as which picture."""


def type_in(line: str, folder: Path) -> str:
    """What a command prints to stdout."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    done = subprocess.run(shlex.split(line), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {line}")
    return done.stdout.replace(str(folder.resolve()), "~/mpt")


def draw_terminal(line: str, printed: str, path: Path) -> None:
    """A terminal with a command and what it printed, as SVG without a request to another host."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ {line}", style="bold"))
        console.print(Text.from_ansi(printed.rstrip()))
        svg = console.export_svg(title="", theme=MONOKAI)
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def photograph(demo: Path) -> None:
    """The report, as a browser shows it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.goto((demo / "runs/demo/report/index.html").resolve().as_uri() + "#sub01/EP01_01f")
        page.wait_for_timeout(2000)
        at_apex = "slider => { slider.value = 10; slider.dispatchEvent(new Event('input')); }"
        page.locator("#frame").evaluate(at_apex)
        page.wait_for_timeout(200)
        page.screenshot(path=FOLDER / "report.png")
        page.locator("#scores").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#scores').scrollIntoView()")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "scores.png")
        browser.close()


def as_webp(source: Path, path: Path, width: int) -> None:
    """A picture at most `width` pixels wide, as WebP."""
    image = Image.open(source).convert("RGB")
    image.thumbnail((width, 10 * width))
    image.save(path, quality=82, method=6)


def main(demo: Path) -> None:
    """Write docs/images/tutorial."""
    FOLDER.mkdir(exist_ok=True)
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            printed = type_in(line, demo)
            for start, name in TERMINAL.items():
                if line.startswith(start):
                    draw_terminal(line, printed, FOLDER / f"{name}.svg")
    photograph(demo)
    for name in ("report", "scores"):
        as_webp(FOLDER / f"{name}.png", FOLDER / f"{name}.webp", 1200)
        (FOLDER / f"{name}.png").unlink()
    sheet = next((demo / "preview/demo").glob("*EP01_01f*.png"))
    as_webp(sheet, FOLDER / "sheet.webp", 900)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
