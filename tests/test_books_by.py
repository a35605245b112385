"""The books by file, partition, run and table: they add up, and what does not is not published."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flowforge_assets.catalog import Declared
from flowforge_assets.cli.books import books
from flowforge_checks.books import Books
from flowforge_checks.books_by import Accounts, FileAccount, PartitionAccount
from scenario import QUIET, SHOP_DAY1, SHOP_DAY2, checks, land, load, run_well, shop

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

SHOP = {"shop": Declared("shop", {"items": "*.csv", "sales": "sales_*.csv"}, (), {}, ())}
BASE = {"read": 0, "inserted": 0, "deduplicated": 0, "quarantined": 0}
DAYS_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Days.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: visits
      columns:
        - {name: visit_id}
        - {name: day, type: date}
        - {name: guest}
      keys: [visit_id, guest]
      transforms: [{transform: filter, where: visit_id <> 'SUM'}]
      partition_by: {column: day, every: day, start: "2026-01-01"}
"""


MANY_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Every way of a row.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns: [{name: order_id}, {name: item}, {name: quantity, type: integer}]
      landed_columns: [items]
      keys: [order_id, item]
      transforms:
        - {transform: filter, where: order_id <> 'TOTAL'}
        - {transform: route, where: order_id LIKE 'R%', to: returns}
        - {transform: explode, column: items, by: "|", into: item}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: returns
      source_table: orders
      columns: [{name: return_id, source: order_id}, {name: quantity, type: integer}]
      keys: [return_id]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: prices
      strategy: scd2
      columns: [{name: item}, {name: price, type: integer}, {name: since, type: integer}]
      keys: [item]
      sequence_by: [since]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: members
      apply_as_delete_when: operation = 'D'
      columns: [{name: member_id}, {name: name}, {name: at, type: integer}, {name: operation}]
      keys: [member_id]
      sequence_by: [at]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: months
      columns: [{name: shop}, {name: month}, {name: sold, type: integer}]
      landed_columns: [jan, feb]
      keys: [shop, month]
      transforms: [{transform: unpivot, columns: [jan, feb], names_to: month, values_to: sold}]
"""
MANY = {
    "orders/a.csv": "order_id,items,quantity\n1,x|y|x,2\nTOTAL,,3\nR1,z,1\n",
    "orders/b.csv": "order_id,items,quantity\n2,x,2\n1,y|w,2\nR1,z,1\nR2,z,none\nR3,z,1\n",
    "prices/a.csv": "item,price,since\nx,1,10\nx,2,20\ny,1,10\n",
    "prices/b.csv": "item,price,since\nx,2,20\nx,3,20\nx,3,30\nz,bad,1\n",
    "members/a.csv": "member_id,name,at,operation\nm,Ann,1,I\nn,Bob,1,I\n,Eve,1,I\n",
    "members/b.csv": "member_id,name,at,operation\nm,,2,D\no,Cid,1,I\n",
    "months/a.csv": "shop,jan,feb\ns,1,2\nt,3,many\n",
    "months/b.csv": "shop,jan,feb\ns,5,6\n",
}


def account(check: dg.AssetCheckEvaluation, by: str) -> list[dict[str, object]]:
    return [dict(record.data) for record in check.metadata[f"account_by_{by}"].records]  # type: ignore[attr-defined]


def by_file(check: dg.AssetCheckEvaluation) -> dict[str, dict[str, object]]:
    """The columns of each file's account that are not zero, by the name of the file."""
    assert check.passed, check.description
    told = {str(row.pop("file")).rsplit("/", 1)[-1]: row for row in account(check, "file")}
    return {file: {name: rows for name, rows in row.items() if rows} for file, row in told.items()}


