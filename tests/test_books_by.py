"""The books by file, partition, run and table: they add up, and what does not is not published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flowforge_assets.catalog import Declared
from flowforge_assets.cli.books import books
from flowforge_checks.books import Books
from flowforge_checks.books_by import Accounts, FileAccount, PartitionAccount
from scenario import SHOP_DAY1, SHOP_DAY2, checks, land, load, run_well, shop

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

SHOP = {"shop": Declared("shop", {"items": "*.csv", "sales": "sales_*.csv"}, (), {}, ())}
NONE = {"dropped": 0, "discarded": 0, "deduplicated": 0}
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
        - {name: guests, type: integer}
      keys: [visit_id]
      partition_by: {column: day, every: day, start: "2026-01-01"}
"""


def account(check: dg.AssetCheckEvaluation, by: str) -> list[dict[str, object]]:
    return [dict(record.data) for record in check.metadata[f"account_by_{by}"].records]  # type: ignore[union-attr]


def test_every_file_of_a_run_has_its_account(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    land(lake, "shop", {"sales/sales_1b.csv": "shop,number,item_id,quantity\neast,1,007,y\neast,2,009,2\n"})
    check = checks(run_well(shop(tmp_path), "shop"))["silver_sales", "books"]
    assert check.passed
    assert account(check, "file") == [
        {"file": "landing/shop/sales/sales_1.csv", "read": 4, "quarantined": 1, **NONE, "to_silver": 3},
        {"file": "landing/shop/sales/sales_1b.csv", "read": 2, "quarantined": 1, **NONE, "to_silver": 1},
    ]


def test_every_touched_partition_has_its_account(lake: Lake, tmp_path: Path) -> None:
    land(lake, "days", {"visits/1.csv": "visit_id,day,guests\na,2026-01-01,1\nb,2026-01-02,1\n"})
    defs = load(tmp_path, DAYS_YAML, "days")
    run_well(defs, "days")
    land(lake, "days", {"visits/2.csv": "visit_id,day,guests\na,2026-01-02,1\nc,2026-01-02,1\nd,2026-01-03,x\n"})
    check = checks(run_well(defs, "days"))["silver_visits", "books"]
    assert check.passed
    grown = {row["partition"]: (row["rows_before"], row["rows_after"]) for row in account(check, "partition")}
    assert grown["2026-01-01"] == (1, 0)
    assert grown["2026-01-02"] == (1, 3)


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
    assert (found["deduplicated"], found["to_silver"]) == (1, 2)
    run_id = books("sales", None, known=SHOP).rows[0]["run"]
    assert [row["read"] for row in books("sales", None, run=run_id, known=SHOP).rows] == [4]
    console = Console(width=200)
    with console.capture() as shown:
        console.print(books(None, None, known=SHOP).render())
    assert "quarantined" in shown.get()


_few = st.integers(0, 2)
_file = st.builds(FileAccount, st.text(max_size=3), st.integers(4, 9), _few, _few, st.just(0), _few)


@given(files=st.lists(_file, max_size=4), more=st.integers(-2, 2), of=st.sampled_from(["read", "deduplicated"]))
def test_files_that_do_not_add_up_to_the_table_block(files: list[FileAccount], more: int, of: str) -> None:
    files = [one.with_the_rest() for one in files]
    names = ("read", "quarantined", "dropped", "deduplicated")
    told = {name: sum(getattr(one, name) for one in files) for name in names}
    told[of] += more
    stay = told["read"] - told["quarantined"] - told["dropped"] - told["deduplicated"]
    whole = Books(**told, inserted=stay, rows_after=stay, duplicates_exact=told["deduplicated"])
    outcome = Accounts(whole, files).outcome()
    assert outcome.passed == (not more and all((one.to_silver or 0) >= 0 for one in files))
    assert outcome.blocks


def test_partitions_that_do_not_add_up_to_the_table_block() -> None:
    whole = Books(read=2, inserted=2, rows_before=1, rows_after=3)
    good = [PartitionAccount("a", 1, 1, 2), PartitionAccount("b", 1, 0, 1)]
    assert Accounts(whole, partitions=good).outcome().passed
    outcome = Accounts(whole, partitions=good[:1]).outcome()
    assert not outcome.passed
    assert outcome.description == "Partitions grew by 1 rows, the table by 2."
