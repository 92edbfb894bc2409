"""Every page must work without asking another host for anything: no fonts, scripts, styles or pictures from afar."""

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
_HARMLESS_LINKS = {"canonical", "prev", "next", "edit"}  # named, never fetched
_REMOTE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
_IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)

log = logging.getLogger("mkdocs.hooks.other_hosts")


def on_post_build(config: Any, **_: Any) -> None:
    """Warn of each request to another host; with --strict that stops the build."""
    site = Path(config["site_dir"])
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for address in requests(path.read_text(encoding="utf-8"), path.suffix):
            log.warning("%s asks another host for %s", path.relative_to(site), address)


def requests(text: str, suffix: str = ".html") -> list[str]:
    """Addresses on other hosts that a browser would fetch by itself when it shows an HTML or CSS file."""
    finder = _Finder()
    if suffix == ".html":
        finder.feed(text)
    return finder.found + _IN_STYLE.findall(text)


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        address = named.get(_LOADING.get(tag, ""))
        if tag == "link" and set((named.get("rel") or "").split()) <= _HARMLESS_LINKS:
            return
        if address and _REMOTE.match(address):
            self.found.append(address)
