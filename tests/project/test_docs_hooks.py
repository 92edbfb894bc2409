"""What the documentation site does to its pages: formulas without scripts, and no request to another host."""

from xml.etree import ElementTree

import pytest
from offline import on_page_content, requests

MATHML = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize(("tag", "source", "display"), [("span", r"\({}\)", "inline"), ("div", r"\[{}\]", "block")])
def test_a_marked_formula_becomes_mathml(tag: str, source: str, display: str) -> None:
    pytest.importorskip("latex2mathml")
    marked = f'<{tag} class="arithmatex">{source.format("x_t &lt; 2")}</{tag}>'
    math = ElementTree.fromstring(on_page_content(f"<p>where {marked} holds</p>"))[0]
    assert (math.tag, math.get("display")) == (f"{MATHML}math", display)
    assert "".join(math.itertext()) == "xt<2"
    assert math.find(f".//{MATHML}msub") is not None


def test_other_text_stays() -> None:
    page = r"<p>\(not marked\) and <code>$HOME</code></p>"
    assert on_page_content(page) == page


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/css">', ["//fonts.example/css"]),
        ('<link rel="preconnect" href="https://fonts.example" crossorigin>', ["https://fonts.example"]),
        ('<IMG alt="" SRC="HTTP://example.org/a.png">', ["HTTP://example.org/a.png"]),
        ('<video><source\n src=" https://example.org/a.webm"></video>', ["https://example.org/a.webm"]),
        ('<p style="background: url(https://example.org/a.png)">', ["https://example.org/a.png"]),
        ("<style>@import 'https://example.org/a.css'</style>", ["https://example.org/a.css"]),
        ("@font-face { src: url('https://example.org/f.woff2') }", ["https://example.org/f.woff2"]),
        ('<img src="a.png"><iframe src=//b.example/c></iframe>', ["//b.example/c"]),
        ('<a href="https://example.org">a link to follow</a>', []),
        ('<link rel="canonical" href="https://example.org/">', []),
        ('<link href="https://example.org/" rel=next>', []),
        ('<script src="assets/x.js"></script><img src="data:image/png;base64,AA==">', []),
        ('<svg xmlns="http://www.w3.org/2000/svg"></svg>', []),
        ("a { background: url(images/a.png) }", []),
    ],
)
def test_every_request_to_another_host_is_found(text: str, addresses: list[str]) -> None:
    assert requests(text) == addresses
