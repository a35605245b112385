"""What happens to a source while it is read: it restarts, ends the statement, is altered; and TLS, throttling, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from flowforge_assets.extraction import database_read
from flowforge_assets.extraction.database_read import DatabaseRead
from flowforge_resources.databases.readers.base import SourceColumn
from flowforge_resources.databases.readers.mysql import MysqlReader
from flowforge_resources.databases.readers.postgres import PostgresReader
from flowforge_resources.errors import DatabaseRefusedError
from processes import wait_until
from scenario import load, run_well
from sources import PASSWORD
from test_extraction import ORDERS, _many, bronze, orders, workflow
from test_lake import can_mount, in_small_disk
from test_source_types import connection_to, read_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowforge_resources.lake import Lake
    from sources import Server

ROOT = Path(__file__).parent.parent
READERS = {"postgres": PostgresReader, "mariadb": MysqlReader}
SLEEP = {"postgres": "pg_sleep((SELECT s FROM nap)) IS NOT NULL", "mariadb": "SLEEP((SELECT s FROM nap) + 0 * id) = 0"}
RUNNING = {
    "postgres": "SELECT pid FROM pg_stat_activity WHERE query LIKE '%FROM nap%' AND state = 'active' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE info LIKE '%FROM nap%' AND state LIKE '%sleep%' AND id <> CONNECTION_ID()",
}
KILL = {"postgres": "SELECT pg_terminate_backend({})", "mariadb": "KILL QUERY {}"}
ALTER = {
    "postgres": ("SET lock_timeout = '50ms'", "ALTER TABLE orders DROP COLUMN note"),
    "mariadb": ("ALTER TABLE orders NOWAIT DROP COLUMN note",),
}


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    monkeypatch.setattr("flowforge_resources.retries._FIRST_WAIT_S", 0.3)


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def before_read(monkeypatch: pytest.MonkeyPatch, kind: str, number: int, happens: Callable[[], object]) -> None:
    """Something happens just before a reader sends its n-th statement for rows, counted from 1 over all connections."""
    reader, lock, asked = READERS[kind], Lock(), [0]
    real = reader.batches

    def batches(self: Any, sql: str, names: Any) -> Iterator[pl.DataFrame]:
        with lock:
            asked[0] += 1
            if asked[0] == number:
                happens()
        yield from real(self, sql, names)

    monkeypatch.setattr(reader, "batches", batches)


def test_a_server_that_crashes_between_two_ranges_is_read_again_from_the_start(
    tmp_path: Path, lake: Lake, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killing a backend makes PostgreSQL end every session and recover, as a restart does."""
    _many(postgres, 3_000)

    def crash() -> None:
        mine = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()"
        sessions = [int(row[0]) for row in postgres.run(mine)]
        os.kill(sessions[0], signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in sessions), "the sessions have ended")

    before_read(monkeypatch, "postgres", 2, crash)
    source = "table: orders, parallel: {by: id, connections: 2}"
    result = run_well(load(tmp_path, workflow(postgres, source, ORDERS)), "shop")
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert sorted(int(row["id"]) for row in bronze(lake)) == list(range(1, 3_001))


def test_a_snapshot_that_died_with_its_session_is_transient(postgres: Server) -> None:
    from flowforge_resources.databases.trouble import classify

    for said in ('invalid snapshot identifier: "0000"', 'snapshot "0000" does not exist'):
        found = classify(f"ERROR: {said}")
        assert found is not None
        assert found.transient


@contextmanager
def killer(server: Server) -> Iterator[list[int]]:
    """Ends the first statement that sleeps, as an operator would; the next ones need not sleep."""
    killed: list[int] = []
    over = Event()

    def look() -> None:
        while not killed and not over.wait(0.01):
            for (number,) in server.run(RUNNING[server.kind])[:1]:
                server.run("UPDATE nap SET s = 0", KILL[server.kind].format(number))
                killed.append(int(number))

    thread = Thread(target=look)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_a_statement_that_somebody_ends_is_tried_again(tmp_path: Path, lake: Lake, server: Server) -> None:
    _many(server, 20)
    server.run("DROP TABLE IF EXISTS nap", "CREATE TABLE nap (s float)", "INSERT INTO nap VALUES (1)")
    source = f'query: "SELECT * FROM orders WHERE {SLEEP[server.kind]}"'
    defs = load(tmp_path, workflow(server, source, ORDERS))
    with killer(server) as killed:
        result = run_well(defs, "shop")
    assert len(killed) == 1
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert sorted(int(row["id"]) for row in bronze(lake)) == list(range(1, 21))


