"""The files that waiting rows are corrected in: text cells, written and read as spreadsheets do.

Belongs here: CSV and Excel. Does not: which rows, and what a changed cell means (`corrections`).
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import DecisionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

_FORMATS = (".csv", ".xlsx")
# Excel saves CSV with the list separator of its country, and as text of Windows unless it is told otherwise.
_DELIMITERS = (",", ";", "\t")
_LONGEST_EXCEL_CELL = 32_767
FIRST_LINE = 2
Record = dict[str, str | None]


def require_format(file: Path) -> None:
    """Whether the file's name says what it is.

    Raises:
        DecisionError: neither CSV nor Excel.
    """
    if file.suffix not in _FORMATS:
        raise DecisionError(f"{file} is neither CSV nor Excel.", f"Name it …{' or …'.join(_FORMATS)}.")


def write(frame: pl.DataFrame, to: Path) -> None:
    """Write text columns to a file; what comes back from it unchanged is what went in.

    Raises:
        DecisionError: a text is longer than Excel can hold.
    """
    if to.suffix == ".csv":
        frame.write_csv(to, include_bom=True)  # without it Excel takes UTF-8 for text of Windows
        return
    import polars as pl
    import xlsxwriter

    longest = frame.select(pl.all().str.len_chars().max()).row(0)
    if long := [name for name, most in zip(frame.columns, longest, strict=True) if (most or 0) > _LONGEST_EXCEL_CELL]:
        raise DecisionError(
            f"column `{long[0]}` has a text of more than {_LONGEST_EXCEL_CELL:,} characters, which Excel cannot hold.",
            "Export to CSV.",
        )
    as_they_are = {"strings_to_urls": False, "strings_to_formulas": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(to, as_they_are) as workbook:
        frame.write_excel(workbook, worksheet="quarantine", autofit=True)


def read(file: Path, wanted: Sequence[str]) -> list[tuple[int, Record]]:
    """The lines that say anything, each with its number in the file; the header is the first one.

    Raises:
        DecisionError: it cannot be read, a line has more cells than the header, or a wanted column is not there.
    """
    header, *rows = list(_csv_rows(file, wanted) if file.suffix == ".csv" else _excel_rows(file)) or [[]]
    names = [name or "" for name in header]
    if missing := [name for name in wanted if name not in names]:
        raise DecisionError(
            f"{file} has no column{'s' if missing[1:] else ''} {' and '.join(f'`{name}`' for name in missing)}.",
            "Import a file that `export` wrote.",
        )
    found = []
    for line, row in enumerate(rows, start=FIRST_LINE):
        if any(row[len(names) :]):
            raise DecisionError(f"{file}, line {line}: it has more cells than the header has names.", "Correct it.")
        if any(row):
            found.append((line, dict(zip(names, row, strict=False))))  # Excel leaves empty cells at the end out
    return found


def _csv_rows(file: Path, wanted: Sequence[str]) -> Iterator[list[str | None]]:
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    header = text.split("\n", 1)[0]
    delimiter = next((one for one in _DELIMITERS if {*wanted} <= {*next(csv.reader([header], delimiter=one), [])}), ",")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        yield [cell or None for cell in row]


def _excel_rows(file: Path) -> Iterator[list[str | None]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        rows: Sequence[Sequence[Any]] = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    except CalamineError as error:
        raise DecisionError(f"{file} is no Excel workbook: {error}.", "Import a file that `export` wrote.") from None
    for row in rows:
        yield [_text(cell) for cell in row]


def _text(cell: Any) -> str | None:
    """A cell as text: a person who typed a number over a text made it a number."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return str(cell).upper()  # as Excel shows it
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def differs(given: Mapping[str, str | None], name: str, now: str | None) -> bool:
    """Whether a cell says something else. An empty cell and no value are one, and so are the ends of lines."""
    return _one_line_end(given[name]) != _one_line_end(now)


def _one_line_end(text: str | None) -> str | None:
    return (text or "").replace("\r\n", "\n") or None
