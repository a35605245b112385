"""What a careful analyst says of dirty public tables, said in YAML and run: who is held, dropped, kept, and counted where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flowforge_checks.check_names import as_check_name
from flowforge_checks.rules import AnyRule
from flowforge_resources.layout import TableId
from scenario import checks, land, load, metadata, project, rows_of, run, run_well
from test_yaml import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

# Tables in the shapes of those that error-detection studies use: hospital, flights, beers, movies, tax, adult.
DIRTY_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Dirty tables.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: states
      columns: [{name: code}, {name: state}]
      keys: [code]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: hospital
      strategy: full_refresh
      columns:
        - {name: provider}
        - {name: city}
        - {name: state}
        - {name: zip}
        - {name: phone, pii: true}
        - {name: emergency}
        - {name: score}
      rules:
        - {rule: determines, columns: [zip], determines: [city, state], action: quarantine, keep_row: most_common}
        - {rule: references, column: state, table: states, to: code, case_sensitive: false, of_rows: "code <> 'ZZ'"}
        - {rule: matches, for_each_column: [provider, phone], pattern: "[0-9]+"}
        - {rule: allowed_values, column: emergency, values: ["yes", "no"], case_sensitive: false}
        - {rule: format, column: zip, is_a: postal_code, country: US}
        - {rule: format, column: score, is_a: percent, where: "score <> 'empty'", action: keep, error_above: 50%}
        - {rule: not_blank, column: score, markers: [empty, N/A], action: keep, severity: warn, owner: "team:quality"}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: flights
      strategy: append
      columns:
        - {name: src}
        - {name: flight}
        - {name: scheduled}
        - {name: actual}
      rules:
        - {rule: type, for_each_column: [scheduled, actual], is_a: time, formats: ["%I:%M %p"]}
        - {rule: unique, columns: [src, flight], action: drop, keep_row: first}
        - {rule: determines, columns: [flight], determines: [scheduled]}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: beers
      columns:
        - {name: id}
        - {name: style}
        - {name: ounces}
        - {name: abv, type: float}
        - {name: ibu, type: float}
      keys: [id]
      rules:
        - {rule: matches, column: ounces, pattern: '\\d+(\\.\\d+)?', action: drop}
        - {rule: range, column: abv, min: 0, max: 1, exclusive_max: true}
        - {rule: compare, column: abv, operator: <=, other: ibu, nulls: pass, action: keep}
        - rule: sql
          name: no_outlier_of_its_style
          sql: SELECT id FROM {table} QUALIFY abs(abv - median(abv) OVER (PARTITION BY style)) > 0.5
        - {rule: no_pair, name: stronger_is_more_bitter, columns: [style], sql: a.abv > b.abv AND a.ibu < b.ibu}
        - {rule: one_spelling, columns: ["st*", id]}
        - {rule: row_count, min: 1, action: block}
        - {rule: null_rate, column: ibu, max: 50%}
        - rule: expression
          name: ounces_are_few
          sql: ounces::FLOAT > 0 AND ounces::FLOAT < 50
          action: block
          warn_above: 0
          error_above: 50%
        - {rule: python, name: even_id, function: own.py:even, columns: [id], action: keep}
"""
OWN = "import polars as pl\ndef even(frame):\n    return pl.col('id').cast(pl.Int64) % 2 == 0\n"
DIRTY = {
    "states/1.csv": "code,state\nAL,Alabama\nAK,Alaska\nZZ,Nowhere\n",
    "hospital/1.csv": (
        "provider,city,state,zip,phone,emergency,score\n"
        "1,birmingham,al,35233,2055551234,yes,97%\n"
        "2,birmingham,al,35233,2055551234,Yes,empty\n"
        "3,birminghxm,al,35233,2055551234,no,12%\n"
        "4,sitka,zz,99835,9075551234,no,x\n"
        "x5,sitka,ak,99835,907555123x,no,5%\n"
        "6,sitka,ak,9983,9075551234,nx,5%\n"
    ),
    "flights/1.csv": (
        "src,flight,scheduled,actual\n"
        "aa,AA-1,7:10 AM,7:20 AM\naa,AA-1,7:10 AM,7:25 AM\nflightview,AA-1,7:15 AM,7:20 AM\nx,AA-2,7:10a,\n"
    ),
    "beers/1.csv": "id,style,ounces,abv,ibu\n2,ipa,12.0,0.05,60\n4,ipa,12.0 oz,0.06,\n6,ipa,16,5.0,\n8,ale,12 oz,7,\n9,ale,12,0.9,0.5\n",
}


