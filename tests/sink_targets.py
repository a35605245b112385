"""Databases that sinks deliver to: servers of the session and files, each with a table name of its own.

Belongs here: what a target is and what stands in it. Does not: any expectation.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb

from flowforge_resources.databases.catalog import TableName
from flowforge_resources.databases.connection import ConnectionFields
from flowforge_resources.duck import connect
from flowforge_resources.sinks.database import TableTarget, deliver, staging_prefix
from flowforge_resources.sinks.outgoing import Outgoing
from sources import DATABASE, USER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowforge_resources.sinks.delivered import Delivered
    from sources import Server

KINDS = ("postgres", "mariadb", "sqlite", "duckdb")


@dataclass
class Target:
    """A database that is written to, and the table of one test in it."""

    kind: str
    table: str
    folder: Path
    server: Server | None = None
    port: int | None = None

    @property
    def file(self) -> Path:
        return self.folder / f"target.{self.kind}"

    @property
    def connection(self) -> ConnectionFields:
        if self.server is None:
            return ConnectionFields(name="shop", kind=self.kind, database=str(self.file), read_only=False)
        return ConnectionFields(
            name="shop",
            kind=self.server.kind,
            host="127.0.0.1",
            port=str(self.port or self.server.port),
            database=DATABASE,
            user=USER,
            password="env('SHOP_PASSWORD')",
            read_only=False,
        )

    def yaml(self) -> str:
        """The document of its connection."""
        if self.server:
            return self.server.yaml(port=self.port, read_only="false")
        said = f"{{name: shop, kind: {self.kind}, database: {self.file}, read_only: false}}"
        return f"type: flowforge_assets.components.Connection\nattributes: {said}\n"

    def run(self, *statements: str) -> list[Sequence[Any]]:
        """Run statements with `{t}` for the table; the rows of the last."""
        said = [one.format(t=self.table) for one in statements]
        if self.server:
            return [tuple(row) for row in self.server.run(*said)]
        if self.kind == "sqlite":
            with closing(sqlite3.connect(str(self.file), isolation_level=None)) as session:
                return [session.execute(one).fetchall() for one in said][-1]
        with duckdb.connect(str(self.file)) as session:
            return [session.execute(one).fetchall() for one in said][-1]

    @property
    def sink(self) -> str:
        return f"shop/{self.table}"

    def quoted(self, name: str) -> str:
        return f"`{name}`" if self.kind == "mariadb" else f'"{name}"'

    def tables(self) -> list[str]:
        """This test's table and what deliveries left, if they are there."""
        ask = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "duckdb": "SELECT table_name FROM information_schema.tables",
            "mariadb": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'",
            "postgres": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        }
        found = [row[0] for row in self.run(ask[self.kind])]
        return sorted(name for name in found if name == self.table or name.startswith(staging_prefix(self.sink)))

    def at(self, port: int) -> Target:
        """The same, reached by another port."""
        return replace(self, port=port)

    def deliver(
        self, rows: str, version: str = "v1", mode: Any = "replace", *, keys: Sequence[str] = (), **options: Any
    ) -> Delivered:
        """Deliver the rows of a DuckDB query as a version."""
        where = TableTarget(self.connection, TableName.parse(self.table), mode, tuple(keys), **options)
        with outgoing(self.folder, rows, version) as out:
            return deliver(self.sink, where, "f", out)


@contextmanager
def outgoing(folder: Path, rows: str, version: str = "v1") -> Iterator[Outgoing]:
    """The rows of a DuckDB query as a version of some table."""
    with connect(folder / "spill") as connection:
        yield Outgoing.of(connection, rows, version)


def new_target(kind: str, folder: Path, server: Server | None) -> Target:
    return Target(kind, f"out_{uuid4().hex[:8]}", folder, server)
