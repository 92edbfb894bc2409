"""Tables of a report, for the page, for spreadsheets and for papers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_cache.files.atomic import write_bytes

_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--", "±": r"$\pm$", "−": "$-$"}
_LATEX |= {"α": r"$\alpha$", "×": r"$\times$", "³": r"\textsuperscript{3}"}


@dataclass(frozen=True)
class Share:
    """A share of 0..1 and its 95 % interval, if there is one: "36.5% (30.5–42.5)" for people, numbers in CSV."""

    value: float
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.1%}"
        return f"{self.value:.1%} ({100 * self.interval[0]:.1f}–{100 * self.interval[1]:.1f})"


@dataclass(frozen=True)
class Row:
    """Cells of a table: texts, numbers or shares; `kind` is "headline", "leak" or nothing."""

    cells: tuple[str | int | float | Share, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption and headings; `name` is that of its files."""

    name: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]

    def write(self, folder: Path) -> None:
        """Write `<name>.csv` and `<name>.tex` into `folder`."""
        write_bytes(folder / f"{self.name}.csv", self.as_csv().encode())
        write_bytes(folder / f"{self.name}.tex", self.as_latex().encode())

    def as_csv(self) -> str:
        """The table as CSV: numbers unrounded and bare; a column with intervals becomes three."""
        columns: list[list[object]] = []
        for place, name in enumerate(self.headings):
            cells = [row.cells[place] for row in self.rows]
            columns.append([name, *(cell.value if isinstance(cell, Share) else cell for cell in cells)])
            intervals = [getattr(cell, "interval", None) for cell in cells]
            if any(intervals):
                ends = [each or ("", "") for each in intervals]
                columns += [[f"{name} low", *(low for low, _ in ends)], [f"{name} high", *(high for _, high in ends)]]
        text = io.StringIO()
        csv.writer(text).writerows(zip(*columns, strict=True))
        return text.getvalue()

    def as_latex(self) -> str:
        """The table in LaTeX, with its caption and the rules of the package booktabs."""
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex(self.caption)}}}", rf"\label{{tab:{self.name}}}"]
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(self.headings) - 1)}}}", r"\toprule", _latex_row(self.headings)]
        lines += [r"\midrule", *(_latex_row(row.cells) for row in self.rows), r"\bottomrule", r"\end{tabular}"]
        return "\n".join([*lines, r"\end{table}", ""])


def _latex_row(cells: Sequence[str | int | float | Share]) -> str:
    return " & ".join(latex(str(cell)) for cell in cells) + r" \\"


def latex(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_LATEX.get(letter, letter) for letter in text)
