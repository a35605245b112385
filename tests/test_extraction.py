"""Tables of real databases become bronze and silver: whole or behind a cursor, exactly once, whatever breaks in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_resources.errors import SourceError
from scenario import checks, failures, load, metadata, rows_of, run, run_well
from sources import PASSWORD, CuttingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake
    from sources import Server

SERVERS = ("postgres", "mariadb")


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


ORDERS = """
columns:
  - {name: id, type: integer}
  - {name: total, type: "decimal(12,2)"}
  - {name: note}
  - {name: updated_at, type: timestamp}
keys: [id]
"""


def workflow(server: Server, source: str, rest: str = "", *, port: int | None = None, **connection: object) -> str:
    more = "".join(f"  {line}\n" for line in rest.strip().splitlines())
    return f"""type: flowforge_assets.components.Workflow
attributes: {{description: A shop.}}
---
{server.yaml(port=port, **connection)}
---
type: flowforge_assets.components.Table
attributes:
  name: orders
  source: {{connection: shop, {source}}}
{more}"""


def orders(server: Server, *rows: tuple[int, str, str | None, str], table: str = "orders") -> None:
    """A fresh table with some rows: id, total, note, second of the day."""
    moment = "timestamptz" if server.kind == "postgres" else "datetime(6)"
    server.run(
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} (id int PRIMARY KEY, total decimal(12,2), note text, updated_at {moment})",
    )
    add(server, *rows, table=table)


def add(server: Server, *rows: tuple[int, str, str | None, str], table: str = "orders") -> None:
    """Insert or replace rows."""
    for number, total, note, at in rows:
        zone = "+00" if server.kind == "postgres" else ""
        text = (
            "NULL"
            if note is None
            else "'" + note.replace("'", "''").replace("\\", "\\\\" if zone == "" else "\\") + "'"
        )
        server.run(
            f"DELETE FROM {table} WHERE id = {number}",
            f"INSERT INTO {table} VALUES ({number}, {total}, {text}, '2026-01-01 {at}{zone}')",
        )


def bronze(lake: Lake) -> list[dict[str, Any]]:
    """All rows of bronze in order of arrival."""
    keys = sorted(one.key for one in lake.objects("bronze/shop/orders/") if one.key.endswith(".parquet"))
    return [row for key in keys for row in rows_of(lake, key)]


def silver(lake: Lake) -> dict[int, tuple[str, str | None]]:
    """Silver by key."""
    return {row["id"]: (str(row["total"]), row["note"]) for row in rows_of(lake, "silver/shop/orders/current.parquet")}


def test_five_lines_make_a_bronze_table(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(
        server,
        (1, "12.50", 'it\'s; "quoted",\nand \\ more', "10:00:00"),
        (2, "0.10", "", "10:00:00.5"),
        (3, "-1", None, "10:00:01"),
    )
    result = run_well(load(tmp_path, workflow(server, "table: orders")), "shop")
    rows = {row["id"]: row for row in bronze(lake)}
    assert [rows[one]["total"] for one in "123"] == ["12.50", "0.10", "-1.00"]
    assert [rows[one]["note"] for one in "123"] == ['it\'s; "quoted",\nand \\ more', "", None]
    assert rows["2"]["updated_at"].startswith("2026-01-01 10:00:00.5")
    assert rows["1"]["_source_file"].startswith("shop/orders/2")
    assert {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key} == {
        "bronze_orders"
    }
    assert metadata(result, "bronze_orders")["rows_ingested"] == 3


def test_a_whole_table_is_extracted_each_time_and_enters_silver(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1", "a", "10:00:00"), (2, "2", "b", "10:00:00"))
    defs = load(tmp_path, workflow(server, "table: orders", f"{ORDERS}strategy: upsert"))
    assert server.kind in defs.resolve_asset_graph().get(dg.AssetKey(["shop", "bronze_orders"])).kinds
    run_well(defs, "shop")
    add(server, (2, "2.5", "b", "11:00:00"), (3, "3", "c", "11:00:00"))
    run_well(defs, "shop")
    assert silver(lake) == {1: ("1.00", "a"), 2: ("2.50", "b"), 3: ("3.00", "c")}


def test_rows_absent_from_a_whole_table_are_deleted_where_the_table_says_so(
    tmp_path: Path, lake: Lake, server: Server
) -> None:
    orders(server, (1, "1", "a", "10:00:00"), (2, "2", "b", "10:00:00"))
    defs = load(tmp_path, workflow(server, "table: orders", f"{ORDERS}delete_absent: delete\nextract: run"))
    run_well(defs, "shop")
    server.run("DELETE FROM orders WHERE id = 1")
    run_well(defs, "shop")
    assert silver(lake) == {2: ("2.00", "b")}


def test_a_cursor_takes_what_is_new_and_only_that(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1", "a", "10:00:00"), (2, "2", "b", "10:00:00.123456"))
    defs = load(tmp_path, workflow(server, "table: orders, cursor: updated_at", ORDERS))
    first = run_well(defs, "shop")
    assert metadata(first, "bronze_orders")["cursor_to"].startswith("2026-01-01 10:00:00.123456")
    add(server, (2, "2.5", "b", "11:00:00"), (3, "3", "c", "12:00:00"))
    second = metadata(run_well(defs, "shop"), "bronze_orders")
    assert second["rows_ingested"] == 2
    assert second["cursor_from"].startswith("2026-01-01 10:00:00.123456")
    assert metadata(run_well(defs, "shop"), "bronze_orders")["rows_ingested"] == 0
    assert len(bronze(lake)) == 4
    assert silver(lake) == {1: ("1.00", "a"), 2: ("2.50", "b"), 3: ("3.00", "c")}


def test_a_row_at_the_very_cursor_and_one_that_commits_late_are_not_lost(
    tmp_path: Path, lake: Lake, server: Server
) -> None:
    orders(server, (1, "1", "a", "10:00:00"), (2, "2", "b", "10:10:00"))
    defs = load(tmp_path, workflow(server, "table: orders, cursor: updated_at, lag: 15m", ORDERS))
    run_well(defs, "shop")
    add(server, (3, "3", "tie", "10:10:00"), (4, "4", "late", "10:00:00"), (5, "5", "too late", "09:00:00"))
    said = metadata(run_well(defs, "shop"), "bronze_orders")
    assert said["rows_ingested"] == 2
    assert said["rows_known_already"] == 2
    assert sorted(silver(lake)) == [1, 2, 3, 4]
    assert len(bronze(lake)) == 4


def test_a_number_can_be_the_cursor_with_a_first_value(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, *[(number, "1", None, "10:00:00") for number in (1, 5, 9, 10)])
    source = "table: orders, cursor: id, from: 5, bounds: open".replace("from: 5", "from: '5'")
    defs = load(tmp_path, workflow(server, source, ORDERS))
    run_well(defs, "shop")
    add(server, (11, "1", None, "10:00:00"), (2, "1", None, "10:00:00"))
    run_well(defs, "shop")
    assert sorted(silver(lake)) == [5, 9, 10, 11]


def test_a_query_in_the_databases_own_sql_is_a_source(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1", "50% off", "10:00:00"), (2, "2", "b", "10:00:00"))
    source = (
        "query: \"SELECT id, total, upper(note) AS note, updated_at FROM orders WHERE note LIKE '%off' -- a remark\""
    )
    run_well(load(tmp_path, workflow(server, source, ORDERS)), "shop")
    assert silver(lake) == {1: ("1.00", "50% OFF")}


def test_names_that_need_quotes_are_quoted(tmp_path: Path, lake: Lake, server: Server) -> None:
    mark = "`" if server.kind == "mariadb" else '"'
    name = f"{mark}Größe; DROP '{mark}"
    columns = (
        f'{mark}select{mark} int PRIMARY KEY, {mark}Maß "x"{mark} decimal(5,2)'
        if server.kind == "mariadb"
        else '"select" int PRIMARY KEY, "Maß ""x""" decimal(5,2)'
    )
    server.run(
        f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} ({columns})", f"INSERT INTO {name} VALUES (1, 2.5)"
    )
    source = 'table: "Größe; DROP \'", cursor: select'
    run_well(load(tmp_path, workflow(server, source)), "shop")
    (row,) = bronze(lake)
    assert (row["select"], row['Maß "x"']) == ("1", "2.50")


