"""What every strategy returns, and the SQL they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.duck import one_row, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.books import Books


@dataclass(frozen=True)
class Merge:
    """The next version of a table as a query, and the account of how it came about.

    `state`: query for what must be remembered beside the table, None where the table says it all. `ends_empty`: the
    newest full extract has no row. `fates`: relation that tells `_rid` and `fate`, a column of the books, of rows that
    passed the gate; rows it does not tell of were inserted. It reads what the merge left, and is costly for some strategies.
    """

    select: str
    books: Books
    changed: bool
    state: str | None = None
    ends_empty: bool = False
    fates: str = "row_fate"


def files(paths: Sequence[Path]) -> str | None:
    """SQL for the rows of local Parquet files; None where there is none."""
    return f"read_parquet({text_list([str(path) for path in paths])})" if paths else None


def listed(names: Iterable[str], of: str = "") -> str:
    """Columns for a select list."""
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quote(name) for name in names)


def same(names: Iterable[str], left: str, right: str) -> str:
    """SQL: two rows agree in columns that are never null."""
    return " AND ".join(f"{left}.{quote(name)} = {right}.{quote(name)}" for name in names)


def differs(names: Iterable[str], left: str, right: str) -> str:
    """SQL: two rows differ in some column, null being a value."""
    each = [f"{left}.{quote(name)} IS DISTINCT FROM {right}.{quote(name)}" for name in names]
    return f"({' OR '.join(each)})" if each else "FALSE"


def count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    """How many rows a relation has."""
    return int(one_row(connection, f"SELECT count(*) FROM {rows}")[0])


def content(names: Iterable[str]) -> str:
    """SQL for 128 bits that stand for the values of some columns: MD5 over their texts, each with its length.

    Two rows that differ have the same bits with probability 2^-128; null and the empty text differ.
    """
    parts = [f"coalesce(length({quote(name)}::VARCHAR) || ':' || {quote(name)}::VARCHAR, '-')" for name in names]
    return f"md5_number({' || '.join(parts)})" if parts else "0::UHUGEINT"
