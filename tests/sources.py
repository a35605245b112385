"""Databases that tests extract from: servers of the session, and a TCP proxy that cuts connections in mid-stream.

Belongs here: what stands in for an operational database. Does not: any expectation.
"""

from __future__ import annotations

import socket
import struct
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


class CuttingProxy:
    """A TCP proxy in front of a server that resets a connection after some bytes of answer.

    Args:
        port: the server's.
        cut_after: for the n-th connection from 0, the bytes it may answer before it is cut; None lets it live.
    """

    def __init__(self, port: int, cut_after: Sequence[int | None]) -> None:
        self._upstream, self._plan = port, list(cut_after)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.cuts = 0

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            left = self._plan[self.connections] if self.connections < len(self._plan) else None
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._upstream))
            Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            Thread(target=self._pump, args=(server, client, left), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while content := source.recv(16_384):
                if left is not None and len(content) > left:
                    target.sendall(content[:left])
                    self.cuts += 1
                    _reset(target)
                    break
                target.sendall(content)
                left = None if left is None else left - len(content)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


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