def held(lake: Lake, table: str, column: str) -> dict[str, list[str]]:
    """Who waits in quarantine, and the rules each broke."""
    rows = rows_of(lake, f"quarantine/dirty/{table}/current.parquet") or rows_of(lake, _quarantine(lake, table))
    return {row[column]: sorted(reason["rule"] for reason in row["_reasons"]) for row in rows}


def _quarantine(lake: Lake, table: str) -> str:
    return next(one.key for one in lake.objects(f"quarantine/dirty/{table}/") if one.key.endswith(".parquet"))


def test_what_an_analyst_would_say_can_be_said(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, DIRTY_YAML, "dirty", **{"own.py": OWN})
    land(lake, "dirty", DIRTY)
    result = run_well(defs, "dirty")
    found = checks(result)

    assert held(lake, "hospital", "provider") == {
        "3": ["determines_zip_city_state"],
        "4": ["references_state"],
        "x5": ["matches_phone", "matches_provider"],
        "6": ["allowed_values_emergency", "format_zip"],
    }
    score = found["silver_hospital", "format_score"]
    assert (score.passed, score.metadata["rows_checked"].value, score.metadata["rows_broken"].value) == (True, 5, 1)
    blank = found["silver_hospital", "not_blank_score"]
    assert (blank.passed, blank.severity.value, blank.metadata["rows_broken"].value) == (False, "WARN", 1)

    assert held(lake, "flights", "src") == {"x": ["type_scheduled"]}
    flights = metadata(result, "silver_flights")
    assert (flights["read"], flights["inserted"], flights["dropped"], flights["quarantined"]) == (4, 2, 1, 1)
    by_file = [record.data for record in found["silver_flights", "books"].metadata["account_by_file"].records]  # type: ignore[union-attr]
    where = {"inserted": 2, "deduplicated": 0, "quarantined": 1, "dropped": 1}
    assert by_file == [{"file": "landing/dirty/flights/1.csv", "read": 4, **where}]
    assert found["silver_flights", "determines_flight_scheduled"].metadata["rows_broken"].value == 1

    # 8 breaks a rule that drops it and one that holds it: it is held, since it could come back.
    assert held(lake, "beers", "id") == {"6": ["range_abv"], "8": ["range_abv"]}
    beers = metadata(result, "silver_beers")
    assert (beers["read"], beers["inserted"], beers["dropped"], beers["quarantined"]) == (5, 2, 1, 2)
    assert found["silver_beers", "even_id"].metadata["rows_broken"].value == 1
    ounces = found["silver_beers", "ounces_are_few"]
    assert (ounces.passed, ounces.severity.value) == (False, "WARN")
    assert ounces.description == "2 of 5 rows break it and were kept.", "so many do not block"
    assert found["silver_beers", "compare_abv_ibu"].metadata["rows_broken"].value == 1
    assert found["silver_beers", "no_outlier_of_its_style"].passed
    assert found["silver_beers", "stronger_is_more_bitter"].passed
    assert found["silver_beers", "one_spelling_style"].passed
    assert not any("555" in str(one.metadata) for one in found.values()), "a phone number is personal data"

    land(
        lake,
        "dirty",
        {
            "flights/2.csv": "src,flight,scheduled,actual\naa,AA-1,7:10 AM,9:99\naa,AA-1,7:10 AM,8:00 AM\nbb,AA-3,1:00 PM,\n"
        },
    )
    later = metadata(run_well(defs, "dirty"), "silver_flights")
    assert (later["read"], later["inserted"], later["dropped"], later["quarantined"]) == (3, 1, 1, 1)


