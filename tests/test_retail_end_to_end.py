"""The sample workflow on a local lake makes of two awkward days exactly what `expected.json` says."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from scenario import EXPECTED, MODELS, TABLES, checks, leftovers, metadata

ACCOUNT = ("read", "inserted", "updated", "unchanged", "deduplicated", "late", "quarantined")


@pytest.mark.parametrize("day", ["day1", "day2"])
@pytest.mark.parametrize("table", TABLES)
def test_the_books_of_a_day_are_the_expected_ones(two_days: dict[str, Any], day: str, table: str) -> None:
    expected = EXPECTED[day][table]
    said = metadata(two_days[day], f"silver_{table}")

    if expected["read"]:
        assert {name: said[name] for name in ACCOUNT} == {name: expected[name] for name in ACCOUNT}
    else:
        assert (said["read"], said["changed"]) == (0, False)
    assert said["dagster/row_count"] == expected["rows_in_silver"] == len(two_days[f"{day} rows"][table])


@pytest.mark.parametrize("day", ["day1", "day2"])
@pytest.mark.parametrize("table", TABLES)
def test_every_rule_counts_the_rows_that_break_it(two_days: dict[str, Any], day: str, table: str) -> None:
    found = checks(two_days[day])
    for rule, broken in EXPECTED[day][table]["rules"].items():
        if not EXPECTED[day][table]["read"]:
            continue  # nothing was judged, so there is nothing to report
        check = found.get((f"silver_{table}", rule))
        if check is None:
            assert (rule, broken) == ("type", 0), "only a table without typed columns has no check of its types"
            continue
        assert check.metadata["rows_broken"].value == broken, rule
        assert check.passed == (broken == 0), rule


@pytest.mark.parametrize("day", ["day1", "day2"])
def test_every_quarantined_row_says_why(two_days: dict[str, Any], day: str) -> None:
    days = ["day1"] if day == "day1" else ["day1", "day2"]
    for table in TABLES:
        expected: Counter[str] = Counter()
        for each in days:
            expected.update(EXPECTED[each][table]["reasons"])
        rows = two_days[f"{day} held"][table]
        assert len(rows) == sum(EXPECTED[each][table]["quarantined"] for each in days)
        assert Counter(rule for row in rows for rule in {one["rule"] for one in row["_reasons"]}) == expected


@pytest.mark.parametrize(("day", "figures"), [("day1", "gold_day1"), ("day2", "gold")])
def test_gold_has_the_expected_figures(two_days: dict[str, Any], day: str, figures: str) -> None:
    gold = two_days[f"{day} gold"]
    sales = gold["fact_sales"]
    revenue: dict[str, Decimal] = {}
    for row in gold["agg_sales_by_month"]:
        revenue[row["region_name"]] = revenue.get(row["region_name"], Decimal(0)) + row["revenue"]

    assert {
        "fact_sales_rows": len(sales),
        "unknown_customer_sales": sum(row["customer_key"] == -1 for row in sales),
        "unknown_product_sales": sum(row["product_key"] == -1 for row in sales),
        "revenue_by_region": {name: str(round(value, 2)) for name, value in sorted(revenue.items())},
    } == EXPECTED[figures]
    assert sum(revenue.values()) == sum(row["revenue"] for row in sales)


@pytest.mark.parametrize("day", ["day1", "day2"])
def test_every_dimension_has_its_unknown_member_once_and_every_key_points_to_a_row(
    two_days: dict[str, Any], day: str
) -> None:
    gold = two_days[f"{day} gold"]
    for model in MODELS[:6]:
        keys = [row[f"{model.removeprefix('dim_')}_key"] for row in gold[model]]
        assert keys.count(-1) == 1
        assert len(set(keys)) == len(keys)
    for dimension in ("date", "customer", "product"):
        known = {row[f"{dimension}_key"] for row in gold[f"dim_{dimension}"]}
        assert {row[f"{dimension}_key"] for row in gold["fact_sales"]} <= known


def test_an_earlier_version_of_a_changed_table_is_kept_and_of_an_unchanged_one_is_not(
    two_days: dict[str, Any],
) -> None:
    after = two_days["day2 objects"]
    for table in TABLES:
        snapshots = [content for key, content in after.items() if key.startswith(f"silver/retail/{table}/archive/")]
        changed = EXPECTED["day2"][table]["inserted"] + EXPECTED["day2"][table]["updated"] > 0
        assert snapshots == ([two_days["day1 objects"][f"silver/retail/{table}/current.parquet"]] if changed else [])


def test_surrogate_keys_stay_what_they_were(two_days: dict[str, Any]) -> None:
    before = {row["customer_id"]: row["customers_key"] for row in two_days["day1 rows"]["customers"]}
    after = {row["customer_id"]: row["customers_key"] for row in two_days["day2 rows"]["customers"]}
    assert before.items() <= after.items()


def test_a_third_run_without_new_files_changes_no_object(two_days: dict[str, Any]) -> None:
    assert two_days["again objects"] == two_days["day2 objects"]


def test_nothing_is_left_in_scratch_and_no_bronze_file_is_an_orphan(two_days: dict[str, Any]) -> None:
    assert leftovers(two_days["lake"]) == []
