"""A site that needs no other host: formulas are MathML, which browsers draw, and nothing is fetched from elsewhere.

Material's privacy plugin would download what pages refer to, so that building needs a network, and overlooks frames,
videos and inline styles.
"""

import html
import logging
import re
from pathlib import Path
from typing import Any

# what the arithmatex extension marks: LaTeX in escaped round or square brackets
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_NOT_FOLLOWED = r"""(?![^>]*\brel=["']?(?:canonical|prev|next|edit)\b)"""
_FETCHED = re.compile(
    rf"""(?:<(?:script|img|iframe|source|video|link{_NOT_FOLLOWED})\b[^>]*?\b(?:src|href)\s*=|url\(|@import)
    \s*["']?\s*((?:https?:)?//[^"')\s>]+)""",
    re.IGNORECASE | re.VERBOSE,
)
log = logging.getLogger("mkdocs.hooks.offline")


def on_page_content(page_html: str, **_: Any) -> str:
    """Replace each marked formula by MathML."""
    return _FORMULA.sub(_mathml, page_html)


def _mathml(marked: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    _, bracket, source = marked.groups()
    return convert(html.unescape(source), display="block" if bracket == "[" else "inline")


def on_post_build(config: Any, **_: Any) -> None:
    """Warn of each request to another host; with --strict that stops the build."""
    site = Path(config["site_dir"])
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for address in requests(path.read_text(encoding="utf-8")):
            log.warning("%s fetches %s from another host", path.relative_to(site), address)


def requests(text: str) -> list[str]:
    """Addresses on other hosts that a browser would fetch by itself when it shows this HTML or CSS."""
    return _FETCHED.findall(text)
