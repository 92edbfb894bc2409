"""Read annotation sheets as labs receive them: preamble rows, unnamed columns, numbers stored as text."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from preprocess.clip import ClipError

_UNKNOWN = frozenset({"", "/", "\\", "?", "-", "n/a", "na", "nan", "none"})
_HEADER_SEARCH_ROWS = 50


@dataclass(frozen=True)
class Row:
    """One line of a sheet.

    Attributes:
        number: its line in the sheet, counted from 1 as spreadsheet programs do.
        cells: column name (lower case, letters and digits only) → value as stored.
    """

    number: int
    cells: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A cell as stripped text; "" where it is empty or the sheet has no such column."""
        value = self.cells.get(plain_name(column))
        return "" if value is None else str(value).strip()


def is_unknown(text: str) -> bool:
    """Whether a cell says that its value is not known: empty, a slash, n/a and the like."""
    return text.strip().lower() in _UNKNOWN


def whole_number(what: str, text: str) -> int | None:
    """A cell as a frame number, also where a program stored it as 105.0; None where it is unknown.

    Raises:
        ClipError: it holds anything else.
    """
    if is_unknown(text):
        return None
    match = re.fullmatch(r"([0-9]{1,18})(\.0*)?", text.strip())
    if not match:
        hint = "; save the file with values instead of formulas" if text.startswith("=") else ""
        raise ClipError(f"{what} is {text[:60]!r}, expected a whole number{hint}")
    return int(match[1])


def read_sheet(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows below the first line that names all `columns`.

    Columns are found by name, whatever their case, spaces and order; lines above the header and
    columns without a name are ignored, empty lines are skipped.

    Raises:
        UsageError: the file cannot be read, or no sheet in it has these columns.
    """
    wanted = [plain_name(column) for column in columns]
    first_lines: list[str] = []
    for lines in _sheets(path):
        for index, (_, line) in enumerate(lines[:_HEADER_SEARCH_ROWS]):
            names = [plain_name(cell) for cell in line]
            if set(wanted) <= set(names):
                return [Row(number, _cells(names, cells)) for number, cells in lines[index + 1 :]]
        if lines:
            first_lines.append(", ".join(str(cell) for cell in lines[0][1] if cell is not None)[:120])
    raise UsageError(
        f"{path} has no line with the columns {', '.join(columns)}; its first line reads: "
        f"{' | '.join(first_lines) or 'nothing'}. Is it the right sheet?"
    )


def plain_name(name: object) -> str:
    """A column name without case, spaces and punctuation: 'Onset Frame' and 'OnsetFrame' are the same."""
    return "" if name is None else re.sub(r"[^a-z0-9]", "", str(name).lower())


def subject_number(text: str, prefix: str) -> int | None:
    """The number of a subject that is written 6, 6.0, '006' or, with its prefix, sub06; None for anything else."""
    digits = text.strip().lower().removeprefix(prefix).removesuffix(".0")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def find_sheet(root: Path, patterns: Sequence[str], dataset: str) -> Path:
    """The annotation sheet: the first pattern that matches a file in `root`, or up to two folders below.

    Of several that match one pattern, the last by name is taken: sheets carry their date there.

    Raises:
        UsageError: there is none.
    """
    for pattern in patterns:
        for place in ("", "*/", "*/*/"):
            # '~$name.xlsx' is the lock file of a sheet that is open in Excel
            found = sorted(
                path for path in root.glob(place + pattern) if path.is_file() and not path.name.startswith(("~$", "."))
            )
            if found:
                return found[-1]
    raise UsageError(
        f"no annotation sheet ({' or '.join(patterns)}) in {root}; the {dataset} release comes with one: copy it there"
    )


_Line = tuple[int, tuple[Any, ...]]
"""The number of a line in the sheet, from 1, and its cells."""


def _sheets(path: Path) -> list[list[_Line]]:
    """The lines of each sheet that are not empty; a million formatted but empty ones cost no memory."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True)
        try:
            return [
                [(number, line) for number, line in enumerate(sheet.iter_rows(values_only=True), 1) if _holds(line)]
                for sheet in book.worksheets
            ]
        finally:
            book.close()
    except (InvalidFileException, zipfile.BadZipFile, SyntaxError, KeyError, OSError, ValueError) as error:
        # SyntaxError is what the XML parser raises
        old = " (an old .xls file: open it and save it as .xlsx)" if path.suffix.lower() == ".xls" else ""
        raise UsageError(f"{path} cannot be read as an Excel sheet{old}: {error}") from error


def _holds(line: tuple[Any, ...]) -> bool:
    return any(cell is not None and str(cell).strip() for cell in line)


def _cells(names: Sequence[str], line: tuple[Any, ...]) -> dict[str, Any]:
    return {name: cell for name, cell in zip(names, line, strict=False) if name}
