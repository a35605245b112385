"""What is wrong with a table's `source` is said when it is loaded; what other databases than servers hold is extracted too."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flowforge_assets.extraction.source import duration
from scenario import checks, load, metadata, rows_of, run_well
from test_yaml import everything_said

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

HEAD = """type: flowforge_assets.components.Workflow
attributes: {{description: A shop.}}
---
type: flowforge_assets.components.Connection
attributes: {{name: shop, kind: {kind}, database: "{path}"}}
---
type: flowforge_assets.components.Table
attributes:
  name: orders
"""
KEYED = "  columns: [{name: id, type: integer}, {name: total, type: 'decimal(9,2)'}, {name: seen, type: timestamp}]\n  keys: [id]\n"


def document(source: str, rest: str = KEYED, *, kind: str = "sqlite", path: object = "x.db") -> str:
    return f"{HEAD.format(kind=kind, path=path)}  source: {{{source}}}\n{rest}"


@pytest.mark.parametrize(
    ("source", "rest", "words"),
    [
        ("connection: shopp, table: t", KEYED, "the connection 'shopp' is not declared. Did you mean 'shop'?"),
        ("connection: shop", KEYED, "takes either `table` or `query`"),
        ("connection: shop, table: t, lag: 10m", KEYED, "`lag` goes with `cursor`"),
        ("connection: shop, table: t, reconcile: [count]", KEYED, "'count' cannot be reconciled"),
        ("connection: shop, table: t, cursor: id, reconcile: [keys]", KEYED, "`detect_deletes` compares keys"),
        ("connection: shop, table: t, cursor: id, lag: '5'", "", "has `lag` and no `keys`"),
        (
            "connection: shop, table: t, cursor: id, detect_deletes: {every: 1d}",
            KEYED,
            "nothing in silver takes the deletes",
        ),
        (
            "connection: shop, table: t, cursor: id, detect_deletes: {every: daily}",
            KEYED,
            "'daily' is no length of time",
        ),
    ],
)
def test_a_source_that_cannot_work_is_refused(tmp_path: Path, source: str, rest: str, words: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path, document(source, rest))
    assert words in everything_said(caught.value)


def test_a_table_without_columns_and_without_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        load(tmp_path, HEAD.format(kind="sqlite", path="x.db"))
    assert "has no columns" in everything_said(caught.value)


def test_lengths_of_time_have_units() -> None:
    assert [duration(one).total_seconds() for one in ("10m", "1.5 h", "2d", "5ms")] == [600, 5400, 172_800, 0.005]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "sqlalchemy"])
def test_files_and_urls_are_extracted_behind_a_cursor(kind: str, tmp_path: Path, lake: Lake) -> None:
    import sqlite3

    import duckdb

    path = tmp_path / "shop.db"

    def add(*rows: str) -> None:
        with closing(duckdb.connect(str(path)) if kind == "duckdb" else sqlite3.connect(path)) as session:
            for row in rows:
                session.execute(row)
            session.commit()

    add(
        'CREATE TABLE "Order" (id INTEGER, total DECIMAL(9,2), seen TIMESTAMP)',
        """INSERT INTO "Order" VALUES (1, 1.5, '2026-01-01 10:00:00'), (2, 2.25, '2026-01-01 11:00:00')""",
    )
    source = "connection: shop, table: Order, cursor: seen, lag: 2h, reconcile: [row_count, sum(total)]"
    yaml = document(source, kind=kind, path=path)
    if kind == "sqlalchemy":
        yaml = yaml.replace(f'database: "{path}"', f'url: "sqlite:///{path}"')
    defs = load(tmp_path / "project", yaml)
    assert checks(run_well(defs, "shop"))["bronze_orders", "reconciled"].passed
    add("""INSERT INTO "Order" VALUES (3, 3, '2026-01-01 12:00:00'), (4, 4, '2026-01-01 10:30:00')""")
    said = metadata(run_well(defs, "shop"), "bronze_orders")
    assert (said["rows_ingested"], said["rows_known_already"]) == (2, 2)
    found = {row["id"]: str(row["total"]) for row in rows_of(lake, "silver/shop/orders/current.parquet")}
    assert found == {1: "1.50", 2: "2.25", 3: "3.00", 4: "4.00"}


def test_rows_without_a_cursor_and_an_empty_table_are_said(tmp_path: Path, lake: Lake) -> None:
    import sqlite3

    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as session:
        session.execute("CREATE TABLE t (id INTEGER, total DECIMAL(9,2), seen TIMESTAMP)")
        session.commit()
        defs = load(tmp_path / "project", document("connection: shop, table: t", path=path))
        said = checks(run_well(defs, "shop"))["bronze_orders", "source"]
        assert "has no row; what silver holds stays" in str(said.description)
        session.execute("INSERT INTO t VALUES (1, 1, NULL), (2, 2, '2026-01-01')")
        session.commit()
    defs = load(tmp_path / "again", document("connection: shop, table: t, cursor: seen", path=path))
    said = checks(run_well(defs, "shop"))["bronze_orders", "source"]
    assert "1 row(s) of shop/t have no value in the cursor 'seen'" in str(said.description)
