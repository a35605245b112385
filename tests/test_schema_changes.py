"""Columns that come with another type, columns that stay away, and tables that stop once for a new schema."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flowforge_assets.bronze.type_ladder import common_type, holds_all_of
from flowforge_assets.catalog import Declared
from flowforge_assets.cli import status
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.file_read import types_of
from flowforge_assets.formats.json_types import types_of_elements, types_of_objects
from flowforge_assets.formats.read_file import read_file
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import LedgerEntry, commit, keep_short, read_ledger
from flowforge_resources.ledger_checkpoint import newest_checkpoint
from scenario import checks, failures, land, load, metadata, objects, rows_of, run, run_well
from workbooks import write_workbook

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

ITEMS = TableId("shop", "items")
YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {{description: A shop.}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      files: "*"
      columns:
        - {{name: item_id}}
        - {{name: price, type: "decimal(10,2)"}}
      keys: [item_id]
      {options}
"""
WIDENING = "schema_evolution: add_new_columns_with_type_widening"
TYPES = ["smallint", "integer", "bigint", "double", "decimal(38,0)", "date", "timestamp", "boolean", "text", "json"]


def shop(folder: Path, *options: str) -> dg.Definitions:
    folder.mkdir(exist_ok=True)
    return load(folder, YAML.format(options="\n      ".join(options)))


def parquet(**columns: list[Any] | pl.Series) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def printed(found: status.LastRun) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(found.render())
    return console.file.getvalue()  # type: ignore[attr-defined]  # the one above


def priced(number: int, price: object, dtype: Any = None) -> dict[str, bytes]:
    content = parquet(item_id=[str(number)], price=pl.Series([price], dtype=dtype))
    return {f"items/{number}.parquet": content}


def bronze(lake: Lake) -> list[dict[str, Any]]:
    return [row for part in read_ledger(lake, ITEMS).data_after(0) for row in rows_of(lake, part.bronze_file)]


@pytest.mark.parametrize("mode", ["add_new_columns", "fail_on_new_columns", "none"])
def test_a_column_of_another_type_is_an_event_and_every_value_stays(lake: Lake, tmp_path: Path, mode: str) -> None:
    defs = shop(tmp_path / "shop", f"schema_evolution: {mode}")
    land(lake, "shop", priced(1, 10))
    assert checks(run_well(defs, "shop"))["bronze_items", "schema"].passed
    land(lake, "shop", priced(2, "ten"))
    result = run_well(defs, "shop")
    told = checks(result)["bronze_items", "schema"]
    assert not told.passed
    assert "brings price as text, it was bigint" in (told.description or "")
    assert told.metadata["columns_retyped"].value == ["price: bigint -> text"]
    assert metadata(result, "bronze_items")["columns_retyped"] == ["price: bigint -> text"]
    assert [(row["price"], row["_rescued"]) for row in bronze(lake)] == [("10", None), ("ten", None)]
    land(lake, "shop", priced(3, "20"))
    assert checks(run_well(defs, "shop"))["bronze_items", "schema"].passed


