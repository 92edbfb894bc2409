"""The figures of a report, for papers: exact widths, one size of text, embedded fonts, PDF and PNG."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data_cache.names import figure_fonts
from train.results.tables import Share, Table

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


def panels_figure(titles: Sequence[str], most: int, height: float, more: float) -> tuple[Any, dict[str, Any]]:
    """A figure with a panel for each title, at most `most` beside each other, all of the same scales.

    A row of panels is `height` inches high; `more` inches stand above and below them.
    """
    columns = min(len(titles), most)
    rows = -(-len(titles) // columns)
    made, axes = figure(rows * height + more, columns, rows, sharex=True, sharey=True, squeeze=False)
    panels = dict(zip(titles, axes.flat, strict=False))
    for title, panel in panels.items():
        panel.set_title(title)
    for panel in axes.flat[len(titles) :]:
        panel.axis("off")
    return made, panels


def study_figure(table: Table) -> Any:
    """A panel for each data, a row for each model: seeds as dots, their mean as a bar, its interval as a line.

    The headings of `table` are those of a study of ours: data, row, runs, Acc, UF1, UAR, Acc of each in per cent.
    """
    names, labels = (list(dict.fromkeys(str(row.cells[place]) for row in table.rows)) for place in (0, 1))
    made, panels = panels_figure(names, 1 if narrow() else 3, 0.22 * len(labels) + 0.35, 0.6)
    for panel in panels.values():
        panel.set_yticks(range(len(labels)), labels)
    for data, label, _, share, *_, each in (row.cells for row in table.rows):
        panel, place = panels[str(data)], labels.index(str(label))
        seeds = np.array([float(value) for value in str(each).split(",")])
        assert isinstance(share, Share) and share.interval is not None
        panel.barh(place, 100 * share.value, 0.6, color=CYCLE[4], alpha=0.6)
        panel.plot([100 * bound for bound in share.interval], [place, place], color="black", linewidth=0.9)
        panel.plot(seeds, place + 0.12 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2), "o", color=CYCLE[0], ms=3)
    first = panels[names[0]]
    first.invert_yaxis()
    first.set(xlim=(0, 100), xticks=(0, 25, 50, 75))
    text = "accuracy, %", "dots: seeds; bar: their mean; line: its interval over subjects"
    made.supxlabel(("\n" if narrow() else "; ").join(text), fontsize="medium")
    return made