def test_a_table_that_breaks_a_blocking_measure_is_not_published(lake: Lake, tmp_path: Path) -> None:
    yaml = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Few rows.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: id}, {name: n, type: integer}]
      keys: [id]
      rules:
        - {rule: row_count_change, max_increase: 50%, action: block}
        - {rule: fresh_within, column: _ingested_at, max_age: 1 day}
    """
    defs = load(tmp_path, yaml, "few")
    land(lake, "few", {"items/1.csv": "id,n\n1,1\n2,2\n"})
    assert checks(run_well(defs, "few"))["silver_items", "fresh_within__ingested_at"].passed
    land(lake, "few", {"items/2.csv": "id,n\n3,1\n4,2\n5,x\n"})
    result = run(defs, "few")
    assert not result.success
    held = checks(result)["silver_items", "type"].description
    assert (
        held
        == "1 of 3 rows break it and are in quarantine. But the batch was not published: nothing became of them yet."
    )
    assert "from 2 to 4" in str(checks(result)["silver_items", "row_count_change"].description)
    assert len(rows_of(lake, "silver/few/items/current.parquet")) == 2


GOOD_RULE = "- {rule: not_null, column: n}"
WRONG: dict[str, tuple[str, str]] = {
    "an unknown column in an expression": ("- {rule: expression, name: e, sql: nn > 1}", "Did you mean 'n'?"),
    "an aggregate in an expression": ("- {rule: expression, name: e, sql: n = max(n)}", "it looks at other rows"),
    "an unknown column in where": ("- {rule: not_null, column: n, where: m > 1}", "no column 'm'"),
    "a clash of types": ("- {rule: expression, name: e, sql: 'n > [1]'}", "Cannot compare"),
    "text compared with a number": ("- {rule: range, column: id, min: 1}", "the text column 'id'"),
    "a date that is none": ("- {rule: range, column: d, min: soon}", "range_d"),
    "a pattern that is none": ("- {rule: matches, column: id, pattern: '['}", "matches_id"),
    "a function that is not there": (
        "- {rule: python, name: p, function: 'own.py:f', columns: [id]}",
        "no file 'own.py'",
    ),
    "a table that is not listed": (
        "- {rule: sql, name: s, sql: 'SELECT * FROM {table} JOIN other USING (id)'}",
        "other",
    ),
    "a pair of rows with an unknown column": (
        "- {rule: no_pair, name: p, sql: a.n > b.m}",
        "cannot be asked",
    ),
    "a median of text": ("- {rule: near_median, columns: [id], max_ratio: 5}", "reads numbers"),
    "a span of time between numbers": (
        "- {rule: near_median, columns: [n], max_difference: 5m}",
        "is a length of time",
    ),
    "a spelling of numbers": ("- {rule: one_spelling, columns: [n]}", "reads text"),
    "a pattern of columns that fits none": ("- {rule: not_null, for_each_column: [x_*]}", "fits no column"),
    "rows taken out of a set that replace each other later": (
        "- {rule: unique, columns: [n], action: quarantine, keep_row: last}",
        "cannot be taken out for a later one",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_rule_that_cannot_work_is_refused_before_anything_runs(tmp_path: Path, case: str) -> None:
    rule, said = WRONG[case]
    yaml = f"""
    type: flowforge_assets.components.Workflow
    attributes: {{description: Wrong.}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{{name: id}}, {{name: n, type: integer}}, {{name: d, type: date}}]
      keys: [id]
      rules:
        {rule}
    """
    said_of_it = refusal(tmp_path, yaml)
    assert said in said_of_it, said_of_it
    assert "defs/shop/defs.yaml:10" in said_of_it


def test_a_rule_shows_what_it_found_in_the_batches_before(lake: Lake, tmp_path: Path) -> None:
    documents = """
        type: flowforge_assets.components.Workflow
        attributes: {description: A shop.}
        ---
        type: flowforge_assets.components.Table
        attributes:
          name: items
          columns: [{name: item_id}, {name: price, type: integer}]
          keys: [item_id]
          rules: [{rule: range, column: price, min: 0}]
    """
    with project(tmp_path, {"shop": documents}) as defs:
        land(lake, "shop", {"items/1.csv": "item_id,price\na,1\nb,-1\n"})
        assert "trend" not in checks(run_well(defs, "shop"))["silver_items", "range_price"].metadata
        land(lake, "shop", {"items/2.csv": "item_id,price\nc,1\n"})
        found = checks(run_well(defs, "shop"))["silver_items", "range_price"]

    trend = [record.data for record in found.metadata["trend"].value.records]
    assert [(one["rows_checked"], one["rows_broken"], one["percent"]) for one in trend] == [
        (1, 0, "0.00"),
        (2, 1, "50.00"),
    ]


GROUPS_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: People.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      columns: [{name: id}, {name: state}, {name: pay, type: integer}]
      keys: [id]
      rules:
        - {rule: near_median, name: ratio, columns: [pay], per: [state], max_ratio: 2}
        - {rule: near_median, name: difference, columns: [pay], per: [state], max_difference: 20}
        - {rule: near_median, name: spreads, columns: [pay], per: [state], max_spreads: 3}
        - {rule: near_median, name: held, columns: [pay], per: [state], max_ratio: 9, action: quarantine, keep_row: most_common}
"""


