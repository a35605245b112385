"""A million rows to a table of a database: a sink's delivery against what its driver does at best: `python -m benchmarks.delivery`.

Both begin with a Parquet file. Bare: read it, convert, and COPY (PostgreSQL) or `executemany` in batches (MariaDB) into an empty
table, without staging, counting, or a swap. CPU is this process's; the best of some rounds counts.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ROOT = Path(__file__).parent.parent
_MADE = f"""SELECT i AS id, i * 7 % 200000 AS part, (i % 5000 / 4)::DECIMAL(12,2) AS price, 'N' || i % 3 AS flag,
    DATE '1992-01-01' + (i % 2500)::INTEGER AS ship, TIMESTAMP '2026-01-01' + to_seconds(i) AS updated_at,
    'DELIVER IN PERSON ' || i AS note, i % 2 = 0 AS ok, i * 1.1::DOUBLE AS f FROM range(1, {ROWS + 1}) AS r(i)"""
_COLUMNS = {
    "postgres": "id bigint, part bigint, price numeric(12,2), flag text, ship date, updated_at timestamp, note text, ok boolean, f float8",
    "mariadb": "id bigint, part bigint, price decimal(12,2), flag longtext, ship date, updated_at datetime(6), note longtext, ok boolean, f double",
}


def main() -> None:
    """Start the servers, time both, print a table."""
    import duckdb

    sys.path.insert(0, str(ROOT / "tests"))
    from sources import PASSWORD, mariadb_source, postgres_source

    os.environ["SHOP_PASSWORD"] = PASSWORD
    print("| database | by | rows/s | CPU s | CPU against bare |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.parquet"
        duckdb.sql(f"COPY ({_MADE}) TO '{rows}'")
        for start in (postgres_source, mariadb_source):
            with start() as server:
                bare = {"postgres": _copy, "mariadb": _inserts}[server.kind]
                ways: dict[str, Callable[[Any, Path], object]] = {"bare": bare, "FlowForge": _flowforge}
                rounds = [{name: _timed(way, server, rows) for name, way in ways.items()} for _ in range(ROUNDS)]
            best = {name: [min(one[name][part] for one in rounds) for part in (0, 1)] for name in ways}
            for name, (wall, cpu) in best.items():
                print(f"| {server.kind} | {name} | {ROWS / wall:,.0f} | {cpu:.2f} | {cpu / best['bare'][1]:.2f} |")


def _timed(way: Callable[[Any, Path], object], server: Any, rows: Path) -> tuple[float, float]:
    server.run("DROP TABLE IF EXISTS delivered", "DROP TABLE IF EXISTS _flowforge_deliveries")
    server.run(f"CREATE TABLE bare ({_COLUMNS[server.kind]})")
    wall, cpu = perf_counter(), process_time()
    way(server, rows)
    found = perf_counter() - wall, process_time() - cpu
    server.run("DROP TABLE bare")
    return found


def _flowforge(server: Any, rows: Path) -> None:
    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.sinks.database import TableTarget, deliver
    from sink_targets import outgoing

    login = {
        "host": "127.0.0.1",
        "port": str(server.port),
        "database": "shop",
        "user": "app",
        "password": "env('SHOP_PASSWORD')",
    }
    connection = ConnectionFields(name="shop", kind=server.kind, read_only=False, **login)
    target = TableTarget(connection, TableName.parse("delivered"), "replace", ("id",))
    with tempfile.TemporaryDirectory() as folder, outgoing(Path(folder), f"FROM '{rows}'") as out:
        done = deliver("bench/delivered", target, "f", out)
    if done.counted != ROWS:
        raise SystemExit(f"{done.counted} rows were delivered")


def _copy(server: Any, rows: Path) -> None:
    import duckdb
    from pyarrow import BufferOutputStream, csv

    options = csv.WriteOptions(include_header=False)
    with (
        server.session() as session,
        session.cursor() as cursor,
        cursor.copy("COPY bare FROM STDIN (FORMAT csv)") as copy,
    ):
        for batch in duckdb.sql(f"FROM '{rows}'").to_arrow_reader(50_000):
            sink = BufferOutputStream()
            csv.write_csv(batch, sink, options)
            copy.write(memoryview(sink.getvalue()))


def _inserts(server: Any, rows: Path) -> None:
    import duckdb

    with server.session() as session, session.cursor() as cursor:
        session.begin()
        for batch in duckdb.sql(f"FROM '{rows}'").to_arrow_reader(50_000):
            values = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            cursor.executemany(f"INSERT INTO bare VALUES ({', '.join(['%s'] * batch.num_columns)})", values)
        session.commit()


if __name__ == "__main__":
    main()
