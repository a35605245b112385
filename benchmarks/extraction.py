"""A table of a database to bronze, against the same rows to Parquet by bare drivers: `python -m benchmarks.extraction`.

Each contender is a process of its own on loopback servers that this starts and ends, and reads a small table before it is
timed; in every round each has its turn, and its best round counts. CPU is that process's, not the server's: on a busy machine
it says more than the seconds do. `uv sync --group bench` installs ConnectorX.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

ROWS = int(os.environ.get("BENCH_ROWS", "1500000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FEW = 1000
ROOT = Path(__file__).parent.parent
CONTENDERS = {
    "postgres": ("FlowForge", "ADBC", "ConnectorX", "psycopg"),
    "mariadb": ("FlowForge", "ConnectorX", "PyMySQL"),
}
_POSTGRES_ROWS = """CREATE TABLE li AS SELECT g::bigint AS id, (g * 7 %% 200000)::int AS part, (g %% 50)::numeric(12,2) + 0.25 AS qty,
    (g * 13::bigint %% 100000)::numeric(15,2) / 100 AS price, 'N' || (g %% 3) AS flag, date '1992-01-01' + (g %% 2500)::int AS ship,
    timestamptz '2026-01-01' + (g || ' s')::interval AS updated_at, 'DELIVER IN PERSON ' || g AS note, g %% 2 = 0 AS ok, g * 1.1::float8 AS f
    FROM generate_series(1, {rows}) g"""
_MARIADB_ROWS = """CREATE TABLE li AS SELECT seq AS id, seq * 7 %% 200000 AS part, CAST(seq %% 50 + 0.25 AS DECIMAL(12,2)) AS qty,
    CAST(seq * 13 %% 100000 / 100 AS DECIMAL(17,6)) AS price, concat('N', seq %% 3) AS flag, date_add('1992-01-01', INTERVAL seq %% 2500 DAY) AS ship,
    timestampadd(SECOND, seq, '2026-01-01') AS updated_at, concat('DELIVER IN PERSON ', seq) AS note, seq %% 2 = 0 AS ok, seq * 1.1e0 AS f
    FROM seq_1_to_{rows}"""


def main() -> None:
    """Start the servers, time every contender, print a table."""
    sys.path.insert(0, str(ROOT / "tests"))
    from sources import PASSWORD, mariadb_source, postgres_source

    os.environ["SHOP_PASSWORD"] = PASSWORD
    print(
        "| database | reader | rows/s | CPU s | peak MB | CPU against the best bare read |\n|---|---|---|---|---|---|"
    )
    for kind, start, made in (
        ("postgres", postgres_source, _POSTGRES_ROWS),
        ("mariadb", mariadb_source, _MARIADB_ROWS),
    ):
        with start() as server:
            server.run(made.format(rows=ROWS).replace("%%", "%"))
            server.run(f"CREATE TABLE li_few AS SELECT * FROM li WHERE id <= {FEW}")
            rounds = [{name: _timed(kind, name, server.port) for name in CONTENDERS[kind]} for _ in range(ROUNDS)]
        timed = {name: _best([one[name] for one in rounds]) for name in CONTENDERS[kind]}
        bare = min(cpu for name, (_, cpu, _) in timed.items() if name != "FlowForge")
        for name, (wall, cpu, peak) in timed.items():
            print(f"| {kind} | {name} | {ROWS / wall:,.0f} | {cpu:.2f} | {peak} | {cpu / bare:.2f} |")


def _timed(kind: str, name: str, port: int) -> tuple[float, float, int]:
    command = [sys.executable, "-m", "benchmarks.extraction", kind, name, str(port)]
    wall, cpu, peak = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
    return float(wall), float(cpu), int(peak)


def _best(rounds: list[tuple[float, float, int]]) -> tuple[float, float, int]:
    walls, cpus, peaks = zip(*rounds, strict=True)
    return min(walls), min(cpus), max(peaks)


def one(kind: str, name: str, port: int) -> None:
    """Read and write once, in this process; print seconds, CPU seconds and peak megabytes."""
    read = {"FlowForge": _flowforge, "ADBC": _adbc, "ConnectorX": _connectorx, "psycopg": _psycopg, "PyMySQL": _pymysql}
    with tempfile.TemporaryDirectory() as folder:
        read[name](kind, port, "li_few", Path(folder))  # what a process needs once is no part of reading rows
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = perf_counter(), process_time()
        rows = read[name](kind, port, "li", Path(folder))
        wall, cpu = perf_counter() - wall, process_time() - cpu
    if rows != ROWS:
        raise SystemExit(f"{name} read {rows} rows")
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def _flowforge(kind: str, port: int, table: str, folder: Path) -> int:
    from flowforge_assets.extraction.extract import extract
    from flowforge_assets.extraction.source import DatabaseSource
    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId, utc_now
    from flowforge_resources.ledger import read_ledger

    bronze = TableId("bench", table)
    source = DatabaseSource(connection="shop", table=table)
    spec = TableSpec(bronze, "", FileOptions(), (), (), (), "", source=source)
    login = {
        "host": "127.0.0.1",
        "port": str(port),
        "database": "shop",
        "user": "app",
        "password": "env('SHOP_PASSWORD')",
    }
    connection = ConnectionFields(name="shop", kind=kind, **login)  # type: ignore[arg-type]
    lake = Lake(str(folder / "lake"))
    with lake.scratch() as scratch:
        found = extract(lake, spec, connection, read_ledger(lake, bronze), at=utc_now(), scratch=scratch)
        return sum(found.done.rows.values())


def _adbc(_kind: str, port: int, table: str, folder: Path) -> int:
    import adbc_driver_postgresql.dbapi as adbc

    url = f"postgresql://app:{os.environ['SHOP_PASSWORD']}@127.0.0.1:{port}/shop"
    with adbc.connect(url) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return _written(cursor.fetch_record_batch(), folder)


def _connectorx(kind: str, port: int, table: str, folder: Path) -> int:
    import connectorx

    scheme = "postgresql" if kind == "postgres" else "mysql"
    url = f"{scheme}://app:{os.environ['SHOP_PASSWORD']}@127.0.0.1:{port}/shop"
    return _written(connectorx.read_sql(url, f"SELECT * FROM {table}", return_type="arrow").to_batches(), folder)


def _psycopg(_kind: str, port: int, table: str, folder: Path) -> int:
    import psycopg

    login = {
        "host": "127.0.0.1",
        "port": port,
        "user": "app",
        "password": os.environ["SHOP_PASSWORD"],
        "dbname": "shop",
    }
    with psycopg.connect(**login) as session, session.cursor("bench") as cursor:  # type: ignore[arg-type]
        cursor.execute(f"SELECT * FROM {table}")
        return _written(_batches(cursor), folder)


def _pymysql(_kind: str, port: int, table: str, folder: Path) -> int:
    import pymysql
    from pymysql.cursors import SSCursor

    login = {"host": "127.0.0.1", "port": port, "user": "app", "password": os.environ["SHOP_PASSWORD"]}
    with pymysql.connect(database="shop", cursorclass=SSCursor, **login) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return _written(_batches(cursor), folder)


def _batches(cursor: Any) -> Any:
    import pyarrow as pa

    while rows := cursor.fetchmany(20_000):
        names = [column[0] for column in cursor.description]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*rows, strict=True)], names=names)


def _written(batches: Any, folder: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, rows = None, 0
    for batch in batches:
        table = pa.Table.from_batches([batch])
        writer = writer or pq.ParquetWriter(
            folder / "bare.parquet", table.schema, compression="zstd", compression_level=1
        )
        writer.write_table(table)
        rows += table.num_rows
    if writer:
        writer.close()
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