def test_widening_is_named_once_and_a_narrower_file_after_it_is_not(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", WIDENING, "stop_on_new_columns: false")
    said = []
    for number, (price, dtype) in enumerate([(1, pl.Int32), (2, pl.Int64), (3, pl.Int16), (4.5, pl.Float64)]):
        land(lake, "shop", priced(number, price, dtype))
        said.append(checks(run_well(defs, "shop"))["bronze_items", "schema"].description or "")
    assert ["widened to" in one for one in said] == [False, True, False, True]
    assert "brings price as double, it was bigint: widened to double." in said[3]
    assert read_ledger(lake, ITEMS).types == {"item_id": "text", "price": "double"}


def test_rescue_moves_a_value_that_does_not_fit_the_known_type_beside_its_row(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", "schema_evolution: rescue")
    land(lake, "shop", priced(1, 10))
    run_well(defs, "shop")
    land(lake, "shop", {"items/2.parquet": parquet(item_id=["2", "3", "4"], price=["20", "n/a", None])})
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert "values that are no bigint are in `_rescued`" in (told.description or "")
    rows = {row["item_id"]: row for row in bronze(lake)}
    assert [rows[key]["price"] for key in "1234"] == ["10", "20", None, None]
    why = "not of the type bigint, which the column had so far"
    assert json.loads(rows["3"]["_rescued"]) == [{"column": "price", "raw": "n/a", "why": why}]
    assert rows["2"]["_rescued"] is None
    assert rows["4"]["_rescued"] is None
    assert read_ledger(lake, ITEMS).types["price"] == "bigint"


def test_json_and_excel_tell_their_types(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop")
    said = []
    for name, content in {
        "1.ndjson": '{"item_id": "1", "price": 1}\n{"item_id": "2", "price": null}\n',
        "2.json": '{"rows": [{"item_id": "3", "price": 1.5}, {"item_id": "4", "price": 2}]}',
        "3.xlsx": write_workbook({"Items": [["item_id", "price"], ["5", "five"], ["6", "six"]]}),
    }.items():
        land(lake, "shop", {f"items/{name}": content})
        said.append(metadata(run_well(defs, "shop"), "bronze_items").get("columns_retyped"))
    assert said == [None, ["price: bigint -> double"], ["price: double -> text"]]


def test_a_column_that_was_never_declared_and_stays_away_is_named_once(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop")
    said = []
    for number, header in enumerate(["item_id,price,colour", "item_id,price", "item_id,price"]):
        row = ",".join(str(number) for _ in header.split(","))
        land(lake, "shop", {f"items/{number}.csv": f"{header}\n{row}\n"})
        said.append(checks(run_well(defs, "shop"))["bronze_items", "schema"])
    assert [one.passed for one in said[1:]] == [False, True]
    assert "1.csv no longer has colour" in (said[1].description or "")
    assert said[1].metadata["columns_removed"].value == ["colour"]


def test_a_table_that_stops_for_new_columns_fails_once_and_changes_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "declared_workflows", lambda: {"shop": Declared("shop", {"items": "*"})})
    defs = shop(tmp_path / "shop")
    land(lake, "shop", {"items/1.csv": "item_id,price\n1,10\n"})
    run_well(defs, "shop")
    before = objects(lake, "bronze", "silver", "quarantine")
    land(lake, "shop", {"items/2.csv": "item_id,price,colour\n2,20,red\n"})
    stopped = run(defs, "shop")
    assert not stopped.success
    assert "2.csv brings colour." in failures(stopped)
    assert "the next run takes the files" in failures(stopped)
    after = objects(lake, "bronze", "silver", "quarantine")
    assert {key: found for key, found in after.items() if not key.startswith(ITEMS.ledger)} == {
        key: found for key, found in before.items() if not key.startswith(ITEMS.ledger)
    }
    assert not read_ledger(lake, ITEMS).entries[-1].files
    found = status.last_run("shop")
    (failed,) = found.report.failed
    assert (failed.asset, found.silent) == ("bronze_items", ("silver_items",))
    assert "2.csv brings colour." in failed.failed
    assert "failed at bronze_items" in printed(found)
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert told.metadata["columns_added"].value == ["colour"]
    assert [row.get("colour") for row in bronze(lake)] == [None, "red"]
    assert len(rows_of(lake, ITEMS.current)) == 2
    assert status.last_run("shop").report.failed == ()


def test_a_widening_table_stops_for_a_wider_type_and_not_for_a_narrower_one(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", WIDENING)
    land(lake, "shop", priced(1, 1))
    run_well(defs, "shop")
    land(lake, "shop", priced(2, 2.5))
    assert "brings price: bigint -> double" in failures(run(defs, "shop"))
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert told.metadata["columns_retyped"].value == ["price: bigint -> double"]
    land(lake, "shop", priced(3, 3))
    run_well(defs, "shop")
    assert [row["price"] for row in bronze(lake)] == ["1", "2.5", "3"]


@pytest.mark.parametrize("mode", ["rescue", "fail_on_new_columns", "none"])
def test_a_mode_that_adds_no_column_has_nothing_to_stop_for(tmp_path: Path, mode: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in one of its own
        shop(tmp_path / "shop", f"schema_evolution: {mode}", "stop_on_new_columns: true")
    assert "`stop_on_new_columns` and `schema_evolution: " in str(caught.value.__cause__)


def test_a_checkpoint_remembers_types_and_one_that_is_older_has_none(lake: Lake) -> None:
    for version in range(1, 65):
        says = {"columns": ("a", "b"), "types": {"a": "bigint"}, "brought": ("a",)} if version == 1 else {}
        commit(lake, ITEMS, LedgerEntry(version, "2026-01-01T00:00:00+00:00", "r", None, 0, **says))  # type: ignore[arg-type]
    kept = keep_short(lake, read_ledger(lake, ITEMS))
    assert not kept.entries
    assert (kept.types, kept.brought) == ({"a": "bigint"}, frozenset({"a"}))
    checkpoint = newest_checkpoint(lake, ITEMS)
    assert checkpoint is not None
    assert lake.local_root is not None
    path = lake.local_root / checkpoint.key
    pl.read_parquet(path).drop("types", "brought").write_parquet(path)
    older = read_ledger(lake, ITEMS)
    assert (older.types, older.brought, older.columns) == ({}, frozenset(), frozenset({"a", "b"}))


@given(st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_the_common_type_of_two_holds_all_of_both(one: str, other: str) -> None:
    common = common_type(one, other)
    assert holds_all_of(common, one)
    assert holds_all_of(common, other)
    assert common == one or not holds_all_of(one, other)


@pytest.mark.parametrize(
    ("wide", "narrow", "holds"),
    [
        ("bigint", "integer", True),
        ("int4", "bigint", False),
        ("decimal(12,2)", "decimal(10,2)", True),
        ("decimal(10,4)", "decimal(10,2)", False),
        ("numeric", "bigint", True),
        ("decimal(10,2)", "bigint", False),
        ("double precision", "float4", True),
        ("timestamp without time zone", "date", True),
        ("date", "timestamp(6) with time zone", False),
        ("character varying(20)", "uuid", True),
        ("bigint", "boolean", False),
    ],
)
def test_types_are_compared_by_the_words_databases_use(wide: str, narrow: str, holds: bool) -> None:
    assert holds_all_of(wide, narrow) is holds


def test_the_types_of_elements_are_looked_at_down_the_file_and_never_in_nested_values() -> None:
    nested = {"id": 1, "name": "n", "parts": [{"id": "x"}, {"id": "y"}, {"id": "z"}]}
    last = {**nested, "id": 1.5, "name": {"first": "n"}}
    for count in (3, 150, 1000, 20_000):
        text = json.dumps([*[nested] * count, last], indent=2 if count == 150 else None)
        assert types_of_elements(text, 1) == {"id": "double", "name": "text", "parts": "json"}


def test_the_types_of_objects_are_told_by_those_before_the_first_that_is_broken() -> None:
    text = '{"a": 1, "b": null, "c": {"d": 1}}\n{"a": 2.5, "b": true, "c": [1]} ,{"a": nope}'
    assert types_of_objects(text) == {"a": "double", "b": "boolean", "c": "json"}


@pytest.mark.parametrize("kind", ["ndjson", "json", "excel"])
def test_a_type_that_changes_far_down_a_file_is_seen(kind: str, tmp_path: Path) -> None:
    """Behind the first 200 rows: of an array in the next block, elsewhere at the end."""
    count = 120_000 if kind == "json" else 1_000
    values = [*range(count), *(["n/a"] * (60_000 if kind == "json" else 1))]
    path = tmp_path / "landed"
    if kind == "excel":
        path.write_bytes(write_workbook({"one": [["price"], *([value] for value in values)]}))
    else:
        rows = [json.dumps({"price": value, "text": "x" * 20}) for value in values]
        path.write_text("\n".join(rows) if kind == "ndjson" else f"[{','.join(rows)}]")
    read = read_file(path, FileOptions(), tmp_path / "scratch")
    assert types_of(read)["price"] == "text"
