"""All pages: short, linked rightly, in plain words; those that are made from the code say what it says.

And what the site does to them: formulas without scripts, and no request to another host.
"""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import settings_page
from offline import on_page_content, requests
from troubleshooting import PAGE, TABLE, filled

from data_cache.errors import MptError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
MADE = {"commands.md", "settings.md"}
"""Pages that exist in the site only; there the build looks at their links."""
PRIVATE = r"knobs?|mends?|look (a data set )?over|without more ado|look before you|three rooms|idles?|rules of the house"
PRIVATE += r"|hand (a cache|it) on|sound|multiply.adds?|of smic:|as expected|go on with"
"""Words that were ours alone; the field has others."""
MATHML = "{http://www.w3.org/1998/Math/MathML}"
LARGEST = {"demo.webp": 2_000_000}
"""Bytes of a picture; 150,000 for those not named here."""


TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
PACKAGES = {path: path.read_text(encoding="utf-8") for name in settings_page.API for path in (ROOT / name).rglob("*.py")}


def without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link can point at: the headings, as both the site and hosts of code name them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_pages_are_short() -> None:
    assert [name for name, text in TEXTS.items() if len(text.splitlines()) > 200] == []


def test_links_lead_somewhere() -> None:
    broken = []
    for name, text in TEXTS.items():
        page = ROOT / name
        for target, anchor in re.findall(r"\]\(([^)\s#]*)#?([^)\s]*)\)", without_blocks(text)):
            found = (page.parent / target).resolve() if target else page
            if "://" in target or found.name in MADE or found.parent.name == "api":
                continue
            if not found.exists() or (anchor and anchor not in anchors(found)):
                broken.append(f"{name}: {target}#{anchor}")
    assert broken == []


def test_files_that_pages_and_code_name_exist() -> None:
    path = r"\b(?:data_cache|preprocess|train|docs|examples|tests|benchmarks)/[\w/-]+\.(?:py|md|svg)\b"
    named = {name for text in TEXTS.values() for name in re.findall(path, text)}
    named |= {name for text in PACKAGES.values() for name in re.findall(r"\bdocs/[\w/-]+\.md\b", text)}
    assert len(named) > 30 and [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_words_are_those_of_the_field() -> None:
    prose = {name: re.sub(r"`[^`]*`", "", without_blocks(text)) for name, text in TEXTS.items()}
    found = {name: re.findall(rf"(?i)\b({PRIVATE})\b", text) for name, text in prose.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_pictures_are_small_and_shown() -> None:
    shown = "".join(TEXTS.values())
    for picture in (DOCS / "images").rglob("*.[!p]*"):
        assert picture.stat().st_size <= LARGEST.get(picture.name, 150_000), picture
        assert picture.name in shown


def test_every_code_has_an_entry_with_its_meaning_and_messages() -> None:
    table = (DOCS / TABLE).read_text(encoding="utf-8")
    text = filled((DOCS / PAGE).read_text(encoding="utf-8"), table)
    for error in MptError.__subclasses__():
        (entry,) = re.findall(rf"^### Exit code {error.exit_code}:.*?(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
        assert str(error.__doc__).splitlines()[0] in entry and error.__name__ in entry
        said = re.findall(rf"^\| .*? \| (`.*?`).*? \| {error.exit_code} \|$", table, re.MULTILINE)
        assert said and all(message in entry for message in said)
    with pytest.raises(ValueError):
        filled(text, table)


def test_every_setting_is_listed_with_its_default() -> None:
    text = settings_page.page()
    for module, name in settings_page.GROUPS:
        (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        kind, fields = settings_page.settings(module, name)
        assert fields and re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(fields)
        assert str(vars(kind)[next(iter(fields))]).replace("_", r"\_") in section


def test_the_modules_of_the_api_exist() -> None:
    assert all(
        importlib.util.find_spec(f"{package}.{name}")
        for package, listed in settings_page.API.items()
        for name in listed.split()
    )


@pytest.mark.parametrize(("tag", "source", "display"), [("span", r"\({}\)", "inline"), ("div", r"\[{}\]", "block")])
def test_a_marked_formula_becomes_mathml(tag: str, source: str, display: str) -> None:
    pytest.importorskip("latex2mathml")
    marked = f'<{tag} class="arithmatex">{source.format("x_t &lt; 2")}</{tag}>'
    math = ElementTree.fromstring(on_page_content(f"<p>where {marked} holds</p>"))[0]
    assert (math.tag, math.get("display")) == (f"{MATHML}math", display)
    assert "".join(math.itertext()) == "xt<2"
    assert math.find(f".//{MATHML}msub") is not None


def test_other_text_stays() -> None:
    text = r"<p>\(not marked\) and <code>$HOME</code></p>"
    assert on_page_content(text) == text


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