def test_every_file_of_a_run_has_its_account(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    land(lake, "shop", {"sales/sales_1b.csv": "shop,number,item_id,quantity\neast,1,007,y\neast,2,009,2\n"})
    check = checks(run_well(shop(tmp_path), "shop"))["silver_sales", "books"]
    assert check.passed
    assert account(check, "file") == [
        {"file": "landing/shop/sales/sales_1.csv", **BASE, "read": 4, "inserted": 3, "quarantined": 1},
        {"file": "landing/shop/sales/sales_1b.csv", **BASE, "read": 2, "inserted": 1, "quarantined": 1},
    ]


def test_files_have_their_account_whatever_becomes_of_their_rows(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, MANY_YAML, "many")
    land(lake, "many", MANY)
    found = checks(run_well(defs, "many"))
    # 1: x, y, x, of which the first x is beaten by the second, and y by that of b.csv.
    assert by_file(found["silver_orders", "books"]) == {
        "a.csv": {"read": 3, "exploded": 2, "inserted": 1, "deduplicated": 2, "filtered": 1, "routed": 1},
        "b.csv": {"read": 5, "exploded": 1, "inserted": 3, "routed": 3},
    }
    assert by_file(found["silver_returns", "books"]) == {
        "a.csv": {"read": 1, "deduplicated": 1},
        "b.csv": {"read": 3, "inserted": 2, "quarantined": 1},
    }
    # Of x at 20 three rows came, of which the last stands; that of 30 says the same, and makes the version's `since` 30.
    assert by_file(found["silver_prices", "books"]) == {
        "a.csv": {"read": 3, "inserted": 2, "deduplicated": 1},
        "b.csv": {"read": 4, "inserted": 1, "updated": 1, "deduplicated": 1, "quarantined": 1},
    }
    assert by_file(found["silver_members", "books"]) == {
        "a.csv": {"read": 3, "inserted": 1, "deduplicated": 1, "quarantined": 1},
        "b.csv": {"read": 2, "inserted": 1, "unchanged": 1},
    }
    assert by_file(found["silver_months", "books"]) == {
        "a.csv": {"read": 2, "exploded": 2, "inserted": 1, "deduplicated": 2, "quarantined": 1},
        "b.csv": {"read": 1, "exploded": 1, "inserted": 2},
    }
    land(lake, "many", {"members/c.csv": "member_id,name,at,operation\nn,,2,D\nm,Ann,1,I\n"})
    land(lake, "many", {"members/d.csv": "member_id,name,at,operation\no,Cid,1,I\no,Sid,3,I\n"})
    land(lake, "many", {"prices/c.csv": "item,price,since\nx,9,15\n", "prices/d.csv": "item,price,since\ny,4,30\n"})
    found = checks(run_well(defs, "many"))
    assert by_file(found["silver_members", "books"]) == {
        "c.csv": {"read": 2, "deleted": 1, "late": 1},
        "d.csv": {"read": 2, "unchanged": 1, "updated": 1},
    }
    assert by_file(found["silver_prices", "books"]) == {
        "c.csv": {"read": 1, "inserted": 1},
        "d.csv": {"read": 1, "inserted": 1},
    }


def by_partition(check: dg.AssetCheckEvaluation) -> dict[str, dict[str, object]]:
    """The columns of each partition's account that are not zero."""
    return {str(row.pop("partition")): {name: n for name, n in row.items() if n} for row in account(check, "partition")}


def test_every_touched_partition_has_its_account(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, DAYS_YAML, "days")
    land(lake, "days", {"visits/1.csv": "visit_id,day,guest\na,2026-01-01,G\nb,2026-01-02,G\nb,2026-01-02,H\nSUM,,\n"})
    run_well(defs, "days")
    land(lake, "days", {"visits/2.csv": "visit_id,day,guest\na,2026-01-02,G\nc,2026-01-02,G\nd,soon,G\n"})
    check = checks(run_well(defs, "days"))["silver_visits", "books"]
    assert by_file(check) == {"2.csv": {"read": 3, "inserted": 1, "updated": 1, "quarantined": 1}}
    assert by_partition(check) == {
        "2026-01-01": {"rows_before": 1, "moved": -1},
        "2026-01-02": {"read": 2, "inserted": 1, "updated": 1, "rows_before": 2, "moved": 1, "rows_after": 4},
        "__null__": {"read": 1, "quarantined": 1},
    }

    def chosen(partition: str) -> dg.AssetCheckEvaluation:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                list(defs.assets or ()),  # type: ignore[arg-type]
                selection=[dg.AssetKey(["days", "silver_visits"])],
                instance=instance,
                resources=defs.resources,
                run_config=QUIET,
                partition_key=partition,
            )
        return checks(result)["silver_visits", "books"]

    second = chosen("2026-01-02")
    assert by_file(second) == {
        "1.csv": {"read": 3, "inserted": 2, "deduplicated": 1},
        "2.csv": {"read": 2, "inserted": 2},
    }
    assert by_partition(second) == {
        "2026-01-01": {"read": 1, "deduplicated": 1},
        "2026-01-02": {"read": 4, "inserted": 4, "rows_after": 4},
    }
    # Of the first day nothing is left: what was read of its key lies in the second.
    first = chosen("2026-01-01")
    assert by_file(first) == {"1.csv": {"read": 1, "deduplicated": 1}, "2.csv": {"read": 1, "deduplicated": 1}}
    assert by_partition(first) == {name: {"read": 1, "deduplicated": 1} for name in ("2026-01-01", "2026-01-02")}


