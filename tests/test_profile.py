"""Profiles: what is in a table's columns, what may be shown of them, and what counts as drift."""

from __future__ import annotations

import json
from bisect import bisect
from collections import Counter
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import duckdb
import pytest
from rich.console import Console

from flowforge_assets.catalog import UnknownNameError
from flowforge_assets.cli.profile import profile_now
from flowforge_checks.distances import by_chance, stability_index
from flowforge_checks.profile.columns import ColumnProfile, Profile
from flowforge_checks.profile.drift import Drift, DriftLimits, drift_between
from flowforge_checks.profile.measure import profile_of
from flowforge_checks.profile.shown import as_html, quartiles, sparkline
from scenario import QUIET, SHOP_DAY1, SHOP_SQL, SHOP_YAML, checks, land, load, run_well

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

ROWS = "SELECT range AS n, CASE WHEN range % 4 = 0 THEN NULL ELSE 'AB-' || range % 3 END AS code, 'ann' || range AS email, DATE '2026-01-01' + (range % 10)::INTEGER AS day, range % 2 = 0 AS even, (range * 1.5)::DECIMAL(10, 2) AS price, [range] AS list FROM range({rows})"


def profiled(rows: int = 100, sql: str = ROWS, **said: int) -> Profile:
    with duckdb.connect() as connection:
        return profile_of(connection, f"({sql.format(rows=rows)})", table="t", version="1", personal={"email"}, **said)


def test_what_is_in_each_column() -> None:
    found = {column.name: column for column in profiled().columns}
    n = found["n"]
    assert (n.rows, n.nulls, n.min, n.max, n.mean) == (100, 0, "0", "99", 49.5)
    assert n.quantiles == (4.95, 24.75, 49.5, 74.25, 94.05)
    assert n.histogram == (5,) * 20
    assert n.top == ()
    code = found["code"]
    assert code.nulls == 25
    assert code.null_rate == 0.25
    assert code.top == (("AB-0", 25), ("AB-1", 25), ("AB-2", 25))
    assert code.top_is_all
    assert code.patterns == (("AA-9", 75),)
    assert 2 <= code.distinct <= 4
    assert found["day"].min == "2026-01-01"
    assert sum(found["day"].histogram) == 100
    assert found["even"].top == (("false", 50), ("true", 50))
    assert found["price"].type == "DECIMAL(10,2)"
    assert not found["n"].personal


def test_of_personal_data_only_counts_are_known() -> None:
    found = profiled()
    email = next(column for column in found.columns if column.name == "email")
    assert email.personal
    assert email.distinct > 80
    assert "ann" not in json.dumps(found.as_dict())
    assert "ann" not in as_html(found)


def test_a_large_table_is_sampled_and_says_so() -> None:
    found = profiled(20_000, most_rows=2_000)
    assert found.rows == 20_000
    assert 1_500 < found.looked_at < 2_500
    assert found.sampled
    assert replace(profiled(20_000, most_rows=2_000), profiled_at="", seconds=0).columns[0].histogram == found.columns[0].histogram  # fmt: skip


@pytest.mark.parametrize("sql", ["SELECT 1 AS a WHERE FALSE", "SELECT NULL::INTEGER AS a, ''::VARCHAR AS b", "SELECT 'inf'::DOUBLE AS a"])  # fmt: skip
def test_tables_with_little_in_them(sql: str) -> None:
    found = profiled(sql=sql)
    assert Profile.parse(json.loads(json.dumps(found.as_dict()))) == found
    as_html(found)


def test_a_profile_comes_back_as_it_was_kept() -> None:
    found = profiled()
    assert Profile.parse(json.loads(json.dumps(found.as_dict()))) == found


def drift(sql: str, limits: DriftLimits | None = None) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for one in drift_between(profiled(), profiled(sql=sql), limits or DriftLimits()):
        told.setdefault(one.column, []).append(one.what)
    return told


CHANGES: dict[str, tuple[str, str, dict[str, list[str]]]] = {
    "nothing": ("n", "n", {}),
    "more nulls": ("range % 4 = 0", "range % 2 = 0", {"code": ["null rate"]}),
    "a new value": (
        "'AB-' || range % 3",
        "'AB-' || CASE WHEN range = 5 THEN 9 ELSE range % 3 END",
        {"code": ["new values"]},
    ),
    "a value less": ("range % 3 END", "range % 2 END", {"code": ["population stability index", "vanished values"]}),
    "other amounts": ("range * 1.5", "range * 3", {"price": ["quartiles", "population stability index"]}),
    "other shares": ("range % 2 = 0 AS even", "range % 5 = 0 AS even", {"even": ["population stability index"]}),
    "another type": ("DECIMAL(10, 2)", "DOUBLE", {"price": ["type"]}),
    "another name": ("AS even", "AS odd", {"even": ["column is gone"], "odd": ["column is new"]}),
    "fewer values": (
        "range % 10",
        "range % 2",
        {"day": ["distinct values", "quartiles", "population stability index", "vanished values"]},
    ),
}


@pytest.mark.parametrize("case", list(CHANGES))
def test_what_changed_is_named(case: str) -> None:
    old, new, expected = CHANGES[case]
    assert drift(ROWS.format(rows=100).replace(old, new)) == expected


# A normal distribution in a thousand values.
NORMAL = [NormalDist().inv_cdf((place + 0.5) / 1_000) for place in range(1_000)]


