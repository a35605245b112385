"""Landed CSV files to one bronze Parquet file: every column as the text that stood there, plus where it came from."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_resources.errors import BadFileError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from flowforge_assets.table_spec import TableSpec

_CHUNK_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class LandedFile:
    """A landing object with a local copy of its bytes."""

    key: str
    path: Path


@dataclass(frozen=True)
class Lines:
    """The lines of one file: every one is the header, a row, part of a quoted cell, or blank."""

    total: int
    blank: int
    continued: int

    def explain(self, rows: int, headers: int) -> bool:
        """Whether rows, header, blank lines and line breaks inside cells make up the whole file."""
        return self.total == rows + headers + self.blank + self.continued


@dataclass
class Ingested:
    """What came of a batch of files. Counts are per landing key; `path` is None where no file held a row."""

    path: Path | None
    columns: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)

    @property
    def empty_files(self) -> list[str]:
        """Files without any row."""
        return [key for key, rows in self.rows.items() if rows == 0]

    @property
    def unexplained(self) -> list[str]:
        """Files whose lines do not add up."""
        return [key for key, lines in self.lines.items() if not lines.explain(self.rows[key], bool(self.headers[key]))]


def ingest(files: Sequence[LandedFile], spec: TableSpec, ingested_at: datetime, target: Path) -> Ingested:
    """Write the rows of all files, in the given order, to one ZSTD Parquet file.

    Columns: the union of the files' headers as VARCHAR, then `_source_file` (landing key), `_row_number` (BIGINT, 1 is
    the first record after the header) and `_ingested_at` (TIMESTAMP, UTC). Files may differ in columns and their order.

    Raises:
        BadFileError: a file is not text in the declared encoding, or is not this table's.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:
        hashes = {file.key: aside.submit(_sha256, file.path) for file in files}
        headers = {file.key: _header(file, spec) for file in files}
        frames = [_scan(file, spec, ingested_at) for file in files if headers[file.key]]
        rows = _sink(frames, target) if frames else {}
        done = Ingested(target if any(rows.values()) else None, headers=headers)
        done.sha256 = {key: future.result() for key, future in hashes.items()}
    done.rows = {file.key: rows.get(file.key, 0) for file in files}
    done.columns = list(dict.fromkeys(name for file in files for name in headers[file.key]))
    done.lines = {file.key: _lines(file, done.rows[file.key], target) for file in files}
    return done


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _header(file: LandedFile, spec: TableSpec) -> list[str]:
    """The file's column names; empty for a file without any line.

    Raises:
        BadFileError: the header lacks a key column, or shares no column with the table.
    """
    import polars as pl

    if not file.path.stat().st_size:
        return []
    try:
        names = _scan_text(file.path, spec).collect_schema().names()
    except pl.exceptions.NoDataError:
        return []
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file, spec, error) from error
    wanted = {column.header: column.name for column in spec.columns}
    for key in spec.keys:
        header = next(column.header for column in spec.columns if column.name == key)
        if header not in names:
            raise BadFileError(
                file.key,
                f"the header has no column '{header}', which is (part of) the key of {spec.id}; it has {_some(names)}.{did_you_mean(header, names) if len(names) > 1 else ''}",
                f"If the file belongs to another table, move it there. If its cells are not separated by {spec.csv.delimiter!r}, declare `delimiter`. The table's columns: {_some(list(wanted))}.",
            )
    return names


def _scan_text(path: Path, spec: TableSpec) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_csv(
        path,
        separator=spec.csv.delimiter,
        quote_char=spec.csv.quote,
        infer_schema=False,
        raise_if_empty=True,
        glob=False,
    )


def _scan(file: LandedFile, spec: TableSpec, ingested_at: datetime) -> pl.LazyFrame:
    import polars as pl

    return (
        _scan_text(file.path, spec)
        .with_row_index("_row_number", offset=1)
        .with_columns(
            pl.col("_row_number").cast(pl.Int64),
            pl.lit(file.key).alias("_source_file"),
            pl.lit(ingested_at.replace(tzinfo=None)).cast(pl.Datetime("us")).alias("_ingested_at"),
        )
    )


def _sink(frames: Sequence[pl.LazyFrame], target: Path) -> Mapping[str, int]:
    """Stream all frames to Parquet; return the rows of each source file as read back from what was written."""
    import polars as pl

    try:
        pl.concat(frames, how="diagonal").sink_parquet(target, compression="zstd", compression_level=1)
    except pl.exceptions.PolarsError as error:
        raise BadFileError(
            "one of the new files", _reason(error), "Fix the file, or declare how it is written."
        ) from error
    counts = pl.scan_parquet(target).group_by("_source_file").len().collect()
    return {str(key): int(rows) for key, rows in counts.iter_rows()}


def _lines(file: LandedFile, rows: int, target: Path) -> Lines:
    """Count lines in the bytes, not by the parser; look into cells only where lines and rows differ."""
    total, last = 0, b"\n"
    with file.path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            total += chunk.count(b"\n")
            last = chunk[-1:]
    total += last != b"\n"
    if total <= rows + 1:
        return Lines(total, blank=0, continued=0)
    return Lines(total, blank=_blank_lines(file.path), continued=_line_breaks_in_cells(target, file.key) if rows else 0)


def _blank_lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(1 for line in handle if not line.strip(b"\r\n"))


def _line_breaks_in_cells(target: Path, key: str) -> int:
    import polars as pl

    rows = pl.scan_parquet(target).filter(pl.col("_source_file") == key).drop("_source_file")
    breaks = rows.select(pl.sum_horizontal(pl.col(pl.String).str.count_matches("\n", literal=True).sum()))
    return int(breaks.collect().item() or 0)


def _unreadable(file: LandedFile, spec: TableSpec, error: Exception) -> BadFileError:
    if "utf" in str(error).lower():
        return BadFileError(
            file.key,
            f"the bytes are not {spec.csv.encoding}: {_reason(error)}.",
            "Declare `encoding` (e.g. windows-1252) in the table's `csv`, or save the file as UTF-8.",
        )
    return BadFileError(
        file.key, f"{_reason(error)}.", "Fix the file, or declare how it is written in the table's `csv`."
    )


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
