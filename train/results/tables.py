"""Tables of a report, for the page, for spreadsheets and for papers."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from data_cache.files.atomic import write_bytes

_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--", "±": r"$\pm$", "−": "$-$"}


@dataclass(frozen=True)
class Row:
    """Cells of a table; `kind` is "headline", "leak" or nothing."""

    cells: tuple[str, ...]
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
        """The table as CSV."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.headings)
        writer.writerows(row.cells for row in self.rows)
        return text.getvalue()

    def as_latex(self) -> str:
        """The table as a LaTeX tabular with booktabs rules."""
        columns = "l" + "r" * (len(self.headings) - 1)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(self.headings), r"\midrule"]
        lines += [_latex_row(row.cells) for row in self.rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_row(cells: tuple[str, ...]) -> str:
    escaped = ("".join(_LATEX.get(letter, letter) for letter in cell) for cell in cells)
    return " & ".join(escaped) + r" \\"
