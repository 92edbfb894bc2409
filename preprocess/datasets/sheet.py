"""Read annotation sheets as labs receive them: preamble rows, unnamed columns, numbers stored as text."""

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.names import did_you_mean
from preprocess.clip import ClipError
from preprocess.datasets.base import Discovery

_UNKNOWN = frozenset({"", "/", "\\", "?", "-", "n/a", "na", "nan", "none"})
_HEADER_SEARCH_ROWS = 50
SHEET_SUFFIXES = (".xlsx", ".xlsm", ".csv", ".xls")


@dataclass(frozen=True)
class Row:
    """One line of a sheet."""

    number: int  # from 1, as spreadsheet programs count
    cells: Mapping[str, str]  # by `plain_name` of the column

    def text(self, *columns: str) -> str:
        """The cell of the first of `columns` that the sheet has; "" where it is empty, or there is none."""
        return next((self.cells[name] for name in map(plain_name, columns) if name in self.cells), "")


def is_unknown(text: str) -> bool:
    """Whether a cell says that its value is not known: empty, a slash, n/a and the like."""
    return text.strip().lower() in _UNKNOWN


def whole_number(what: str, text: str) -> int | None:
    """A cell as a frame number, also 105.0; None where it is unknown; a `ClipError` where it holds anything else."""
    if is_unknown(text):
        return None
    match = re.fullmatch(r"([0-9]{1,18})(\.0*)?", text.strip())
    if not match:
        hint = "; save the file with values instead of formulas" if text.startswith("=") else ""
        hint = "; count frames, not seconds" if re.fullmatch(r"[0-9]*\.[0-9]+", text) else hint
        raise ClipError(f"{what} is {text[:60]!r}, expected a whole number{hint}")
    return int(match[1])


def parse_rate(text: str, default: float | None) -> float:
    """A cell as a frame rate in Hz, `default` where it is unknown; a `ClipError` where it is none, or none is known."""
    try:
        rate = default if is_unknown(text) else float(text)
    except ValueError as error:
        hint = "; write a decimal point" if "," in text else ""
        raise ClipError(f"fps is {text[:40]!r}, expected a number{hint}") from error
    if rate is None or not 0 < rate < 1e6:
        raise ClipError("no frame rate is known; fill the column fps, or pass --fps")
    return rate


