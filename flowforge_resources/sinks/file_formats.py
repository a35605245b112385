"""Rows as CSV, Parquet or Excel files on local disk, whole or cut by the values of some columns."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from flowforge_resources.duck import literal, one_row, quote
from flowforge_resources.errors import SinkError
from flowforge_resources.sinks.outgoing import VIEW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_resources.sinks.outgoing import Outgoing

FormatName = Literal["csv", "parquet", "excel"]
EXCEL_ROWS, EXCEL_COLUMNS, EXCEL_TEXT = 1_048_575, 16_384, 32_767  # rows below the header
# Excel holds numbers as floats of 15 digits; what has more is written as text, not rounded.
_EXCEL_DIGITS = 15
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CsvText:
    """How a CSV file is written. `null`: what stands for null; an empty text is then quoted."""

    delimiter: str = ","
    quote: str = '"'
    quote_all: bool = False
    header: bool = True
    encoding: str = "utf-8"
    null: str = ""


@dataclass(frozen=True)
class FileFormat:
    """A format with its options. `compression`: `gzip` or `zstd` for CSV, a codec for Parquet."""

    name: FormatName
    compression: str | None = None
    csv: CsvText = CsvText()

    @property
    def ending(self) -> str:
        """Of file names, with the dot."""
        packed = {"gzip": ".gz", "zstd": ".zst"}.get(self.compression or "", "") if self.name == "csv" else ""
        return {"csv": ".csv", "parquet": ".parquet", "excel": ".xlsx"}[self.name] + packed


@dataclass(frozen=True)
class Written:
    """A file, its name below the version's folder, and the rows counted in it."""

    path: Path
    name: str
    rows: int


def write(
    sink: str, outgoing: Outgoing, how: FileFormat, *, parts: Sequence[str], name: str, folder: Path
) -> list[Written]:
    """All rows, in one file or in `column=value/part-0.…`.

    Raises:
        SinkError: the format cannot hold them.
    """
    folder.mkdir()
    if how.name == "excel":
        path = folder / f"{name}{how.ending}"
        return [Written(path, path.name, _write_excel(sink, outgoing, path))]
    options = _options(outgoing, how, parts)
    source = "SELECT * FROM " + VIEW
    if not parts or not outgoing.rows:
        path = folder / f"{name}{how.ending}"
        outgoing.connection.execute(f"COPY ({source}) TO {literal(str(path))} ({options})")
        return [_finished(sink, outgoing, how, path, folder)]
    cut = f"PARTITION_BY ({', '.join(map(quote, parts))}), FILENAME_PATTERN 'part-{{i}}', FILE_EXTENSION {literal(how.ending[1:])}"
    outgoing.connection.execute(f"COPY ({source}) TO {literal(str(folder))} ({options}, {cut}, OVERWRITE_OR_IGNORE)")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [_finished(sink, outgoing, how, path, folder) for path in found]


def _options(outgoing: Outgoing, how: FileFormat, parts: Sequence[str]) -> str:
    if how.name == "parquet":
        return f"FORMAT parquet, COMPRESSION {literal(how.compression or 'zstd')}"
    text = how.csv
    said = [
        "FORMAT csv",
        f"DELIMITER {literal(text.delimiter)}",
        f"QUOTE {literal(text.quote)}",
        f"ESCAPE {literal(text.quote)}",
        f"HEADER {literal(text.header)}",
        f"NULLSTR {literal(text.null)}",
        f"COMPRESSION {literal(how.compression or 'none')}",
    ]
    if text.quote_all:
        said.append(f"FORCE_QUOTE ({', '.join(quote(name) for name in outgoing.columns if name not in parts)})")
    return ", ".join(said)


def _finished(sink: str, outgoing: Outgoing, how: FileFormat, path: Path, folder: Path) -> Written:
    rows = _counted(outgoing, how, path)
    if how.name == "csv" and codecs.lookup(how.csv.encoding).name != "utf-8":
        _encode(sink, path, how.csv.encoding)
    return Written(path, path.relative_to(folder).as_posix(), rows)


