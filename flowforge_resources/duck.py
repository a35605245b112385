"""DuckDB as FlowForge uses it: in memory, bounded, sealed off from the network, and careful with names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowforge_resources.settings import memory_limit, threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb


@contextmanager
def connect(spill_to: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory database that spills to a scratch folder beyond `FLOWFORGE_MEMORY_LIMIT`.

    Time zone UTC; no extension is ever downloaded; Python variables are not visible to SQL.
    """
    import duckdb

    config: dict[str, Any] = {
        "memory_limit": memory_limit().value,
        "temp_directory": str(spill_to / "duckdb"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
    }
    if (limit := threads()) is not None:
        config["threads"] = limit
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def quote(identifier: str) -> str:
    """An identifier as DuckDB takes it whatever characters it holds: `order` becomes `"order"`."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A Python value as a SQL literal; text is escaped, None is NULL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def text_list(values: list[str]) -> str:
    """Texts as a SQL list literal: `['a', 'b']`."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


def one_row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """The only row of a query that returns one."""
    row = connection.execute(sql).fetchone()
    if row is None:
        raise LookupError(f"a query that returns one row returned none: {sql}")
    return row