def test_a_table_cannot_be_altered_while_it_is_read(
    tmp_path: Path, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's transaction holds the table's shape from its description to the last range."""
    _many(server, 100)
    refused: list[Exception] = []

    def alter() -> None:
        try:
            server.run(*ALTER[server.kind])
        except Exception as error:  # noqa: BLE001  # each driver's own
            refused.append(error)

    before_read(monkeypatch, server.kind, 2, alter)
    source = "table: orders, parallel: {by: id, connections: 2}"
    run_well(load(tmp_path, workflow(server, source, ORDERS)), "shop")
    assert len(refused) == 1
    assert {row["note"] for row in bronze(lake)} == {"x" * 40}


EXTRACT = """
from pathlib import Path
import sys
sys.path.insert(0, {tests!r})
from scenario import failures, run
from sources import extracted
from flowforge_resources.lake import Lake
result = run(extracted(Path({project!r})), "extracted")
print(failures(result))
print("success" if result.success else "failed", [one.key for one in Lake().objects("bronze/")])
"""


def test_a_lake_that_is_full_keeps_nothing_of_an_extraction(tmp_path: Path, postgres: Server) -> None:
    if not can_mount(tmp_path):
        pytest.skip("needs a mount namespace of its own (unshare)")
    postgres.run(
        "DROP TABLE IF EXISTS sold",
        "CREATE TABLE sold AS SELECT n AS id, n / 7.0 AS total, md5(n::text) AS note, now() + n * interval '1 s' AS updated_at FROM generate_series(1, 60000) AS s(n)",
    )
    (tmp_path / "project").mkdir()
    script = EXTRACT.format(tests=str(Path(__file__).parent), project=str(tmp_path / "project"))
    there = {"FLOWFORGE_LAKE_URL": str(tmp_path / "disk"), "FLOWFORGE_SCRATCH_DIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    said = in_small_disk(
        tmp_path / "disk", "200k", {**there, "SHOP_PORT": str(postgres.port), "SHOP_PASSWORD": PASSWORD}, script
    )
    assert "failed []" in said
    assert "full" in said or "space" in said
    assert PASSWORD not in said


def test_rows_are_asked_for_no_faster_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(database_read, "monotonic", lambda: now[0])
    monkeypatch.setattr(database_read, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    frame, taken_at = pl.DataFrame({"a": ["1"] * 100}), []

    def batches() -> Iterator[pl.DataFrame]:
        for _ in range(3):
            taken_at.append(now[0] - 100.0)
            now[0] += 0.5  # what the server takes for it
            yield frame

    connection: Any = None
    read = DatabaseRead(connection, [SourceColumn("a", "text", "a")], batches, max_rows_per_s=50)
    assert sum(one.height for one in read._numbered()) == 300
    assert taken_at == pytest.approx([0.0, 2.0, 4.0])
    assert now[0] - 100.0 == pytest.approx(6.0)


@pytest.fixture
def certificate(postgres: Server, tmp_path: Path) -> Iterator[Path]:
    """PostgreSQL speaks TLS with a certificate for 127.0.0.1 that signs itself."""
    key, made = tmp_path / "server.key", tmp_path / "server.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=flowforge"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    ((data,),) = postgres.run("SHOW data_directory")
    owner = Path(data).stat()
    for source in (key, made):
        copied = Path(data) / source.name
        copied.write_bytes(source.read_bytes())
        copied.chmod(0o600)
        os.chown(copied, owner.st_uid, owner.st_gid)
    postgres.run("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    try:
        yield made
    finally:
        postgres.run("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")


ENCRYPTED = "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS mine"


def test_tls_is_verified_by_signer_and_name(postgres: Server, certificate: Path, tmp_path: Path) -> None:
    for mode in ("require", "verify-ca", "verify-full"):
        _, texts = read_row(connection_to(postgres, tls=mode, tls_ca=str(certificate)), ENCRYPTED)
        assert texts == ["true"]
    _, texts = read_row(connection_to(postgres, tls="verify-ca", tls_ca=str(certificate), host="localhost"), ENCRYPTED)
    assert texts == ["true"]
    with pytest.raises(DatabaseRefusedError, match="do not agree on an encrypted connection") as wrong_name:
        read_row(connection_to(postgres, tls="verify-full", tls_ca=str(certificate), host="localhost"), ENCRYPTED)
    assert "localhost" in str(wrong_name.value)
    other = tmp_path / "other.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=another"),
            *("-keyout", tmp_path / "other.key", "-out", other),
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(DatabaseRefusedError, match="do not agree on an encrypted connection"):
        read_row(connection_to(postgres, tls="verify-ca", tls_ca=str(other)), ENCRYPTED)


def test_a_value_of_64_megabytes_is_whole(tmp_path: Path, lake: Lake, postgres: Server) -> None:
    size = 64 << 20
    orders(postgres)
    postgres.run(f"INSERT INTO orders VALUES (1, 1, repeat('é', {size // 2}), now())")
    run_well(load(tmp_path, workflow(postgres, "table: orders")), "shop")
    (row,) = bronze(lake)
    assert row["note"] == "é" * (size // 2)


PEAKS = """
import resource
from pathlib import Path
from benchmarks.extraction import _flowforge
for table in ("once", "four_times"):
    for kind, port in {ports!r}.items():
        _flowforge(kind, port, table, Path({folder!r}) / table / kind)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""
TEXTS = {
    "postgres": "SELECT n, repeat(n::text, 25) AS note FROM generate_series(1, {0}) AS s(n)",
    "mariadb": "SELECT seq AS n, repeat(seq, 25) AS note FROM seq_1_to_{0}",
}


def test_four_times_the_rows_take_no_more_memory(postgres: Server, mariadb: Server, tmp_path: Path) -> None:
    """480,000 rows are 80 MB of text in each database. Less than the first would not fill a row group."""
    for server in (postgres, mariadb):
        for table, rows in (("once", 120_000), ("four_times", 480_000)):
            server.run(f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} AS {TEXTS[server.kind].format(rows)}")
    code = PEAKS.format(ports={one.kind: one.port for one in (postgres, mariadb)}, folder=str(tmp_path))
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    once, four_times = map(int, said.stdout.split())
    assert four_times - once < 56
