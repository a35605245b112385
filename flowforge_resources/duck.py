"""DuckDB as FlowForge uses it: in memory, bounded, sealed off from the network, and careful with names."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from flowforge_resources.settings import memory_limit, threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_numbers = count(1)
# Steps may run in several threads: one engine for all, and a connection for each.
_lock = Lock()
_in_use: set[duckdb.DuckDBPyConnection] = set()
_SPILLED = "spilled-by-"


@lru_cache(maxsize=4)
def _engine(pid: int, spill_to: str, limit: str, workers: int | None) -> duckdb.DuckDBPyConnection:
    """The process's DuckDB: starting one costs 13 ms, a database inside it nothing. A fork starts its own."""
    import duckdb

    _sweep_spilled(Path(spill_to))
    config: dict[str, Any] = {
        "memory_limit": limit,
        "temp_directory": f"{spill_to}/{_SPILLED}{pid}",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
    }
    return duckdb.connect(":memory:", config=config | ({"threads": workers} if workers else {}))


@contextmanager
def connect(spill_to: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory database that spills to a scratch folder beyond `FLOWFORGE_MEMORY_LIMIT`.

    Time zone UTC; no extension is ever downloaded; Python variables are not visible to SQL.
    """
    name = f"private_{next(_numbers)}"
    with _cursor(spill_to) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; ATTACH ':memory:' AS {name}; USE {name}")
        try:
            yield connection
        finally:
            connection.execute(f"USE memory; DETACH {name}")


@contextmanager
def _cursor(spill_to: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the process's engine; an interrupted query is an interrupt of who asked it."""
    import duckdb

    with _lock:
        connection = _engine(os.getpid(), str(spill_to), memory_limit().value, threads()).cursor()
        _in_use.add(connection)
    try:
        yield connection
    except duckdb.InterruptException as broken_off:
        raise KeyboardInterrupt from broken_off
    finally:
        with _lock:
            _in_use.discard(connection)
        connection.close()


def interrupt_queries() -> None:
    """Break off every query that runs now, in whatever thread; there the query raises `KeyboardInterrupt`."""
    with _lock:
        for connection in _in_use:
            connection.interrupt()


def _sweep_spilled(root: Path) -> None:
    """Remove what killed processes of this machine had spilled; DuckDB removes its own at a regular end."""
    for folder in root.glob(f"{_SPILLED}*"):
        if not Path(f"/proc/{folder.name.removeprefix(_SPILLED)}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


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
    rows = connection.execute(sql).fetchall()  # all of them: after `fetchone` the connection is still in use
    if len(rows) != 1:
        raise LookupError(f"a query that returns one row returned {len(rows)}: {sql}")
    return rows[0]
