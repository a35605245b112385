"""Landed CSV files to one bronze Parquet file: every column as the text that stood there, plus where it came from."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from flowforge_assets.transforms.columns import columns_of
from flowforge_assets.transforms.zip_members import under_one_header
from flowforge_resources.content_hash import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from flowforge_assets.formats.csv_account import CsvAccount
    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.bronze_rows import BronzeSource


# Each costs a further file some microseconds, and saves it 5 ms of detection where files of several kinds alternate.
_KINDS_KEPT = 4


@dataclass(frozen=True)
class LandedFile:
    """A landing object with a local copy of its bytes."""

    key: str
    path: Path


@dataclass
class Ingested:
    """What came of a batch of files. Counts are per landing key; `path` is None where no file held a row.

    `ascii_blanks`: it is proven that no blank stands in the text of the rows but ASCII's.
    """

    path: Path | None
    columns: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, CsvAccount] = field(default_factory=dict)
    content_hashes: dict[str, str] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)
    decided: dict[str, Mapping[str, object]] = field(default_factory=dict)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    types: dict[str, Mapping[str, str]] = field(default_factory=dict)
    ascii_blanks: bool = False

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


def ingest(
    files: Sequence[LandedFile],
    spec: TableSpec,
    ingested_at: datetime,
    target: Path,
    known: frozenset[str] = frozenset(),
    *,
    types: Mapping[str, str] | None = None,
) -> Ingested:
    """Write the rows of all files, in the given order, to one ZSTD Parquet file.

    How each file is written is found from its content, except what the table's `file` pins; clean files are read by
    Polars alone, others by the careful reader. Files may differ in columns, their order and dialect; `known` are the columns bronze has had so far,
    `types` those types of theirs that typed files (Parquet, JSON, Excel) had.

    Columns: the union of the files' headers as VARCHAR (the text that stood there; null where a row has no such cell),
    then `_rescued` (VARCHAR, JSON, what did not fit), `_row_number` (BIGINT, 1 is the first record; null for a line
    that is none: a title, a comment, a footer), `_source_file` (landing key) and `_ingested_at` (TIMESTAMP, UTC).

    Raises:
        BadFileError: a file cannot be read, or is not this table's.
    """
    with _folder_beside(target) as scratch:
        return _ingested(files, _open(files, spec, known, types or {}, scratch), ingested_at, target)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """Where the files of this attempt are unpacked: another attempt, at fewer files, numbers them differently."""
    folder = target.with_suffix(".unpacked")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ingested(
    files: Sequence[LandedFile], sources: Sequence[BronzeSource], ingested_at: datetime, target: Path
) -> Ingested:
    from flowforge_assets.transforms.bronze_parquet import write_bronze

    rows = write_bronze(sources, ingested_at, target) if sources else {}
    done = Ingested(target if sources and target.exists() else None)
    hashes = {source.file.key: source.content_hash for source in sources}
    done.content_hashes = {file.key: hashes.get(file.key) or hash_of(file.path) for file in files}
    done.rows = {file.key: rows.get(file.key, 0) for file in files}
    for source in sources:
        key = source.file.key
        done.headers[key] = list(source.columns.names.values())
        done.types[key] = source.columns.types
        done.unknown[key] = (*source.columns.rescued, *source.columns.ignored)
        done.decided[key] = source.read.as_dict()
        done.accounts[key] = _account(source, done.rows[key])
    done.ascii_blanks = all(source.ascii_blanks for source in sources)
    done.columns = list(dict.fromkeys(name for header in done.headers.values() for name in header))
    return done


def _open(
    files: Sequence[LandedFile], spec: TableSpec, known: frozenset[str], types: Mapping[str, str], scratch: Path
) -> list[BronzeSource]:
    """Decide how each file is read; one without any byte, column or rescued text is left out."""
    from flowforge_assets.formats.read_file import read_another, read_file
    from flowforge_assets.transforms.bronze_rows import BronzeSource

    found: list[BronzeSource] = []
    kinds: dict[tuple[str, ...], FileRead] = {}  # the latest file of each kind of header, a few of them
    for number, file in enumerate(files):
        if not file.path.stat().st_size:
            continue
        read = next((alike for one in kinds.values() if (alike := read_another(file.path, one))), None)
        read = read or under_one_header(
            file.key, read_file(file.path, spec.file, scratch / str(number), name=file.key), spec, known
        )
        if read.columns or read.account.rescued:
            found.append(BronzeSource(file, read, columns_of(file.key, read, spec, known, types)))
            types = {**found[-1].columns.types, **types}
            others = ((columns, one) for columns, one in kinds.items() if columns != read.columns)
            kinds = {read.columns: read, **dict(islice(others, _KINDS_KEPT - 1))}
    return found


def _account(source: BronzeSource, rows: int) -> CsvAccount:
    """The lines of a file: as its reader booked them, or counted in the bytes for one that Polars read."""
    csv = source.clean
    return source.read.account if csv is None else csv.counted(rows)