def _counted(outgoing: Outgoing, how: FileFormat, path: Path) -> int:
    """The rows of a file, read again."""
    if how.name == "parquet":
        source = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    else:
        text = how.csv
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in _there(outgoing, path))
        source = (
            f"read_csv({literal(str(path))}, all_varchar = true, auto_detect = false, header = {literal(text.header)}, "
            f"delim = {literal(text.delimiter)}, quote = {literal(text.quote)}, escape = {literal(text.quote)}, "
            f"compression = {literal(how.compression or 'none')}, hive_partitioning = false, "
            f"columns = {{{columns}}})"
        )
    return int(one_row(outgoing.connection, f"SELECT count(*) FROM {source}")[0])


def _there(outgoing: Outgoing, path: Path) -> list[str]:
    """Columns of a file: those that its folders name are not in it."""
    from urllib.parse import unquote

    named = {unquote(part.partition("=")[0]) for part in path.parts[:-1] if "=" in part}
    return [name for name in outgoing.columns if name not in named]


def _encode(sink: str, path: Path, encoding: str) -> None:
    """Write a file in another encoding, piece by piece."""
    made = path.with_name(path.name + ".encoded")
    try:
        with path.open(encoding="utf-8", newline="") as source, made.open("w", encoding=encoding, newline="") as target:
            while piece := source.read(_CHUNK_BYTES):
                target.write(piece)
    except UnicodeEncodeError:
        said = f"a text has characters that the encoding {encoding} does not have."
        raise SinkError(sink, said, "Declare another `encoding`, e.g. `utf-8-sig` for Excel.") from None
    made.replace(path)


def _write_excel(sink: str, outgoing: Outgoing, path: Path) -> int:
    import xlsxwriter

    _require_excel(sink, outgoing)
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "remove_timezone": True})
    sheet, number = book.add_worksheet(), 0
    dated = {
        kind: book.add_format({"num_format": shown})
        for kind, shown in (("DATE", "yyyy-mm-dd"), ("TIME", "hh:mm:ss"), ("TIMESTAMP", "yyyy-mm-dd hh:mm:ss"))
    }
    formats = [dated.get(kind.partition(" ")[0]) for kind in outgoing.columns.values()]
    sheet.write_row(0, 0, list(outgoing.columns))
    carried = {name: f"hex({quote(name)})" for name, kind in outgoing.columns.items() if kind == "BLOB"}
    for rows in outgoing.tuples(carried, 5000):
        for row in rows:
            number += 1
            for place, value in enumerate(row):
                _put_cell(sheet, number, place, value, formats[place])
    book.close()
    return number


def _require_excel(sink: str, outgoing: Outgoing) -> None:
    if outgoing.rows > EXCEL_ROWS or len(outgoing.columns) > EXCEL_COLUMNS:
        said = f"there are {outgoing.rows:,} rows of {len(outgoing.columns):,} columns, and an Excel sheet holds {EXCEL_ROWS:,} below its header, of {EXCEL_COLUMNS:,}."
        raise SinkError(sink, said, "Filter them with `where`, or deliver CSV or Parquet.")
    texts = [name for name, kind in outgoing.columns.items() if kind == "VARCHAR"]
    for name in texts:
        if broken := outgoing.count(f"length({quote(name)}) > {EXCEL_TEXT}"):
            said = f"{broken:,} rows hold more than {EXCEL_TEXT:,} characters in `{name}`, which is what an Excel cell holds."
            raise SinkError(sink, said, "Leave the column out, or deliver CSV or Parquet.")


def _put_cell(sheet: Any, row: int, column: int, value: Any, dated: Any) -> None:
    """A value as Excel holds it: never a formula, a number only where none of its digits is lost."""
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif dated is not None:
        _put_date(sheet, row, column, value, dated)
    elif isinstance(value, int | Decimal) and len(Decimal(value).as_tuple().digits) > _EXCEL_DIGITS:
        sheet.write_string(row, column, str(value))
    elif isinstance(value, int | float | Decimal) and value == value and abs(value) != float("inf"):  # noqa: PLR0124  # not NaN
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value))


def _put_date(sheet: Any, row: int, column: int, value: Any, dated: Any) -> None:
    if getattr(value, "year", 1900) < 1900:  # noqa: PLR2004  # where Excel's calendar begins
        sheet.write_string(row, column, value.isoformat())
    else:
        sheet.write_datetime(row, column, value, dated)
