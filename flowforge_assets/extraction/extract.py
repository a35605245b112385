"""One extraction: what is asked, read and written to one local bronze file, and what is said of it.

Phases: 1. describe, 2. bound, 3. compare keys where deletes are looked for, 4. read and write, 5. reconcile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from flowforge_assets.extraction import known_rows
from flowforge_assets.extraction.cursor import Reached, Window, cursor_column, require_column, window
from flowforge_assets.extraction.database_read import DatabaseRead
from flowforge_assets.extraction.known_rows import DELETED, extractions
from flowforge_assets.extraction.ranges import merged, ranges
from flowforge_assets.extraction.reconcile import Compared, compare, compare_keys
from flowforge_assets.extraction.source import DatabaseSource, duration
from flowforge_assets.formats.file_read import own_names, streamed
from flowforge_assets.transforms.columns import FileColumns, columns_of
from flowforge_assets.transforms.ingest import Ingested, LandedFile
from flowforge_resources.databases.reading import reading
from flowforge_resources.errors import BadFileError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.bronze_rows import BronzeSource
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.databases.readers.base import Reader, SourceColumn
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger
    from flowforge_resources.scratch import Scratch


@dataclass
class Extraction:
    """What an extraction brought. `nothing_new`: the source has no row behind what bronze holds; nothing is recorded."""

    done: Ingested
    reached: Reached
    snapshot: str = ""
    low: str | None = None
    repeated: int = 0
    deleted: int | None = None
    compared: list[Compared] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    types: Mapping[str, str] = field(default_factory=dict)
    nothing_new: bool = False


@dataclass(frozen=True)
class Asked:
    """What every phase needs to know."""

    lake: Lake
    spec: TableSpec
    source: DatabaseSource
    ledger: Ledger
    at: datetime
    scratch: Scratch
    reader: Reader
    columns: Sequence[SourceColumn]

    @property
    def table(self) -> str:
        """The table, for errors."""
        return str(self.spec.id)

    @property
    def relation(self) -> str:
        """The rows as SQL names them."""
        return self.source.relation(self.reader)

    def select(self, columns: Sequence[SourceColumn], where: str) -> str:
        """The text of some columns, under names that no database objects to."""
        shown = ", ".join(f"{one.text} AS c{number}" for number, one in enumerate(columns))
        return f"SELECT {shown} FROM {self.relation}{where}"


def extract(
    lake: Lake, spec: TableSpec, connection: ConnectionFields, ledger: Ledger, *, at: datetime, scratch: Scratch
) -> Extraction:
    """Write the new rows of a table's source to one Parquet file in scratch.

    Raises:
        SourceError: the source is not what the table declares; nothing was taken.
        DatabaseRefusedError, DatabaseUnreachableError, SecretError, MissingDriverError: in words what is wrong.
    """
    source = spec.source
    if not isinstance(source, DatabaseSource):
        raise AssertionError("a table without a database is not read from one")  # noqa: TRY004  # a caller's mistake
    earlier = extractions(ledger, source.name)
    with reading(connection) as reader:
        if source.parallel is not None:
            reader.read_beside(source.relation(reader), source.parallel.connections, agreeing=source.consistent)
        columns = reader.describe(source.relation(reader))
        asked = Asked(lake, spec, source, ledger, at, scratch, reader, columns)
        last = earlier[-1][1] if earlier else None
        bounds = _bounds(asked, last)
        reached = _reached(source, last, bounds, at)
        found = Extraction(Ingested(None), reached, reader.snapshot, low=bounds.low if bounds else None)
        found.types = {one.name: one.type for one in columns}
        read, written = _read(asked, connection, bounds, earlier)
        gone = _gone(asked, connection, written, last, bounds)
        if gone is not None:
            found.reached = replace(reached, keys_compared_at=at.isoformat())
        _write(asked, found, [one for one in (written, gone) if one is not None])
        if gone is not None:
            found.deleted = gone.read.account.rows
        found.repeated = read.repeated
        _reconcile(asked, found, read, written.columns, bounds)
        _remark(asked, found, read, bounds, first=last is None or last.cursor != source.cursor)
    found.nothing_new = source.cursor is not None and not found.done.path and gone is None
    return found


def _bounds(asked: Asked, last: Reached | None) -> Window | None:
    """What is asked for of a source with a cursor."""
    if asked.source.cursor is None:
        return None
    column = cursor_column(asked.table, asked.source, asked.columns, asked.reader)
    return window(asked.table, asked.source, column, last, asked.reader, keyed=bool(asked.spec.keys))


def _reached(source: DatabaseSource, last: Reached | None, bounds: Window | None, at: datetime) -> Reached:
    before = last if last is not None and last.cursor == source.cursor else None
    to = bounds.high if bounds is not None and bounds.high is not None else before.to if before else None
    return Reached(at.isoformat(), source.cursor, to, last.keys_compared_at if last else None)


def _read(
    asked: Asked, connection: ConnectionFields, bounds: Window | None, earlier: Sequence[tuple[int, Reached]]
) -> tuple[DatabaseRead, BronzeSource]:
    """The rows that are asked for, not read yet."""
    from flowforge_assets.transforms.bronze_rows import BronzeSource

    where = "" if bounds is None or bounds.is_empty else f" WHERE {bounds.where(asked.reader)}"
    nothing = bounds is not None and bounds.is_empty
    summed = [require_column(asked.table, one, asked.columns, "reconcile").name for one in asked.source.sums]
    batches = (lambda: iter(())) if nothing else _batches(asked, where)
    read = DatabaseRead(connection, asked.columns, batches, summed=summed, max_rows_per_s=asked.source.max_rows_per_s)
    key = f"{asked.source.name}/{asked.at:%Y%m%d_%H%M%S_%f}"
    try:
        known = asked.ledger.columns - {DELETED}
        columns = columns_of(key, read, asked.spec, known, asked.ledger.types)
    except BadFileError as error:
        raise SourceError(asked.table, f"{asked.source.name}: {error.problem}", of_a_source(error.fix)) from None
    _require_keys(asked, columns)
    if bounds is not None and bounds.again and not nothing:
        read.without = _taken(asked, columns, bounds, earlier)
    return read, BronzeSource(LandedFile(key, asked.scratch.root), read, columns)


def of_a_source(fix: str) -> str:
    """The fix of a file's error, in words of a source."""
    return fix.replace("If the file belongs to another table, move it there. ", "").replace(", or remove the file", "")


