"""All pages: short, linked rightly, in plain words; and those that are made from the code say what it says."""

import importlib.util
import re
from pathlib import Path

import pytest
import settings_page
from troubleshooting import PAGE, TABLE, filled

from data_cache.errors import MptError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
MADE = {"commands.md", "settings.md"}
"""Pages that exist in the site only; there the build looks at their links."""
PRIVATE = (
    r"knobs?|mends?|look (a data set )?over|without more ado|look before you|three rooms|idles?|rules of the house"
)
PRIVATE += r"|hand (a cache|it) on|sound|multiply.adds?|of smic:|as expected|go on with"
"""Words that were ours alone; the field has others."""
LARGEST = {"demo.webp": 2_000_000}
"""Bytes of a picture; 150,000 for those not named here."""


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """What a link can point at: the headings, as both the site and hosts of code name them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target, anchor in re.findall(r"\]\(([^)\s#]*)#?([^)\s]*)\)", text):
        found = (page.parent / target).resolve() if target else page
        if "://" in target or found.name in MADE or found.parent.name == "api":
            continue
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_words_are_those_of_the_field(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(rf"(?i)\b({PRIVATE})\b", prose) == []


def test_pictures_are_small_and_shown() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (DOCS / "images").rglob("*.[!p]*"):
        assert picture.stat().st_size <= LARGEST.get(picture.name, 150_000), picture
        assert picture.name in shown


def test_every_code_has_an_entry_with_its_meaning_and_messages() -> None:
    table = (DOCS / TABLE).read_text(encoding="utf-8")
    text = filled((DOCS / PAGE).read_text(encoding="utf-8"), table)
    for error in MptError.__subclasses__():
        (entry,) = re.findall(rf"^### Exit code {error.exit_code}:.*?(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
        assert str(error.__doc__).splitlines()[0] in entry and error.__name__ in entry
        said = [
            row[1]
            for row in re.findall(r"^\| (.*?) \| (`.*?`).*? \| (\d+) \|$", table, re.M)
            if int(row[2]) == error.exit_code
        ]
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


@pytest.mark.parametrize("package", settings_page.API)
def test_pages_that_the_code_names_exist(package: str) -> None:
    named = {
        page
        for file in (ROOT / package).rglob("*.py")
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text(encoding="utf-8"))
    }
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []
