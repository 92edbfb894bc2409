"""The HTML page of a report, one self-contained file, and the style of its figures."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_cache.files.atomic import write_bytes
from train.results.tables import Table

CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Okabe and Ito's palette: told apart with any colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_RC = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}


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


def figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """A figure of width×height inches and its axes, drawn without a display."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_RC):
        made = Figure(figsize=(width, height))
        FigureCanvasAgg(made)
        axes = made.subplots(rows, columns)
    return made, axes


def save(made: Any, folder: Path, name: str) -> str:
    """Write a figure as PNG and PDF into `folder`; the PNG as a data URI for the page."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    with rc_context(_RC):
        made.draw_without_rendering()
        made.set_layout_engine("none")  # arranged once, not again for each format
        made.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
        buffer = io.BytesIO()
        made.savefig(buffer, format="png")
    (folder / f"{name}.png").write_bytes(buffer.getvalue())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
