"""Bad files: a clear error or a stated outcome, and no table changes where nothing of them can be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenario import (
    SHOP_DAY1,
    SHOP_DAY2,
    SHOP_SQL,
    SHOP_YAML,
    checks,
    failures,
    land,
    leftovers,
    load,
    metadata,
    objects,
    rows_of,
    run,
    run_well,
    shop,
)

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

CURRENT = "silver/shop/items/current.parquet"
HEADER = "item_id,label,price,seen_at\n"


@pytest.fixture
def loaded(lake: Lake, tmp_path: Path) -> dg.Definitions:
    """The small workflow after its first day."""
    defs = shop(tmp_path / "project")
    land(lake, "shop", SHOP_DAY1)
    run_well(defs, "shop")
    return defs


def tables(lake: Lake) -> dict[str, str]:
    return {
        key: content
        for key, content in objects(lake, "silver", "gold", "quarantine").items()
        if key.endswith(".parquet")
    }


@pytest.mark.parametrize(
    ("content", "rows"),
    [("", 0), (HEADER, 0), (HEADER.rstrip("\n"), 0), ("\n\n", 0), ("\ufeff" + HEADER, 0)],
    ids=["empty", "header only", "header without line end", "blank lines", "byte order mark and header"],
)
def test_a_file_without_rows_is_taken_adds_nothing_and_is_named(
    lake: Lake, loaded: dg.Definitions, content: str, rows: int
) -> None:
    before = tables(lake)
    land(lake, "shop", {"items/items_0.csv": content})

    result = run_well(loaded, "shop")

    landing = checks(result)["bronze_items", "landing"]
    assert not landing.passed
    assert "landing/shop/items/items_0.csv holds no row" in (landing.description or "")
    assert metadata(result, "bronze_items")["files_ingested"] == 1
    assert metadata(result, "bronze_items")["rows_ingested"] == rows
    assert tables(lake) == before
    again = run_well(loaded, "shop")
    assert checks(again)["bronze_items", "landing"].passed
    assert metadata(again, "bronze_items")["files_ingested"] == 0


def test_a_table_whose_first_file_is_empty_is_published_with_its_columns_and_no_row(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"items/items_0.csv": "", "sales/sales_0.csv": ""})
    run_well(shop(tmp_path), "shop")
    assert rows_of(lake, CURRENT) == []
    assert lake.head(CURRENT) is not None
    assert [row["item_key"] for row in rows_of(lake, "gold/shop/dim_item.parquet")] == [-1]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no column of the table", b"colour,size\nred,1\n", "item_id"),
        ("no key column", b"label,price\nSpade,1\n", "item_id"),
        ("a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "items_bad.csv"),
    ],
    ids=lambda part: part if isinstance(part, str) and " " in part else "",
)
def test_a_file_that_is_not_this_tables_stops_its_table_and_changes_nothing(
    lake: Lake, loaded: dg.Definitions, name: str, content: bytes, said: str
) -> None:
    before = tables(lake)
    land(lake, "shop", {"items/items_bad.csv": content})

    result = run(loaded, "shop")

    assert not result.success, name
    assert "landing/shop/items/items_bad.csv" in failures(result)
    assert "no table changed" in failures(result).lower()
    assert said in failures(result)
    assert "STEP_UP_FOR_RETRY" not in {event.event_type_value for event in result.all_events}, (
        "trying again cannot help"
    )
    assert tables(lake) == before
    assert leftovers(lake) == []


def test_a_bad_file_is_named_and_does_not_hold_up_the_good_one_beside_it(lake: Lake, loaded: dg.Definitions) -> None:
    bad = {"items/items_bad.csv": "label,price\nSpade,1\n"}
    land(lake, "shop", {**bad, "items/items_good.csv": SHOP_DAY2["items/items_2.csv"]})

    result = run_well(loaded, "shop")

    landing = checks(result)["bronze_items", "landing"]
    assert not landing.passed
    assert "items_bad.csv was not taken" in (landing.description or "")
    assert len(rows_of(lake, CURRENT)) == 3


def test_a_header_nobody_knows_may_be_a_row_and_is_not_shown_of_a_table_with_personal_data(
    lake: Lake, loaded: dg.Definitions, tmp_path: Path
) -> None:
    land(lake, "shop", {"items/items_bad.csv": "Zoe,zoe@example.org,Rome,Italy,x\nAnn,ann@example.org,Oslo,Norway,y\n"})
    assert "it has 'Zoe', 'zoe@example.org'" in failures(run(loaded, "shop"))
    personal = load(tmp_path / "personal", SHOP_YAML.replace("{name: label}", "{name: label, pii: true}"), **SHOP_SQL)
    said = failures(run(personal, "shop"))
    assert "knows none of its 5 names" in said
    assert "zoe" not in said.lower()


def test_bytes_that_are_no_text_in_any_declared_encoding_never_become_a_table_in_silence(
    lake: Lake, loaded: dg.Definitions
) -> None:
    """Either the run says so, or the text is kept right: Latin-1 read as what it is, never as �."""
    land(lake, "shop", {"items/items_2.csv": HEADER.encode() + "010,Bêche,1,2026-02-01\n".encode("latin-1")})
    before = tables(lake)
    result = run(loaded, "shop")
    if result.success:
        assert {row["label"] for row in rows_of(lake, CURRENT) if row["item_id"] == "010"} == {"Bêche"}
    else:
        assert "utf-8" in failures(result)
        assert "No table changed" in failures(result) or "no table changed" in failures(result)
        assert tables(lake) == before


def test_a_file_of_an_unknown_name_is_left_alone_and_the_check_warns(lake: Lake, loaded: dg.Definitions) -> None:
    before = tables(lake)
    land(lake, "shop", {"sales/other.csv": "a,b\n1,2\n", "items/readme.txt": "hello"})

    result = run_well(loaded, "shop")

    for asset, key in (("bronze_sales", "sales/other.csv"), ("bronze_items", "items/readme.txt")):
        check = checks(result)[asset, "landing"]
        assert (check.passed, check.severity.value) == (False, "WARN")
        assert f"landing/shop/{key}" in (check.description or "")
        assert metadata(result, asset)["files_ingested"] == 0
    assert tables(lake) == before


def test_a_file_with_more_and_fewer_columns_is_taken_with_a_warning(lake: Lake, loaded: dg.Definitions) -> None:
    land(lake, "shop", {"items/items_2.csv": "note,item_id,price\nx,011,4\n"})
    assert "brings note" in failures(run(loaded, "shop"))
    result = run_well(loaded, "shop")
    check = checks(result)["bronze_items", "schema"]
    assert not check.passed
    for part in ("note", "label", "seen_at"):
        assert part in (check.description or "")
    (row,) = [row for row in rows_of(lake, CURRENT) if row["item_id"] == "011"]
    assert (row["label"], str(row["price"]), row["seen_at"]) == (None, "4.00", None)
    bronze = [name for name in objects(lake, "bronze") if "/items/run_" in name]
    assert any("note" in rows_of(lake, name)[0] for name in bronze)


def test_a_column_that_is_called_like_an_audit_column_does_not_break_the_books(
    lake: Lake, loaded: dg.Definitions
) -> None:
    before = tables(lake)
    land(
        lake,
        "shop",
        {"items/items_2.csv": "item_id,label,price,seen_at,_row_number,_source_file\n1,x,1,2026-01-01,9,y\n"},
    )
    result = run(loaded, "shop")
    if not result.success:
        assert "_row_number" in failures(result)
        assert tables(lake) == before
    else:
        (row,) = [row for row in rows_of(lake, CURRENT) if row["item_id"] == "1"]
        assert row["_source_file"] == "landing/shop/items/items_2.csv"


def test_a_landing_folder_that_was_never_written_is_no_error(lake: Lake, tmp_path: Path) -> None:
    result = run_well(shop(tmp_path), "shop")
    assert rows_of(lake, CURRENT) == []
    assert metadata(result, "bronze_items")["files_ingested"] == 0


def test_a_setting_that_cannot_work_is_named(
    lake: Lake, loaded: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = objects(lake)
    monkeypatch.setenv("FLOWFORGE_THREADS", "many")
    land(lake, "shop", SHOP_DAY2)
    result = run(loaded, "shop")
    assert "the environment variable FLOWFORGE_THREADS is 'many'" in failures(result)
    assert {key: value for key, value in objects(lake).items() if not key.startswith("bronze/")} == {
        key: value for key, value in before.items() if not key.startswith("bronze/")
    }