def test_the_command_line_adds_up_all_runs(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    for day in (SHOP_DAY1, SHOP_DAY2):
        land(lake, "shop", day)
        run_well(defs, "shop")
    rows = {row["table"]: row for row in books(None, None, known=SHOP).rows}
    assert rows["sales"]["runs"] == 2
    assert rows["sales"]["read"] == 7
    assert rows["sales"]["balances"] == "yes"
    assert rows["sales"]["rows_after"] == 4
    assert [row["read"] for row in books("sales", None, known=SHOP).rows] == [4, 3]
    (found,) = books("sales", None, file="sales_2", known=SHOP).rows
    assert (found["file"], found["read"], found["quarantined"]) == ("landing/shop/sales/sales_2.csv", 3, 0)
    assert (found["deduplicated"], found["inserted"], found["updated"]) == (1, 1, 1)
    run_id = books("sales", None, known=SHOP).rows[0]["run"]
    assert [row["read"] for row in books("sales", None, run=run_id, known=SHOP).rows] == [4]
    console = Console(width=200)
    with console.capture() as shown:
        console.print(books(None, None, known=SHOP).render())
    assert "quaran-" in shown.get()


_few = st.integers(0, 2)
_places = ("inserted", "updated", "deduplicated", "filtered", "quarantined", "deleted")
_file = st.builds(lambda **counts: counts, exploded=_few, **dict.fromkeys(_places, _few))


@given(files=st.lists(_file, min_size=1, max_size=4), more=st.integers(-2, 2), of=st.sampled_from(("read", *_places)))
def test_files_that_do_not_add_up_to_the_table_block(files: list[dict[str, int]], more: int, of: str) -> None:
    told = [Books(read=sum(one.values()) - 2 * one["exploded"], **one) for one in files]
    whole = {name: sum(getattr(one, name) for one in told) for name in ("read", "exploded", *_places)}
    whole["duplicates_exact"] = whole["deduplicated"]
    table = Books(**whole, rows_before=100, rows_after=100 + whole["inserted"] - whole["deleted"])
    right = min(one.read for one in told) >= 0
    accounts = [FileAccount(f"{place}.csv", one) for place, one in enumerate(told)]
    assert Accounts(table, accounts).outcome().passed == right
    accounts[0] = FileAccount("0.csv", replace(told[0], **{of: getattr(told[0], of) + more}))
    outcome = Accounts(table, accounts).outcome()
    assert outcome.passed == (right and not more)
    assert outcome.blocks


def test_partitions_that_do_not_add_up_to_the_table_block() -> None:
    whole = Books(read=2, inserted=2, rows_before=1, rows_after=3)
    files = [FileAccount("a.csv", whole)]
    good = [
        PartitionAccount("a", Books(read=1, inserted=1, rows_before=1, rows_after=2)),
        PartitionAccount("b", Books(read=1, inserted=1, rows_after=1)),
    ]
    assert Accounts(whole, files, good).outcome().passed
    outcome = Accounts(whole, files, good[:1]).outcome()
    assert not outcome.passed
    assert (
        outcome.description
        == "By partition 1 rows are inserted, by table 2. Partitions grew by 1 rows, the table by 2."
    )
