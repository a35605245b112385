"""Databases that tests extract from: servers of the session, and a TCP proxy that cuts connections in mid-stream.

Belongs here: what stands in for an operational database. Does not: any expectation.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import dagster as dg

USER, PASSWORD, DATABASE = "app", "s3cret-pw", "shop"


@dataclass(frozen=True)
class Server:
    """A database server on loopback, with a user who may do anything in `DATABASE`."""

    kind: str
    port: int

    def session(self, database: str = DATABASE) -> Any:
        """A DB-API connection of our own, in autocommit."""
        if self.kind == "postgres":
            import psycopg

            return psycopg.connect(
                host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
            )
        import pymysql

        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database=database, autocommit=True
        )

    def run(self, *statements: str) -> list[Sequence[Any]]:
        """Run statements; the rows of the last one."""
        with closing(self.session()) as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def yaml(self, name: str = "shop", *, port: int | None = None, **more: object) -> str:
        """The document of a connection to it."""
        said = "".join(f"\n  {field}: {value}" for field, value in more.items())
        return f"""type: flowforge_assets.components.Connection
attributes:
  name: {name}
  kind: {self.kind}
  host: 127.0.0.1
  port: {port or self.port}
  database: {DATABASE}
  user: {USER}
  password: env('SHOP_PASSWORD'){said}
"""


EXTRACTED_YAML = f"""
    type: flowforge_assets.components.Workflow
    attributes: {{description: Behind a cursor.}}
    ---
    type: flowforge_assets.components.Connection
    attributes:
      name: shop
      kind: postgres
      host: 127.0.0.1
      port: env('SHOP_PORT')
      database: {DATABASE}
      user: {USER}
      password: env('SHOP_PASSWORD')
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sold
      source: {{connection: shop, table: sold, cursor: updated_at, lag: 1h, reconcile: [row_count]}}
      columns:
        - {{name: id, type: integer}}
        - {{name: total, type: "decimal(12,2)"}}
        - {{name: updated_at, type: timestamp}}
      keys: [id]
"""


def extracted(folder: Path) -> dg.Definitions:
    """One table behind a cursor, of a PostgreSQL at `SHOP_PORT`."""
    from scenario import load

    return load(folder, EXTRACTED_YAML, "extracted")


class CuttingProxy:
    """A TCP proxy in front of a server that resets connections in the middle of an answer.

    It is a process of its own, because a driver may hold Python's lock while it waits for an answer.

    Args:
        port: the server's.
        after: bytes that a connection may answer before it is cut.
        times: how many connections are cut; the later ones live.
    """

    def __init__(self, port: int, after: int, times: int = 1) -> None:
        self._plan = [str(port), str(after), str(times)]
        self.port = 0
        self.cuts = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._plan], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # whatever signals the tests were started to ignore
        said, _ = self._process.communicate()
        self.cuts = said.count("cut")


class _Proxy:
    """What the process does."""

    def __init__(self, port: int, after: int, times: int) -> None:
        self._upstream, self._after, self._left = port, after, times
        self._lock = Lock()

    def serve(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)  # noqa: T201
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", self._upstream))
            Thread(target=self._pump, args=(client, server), daemon=True).start()
            Thread(target=self._pump, args=(server, client), kwargs={"answers": True}, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, *, answers: bool = False) -> None:
        passed = 0
        with suppress(OSError):
            while content := source.recv(16_384):
                passed += len(content)
                if answers and passed > self._after and self._may_cut():
                    _reset(target)
                    break
                target.sendall(content)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _may_cut(self) -> bool:
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                print("cut", flush=True)  # noqa: T201
            return self._left >= 0


def _reset(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def postgres_source() -> Iterator[Server]:
    from postgres_server import postgres_server

    with postgres_server(user=USER, password=PASSWORD, database=DATABASE) as server:
        yield Server("postgres", server.port)


@contextmanager
def mariadb_source() -> Iterator[Server]:
    from mariadb_server import mariadb_server

    with mariadb_server(user=USER, password=PASSWORD, database=DATABASE) as port:
        yield Server("mariadb", port)


if __name__ == "__main__":
    _Proxy(*map(int, sys.argv[1:])).serve()
