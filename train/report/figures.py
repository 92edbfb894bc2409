"""The figures of a report, for papers: exact widths, one size of text, embedded fonts, PDF and PNG."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from data_cache.names import figure_fonts

CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Okabe and Ito's palette: told apart with any colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
Paper = Literal["column", "page"]
_INCHES = {"column": 3.5, "page": 7.16}  # widths of the IEEE's templates
_paper: ContextVar[Paper] = ContextVar("paper", default="page")

_POINTS = 8
_RC = {
    **{f"{part}size": _POINTS for part in ("font.", "axes.title", "axes.label", "xtick.label", "ytick.label")},
    **{"legend.fontsize": _POINTS, "savefig.dpi": 200, "pdf.fonttype": 42, "axes.titleweight": "bold"},
    **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False},
    **{"axes.linewidth": 0.6, "lines.linewidth": 1.2, "figure.constrained_layout.use": True},
}


@contextmanager
def paper_style(paper: Paper = "page") -> Iterator[None]:
    """Draw the figures within for a column (3.5 in) or a page (7.16 in) of a paper."""
    from matplotlib import rc_context

    token = _paper.set(paper)
    try:
        with figure_fonts(), rc_context(_RC):
            yield
    finally:
        _paper.reset(token)


def narrow() -> bool:
    """Whether figures are drawn for a column: fewer panels fit side by side."""
    return _paper.get() == "column"


def figure(height: float, columns: int = 1, rows: int = 1, most: float = 99.0, **options: Any) -> tuple[Any, Any]:
    """A figure as wide as the paper or `most` inches, `height` inches high, and its axes; drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(min(_INCHES[_paper.get()], most), height))
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, **options)


def save(made: Any, folder: Path, name: str) -> str:
    """Write a figure as PDF and PNG into `folder`; `name` again."""
    folder.mkdir(parents=True, exist_ok=True)
    made.draw_without_rendering()
    made.set_layout_engine("none")  # arranged once, not again for each format
    made.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    made.savefig(folder / f"{name}.png")
    return name
