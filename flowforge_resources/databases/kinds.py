"""The databases FlowForge knows by name: what reaches them, and what has to be installed for it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from flowforge_resources.errors import MissingDriverError

KindName = Literal["postgres", "mysql", "mariadb", "sqlserver", "oracle", "sqlite", "duckdb", "sqlalchemy"]


@dataclass(frozen=True)
class Kind:
    """One kind of database. `drivername`: SQLAlchemy's; `modules`: what must be importable; `extra`: what installs them."""

    name: str
    title: str
    drivername: str = ""
    modules: tuple[str, ...] = ()
    extra: str = ""
    port: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether the database is a file, and no server."""
        return self.name in ("sqlite", "duckdb")

    def require_driver(self, connection: str) -> None:
        """The driver can be imported.

        Raises:
            MissingDriverError: it is not installed.
        """
        missing = [module for module in self.modules if find_spec(module) is None]
        if missing:
            raise MissingDriverError(connection, self.title, missing[0], self.extra)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "postgres",
            "PostgreSQL",
            "postgresql+psycopg",
            ("psycopg", "adbc_driver_postgresql"),
            "postgres",
            port=5432,
        ),
        Kind("mysql", "MySQL", "mysql+pymysql", ("pymysql",), "mysql", port=3306),
        Kind("mariadb", "MariaDB", "mariadb+pymysql", ("pymysql",), "mysql", port=3306),
        Kind("sqlserver", "SQL Server", "mssql+mssqlpython", ("mssql_python",), "sqlserver", port=1433),
        Kind("oracle", "Oracle", "oracle+oracledb", ("oracledb",), "oracle", port=1521),
        Kind("sqlite", "SQLite", "sqlite+pysqlite"),
        Kind("duckdb", "DuckDB"),
        Kind("sqlalchemy", "the database"),
    )
}