@pytest.mark.parametrize(("moved", "widened"), [(0.0, 1.0), (0.5, 1.0), (0.0, 1.5)])
def test_the_index_of_what_is_kept_is_near_that_of_the_rows(moved: float, widened: float) -> None:
    now = [moved + widened * value for value in NORMAL]
    old, new = (profiled(sql=f"SELECT unnest({values}::DOUBLE[]) AS v") for values in (NORMAL, now))
    found = drift_between(old, new, DriftLimits(psi=1e-9, quantile_shift=9))
    quarters = [NormalDist().inv_cdf(share) for share in (0.25, 0.5, 0.75)]
    counts = [Counter(bisect(quarters, value) for value in values) for values in (NORMAL, now)]
    exact = stability_index(*([count[quarter] for quarter in range(4)] for count in counts))
    said = [float(one.now.split(",")[0]) for one in found if one.what == "population stability index"]
    assert said == ([pytest.approx(exact, abs=0.03, rel=0.1)] if moved or widened != 1 else [])


def test_what_chance_makes_of_few_rows_is_no_drift() -> None:
    shares = "SELECT range % {every} = 0 AS even FROM range({rows})"
    for rows, expected in ((10, []), (100, ["population stability index"])):
        old, new = (profiled(sql=shares.format(every=every, rows=rows)) for every in (2, 5))
        assert [one.what for one in drift_between(old, new, DriftLimits())] == expected
    # The 0.999 quantiles of chi-square with 1, 3 and 9 degrees of freedom, as tables have them.
    for freedom, quantile in ((1, 10.828), (3, 16.266), (9, 27.877)):
        assert by_chance(freedom + 1, 100, 50) == pytest.approx(0.03 * quantile, rel=0.035)


def test_limits_let_changes_pass() -> None:
    halved = ROWS.format(rows=100).replace("range % 4 = 0", "range % 2 = 0")
    assert drift(halved, DriftLimits(null_rate=0.3)) == {}


def test_a_sparkline_shows_where_rows_are() -> None:
    assert sparkline((0, 1, 8, 4)) == " ▁█▄"
    assert sparkline(()) == ""


PROFILED = SHOP_YAML.replace(
    "attributes: {description: A shop.}", 'attributes: {description: A shop., profile: "0 4 * * *"}'
)


def run_profile(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("shop_profile")
    return job.execute_in_process(instance=instance, run_config=QUIET)


def test_a_schedule_profiles_all_tables_apart_from_the_workflow(lake: Lake, tmp_path: Path) -> None:
    import dagster as dg

    land(lake, "shop", SHOP_DAY1)
    defs = load(tmp_path, PROFILED, **SHOP_SQL)
    with dg.DagsterInstance.ephemeral() as instance:
        assert not [name for _, name in checks(run_well(defs, "shop")) if name == "profile_drift"]
        first = checks(run_profile(defs, instance))
        assert {asset for asset, _ in first} == {"silver_items", "silver_sales", "dim_item", "fact_sales"}
        assert all(one.passed for one in first.values())
        more = "".join(f"north,{n},404,{n * 100}\n" for n in range(100, 120))
        land(lake, "shop", {"sales/sales_2.csv": f"shop,number,item_id,quantity\n{more}"})
        run_well(defs, "shop")
        check = checks(run_profile(defs, instance))["silver_sales", "profile_drift"]
    assert not check.passed
    shown = [record.data for record in check.metadata["drift"].records]  # type: ignore[union-attr]
    assert "quantity" in {row["column"] for row in shown}
    assert {one.name for one in defs.schedules or ()} >= {"shop_profile_schedule"}


def test_the_command_line_profiles_any_layer(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    defs = load(tmp_path, SHOP_YAML, **SHOP_SQL)
    run_well(defs, "shop")
    found = profile_now("fact_sales", "shop", defs=defs)
    console = Console(width=250)
    with console.capture() as shown:
        console.print(found.render())
    assert "shop.fact_sales: 3 rows" in shown.get()
    assert "quartiles" in shown.get()
    assert found.page().count("<svg") > 1
    assert profile_now("shop.bronze.sales", None, defs=defs).profile.rows == 4
    assert len(list(lake.objects("profiles/shop/"))) == 2
    with pytest.raises(UnknownNameError, match=r"Did you mean 'shop.items'"):
        profile_now("shop.item", None, defs=defs)


def test_quartiles_are_values_of_the_column() -> None:
    def said(kind: str, *values: float) -> str:
        return quartiles(ColumnProfile("c", kind, rows=9, nulls=0, distinct=9, quantiles=(0, *values, 0)))

    assert said("DATE", 0, 1.5 * 86_400, 20_000 * 86_400.0) == "1970-01-01 · 1970-01-02 · 2024-10-04"
    assert said("TIMESTAMP", -1, 0, 1e9) == "1969-12-31 23:59:59 · 1970-01-01 00:00:00 · 2001-09-09 01:46:40"
    assert said("TIME", 0, 3600, 86_399) == "0:00:00 · 1:00:00 · 23:59:59"
    assert said("BIGINT", 2.5, 123_456.75, 7_125_581_456_634) == "2.5 · 123,457 · 7,125,581,456,634"


def test_drift_is_told_in_words() -> None:
    assert Drift("a", "type", "x", "y").row() == {"column": "a", "what": "type", "before": "x", "now": "y"}
