"""The HTML page of a report: one self-contained file, usable with a keyboard, on a phone, in the dark."""

from dataclasses import dataclass, field
from pathlib import Path

from data_cache.files.atomic import write_bytes
from train.results.tables import Table


@dataclass(frozen=True)
class Picture:
    """A figure: its data URI, what it shows (for those who cannot see it), and its caption."""

    source: str
    alt: str
    caption: str


@dataclass
class Section:
    """A part of the page."""

    id: str
    title: str
    texts: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


@dataclass
class Page:
    """The whole report."""

    title: str
    lead: str
    notices: list[str]
    sections: list[Section]

    def write(self, path: Path) -> None:
        """Write the page to `path`, and its tables as CSV and LaTeX beside it."""
        from jinja2 import Environment, PackageLoader

        environment = Environment(loader=PackageLoader("train.report", ""), autoescape=True, trim_blocks=True)
        html = environment.get_template("page.html.j2").render(vars(self))
        for section in self.sections:
            for table in section.tables:
                table.write(path.parent)
        write_bytes(path, html.encode())
