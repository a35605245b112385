"""A DuckDB database file as a source or a target."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from flowforge_resources.databases.connection import ConnectionFields


@contextmanager
def duckdb_file(connection: ConnectionFields) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database of a connection, opened read-only unless it says otherwise; times are in UTC.

    Raises:
        DatabaseRefusedError: there is no such file.
    """
    from pathlib import Path

    import duckdb

    path = connection.resolved("database") or ""
    if connection.read_only and not Path(path).exists():
        raise DatabaseRefusedError(
            connection.name, f"there is no file {path}.", "Correct `database`.", kind="no_database"
        )
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(path, read_only=connection.read_only, config=config) as found:
        found.execute("SET TimeZone = 'UTC'")
        yield found