def _require_keys(asked: Asked, columns: FileColumns) -> None:
    if asked.source.consistent and ({"keys"} & {*asked.source.reconcile} or asked.source.detect_deletes):
        _key_columns(asked, columns)


def _key_columns(asked: Asked, columns: FileColumns) -> dict[str, SourceColumn]:
    """The key's columns: bronze's name, and the source's column."""
    sources = dict(zip(own_names([one.name for one in asked.columns]), asked.columns, strict=True))
    by_header = {name: sources[written] for written, name in columns.names.items()}
    missing = [header for header in asked.spec.key_headers if header not in by_header]
    if missing:
        raise SourceError(
            asked.table,
            f"{asked.source.name} has no column '{missing[0]}', which is (part of) the key.",
            "Correct `keys`.",
        )
    return {header: by_header[header] for header in asked.spec.key_headers}


def _batches(asked: Asked, where: str) -> Callable[[], Iterator[pl.DataFrame]]:
    names = own_names([one.name for one in asked.columns])
    parallel = asked.source.parallel
    if parallel is None or not asked.reader.reads_side_by_side:
        return partial(asked.reader.batches, asked.select(asked.columns, where), names)
    column = require_column(asked.table, parallel.by, asked.columns, "parallel.by")
    limited = f"{asked.relation}{where}"
    parts = ranges(asked.table, parallel, column, asked.reader, limited)
    joint = " AND " if where else " WHERE "
    streams = [
        partial(asked.reader.batches, asked.select(asked.columns, f"{where}{joint}{part}"), names) for part in parts
    ]
    return partial(merged, streams)


def _taken(
    asked: Asked, columns: FileColumns, bounds: Window, earlier: Sequence[tuple[int, Reached]]
) -> pl.DataFrame | None:
    """Rows of the window that bronze has, by key and cursor, under the source's names."""
    if not asked.spec.keys:
        return None
    written = {name: written for written, name in columns.names.items()}
    keys = list(_key_columns(asked, columns))
    cursor = columns.names[own_names([bounds.column.name])[0]]
    headers = list(dict.fromkeys([*keys, cursor]))
    headers = [*(one for one in headers if one != cursor), cursor]
    found = known_rows.rows_of_window(asked.lake, asked.ledger, earlier, bounds, headers, scratch=asked.scratch)
    return found.rename({name: written[name] for name in headers})


