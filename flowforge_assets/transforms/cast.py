"""From a batch of bronze files to typed rows, in DuckDB: the views `landed` (text) and `typed` (declared types)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowforge_checks.row_ids import ROW_BITS
from flowforge_checks.statements import broken_flag
from flowforge_resources.duck import literal, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import Column, TableSpec

AUDIT_TYPES = {"_source_file": "VARCHAR", "_row_number": "BIGINT", "_ingested_at": "TIMESTAMP"}
AUDIT_COLUMNS = tuple(AUDIT_TYPES)
RESCUED = "_rescued"
OPERATION = "_ff_op"


def create_views(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    bronze: Sequence[Path],
    counting: str = "",
) -> list[str]:
    """Create `landed` and `typed` over bronze files given in order of arrival; return the landed headers.

    `counting`: SQL, if any, that a row of the files counts (see `rows_that_count`).

    `landed`: `_rid` (BIGINT, order of arrival), `_position` (row in its bronze file), every bronze column, and NULL for a declared column no file has. Lines
    that are no record (titles, comments, footers: `_row_number` is null) stay in bronze.
    `typed`: `_rid`, `_position`, the surrogate key, every declared column in its type and as `_raw_<name>` text, a flag
    `_broken_<name>` for every column that can fail to cast, and the audit columns.
    """
    headers = create_landed(connection, spec.landed_headers, bronze, counting)
    create_cast(connection, spec)
    return headers


def create_cast(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> None:
    """Create `typed` over `landed`, with nothing but casts between."""
    create_typed(connection, spec, f"SELECT {_typed(spec)} FROM landed")


@contextmanager
def settled_rows(connection: duckdb.DuckDBPyConnection, spec: TableSpec, *, ascii_blanks: bool) -> Iterator[None]:
    """Let `typed`, as `create_cast` made it, be read for rows that passed the gate alone: their casts are proven.

    It has no raw text and no flags then. The proof is an eighth of what a first load costs to write, and the second
    look for blanks that are none of ASCII's another tenth (`ascii_blanks`: there are none in the batch).
    """
    values = []
    for column in spec.columns:
        value = column.kind.settled(quote(column.header), ascii_blanks=ascii_blanks)
        values.append(f"{_unmarked(column, value)} AS {quote(column.name)}")
    connection.execute("ALTER VIEW typed RENAME TO typed_with_proof")
    try:
        create_typed(
            connection, spec, f"SELECT {', '.join(['_rid', '_position', *values, *AUDIT_COLUMNS])} FROM landed"
        )
        yield
    finally:
        connection.execute("DROP VIEW IF EXISTS typed; ALTER VIEW typed_with_proof RENAME TO typed")


def create_typed(connection: duckdb.DuckDBPyConnection, spec: TableSpec, rows: str) -> None:
    """Create `typed` over a query for its rows, with what is made of the typed columns."""
    made = [f"{surrogate_key(spec.keys)} AS {quote(spec.surrogate_key)}"] if spec.keys else []
    made += [f"{operation(spec)} AS {OPERATION}"] if spec.strategy.marks_operations else []
    connection.execute(f"CREATE VIEW typed AS SELECT {', '.join(['*', *made])} FROM ({rows})")


def create_landed(
    connection: duckdb.DuckDBPyConnection,
    wanted: Sequence[str],
    bronze: Sequence[Path],
    counting: str = "",
) -> list[str]:
    """Create `landed` as `create_views` does, with `wanted` among its columns; return the landed headers."""
    files = text_list([str(path) for path in bronze])
    scan = f"read_parquet({files}, union_by_name = true)"
    headers = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()]
    absent = [name for name in wanted if name not in headers]
    nulls = "".join(f", NULL::VARCHAR AS {quote(name)}" for name in dict.fromkeys(absent))
    but = f" AND {counting}" if counting else ""
    rid = f"(file_index::BIGINT << {ROW_BITS}) + file_row_number"
    connection.execute(
        f"CREATE VIEW landed AS SELECT {rid} AS _rid, file_row_number AS _position, *{nulls} FROM {scan} WHERE _row_number IS NOT NULL{but}"
    )
    return [name for name in headers if name not in (*AUDIT_COLUMNS, RESCUED)]


def _typed(spec: TableSpec) -> str:
    values = [f"{value_of(column)} AS {quote(column.name)}" for column in spec.columns]
    raw = [f"{quote(column.header)} AS {quote(f'_raw_{column.name}')}" for column in spec.columns]
    flags = [f"{is_broken(column)} AS {quote(broken_flag(column.name))}" for column in spec.typed_columns]
    return ", ".join(["_rid", "_position", *values, *raw, *flags, *AUDIT_COLUMNS])


def value_of(column: Column) -> str:
    """SQL for a column's value, made of the text under its header."""
    return _unmarked(column, column.kind.cast(quote(column.header)))