def read_sheet(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows below the first line that names all `columns`, whatever their case, spaces and order.

    A `UsageError` where no sheet has these. Lines above, empty lines, and columns without a name are ignored.
    """
    wanted = [plain_name(column) for column in columns]
    first_lines: list[str] = []
    for lines in read_lines(path).values():
        for index, (_, line) in enumerate(lines[:_HEADER_SEARCH_ROWS]):
            names = [plain_name(cell) for cell in line]
            if set(wanted) <= set(names):
                return [Row(number, dict(zip(names, cells, strict=False))) for number, cells in lines[index + 1 :]]
        if lines:
            first_lines.append(", ".join(filter(None, lines[0][1]))[:120])
    raise UsageError(
        f"{path} has no line with the columns {', '.join(columns)}; its first line reads: "
        f"{' | '.join(first_lines) or 'nothing'}. Is it the right sheet?"
    )


def plain_name(name: str) -> str:
    """A column name without case, spaces and punctuation: 'Onset Frame' and 'OnsetFrame' are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def subject_number(text: str, prefix: str) -> int | None:
    """The number of a subject that is written 6, 6.0, '006' or, with its prefix, sub06; None for anything else."""
    digits = text.strip().lower().removeprefix(prefix).removesuffix(".0")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def find_sheet(found: Discovery, patterns: Sequence[str], chosen: Path | None = None) -> Path:
    """The annotation sheet, and a note in `found` that names it and the others that lie there.

    Taken is the file that the user has `chosen`, else the first of `patterns` (names without suffix, in any case)
    that matches in the root, up to two folders below it, or beside it; of several, the one with the latest version or
    date in its name. A `UsageError` where there is none.
    """
    sheets = {
        path: path.stem.lower()
        for place in ("*", "*/*", "*/*/*", "../*")
        for path in sorted(found.root.glob(place))
        # '~$name.xlsx' is the lock file of a sheet that is open in Excel
        if path.suffix.lower() in SHEET_SUFFIXES and not path.name.startswith(("~$", ".")) and path.is_file()
    }
    matching = [[path for path in sheets if fnmatchcase(sheets[path], pattern.lower())] for pattern in patterns]
    every = [path for paths in matching for path in sorted(paths, key=_version, reverse=True)]
    if chosen is None and not every:
        raise UsageError(
            f"no annotation sheet ({' or '.join(patterns)}, .xlsx or .csv) in {found.root}; {found.dataset} comes with "
            "one: copy it there, or pass --sheet FILE"
        )
    sheet = chosen or every[0]
    others = sorted({path.name for path in every} - {sheet.name})
    inside = sheet.relative_to(found.root) if sheet.is_relative_to(found.root) else sheet.name
    found.notes.append(f"annotation from {inside}" + (f" (not read: {', '.join(others)})" if others else ""))
    return sheet


def _version(path: Path) -> tuple[bool, list[int], int]:
    """Newest last: an old .xls first, then by the numbers in the name; a short name before `…_backup`."""
    numbers = [int(number) for number in re.findall(r"[0-9]+", path.stem)]
    return path.suffix.lower() != ".xls", numbers, -len(path.name)


_Line = tuple[int, tuple[str, ...]]  # the number of a line in the sheet, from 1, and its cells as stripped text


def read_lines(path: Path) -> dict[str, list[_Line]]:
    """Sheet name → its lines that are not empty; a million formatted but empty ones cost no memory.

    A CSV file counts as one sheet with its name. A `UsageError` says how to convert an old .xls.
    """
    if path.suffix.lower() == ".csv":
        return {path.stem: csv_lines(path, header_first=False)}
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # Warnings are about styles that other writers leave out.
        with warnings.catch_warnings(action="ignore"), closing(load_workbook(path, read_only=True)) as book:
            lines = {}
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # streaming writers leave a wrong tag, which openpyxl would believe
                lines[sheet.title] = _lines(enumerate(sheet.iter_rows(values_only=True), 1))
            return lines
    except (InvalidFileException, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} is no .xlsx file (an old .xls, whatever its name?); save it as .xlsx in a spreadsheet program, "
            f"or: soffice --headless --convert-to xlsx '{path.name}'"
        ) from error
    except Exception as error:  # zlib, the XML parser and openpyxl raise whatever damaged bytes lead them to
        raise UsageError(f"{path} cannot be read as an Excel sheet: {' '.join(str(error).split())}") from error


def csv_lines(path: Path, header_first: bool = True) -> list[_Line]:
    """The lines of a CSV file that are not empty; a `UsageError` where it cannot be read, is no UTF-8 text or no CSV.

    Separated by comma, semicolon or tab, whichever the first line has most of; all of the file, unless `header_first`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        sample = text.partition("\n")[0] if header_first else text
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=sample.count))
        return _lines((reader.line_num, line) for line in reader)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}; UTF-16?); save it as 'CSV UTF-8'"
        ) from error
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV file: {error}") from error


def read_csv(path: Path, required: tuple[str, ...], optional: tuple[str, ...], strict: bool = False) -> Iterator[Row]:
    """The rows of a CSV file whose first line is its header.

    A `UsageError` where it cannot be read, lacks a required column, has one twice or, where `strict`, an unknown one.
    """
    (_, header), *lines = csv_lines(path) or [(0, ())]
    names = [plain_name(name) for name in header]
    missing = [name for name in required if plain_name(name) not in names]
    if missing:
        raise UsageError(
            f"{path} lacks the column {' and '.join(missing)}; its header reads {', '.join(header)[:120]!r}, expected "
            f"{','.join(required)} and optionally {','.join(optional)}"
        )
    known = {plain_name(name): name for name in required + optional}
    for place, name in enumerate(names):
        if name and name in names[:place]:
            raise UsageError(f"{path} has the column {name!r} twice; remove one of them")
        if strict and name and name not in known:
            hint = did_you_mean(header[place].lower(), known.values())
            raise UsageError(f"{path} has an unknown column {header[place]!r}{hint}")
    for number, cells in lines:
        row = Row(number, dict(zip(names, cells, strict=False)))
        if any(map(row.text, known)):
            yield row


def _lines(rows: Iterable[tuple[int, Sequence[Any]]]) -> list[_Line]:
    texts = ((number, tuple("" if cell is None else str(cell).strip() for cell in row)) for number, row in rows)
    return [(number, line) for number, line in texts if any(line)]