def _gone(
    asked: Asked, connection: ConnectionFields, written: BronzeSource, last: Reached | None, bounds: Window | None
) -> BronzeSource | None:
    """A row for every key that is gone from the source; None where keys are not compared now."""
    import polars as pl

    from flowforge_assets.transforms.bronze_rows import BronzeSource

    every = asked.source.detect_deletes
    if every is None or not _is_due(every.every, last, asked.at):
        return None
    keys = _key_columns(asked, written.columns)
    there, gone = _keys_of(asked, keys), asked.scratch.path(".parquet")
    count = known_rows.gone_keys(asked.lake, asked.ledger, list(keys), there, gone, scratch=asked.scratch)
    cursor = written.columns.names[own_names([bounds.column.name])[0]] if bounds else ""
    reached = (bounds.high if bounds else None) or (last.to if last else None)
    more = [pl.lit(reached, pl.String).alias(cursor)] if cursor not in keys else []

    def frames() -> Iterator[pl.DataFrame]:
        if count:
            yield pl.read_parquet(gone).with_columns(*more, pl.lit("true").alias(DELETED))

    names = [*keys, *([cursor] if more else []), DELETED]
    from flowforge_resources.databases.readers.base import SourceColumn

    read = DatabaseRead(connection, [SourceColumn(name, "text", name) for name in names], frames)
    key = f"{asked.source.name}/{asked.at:%Y%m%d_%H%M%S_%f}/deleted"
    return BronzeSource(LandedFile(key, asked.scratch.root), read, FileColumns({name: name for name in names}))


def _is_due(every: str, last: Reached | None, at: datetime) -> bool:
    if last is None:
        return False
    since = last.keys_compared_at or ""
    return not since or at - datetime.fromisoformat(since) >= duration(every)


def _keys_of(asked: Asked, keys: Mapping[str, SourceColumn]) -> Path:
    """All keys of the source, as a local Parquet file."""
    import polars as pl

    path = asked.scratch.path(".parquet")
    sql = asked.select(list(keys.values()), "")
    schema = pl.Schema(dict.fromkeys(keys, pl.String()))
    streamed(lambda: asked.reader.batches(sql, list(keys)), schema).sink_parquet(path)
    return path


def _write(asked: Asked, found: Extraction, sources: Sequence[BronzeSource]) -> None:
    from flowforge_assets.transforms.bronze_parquet import write_bronze

    target = asked.scratch.path(".parquet")
    try:
        rows = write_bronze(sources, asked.at, target)
    except Exception:
        for one in sources:
            if isinstance(one.read, DatabaseRead) and one.read.error is not None:
                raise one.read.error from None
        raise
    done = found.done
    done.path = target if sum(rows.values()) else None
    for one in sources:
        key = one.file.key
        done.rows[key], done.accounts[key] = rows.get(key, 0), one.read.account
        done.headers[key] = list(one.columns.names.values())
        done.types[key] = one.columns.types
        done.unknown[key] = (*one.columns.rescued, *one.columns.ignored)
        done.decided[key] = one.read.as_dict()
    done.columns = list(dict.fromkeys(name for header in done.headers.values() for name in header))
    _as_one_schema(asked, done)


def _as_one_schema(asked: Asked, done: Ingested) -> None:
    """Rows and deleted keys have the columns of one table: that a deleted key has no more than the key is no change of it."""
    expected = {DELETED} & ({*asked.spec.landed_headers} | asked.ledger.columns) if asked.source.detect_deletes else ()
    columns = [*dict.fromkeys([*done.columns, *expected])]
    done.headers.update(dict.fromkeys(done.headers, columns))


def _reconcile(
    asked: Asked, found: Extraction, read: DatabaseRead, columns: FileColumns, bounds: Window | None
) -> None:
    if bounds is not None and bounds.is_empty:
        return
    where = "" if bounds is None else f" WHERE {bounds.where(asked.reader)}"
    found.compared = compare(asked.source, asked.reader, read, where)
    if "keys" in asked.source.reconcile:
        headers = asked.spec.key_headers
        found.compared.append(
            compare_keys(_keys_of(asked, _key_columns(asked, columns)), found.done.path, headers, asked.scratch)
        )


def _remark(asked: Asked, found: Extraction, read: DatabaseRead, bounds: Window | None, *, first: bool) -> None:
    """What a person should know and nothing is wrong with."""
    if bounds is None and not read.received:
        found.remarks.append(f"{asked.source.name} has no row; what silver holds stays.")
    if bounds is not None and first:
        name = asked.reader.quote(bounds.column.name)
        unseen = asked.reader.rows(f"SELECT count(*) FROM {asked.relation} WHERE NOT ({asked.reader.finite(name)})")[0][
            0
        ]
        if unseen:
            found.remarks.append(
                f"{unseen} row(s) of {asked.source.name} have no value in the cursor '{bounds.column.name}' (or an infinite one) and are never extracted."
            )
