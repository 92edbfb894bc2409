"""Puts into the page of troubleshooting what each exit code means and which messages have it.

The meaning is the documentation of the error class, the messages are those of the table in `exit-codes.md`.
"""

import re
from pathlib import Path
from typing import Any

PAGE, TABLE = "troubleshooting.md", "reference/exit-codes.md"
BOOSTS = {PAGE: 3, "reference/glossary.md": 1.5, "start/install.md": 2, "reference/commands.md": 0.3}
BOOSTS |= {"reference/settings.md": 0.4, "gallery.md": 0.3, "explanation/performance.md": 0.6, "index.md": 0.5}
"""How much the site's search prefers a page: what newcomers ask stands before what experts look up."""


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Fill in the entries, and set how much the search prefers the page."""
    name = page.file.src_uri
    if name in BOOSTS:
        page.meta["search"] = {"boost": BOOSTS[name]}
    if name != PAGE:
        return markdown
    return filled(markdown, (Path(config["docs_dir"]) / TABLE).read_text(encoding="utf-8"))


def filled(markdown: str, table: str) -> str:
    """The page with an entry in the place of each `<!-- code N -->`.

    Raises:
        ValueError: the page has not one place for each class of errors.
    """
    from data_cache.errors import MptError

    errors = {error.exit_code: error for error in MptError.__subclasses__()}
    places = [int(code) for code in re.findall(r"<!-- code (\d+) -->", markdown)]
    if sorted(places) != sorted(errors):
        raise ValueError(f"{PAGE} has entries for the codes {places}; there are errors with {sorted(errors)}")
    said: dict[int, list[str]] = {}
    for what, message, code in re.findall(r"^\| (.*?) \| (`.*?) \| (\d+) \|$", table, re.MULTILINE):
        said.setdefault(int(code), []).append(f"- {what}: {message}")
    for code, error in errors.items():
        about = f"*{error.__name__}*: {str(error.__doc__).splitlines()[0]}"
        entry = "\n".join([about, "", *said.get(code, [])])
        markdown = markdown.replace(f"<!-- code {code} -->", entry)
    return markdown
