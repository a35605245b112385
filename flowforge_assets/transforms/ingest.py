"""Landed CSV files to one bronze Parquet file: every column as the text that stood there, plus where it came from."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from flowforge_assets.formats.csv_account import CsvAccount
    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.columns import FileColumns


@dataclass(frozen=True)
class LandedFile:
    """A landing object with a local copy of its bytes."""

    key: str
    path: Path


@dataclass
class Ingested:
    """What came of a batch of files. Counts are per landing key; `path` is None where no file held a row."""

    path: Path | None
    columns: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, CsvAccount] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)
    decided: dict[str, Mapping[str, object]] = field(default_factory=dict)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def empty_files(self) -> list[str]:
        """Files without any row."""
        return [key for key, rows in self.rows.items() if rows == 0]

    @property
    def unexplained(self) -> list[str]:
        """Files whose lines do not add up, or whose rows are not the ones in bronze."""
        accounts = self.accounts.items()
        return [key for key, account in accounts if not account.balanced or account.rows != self.rows[key]]

    @property
    def noted_rows(self) -> int:
        """Rows with something in `_rescued`."""
        return sum(account.repaired for account in self.accounts.values())


@dataclass(frozen=True)
class _Source:
    """One file, how it is read, and what its columns are called in bronze."""

    file: LandedFile
    read: FileRead
    columns: FileColumns

    def frame(self, ingested_at: datetime) -> pl.LazyFrame:
        import polars as pl

        return self.columns.shape(self.read.frame()).with_columns(
            pl.lit(self.file.key).alias("_source_file"),
            pl.lit(ingested_at.replace(tzinfo=None)).cast(pl.Datetime("us")).alias("_ingested_at"),
        )


def ingest(
    files: Sequence[LandedFile],
    spec: TableSpec,
    ingested_at: datetime,
    target: Path,
    known: frozenset[str] = frozenset(),
) -> Ingested:
    """Write the rows of all files, in the given order, to one ZSTD Parquet file.

    How each file is written is found from its content, except what the table's `file` pins; clean files are read by
    Polars alone, others by the careful reader. Files may differ in columns, their order and dialect; `known` are the columns bronze has had so far.

    Columns: the union of the files' headers as VARCHAR (the text that stood there; null where a row has no such cell),
    then `_rescued` (VARCHAR, JSON, what did not fit), `_row_number` (BIGINT, 1 is the first record; null for a line
    that is none: a title, a comment, a footer), `_source_file` (landing key) and `_ingested_at` (TIMESTAMP, UTC).

    Raises:
        BadFileError: a file cannot be read, or is not this table's.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:
        hashes = {file.key: aside.submit(hash_of, file.path) for file in files}
        sources = _open(files, spec, known, target.parent)
        rows = _sink(sources, ingested_at, target) if sources else {}
        done = Ingested(target if sources and target.exists() else None)
        done.sha256 = {key: future.result() for key, future in hashes.items()}
    done.rows = {file.key: rows.get(file.key, 0) for file in files}
    for source in sources:
        key = source.file.key
        done.headers[key] = list(source.columns.names.values())
        done.unknown[key] = (*source.columns.rescued, *source.columns.ignored)
        done.decided[key] = source.read.as_dict()
        done.accounts[key] = _account(source, done.rows[key])
    done.columns = list(dict.fromkeys(name for header in done.headers.values() for name in header))
    return done


def hash_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _open(files: Sequence[LandedFile], spec: TableSpec, known: frozenset[str], scratch: Path) -> list[_Source]:
    """Decide how each file is read; one without any byte, column or rescued text is left out."""
    from flowforge_assets.formats.read_file import read_another, read_file

    found: list[_Source] = []
    for number, file in enumerate(files):
        if not file.path.stat().st_size:
            continue
        read = read_another(file.path, found[-1].read) if found else None
        read = read or read_file(file.path, spec.file, scratch / f"unpacked-{number}", name=file.key)
        if read.columns or read.account.rescued:
            found.append(_Source(file, read, columns_of(file.key, read, spec, known)))
    return found


def _sink(sources: Sequence[_Source], ingested_at: datetime, target: Path) -> Mapping[str, int]:
    """Stream all files to Parquet; return the rows of each as read back from what was written."""
    import polars as pl

    from flowforge_assets.formats.read_file import clean_csv

    try:
        _write(sources, ingested_at, target)
    except pl.exceptions.PolarsError:
        # What looked clean was not to Polars' mind; the careful reader takes anything.
        clean = [csv for source in sources if (csv := clean_csv(source.read)) is not None]
        if not clean:
            raise
        for csv in clean:
            csv.dialect = replace(csv.dialect, clean=False)
        _write(sources, ingested_at, target)
    records = pl.scan_parquet(target, glob=False).filter(pl.col("_row_number").is_not_null())
    counts = records.group_by("_source_file").len().collect()
    return {str(key): int(rows) for key, rows in counts.iter_rows()}


def _write(sources: Sequence[_Source], ingested_at: datetime, target: Path) -> None:
    import polars as pl

    frames = [source.frame(ingested_at) for source in sources]
    whole = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
    audit = ["_rescued", "_row_number", "_source_file", "_ingested_at"]
    whole.select(pl.exclude(audit), *audit).sink_parquet(target, compression="zstd", compression_level=1)


def _account(source: _Source, rows: int) -> CsvAccount:
    """The lines of a file: as its reader booked them, or counted in the bytes for one that Polars read."""
    from flowforge_assets.formats.read_file import clean_csv

    csv = clean_csv(source.read)
    if csv is None:
        return source.read.account
    return csv.counted(rows)
