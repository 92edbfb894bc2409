"""Formulas as MathML, drawn by the browser itself: no script, no font and no other host is needed."""

import html
import re
from typing import Any

_MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(page_html: str, **_: Any) -> str:
    """Replace what the arithmatex extension marked: LaTeX in escaped round or square brackets."""
    return with_formulas(page_html)


def with_formulas(page_html: str) -> str:
    """The page with each marked formula as MathML."""
    return _MARKED.sub(_drawn, page_html)


def _drawn(marked: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    _, bracket, source = marked.groups()
    return convert(html.unescape(source), display="block" if bracket == "[" else "inline")
