"""The one entry for a landed file of any kind: `read_file(path, options, scratch_folder)`.

Compression is undone and the format decided by content, not by name. A zip of several files is read as one, each member
in turn; they must have one format. Nothing is published here and nothing decided about tables.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.compression import Part, opened_parts
from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_fast import another
from flowforge_assets.formats.csv_guise import unveiled
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.csv_read import CsvRead, read_any
from flowforge_assets.formats.file_kind import binary_kind, text_kind
from flowforge_assets.formats.file_read import lazy_frame, types_of
from flowforge_resources.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowforge_assets.formats.file_options import FileOptions, Format
    from flowforge_assets.formats.file_read import Decided, FileRead


def read_file(path: Path, options: FileOptions, scratch_folder: Path, *, name: str | None = None) -> FileRead:
    """Return what reads a file; `name` is how errors call it (its landing key).

    `scratch_folder` is one file's alone, and the caller's to remove when the frame was read.

    Raises:
        BadFileError: it cannot be read as declared, is damaged beyond its format's rescue, or holds no table.
    """
    shown = name or path.name
    parts = opened_parts(path, scratch_folder, options.limits, shown)
    reads = [_read_part(part, options, scratch_folder / f"part_{i}", shown) for i, part in enumerate(parts)]
    compression = "+".join(parts[0].compression) or "none"
    if len(reads) == 1:
        return _Unpacked(reads[0], compression)
    _check_alike(parts, reads, shown)
    names = tuple(dict(zip(read.columns, read.columns, strict=True)) for read in reads)
    return PartsOfOne(tuple(reads), compression, tuple(part.name for part in parts), names)


def read_another(path: Path, before: FileRead) -> FileRead | None:
    """Return what reads a clean CSV that is written like the one before it, without deciding anew; None for others."""
    inner = before.read if isinstance(before, _Unpacked) and before.compression == "none" else None
    if not isinstance(inner, CsvRead) or (dialect := another(path, inner.dialect)) is None:
        return None
    return _Unpacked(CsvRead(path, dialect, inner.options), "none")


def clean_csv(read: FileRead) -> CsvRead | None:
    """Return the CSV that Polars reads by itself, if the file is one."""
    inner = read.read if isinstance(read, _Unpacked) else read
    return inner if isinstance(inner, CsvRead) and inner.clean else None


def _read_part(part: Part, options: FileOptions, scratch: Path, shown: str) -> FileRead:
    name = f"{shown} ({part.name})" if part.name != shown else shown
    kind, read = options.implied_format, None
    if kind is None:
        kind = binary_kind(part.path, name)
    if kind in {None, "csv"} and (found := unveiled(part.path, options.csv, scratch)) is not None:
        plain, csv, guise = found
        return replace(read_any(plain, csv), guise=guise)
    if kind is None:
        kind, dialect = text_kind(part.path, options.csv, name)
        read = CsvRead(part.path, dialect, options.csv) if dialect else None
    return read or _reader(kind, part.path, options, scratch, name)


def _reader(kind: Format, path: Path, options: FileOptions, scratch: Path, name: str) -> FileRead:
    csv = options.csv
    if kind == "csv":
        return read_any(path, csv)
    if kind == "ndjson":
        from flowforge_assets.formats.ndjson import read_ndjson

        return read_ndjson(path, scratch, encoding=csv.encoding, max_columns=options.max_columns)
    if kind == "json":
        from flowforge_assets.formats.json_array import read_json

        columns, where = options.max_columns, options.json_path
        return read_json(path, scratch, json_path=where, encoding=csv.encoding, max_columns=columns, name=name)
    if kind == "parquet":
        from flowforge_assets.formats.parquet_file import read_parquet

        return read_parquet(path, name=name)
    if kind == "excel":
        from flowforge_assets.formats.excel import read_excel

        sheet, header, cells = options.sheet, options.header_row, options.cell_range
        return read_excel(path, sheet=sheet, header_row=header, cell_range=cells, pinned=csv, name=name)
    from flowforge_assets.formats.fixed_width import read_fixed_width
    from flowforge_assets.formats.positions import fields_of

    return read_fixed_width(path, fields=fields_of(options.widths, options.positions), pinned=csv, name=name)


def _check_alike(parts: list[Part], reads: list[FileRead], shown: str) -> None:
    formats = {part.name: str(read.as_dict()["format"]) for part, read in zip(parts, reads, strict=True)}
    if len(set(formats.values())) > 1:
        listed = ", ".join(f"{name}: {kind}" for name, kind in list(formats.items())[:5])
        raise BadFileError(shown, f"the zip holds files of different formats ({listed}).", "Upload them one by one.")


def _counting(read: FileRead) -> pl.LazyFrame:
    """Return a member's rows by a way that fills its account: for CSV the careful one."""
    return lazy_frame(read.batches, read.columns) if isinstance(read, CsvRead) else read.frame()


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A file and the compression it had."""

    read: FileRead
    compression: str

    @property
    def columns(self) -> tuple[str, ...]:
        return self.read.columns

    @property
    def account(self) -> CsvAccount:
        return self.read.account

    def frame(self) -> pl.LazyFrame:
        return self.read.frame()

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:
        return self.read.counted(rows, continuation)

    def as_dict(self) -> Decided:
        return {**self.read.as_dict(), "compression": self.compression}


@dataclass(frozen=True, slots=True)
class PartsOfOne:
    """The members of one zip, read one after the other as one file; row numbers run through.

    `members`: their names in the zip. `names`: what each one's columns are called in the whole, by their own names.
    """

    reads: tuple[FileRead, ...]
    compression: str
    members: tuple[str, ...]
    names: tuple[Mapping[str, str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all members' columns."""
        return tuple(dict.fromkeys(name for names in self.names for name in names.values()))

    @property
    def account(self) -> CsvAccount:
        """The sum of the members' accounts."""
        names = [field.name for field in fields(CsvAccount)]
        return CsvAccount(**{name: sum(getattr(read.account, name) for read in self.reads) for name in names})

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily."""
        rows = pl.concat(
            [_counting(read).rename(dict(names)) for read, names in zip(self.reads, self.names, strict=True)],
            how="diagonal",
        )
        counted = pl.col(ROW_NUMBER).is_not_null().cast(pl.Int64).cum_sum()
        number = pl.when(pl.col(ROW_NUMBER).is_not_null()).then(counted).alias(ROW_NUMBER)
        return rows.select(number, *map(pl.col, self.columns), RESCUED)

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- each member counts
        """Return the account."""
        return self.account

    def as_dict(self) -> Decided:
        """Return what was decided about the first member, and how many there are."""
        first = self.reads[0].as_dict()
        told = {**first, "columns": list(self.columns), "compression": self.compression, "members": len(self.reads)}
        if "header_lines" in told:  # 0 says that columns have no names, which holds if no member has a header
            told["header_lines"] = max(int(str(read.as_dict()["header_lines"])) for read in self.reads)
        each = list(zip(self.reads, self.names, strict=True))
        types = {names[name]: word for read, names in reversed(each) for name, word in types_of(read).items()}
        return {**told, "types": [types.get(name, "") for name in self.columns]} if types else told
