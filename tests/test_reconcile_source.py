"""A layer is reconciled with a source database: added up there, keys and rows fetched as far as they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenario import checks, failures, load, run, run_well
from sources import PASSWORD
from test_extraction import ORDERS, add, orders, workflow
from test_yaml import everything_said

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake
    from sources import Server


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


COMPARED = """---
type: flowforge_assets.components.Reconciliation
attributes:
  name: shop_orders
  left_source: {{connection: shop, {rows}}}
  right: {right}
  measures: {measures}
  {more}
"""
EVERYTHING = "[row_count, {measure: sum, column: total}, {measure: max, column: updated_at}, {measure: sum, left: total * 2, right: total + total}, key_set, diff]"


def reconciled(
    server: Server,
    measures: str,
    *,
    rows: str = "table: orders",
    right: str = "orders",
    more: str = "keys: [id]",
    table: str = ORDERS,
) -> str:
    """Silver is behind a cursor, so that what changes without moving it goes unnoticed."""
    document = COMPARED.format(rows=rows, right=right, measures=measures, more=more)
    return workflow(server, "table: orders, cursor: updated_at", table) + document


def test_silver_agrees_with_its_source_and_every_difference_is_found(
    tmp_path: Path, lake: Lake, server: Server
) -> None:
    orders(server, (1, "1.25", "a", "10:00:00"), (2, "2", None, "11:00:00.123456"), (3, "3", "c", "10:30:00"))
    defs = load(tmp_path, reconciled(server, EVERYTHING))
    said = checks(run_well(defs, "shop"))["silver_orders", "reconcile_shop_orders"]
    assert said.passed, said.description
    server.run(
        "UPDATE orders SET note = 'changed' WHERE id = 1",
        "DELETE FROM orders WHERE id = 3",
        "UPDATE orders SET total = 2.5 WHERE id = 2",
    )
    add(server, (4, "4", "d", "09:00:00"))
    said = checks(run_well(defs, "shop"))["silver_orders", "reconcile_shop_orders"]
    assert not said.passed
    told = str({name: value.value for name, value in said.metadata.items()})
    assert "2 modified, 1 added, 1 removed" in str(said.description) + told


def test_groups_conditions_and_queries_are_asked_where_the_rows_are(tmp_path: Path, lake: Lake, server: Server) -> None:
    orders(server, (1, "1.25", "a", "10:00:00"), (2, "2", None, "11:00:00"), (3, "3", "a", "10:30:00"))
    more = "left_where: id > 1\n  right_where: id::INTEGER > 1\n  group_by: [note]\n  keys: [{column: id, right: id::INTEGER}]"
    query = 'query: "SELECT id, total, note FROM orders WHERE id < 100"'
    measures = "[row_count, {measure: sum, left: total, right: 'total::DECIMAL(12,2)'}, key_set]"
    text = reconciled(server, measures, rows=query, right="bronze.orders", more=more)
    said = checks(run_well(load(tmp_path, text), "shop"))["bronze_orders", "reconcile_shop_orders"]
    assert said.passed, said.description


def test_personal_values_are_not_shown(tmp_path: Path, lake: Lake, postgres: Server) -> None:
    orders(postgres, (1, "1", "ann@example.com", "10:00:00"))
    text = reconciled(postgres, "[diff]", table=ORDERS.replace("{name: note}", "{name: note, pii: true}"))
    defs = load(tmp_path, text)
    run_well(defs, "shop")
    postgres.run("UPDATE orders SET note = 'bob@example.com'")
    said = checks(run_well(defs, "shop"))["silver_orders", "reconcile_shop_orders"]
    assert not said.passed
    told = str(said.description) + str({name: value.value for name, value in said.metadata.items()})
    assert "personal data" in told
    assert "example.com" not in told


@pytest.mark.parametrize(
    ("measures", "rows", "words"),
    [
        ("[{measure: sum, left: totl, right: total}]", "table: orders", "Did you mean 'total'?"),
        ("[row_count]", "table: orderz", "no such table"),
    ],
)
def test_what_is_not_there_is_said_in_words(
    tmp_path: Path, lake: Lake, postgres: Server, measures: str, rows: str, words: str
) -> None:
    orders(postgres, (1, "1", "a", "10:00:00"))
    assert words in failures(run(load(tmp_path, reconciled(postgres, measures, rows=rows)), "shop"))


def test_a_side_of_an_undeclared_connection_is_refused(tmp_path: Path, postgres: Server) -> None:
    text = reconciled(postgres, "[row_count]").replace(
        "{connection: shop, table: orders}", "{connection: shp, table: orders}"
    )
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path, text)
    assert "the connection 'shp' is not declared. Did you mean 'shop'?" in everything_said(caught.value)
