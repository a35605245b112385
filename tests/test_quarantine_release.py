"""Held rows come back: once, at their place in the sequence, with balanced books, whatever the strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowforge_checks.books import Books
from flowforge_resources.decisions import decide
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.quarantine_decisions import DecidedRow, record
from scenario import land, load, metadata, rows_of, run_well

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import dagster as dg

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {name: item_id}
        - {name: price, type: integer}
        - {name: seen, type: integer}
      keys: [item_id]
      STRATEGY
      rules:
        - {rule: range, column: price, min: 0}
"""
TABLE = TableId("shop", "items")
BY_SEQUENCE = "sequence_by: [seen]"
STRATEGIES = [
    BY_SEQUENCE,
    "strategy: upsert",
    "strategy: append",
    "strategy: full_refresh",
    "{strategy: scd2, sequence_by: [seen]}",
    "strategy: scd2",
]


def items(folder: Path, strategy: str) -> dg.Definitions:
    lines = [part.strip() for part in strategy.strip("{}").split(", ")]
    return load(folder, YAML.replace("STRATEGY", "\n      ".join(lines)))


def held(lake: Lake) -> list[dict[str, Any]]:
    return rows_of(lake, TABLE.quarantine)


def decided(lake: Lake, action: Any, *rows: dict[str, Any], **said: Any) -> None:
    entries = [DecidedRow(row["_quarantine_id"], **said) for row in rows]
    record(lake, TABLE, lambda _: (action, entries, decide(actor="ann", reason="looked at it", now=utc_now())))


def silver(lake: Lake) -> list[str]:
    """What the table says; moments of arrival by their order."""
    names = ("item_id", "price", "seen", "valid_from", "valid_to", "is_current")
    rows = [{name: row[name] for name in names if name in row} for row in rows_of(lake, TABLE.current)]
    moments = sorted({row[end] for row in rows for end in ("valid_from", "valid_to") if row.get(end) is not None})
    for row in rows:
        row.update({end: moments.index(row[end]) for end in ("valid_from", "valid_to") if row.get(end) is not None})
    return sorted(map(str, rows))


def account(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    said = {name: value for name, value in metadata(result, "silver_items").items() if name in Books().as_dict()}
    assert Books.of(said).balances, said
    return {name: value for name, value in said.items() if value and not name.startswith("rows_")}


DAYS = [
    "item_id,price,seen\na,5,1\nb,-3,1\nc,1,1\nb,-4,2\n",
    "item_id,price,seen\na,6,2\nb,9,2\n",
    "item_id,price,seen\nb,9,3\nd,1,1\n",
]


def run_days(defs: dg.Definitions, lake: Lake, days: Sequence[str]) -> None:
    for number, text in enumerate(days):
        land(lake, "shop", {f"items/{number}.csv": text})
        run_well(defs, "shop")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_fixed_row_comes_back_where_it_would_have_been(
    tmp_path: Path, lake: Lake, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the file had held the corrected text from the beginning, whatever landed since."""
    defs = items(tmp_path, strategy)
    run_days(defs, lake, DAYS)
    rows = {row["price"]: row for row in held(lake)}
    decided(lake, "fix", rows["-3"], fixes={"price": "3"})
    assert "released" not in account(run_well(defs, "shop")), "a fix alone waits"
    decided(lake, "release", rows["-3"])
    released = run_well(defs, "shop")
    assert account(released)["released"] == 1
    assert [row["price"] for row in held(lake)] == ["-4"]
    clean = Lake(str(tmp_path / "clean"))
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", clean.url)
    run_days(defs, clean, [text.replace("b,-3", "b,3") for text in DAYS])
    assert silver(lake) == silver(clean)
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", lake.url)
    assert account(run_well(defs, "shop")) == {}


PARTS_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      landed_columns: [tags]
      columns:
        - {name: item_id}
        - {name: tag}
      strategy: append
      transforms:
        - {transform: explode, column: tags, into: tag, by: ";"}
      rules:
        - {rule: allowed_values, column: tag, values: [red, green, blue]}
"""


def test_of_a_row_made_several_only_the_part_that_was_held_is_added(tmp_path: Path, lake: Lake) -> None:
    defs = load(tmp_path, PARTS_YAML)
    land(lake, "shop", {"items/1.csv": "item_id,tags\na,red;grean;blue\nb,pink\n"})
    first = run_well(defs, "shop")
    assert account(first) == {"read": 2, "exploded": 2, "inserted": 2, "quarantined": 2}
    rows = {row["item_id"]: row for row in held(lake)}
    decided(lake, "fix", rows["a"], fixes={"tags": "red;green;blue"})
    decided(lake, "release", rows["a"])
    decided(lake, "discard", rows["b"])
    done = account(run_well(defs, "shop"))
    assert (done["released"], done["discarded"]) == (1, 1)
    tags = sorted((row["item_id"], row["tag"]) for row in rows_of(lake, TABLE.current))
    assert tags == [("a", "blue"), ("a", "green"), ("a", "red")]
    assert held(lake) == []


def test_the_same_row_in_another_file_is_the_same_row_and_is_decided(tmp_path: Path, lake: Lake) -> None:
    defs = items(tmp_path, "strategy: upsert")
    land(lake, "shop", {"items/1.csv": "item_id,price,seen\na,-5,1\n"})
    run_well(defs, "shop")
    land(lake, "shop", {"items/2.csv": "item_id,price,seen\nb,1,1\na,-5,1\n"})
    assert account(run_well(defs, "shop"))["quarantined"] == 1
    (row,) = held(lake)
    assert [(one["source_file"][-5:], one["row_number"]) for one in row["_landings"]] == [("1.csv", 1), ("2.csv", 2)]
    decided(lake, "fix", row, fixes={"price": "5"})
    decided(lake, "release", row)
    assert account(run_well(defs, "shop"))["released"] == 2
    land(lake, "shop", {"items/3.csv": "item_id,price,seen\na,-5,1\n"})
    assert account(run_well(defs, "shop")) == {"read": 1, "unchanged": 1}, "it was decided already"
    assert held(lake) == []
