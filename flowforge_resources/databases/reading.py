"""Opening the reader of a connection, and what it reads: retried by nobody here, told in words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowforge_resources.databases.trouble import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.databases.readers.base import Reader


@contextmanager
def reading(connection: ConnectionFields) -> Iterator[Reader]:
    """An open view of a database for the length of the block.

    Raises:
        DatabaseRefusedError, DatabaseUnreachableError, SecretError, MissingDriverError: in words what is wrong.
    """
    with in_words(connection):
        reader = _open(connection)
        try:
            yield reader
        finally:
            reader.close()


def _open(connection: ConnectionFields) -> Reader:
    kind: str = connection.kind
    if connection.url is not None and kind == "sqlalchemy":
        kind = _named_by_url(connection) or kind
    if kind == "postgres":
        from flowforge_resources.databases.readers.postgres import PostgresReader

        return PostgresReader(connection)
    if kind in ("mysql", "mariadb"):
        from flowforge_resources.databases.readers.mysql import MysqlReader

        return MysqlReader(connection)
    if kind == "duckdb":
        from flowforge_resources.databases.readers.duckdb import DuckdbReader

        return DuckdbReader(connection)
    if kind == "sqlserver":
        from flowforge_resources.databases.readers.sqlserver import SqlServerReader

        return SqlServerReader(connection)
    if kind == "oracle":
        from flowforge_resources.databases.readers.oracle import OracleReader

        return OracleReader(connection)
    from flowforge_resources.databases.readers.alchemy import AlchemyReader

    return AlchemyReader(connection)


def _named_by_url(connection: ConnectionFields) -> str | None:
    """The kind that a URL names: through the very driver that we have for it, or of a database read by any driver."""
    from flowforge_resources.databases.engine import engine_url
    from flowforge_resources.databases.kinds import KINDS

    url = engine_url(connection)
    by_driver = {one.drivername: one.name for one in KINDS.values() if one.drivername}
    return by_driver.get(url.drivername) or {"mssql": "sqlserver", "oracle": "oracle"}.get(url.get_backend_name())