def is_broken(column: Column) -> str:
    """SQL: there is text, and it did not become a value. The text is looked at only where there is no value."""
    unmarked = f" AND NOT {_is_marker(column)}" if column.null_markers else ""
    text = f"coalesce(trim({quote(column.header)}) <> '', FALSE){unmarked}"
    return f"CASE WHEN ({value_of(column)}) IS NULL THEN {text} ELSE FALSE END"


def _unmarked(column: Column, value: str) -> str:
    """SQL: the value, unless the text is one that means there is none."""
    return f"CASE WHEN NOT {_is_marker(column)} THEN {value} END" if column.null_markers else value


def _is_marker(column: Column) -> str:
    """The text is one of those that mean there is no value."""
    markers = ", ".join(literal(marker.strip()) for marker in column.null_markers or ())
    return f"coalesce(trim({quote(column.header)}) IN ({markers}), FALSE)"


def surrogate_key(keys: Sequence[str]) -> str:
    """SQL for a BIGINT above zero made of the natural key: 63 bits of the MD5 over its parts, each with its length; null where one is.

    The bits are the digest's last eight bytes as a little-endian number, without the lowest bit. The same key gives the
    same number in every run, order and machine. The length before each part keeps ('a', 'bc') and ('ab', 'c') apart.
    Two of n keys collide with probability n² / 2^64: one in 10,000 at 43 million rows; a collision is found before a
    table is published.
    """
    parts = ", ".join(f"length({quote(key)}::VARCHAR), ':', {quote(key)}::VARCHAR" for key in keys)
    # DuckDB 2.0: `md5_number_upper` would be shorter, and costs four times as much; `||` makes a text for each two parts,
    # which costs a quarter more, but knows of null.
    number = f"(md5_number(concat({parts})) >> 65)::BIGINT"
    return f"(CASE WHEN {' AND '.join(f'{quote(key)} IS NOT NULL' for key in keys)} THEN {number} END)"


def operation(spec: TableSpec) -> str:
    """SQL for what a row says: 0, its key has these values; 1, its key is deleted; 2, the table is cleared."""
    truncates, deletes = spec.strategy.truncate_when, spec.strategy.delete_when
    cases = [f"WHEN ({truncates}) THEN 2"] if truncates else []
    cases += [f"WHEN ({deletes}) THEN 1"] if deletes else []
    return f"(CASE {' '.join(cases)} ELSE 0 END)"


def row_columns(spec: TableSpec) -> list[str]:
    """The columns of the silver table that come from a landed row, in order."""
    key = [spec.surrogate_key] if spec.keys else []
    return [*key, *(column.name for column in spec.stored_columns), *AUDIT_COLUMNS]


def table_types(spec: TableSpec) -> dict[str, str]:
    """The columns of the silver table, in order, with the DuckDB type each is stored in."""
    key = {spec.surrogate_key: "BIGINT"} if spec.keys else {}
    declared = {column.name: column.kind.sql_type for column in spec.stored_columns}
    if not spec.strategy.keeps_history:
        return key | declared | AUDIT_TYPES
    moment = moment_type(spec)
    interval = dict(zip(spec.strategy.interval, (moment, moment, "BOOLEAN"), strict=True))
    return key | {spec.strategy.version_key: "BIGINT"} | declared | interval | AUDIT_TYPES


def moment_type(spec: TableSpec) -> str:
    """SQL type of the moments of a table's history: of what orders its rows, or else of their arrival."""
    if not spec.sequence_by:
        return AUDIT_TYPES["_ingested_at"]
    return next(column.kind.sql_type for column in spec.columns if column.name == spec.sequence_by[0])


def table_columns(spec: TableSpec) -> list[str]:
    """The columns of the silver table, in order."""
    return list(table_types(spec))


def content_id(headers: Sequence[str]) -> str:
    """SQL over `landed` for the id of a row's content: the same text in the same columns has the same id, whenever it lands.

    Columns without text do not count, so that a column that files bring later changes no id.
    """
    cells = [
        f"coalesce({literal(f'{len(name)}:{name}=')} || length({quote(name)}) || ':' || {quote(name)}, '')"
        for name in sorted(headers)
    ]
    return f"md5({' || '.join(cells) or literal('')})"