def test_values_far_from_the_median_of_their_group_are_counted_where_they_stay(lake: Lake, tmp_path: Path) -> None:
    """One is in the first group, and far from its median only; the last group is too small to judge."""
    pays = {"north": [9, 10, 10, 11, 12, 80], "south": [80, 99, 100, 101, 102], "west": [1, 50]}
    rows = [f"{state}{place},{state},{pay}" for state, all_of in pays.items() for place, pay in enumerate(all_of)]
    land(lake, "shop", {"people/1.csv": "\n".join(["id,state,pay", *rows]) + "\n"})
    found = checks(run_well(load(tmp_path, GROUPS_YAML), "shop"))
    broken = {
        name: found["silver_people", name].metadata["rows_broken"].value for name in ("ratio", "difference", "held")
    }
    assert broken == {"ratio": 1, "difference": 1, "held": 0}
    assert found["silver_people", "spreads"].metadata["rows_broken"].value == 2


def test_rules_about_columns_named_in_any_way_make_checks(lake: Lake, tmp_path: Path) -> None:
    yaml = """
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes:
          name: people
          columns: [{name: "ID no."}, {name: order}, {name: capital-gain, type: integer}, {name: Größe}, {name: 金額}, {name: 名前}]
          keys: ["ID no.", order]
          sequence_by: [capital-gain]
          rules:
            - {rule: range, column: capital-gain, min: 0}
            - {rule: not_blank, for_each_column: [Größe, 金額, 名前]}
            - {rule: determines, columns: ["ID no."], determines: [Größe], action: keep}
            - {rule: compare, column: Größe, operator: "!=", other: 金額, action: keep}
            - {rule: null_rate, column: capital-gain, max: 10%}
    """
    land(
        lake,
        "shop",
        {"people/1.csv": "ID no.,order,capital-gain,Größe,金額,名前\n1,a,5,L,x,y\n2,a,-5,L,x,y\n3,a,5,,x,\n"},
    )
    found = checks(run_well(load(tmp_path, yaml), "shop"))
    held = {
        row["ID no."]: [one["rule"] for one in row["_reasons"]]
        for row in rows_of(lake, TableId("shop", "people").quarantine)
    }
    assert held["2"] == ["range_capital_gain"]
    assert [name for name in held["3"] if name in {check for _, check in found}] == held["3"]
    assert found["silver_people", "not_blank_Grosse"].metadata["rows_broken"].value == 1
    assert found["silver_people", "determines_ID_no__Grosse"].passed


def test_a_name_that_is_no_name_is_refused_with_one_that_is(tmp_path: Path) -> None:
    rule = TypeAdapter[Any](AnyRule)
    with pytest.raises(ValidationError, match="`name: shipped_later`"):
        rule.validate_python({"rule": "not_null", "column": "a", "name": "shipped later"})
    names = {as_check_name(f"not_null_{one}") for one in ("金額", "名前", "größe", "a b")}
    assert len(names) == 4
    assert all(re.fullmatch(r"\w+", one, re.ASCII) for one in names)
