"""A full extract without a row: refused by a blocking check, unless the table is declared to take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.bronze.extract_files import _empty
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import LandedRecord
from scenario import checks, land, load, rows_of, run, run_well

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

HEAD = "id,name,region\n"
FULL = HEAD + "1,Ann,n\n2,Bob,s\n"
REFRESH, DELETE, INVALIDATE = (
    "strategy: full_refresh",
    "delete_absent: delete",
    "strategy: scd2, delete_absent: invalidate",
)
WAYS = [REFRESH, DELETE, INVALIDATE]


def yaml_of(way: str, more: str = "") -> str:
    options = "".join(f"\n      {one.strip()}" for one in way.split(","))
    return f"""
    type: flowforge_assets.components.Workflow
    attributes: {{description: A shop.}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: users
      columns: [{{name: id}}, {{name: name}}, {{name: region}}]
      keys: [id]{options}
      {more}
"""


def there(lake: Lake) -> list[str]:
    """The names that hold."""
    rows = rows_of(lake, TableId("shop", "users").current)
    return sorted(row["name"] for row in rows if row.get("is_current", True))


def after(lake: Lake, defs: dg.Definitions, *texts: str) -> dg.ExecuteInProcessResult:
    """Land files one run each, after one full extract; the last run's result."""
    for number, text in enumerate((FULL, *texts)):
        land(lake, "shop", {f"users/{number}.csv": text})
        result = run(defs, "shop")
    return result


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_extract_is_refused_and_the_next_full_one_counts(lake: Lake, tmp_path: Path, way: str) -> None:
    defs = load(tmp_path, yaml_of(way))
    refused = after(lake, defs, HEAD)
    assert not refused.success
    said = checks(refused)["silver_users", "extract"]
    assert not said.passed
    assert "has no row" in (said.description or "")
    assert "allow_empty_extract: true" in (said.description or "")
    assert there(lake) == ["Ann", "Bob"]
    assert not run(defs, "shop").success, "it is not forgotten"
    land(lake, "shop", {"users/9.csv": HEAD + "2,Bob,s\n3,Cy,s\n"})
    assert checks(run_well(defs, "shop"))["silver_users", "extract"].passed
    assert there(lake) == ["Bob", "Cy"]


@pytest.mark.parametrize("way", WAYS)
def test_a_table_that_allows_it_is_emptied(lake: Lake, tmp_path: Path, way: str) -> None:
    defs = load(tmp_path, yaml_of(way, "allow_empty_extract: true"))
    assert after(lake, defs, HEAD).success
    assert there(lake) == []
    rows = rows_of(lake, TableId("shop", "users").current)
    assert [row["valid_to"] is not None for row in rows] == ([True, True] if way == INVALIDATE else [])
    land(lake, "shop", {"users/9.csv": HEAD + "2,Bob,s\n"})
    run_well(defs, "shop")
    assert there(lake) == ["Bob"]


@pytest.mark.parametrize("way", [REFRESH, DELETE])
def test_in_one_run_or_several_an_empty_extract_has_its_place_in_the_order(
    lake: Lake, tmp_path: Path, way: str
) -> None:
    defs = load(tmp_path, yaml_of(way, "allow_empty_extract: true"))
    for number, text in enumerate((FULL, HEAD, HEAD + "3,Cy,n\n")):
        land(lake, "shop", {f"users/{number}.csv": text})
    run_well(defs, "shop")
    assert there(lake) == ["Cy"]
    land(lake, "shop", {"users/8.csv": HEAD + "4,Di,n\n", "users/9.csv": HEAD})
    run_well(defs, "shop")
    assert there(lake) == []
    (tmp_path / "anew").mkdir()
    run_well(
        load(
            tmp_path / "anew", yaml_of(way, "allow_empty_extract: true\n      rules: [{rule: not_null, column: name}]")
        ),
        "shop",
    )
    assert there(lake) == []


def test_an_extract_all_of_whose_rows_are_filtered_away_is_empty_too(lake: Lake, tmp_path: Path) -> None:
    only_north = "transforms: [{transform: filter, where: \"region = 'n'\"}]"
    defs = load(tmp_path, yaml_of(DELETE, only_north))
    assert not after(lake, defs, HEAD + "7,Di,s\n").success
    assert there(lake) == ["Ann"]
    (tmp_path / "allowed").mkdir()
    run_well(load(tmp_path / "allowed", yaml_of(DELETE, f"allow_empty_extract: true\n      {only_north}")), "shop")
    assert there(lake) == []


def test_within_a_scope_an_empty_extract_is_of_no_scope(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, yaml_of(DELETE, "delete_absent_within: region"))
    assert after(lake, defs, HEAD).success
    assert there(lake) == ["Ann", "Bob"]


def test_a_table_without_a_row_may_begin_with_an_empty_extract(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"users/1.csv": HEAD})
    run_well(load(tmp_path, yaml_of(REFRESH)), "shop")
    assert there(lake) == []


def landed(*said: tuple[int, str, int]) -> list[Any]:
    return [LandedRecord(version, "2026-01-01T00:00:00+00:00", key, "", rows) for version, key, rows in said]


@pytest.mark.parametrize(("extract", "behind"), [("file", [1, 1, 2]), ("folder", [1, 2]), ("run", [1])])
def test_empty_extracts_stand_between_those_with_rows(extract: Any, behind: list[int]) -> None:
    files = landed((1, "a/1", 5), (2, "b/1", 0), (3, "c/1", 0), (3, "c/2", 4), (3, "d/1", 0))
    assert [one.behind for one in _empty(files, extract)] == behind
