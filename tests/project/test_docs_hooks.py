"""What the documentation site does to its pages: formulas without scripts, and no request to another host."""

from xml.etree import ElementTree

import pytest
from formulas import with_formulas
from other_hosts import requests

MATHML = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize(("tag", "source", "display"), [("span", r"\({}\)", "inline"), ("div", r"\[{}\]", "block")])
def test_a_marked_formula_becomes_mathml(tag: str, source: str, display: str) -> None:
    pytest.importorskip("latex2mathml")
    marked = f'<{tag} class="arithmatex">{source.format("x_t &lt; 2")}</{tag}>'
    math = ElementTree.fromstring(with_formulas(f"<p>where {marked} holds</p>"))[0]
    assert (math.tag, math.get("display")) == (f"{MATHML}math", display)
    assert "".join(math.itertext()) == "xt<2"
    assert math.find(f".//{MATHML}msub") is not None


def test_other_text_stays() -> None:
    page = r"<p>\(not marked\) and <code>$HOME</code></p>"
    assert with_formulas(page) == page


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example" crossorigin>',
        '<IMG alt="" SRC="HTTP://example.org/a.png">',
        '<p style="background: url(https://example.org/a.png)">',
        "<style>@import 'https://example.org/a.css'</style>",
    ],
)
def test_a_request_to_another_host_is_found(text: str) -> None:
    assert len(requests(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">a link to follow</a>',
        '<link rel="canonical" href="https://example.org/">',
        '<script src="assets/x.js"></script><img src="data:image/png;base64,AA==">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    ],
)
def test_what_asks_nobody_passes(text: str) -> None:
    assert requests(text) == []


def test_styles_are_read_too() -> None:
    assert requests("@font-face { src: url('https://example.org/f.woff2') }", ".css") == ["https://example.org/f.woff2"]
    assert requests("a { background: url(images/a.png) }", ".css") == []
