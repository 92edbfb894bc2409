"""The HTML page of a report: one self-contained file, usable with a keyboard, on a phone, in the dark."""

from dataclasses import dataclass, field
from pathlib import Path

from data_cache.atomic import write_bytes


@dataclass(frozen=True)
class Picture:
    """A figure: its data URI, what it shows (for those who cannot see it), and its caption."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Row:
    """Cells of a table; `kind` is "headline", "leak" or nothing."""

    cells: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption and headings."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass
class Section:
    """A part of the page."""

    id: str
    title: str
    texts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


@dataclass
class Page:
    """The whole report."""

    title: str
    lead: str
    notices: list[str]
    sections: list[Section]

    def write(self, path: Path) -> None:
        """Write the page to `path`."""
        from jinja2 import Environment, PackageLoader

        environment = Environment(loader=PackageLoader("train.report", ""), autoescape=True, trim_blocks=True)
        html = environment.get_template("page.html.j2").render(vars(self))
        write_bytes(path, html.encode())