def test_a_connection_cut_in_mid_stream_publishes_nothing_and_the_retry_takes_everything(
    tmp_path: Path, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowforge_resources.retries._FIRST_WAIT_S", 0.01)
    _many(server, 20_000)
    source = "table: orders, cursor: id"
    with CuttingProxy(server.port, 300_000) as proxy:
        result = run_well(load(tmp_path, workflow(server, source, ORDERS, port=proxy.port)), "shop")
    assert proxy.cuts == 1
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert len(bronze(lake)) == 20_000
    assert len(silver(lake)) == 20_000


def test_a_source_that_keeps_dying_fails_the_run_in_words_and_leaves_the_tables(
    tmp_path: Path, lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowforge_resources.retries._FIRST_WAIT_S", 0.01)
    _many(server, 20_000)
    with CuttingProxy(server.port, 300_000, times=100) as proxy:
        result = run(load(tmp_path, workflow(server, "table: orders", ORDERS, port=proxy.port)), "shop")
    assert not result.success
    assert "ended the session" in failures(result)
    assert PASSWORD not in failures(result)
    assert not bronze(lake)
    assert not silver(lake)


def _many(server: Server, rows: int) -> None:
    orders(server)
    series = (
        "generate_series(1, {0}) AS s(n)" if server.kind == "postgres" else "(SELECT seq AS n FROM seq_1_to_{0}) AS s"
    )
    at = "timestamptz '2026-01-01 10:00:00+00'" if server.kind == "postgres" else "'2026-01-01 10:00:00'"
    server.run(f"INSERT INTO orders SELECT n, n % 1000, repeat('x', 40), {at} FROM {series.format(rows)}")


def test_ranges_are_read_over_several_connections(tmp_path: Path, lake: Lake, server: Server) -> None:
    _many(server, 5_000)
    source = "table: orders, parallel: {by: id, connections: 3}, reconcile: [row_count, sum(total)]"
    result = run_well(load(tmp_path, workflow(server, source, ORDERS)), "shop")
    assert sorted(int(row["id"]) for row in bronze(lake)) == list(range(1, 5_001))
    assert sorted(row["_row_number"] for row in bronze(lake)) == list(range(1, 5_001))
    agreed = checks(result)["bronze_orders", "reconciled"]
    assert agreed.passed
    assert agreed.metadata["row_count"].value == "5000 = 5000"


def test_deletes_are_found_by_comparing_keys(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1", "a", "10:00:00"), (2, "2", "b", "10:00:00"), (3, "3", "c", "10:00:00"))
    table = ORDERS.replace("keys:", "  - {name: _deleted, type: boolean}\nkeys:")
    table += "sequence_by: [updated_at]\napply_as_delete_when: _deleted\nexcept_columns: [_deleted]\n"
    source = "table: orders, cursor: updated_at, detect_deletes: {every: 0s}"
    defs = load(tmp_path, workflow(server, source, table))
    run_well(defs, "shop")
    server.run("DELETE FROM orders WHERE id = 2")
    add(server, (4, "4", "d", "11:00:00"))
    result = run_well(defs, "shop")
    assert metadata(result, "bronze_orders")["keys_deleted"] == 1
    assert checks(result)["bronze_orders", "schema"].passed, "a deleted key has no other columns, and lacks none"
    assert sorted(silver(lake)) == [1, 3, 4]
    assert metadata(run_well(defs, "shop"), "bronze_orders")["keys_deleted"] == 0
    add(server, (2, "2", "back", "12:00:00"))
    run_well(defs, "shop")
    assert silver(lake)[2] == ("2.00", "back")
    server.run("DELETE FROM orders WHERE id IN (2, 3)")
    run_well(defs, "shop")
    assert sorted(silver(lake)) == [1, 4]


def test_reconciliation_of_keys_and_counts_is_one_line(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1.10", "a", "10:00:00"), (2, "2", "b", "10:00:00"))
    source = "table: orders, reconcile: [row_count, sum(total), keys]"
    said = checks(run_well(load(tmp_path, workflow(server, source, ORDERS)), "shop"))["bronze_orders", "reconciled"]
    assert said.passed
    assert {name: value.value for name, value in said.metadata.items()} == {
        "row_count": "2 = 2",
        "sum(total)": "3.1 = 3.1",
        "keys": "2 keys = 2 keys",
    }


def test_a_new_column_is_said_and_kept_and_a_missing_key_stops_the_table(
    tmp_path: Path, lake: Lake, server: Server
) -> None:
    orders(server, (1, "1", "a", "10:00:00"))
    defs = load(tmp_path, workflow(server, "table: orders", ORDERS))
    run_well(defs, "shop")
    server.run("ALTER TABLE orders ADD COLUMN colour varchar(9)", "UPDATE orders SET colour = 'red'")
    said = checks(run_well(defs, "shop"))["bronze_orders", "schema"]
    assert not said.passed
    assert "brings colour" in str(said.description)
    assert bronze(lake)[-1]["colour"] == "red"
    server.run("ALTER TABLE orders RENAME COLUMN id TO number")
    result = run(defs, "shop")
    assert "no column 'id', which is (part of) the key" in failures(result)
    assert len(bronze(lake)) == 2


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("table: orderz", "no such table"),
        ("table: orders, cursor: updated", "Did you mean 'updated_at'?"),
        ("table: orders, cursor: note", "a cursor must hold numbers or moments"),
        ("table: orders, cursor: updated_at, lag: '5'", "does not fit the cursor"),
        ("table: orders, parallel: {by: note}", "ranges are made of whole numbers"),
        ("table: orders, reconcile: [sum(totals)]", "Did you mean 'total'?"),
    ],
)
def test_what_the_source_does_not_have_is_said_in_words(
    tmp_path: Path, lake: Lake, postgres: Server, source: str, words: str
) -> None:
    orders(postgres, (1, "1", "a", "10:00:00"))
    defs = load(tmp_path, workflow(postgres, source, ORDERS))
    said = failures(run(defs, "shop"))
    if "lag" in source:
        said += failures(run(defs, "shop"))
    assert words in said
    assert SourceError.__doc__
