"""What `docs/analyst.md` says of tables in the shapes of public dirty ones: exactly the wrong rows are held, each for its reason."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_checks.rules import AnyRule, NearMedian, NoPair, OneSpelling
from flowforge_resources.layout import TableId
from merging import Merged
from scenario import load

if TYPE_CHECKING:
    from flowforge_checks.rules import Rule

PAGE = Path(__file__).parents[1] / "docs" / "analyst.md"
RULES: TypeAdapter[Any] = TypeAdapter(AnyRule)
TABLES: dict[str, dict[str, Any]] = {
    found["name"]: found for found in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
}
# Each with the rules that its wrong rows break, by the number of the row.
DIRTY: dict[str, tuple[str, dict[int, list[str]]]] = {
    "hospital": (
        "provider,city,state,zip,phone,emergency,measure,score,average\n"
        + "".join(f"{n},birmingham,al,35233,2053258100,yes,heart failure,97%,al_hf\n" for n in range(1, 11))
        + "11,birmingham,al,35233,20532581x0,yes,heart failure,97%,al_hf\n"
        "12,birmingham,ak,35233,2053258100,Yes,heart failure,empty,ak_hf\n"
        "13,sitka,ak,99835,2053258100,no,heart faxlure,x%,ak_hf\n"
        "14,sitka,ak,99835,2053258100,no,heart faxlure,9%,ak_hf\n"
        "15,sitka,ak,99835,2053258100,n,heart failure,9%,al_hf\n"
        "16,dothan,al,36301,2053258100,no,heart failure,,\n",
        {
            11: ["matches_phone"],
            12: ["determines_zip_city_state"],
            13: ["matches_score"],
            14: ["one_spelling_measure"],
            15: ["allowed_values_emergency", "average_is_of_its_state"],
        },
    ),
    "flights": (
        (
            "source,flight,scheduled,actual\n"
            "aa,AA-1,7:10 a.m.,7:16 a.m.\nweb,AA-1,7:10 a.m.,Not Available\nx,AA-1,7:15 a.m.,7:16 a.m.\n"
            'aa,AA-2,1:00 p.m.,"Dec 1, 1:05p"\nweb,AA-2,1:00 p.m.,9:00 a.m.\nx,AA-2,1:00 p.m.,12:58 p.m.\n'
        ),
        {
            2: ["matches_actual"],
            3: ["determines_flight_scheduled"],
            4: ["matches_actual"],
            5: ["departs_when_scheduled_or_later"],
        },
    ),
    "beers": (
        (
            "id,ounces,abv,brewery_id,brewery,city,state\n"
            "1,12.0,0.05,7,Ten Barrel,Bend,OR\n2,12.0 oz,0.05,7,Ten Barrel,Bend,OR\n3,16,N/A,7,Ten Barrel,Bend,OR\n"
            "4,16,5.0,7,Ten Barrel,Bend,OR\n5,16,0.05%,7,Ten Barrel,Bend,OR\n6,16,,8,Karl,San Diego CA,\n"
            "7,16,0.06,8,Karl,San Diego,Calif\n8,16,0.06,7,10 Barrel,Bend,OR\n9,16,0.06,8,Karl,San Diego,CA\n"
        ),
        {
            2: ["matches_ounces"],
            4: ["range_abv"],
            5: ["type"],
            6: ["matches_city"],
            7: ["format_state"],
            8: ["determines_brewery_id_brewery"],
        },
    ),
    "rayyan": (
        (
            "id,journal,issn,pages,created,language\n"
            "1,Lancet,0140-6736,70-6,1/1/14,eng\n2,Lancet,0140-6736,6-Jan,1/1/14,eng\n3,Lancet,1-Mar-85,S12-S14,1/1/14,\n"
            "4,Lancet,0028-4793,12,1/1/14,eng\n5,Lancet,0140-6736,12,2014-01-01,eng\n6,Chest,0012-3692,1-9,12/31/14,English\n"
            "7,Chest,0012-3629,1-9,12/31/14,eng\n8,Chest,,1-9,,ger\n"
        ),
        {
            2: ["matches_pages"],
            3: ["format_issn"],
            4: ["determines_journal_issn"],
            5: ["type_created"],
            6: ["allowed_values_language"],
            7: ["format_issn"],
        },
    ),
    "movies": (
        (
            "id,title,year,released,duration,rating,votes\n"
            '1,Heat,1995,15 December 1995,170 min,8.2,"410,201"\n2,Heat.,1995,15 December 1995,170 min,8.2,9\n'
            "3,Ran,1985,1 June 1985,2 hr. 42 min.,8.2,10\n4,Ran,1958,1 June 1985,162 min,8.2,10\n5,Alien,1979,25 May 1979,117 min,85.0,10\n"
            "6,Alien,1979,25 May 1979,117 min,,10\n7,Up,2009,2009,96 min,8.2,\n8,Jaws,197,20 June 1975,124 min,8.0,7\n"
        ),
        {
            2: ["no_film_twice"],
            3: ["matches_duration"],
            4: ["released_in_its_year_or_the_next"],
            5: ["range_rating"],
            6: ["not_null_rating"],
            8: ["range_year", "released_in_its_year_or_the_next"],
        },
    ),
    "adult": (
        (
            "age,work,education,years,relationship,sex,income\n"
            "39,Private,Bachelors,13,Husband,Male,<=50K\n38,?,Bachelors,13,Husband,Female,<=50K\n37,Private,Bachelors,13,Wife,Female,>50K\n"
            "36,Private,Bachelors,31,Own-child,Male,>50K\n3,Private,HS-grad,9,Own-child,Female,<50K\n35,?,HS-grad,,Unmarried,Female,<=50K\n"
        ),
        {
            2: ["husbands_are_male"],
            4: ["determines_education_years"],
            5: ["allowed_values_income", "range_age"],
        },
    ),
    "tax": (
        (
            "id,zip,state,child,child_exemption,salary,rate\n"
            "1,90001,CA,N,0,10000,1.0\n2,90001,CA,Y,500,20000,2.0\n3,90001,CA,N,0,30000,3.0\n4,90001,CA,N,0,40000,0.5\n"
            "5,90001,NV,N,0,50000,0.0\n6,89001,NV,N,0,90000,0.0\n7,89001,NV,N,20,10000,0.0\n8,89001,NV,Y,,10000,0.0\n"
        ),
        {4: ["rate_grows_with_salary"], 5: ["determines_zip_state"], 7: ["allowed_values_child_exemption"]},
    ),
    "inspections": (
        (
            "id,license,facility,city,zip,day,results,latitude,longitude\n"
            "1,9,Bakery,CHICAGO,60601,01/31/2015,Pass,41.9,-87.6\n2,9,Bakery,CHICAGOO,60601,01/31/2015,Pass,41.9,-87.6\n"
            "3,9,Bakery,CHICAGO,60601,31/01/2015,Fail,41.9,-87.6\n4,9,Bakery,CHICAGO,61601,01/31/2015,Fail,,\n"
            "5,9,School,CHICAGO,60601,01/31/2015,Fail,41.9,-87.6\n6,0,School,CHICAGO,60601,01/31/2015,No Entry,41.9,-87.6\n"
            "7,0,Store,CHICAGO,60601,01/31/2015,Failed,410.9,-87.6\n8,8,Store,CHICAGO,,01/31/2015,Pass,,\n"
        ),
        {
            2: ["allowed_values_city"],
            3: ["type_day"],
            4: ["matches_zip"],
            5: ["determines_license_facility"],
            7: ["allowed_values_results", "format_latitude"],
            8: ["at_least_one_not_null_latitude_zip"],
        },
    ),
    "readings": (
        (
            "sensor,at,celsius,litres,station,noted\n"
            + "".join(f"a,2026-01-01 00:0{n},2{n}.5,{n + 5},s,07:0{n}\n" for n in range(6))
            + "a,2026-01-01 00:00,225,70,s,07:15\na,2026-01-01 00:00,,0.5,s,07:31\na,2026-01-01 00:00,24.1,,s,\n"
            "b,2026-01-01 00:00,225,50,s,07:10\nb,2026-01-01 00:01,-9,0.1,s,23:00\n"
        ),
        {7: ["near_median_celsius", "near_median_litres"], 8: ["near_median_litres", "near_median_noted"]},
    ),
    "addresses": (
        (
            "id,email,zip,city,state,area_code\n"
            "1,a@b.co,35233,Birmingham,AL,205\n2,A@B.co,35233,Birmingham,AL,205\n3,,35234,Birmingham,AL,205\n"
            "4,d@b.co,35299,Hoover,AK,205\n5,e@b.co,35233,,AL,312\n6,f@b.co,35233,Brimingham,AL,205\n7,,,Hoover,,205\n"
        ),
        {
            2: ["unique_lower_email"],
            4: ["determines_state_left_zip_3"],
            5: ["determines_zip_area_code"],
            6: ["determines_zip_city"],
        },
    ),
}


def spec_of(table: dict[str, Any]) -> TableSpec:
    """The table as its document says it."""
    columns = tuple(Column(**one) for one in table["columns"])
    names = [column.name for column in columns]
    keys = tuple(table.get("keys", ()))
    return TableSpec(
        id=TableId("w", table["name"]),
        files="*",
        file=FileOptions(),
        columns=columns,
        keys=keys,
        sequence_by=(),
        surrogate_key=f"{table['name']}_key" if keys else "",
        rules=tuple(rule for one in table["rules"] for rule in RULES.validate_python(one).each(names)),
        strategy=Strategy(kind=table.get("strategy", "upsert")),
    )


def held(table: Merged) -> dict[int, list[str]]:
    """The reasons of each row that waits, by its number in its file."""
    return {row["_row_number"]: sorted(one["rule"] for one in row["_reasons"]) for row in _waiting(table)}


def _waiting(table: Merged) -> list[dict[str, Any]]:
    import polars as pl

    return pl.read_parquet(table.quarantine).to_dicts() if table.quarantine else []


def rows(text: str) -> list[dict[str, Any]]:
    """CSV as bronze has it: an empty cell is null."""
    return [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(StringIO(text))]


@pytest.mark.parametrize("name", list(DIRTY))
def test_exactly_the_wrong_rows_are_held_each_for_its_reason(tmp_path: Path, name: str) -> None:
    text, wrong = DIRTY[name]
    table = Merged(tmp_path, spec_of(TABLES[name]))
    books = table.take(0, [rows(text)])
    assert held(table) == wrong
    assert books.balances
    assert len(table.table()) == len(rows(text)) - len(wrong)
    assert set(TABLES) == set(DIRTY), "every table of the page is tried"


def test_the_tables_of_the_page_are_definitions_as_they_stand(tmp_path: Path) -> None:
    one = "type: flowforge_assets.components.Table\nattributes: "
    written = [one + json.dumps(table, default=str) for table in TABLES.values()]
    load(tmp_path, "\n---\n".join(["type: flowforge_assets.components.Workflow", *written]))


PEOPLE = (
    Column(name="id"),
    Column(name="state"),
    Column(name="pay", type="integer"),
    Column(name="rate", type="float"),
)
RATES = NoPair(
    rule="no_pair",
    name="rate_grows",
    columns=("state",),
    sql="a.pay > b.pay AND a.rate < b.rate",
    action="quarantine",
    keep_row="most_common",
)


def people(rules: tuple[Rule, ...], **more: Any) -> TableSpec:
    """Taxpayers by id."""
    spec = spec_of({"name": "people", "columns": [], "keys": ["id"], "rules": []})
    return replace(spec, columns=PEOPLE, rules=rules, **more)


def person(number: int, state: str | None, pay: int | None, rate: float | None) -> dict[str, Any]:
    """One, as text."""
    made = {"id": str(number), "state": state, "pay": pay, "rate": rate}
    return {name: None if value is None else str(value) for name, value in made.items()}


PAYERS = st.lists(
    st.tuples(st.sampled_from(["A", "B", None]), st.sampled_from([1, 2, 3, None]), st.sampled_from([0.1, 0.2, None])),
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(PAYERS, PAYERS, st.sampled_from(["most_common", "first", "none"]), st.sampled_from(["upsert", "full_refresh"]))
def test_no_pair_is_ever_published_and_one_row_of_each_that_goes_is_to_blame(
    first: list[Any], second: list[Any], keep: Any, kind: Any
) -> None:
    rule = RATES.model_copy(update={"keep_row": keep})
    with TemporaryDirectory() as folder:
        table = Merged(Path(folder), people((rule,), strategy=Strategy(kind=kind)))
        for number, batch in enumerate((first, second)):
            before = table.table()
            given_rows = [person(10 * number + place, *one) for place, one in enumerate(batch)]
            books = table.take(number, [given_rows])
            assert books.balances
            assert not any(_contradict(a, b) for a in table.table() for b in table.table())
            there = [
                {**row, "pay": row["pay"] and int(row["pay"]), "rate": row["rate"] and float(row["rate"])}
                for row in given_rows
            ]
            in_conflict = [a for a in there if any(_contradict(a, b) or _contradict(b, a) for b in [*there, *before])]
            assert books.quarantined <= len(in_conflict)
            assert bool(books.quarantined) or kind == "full_refresh" or not in_conflict


def _contradict(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if None in (a["state"], a["pay"], a["rate"], b["pay"], b["rate"]):
        return False
    return bool(a["state"] == b["state"] and a["pay"] > b["pay"] and a["rate"] < b["rate"])


def test_a_misspelling_of_a_later_batch_is_seen_beside_what_is_published(tmp_path: Path) -> None:
    rule = OneSpelling(
        rule="one_spelling", columns=("state",), max_edits=2, times=3, action="quarantine", keep_row="most_common"
    )
    table = Merged(tmp_path, people((rule,)))
    usual = [person(number, "Route 66 north", None, None) for number in range(3)]
    assert table.take(0, [[*usual, person(9, "North", None, None)]]).quarantined == 0
    said = ["Ruote 66 north", "Route 67 north", "Rte 66 north", "Nort", None]
    table.take(1, [[person(10 + place, one, None, None) for place, one in enumerate(said)]])
    assert held(table) == {1: ["one_spelling_state"], 3: ["one_spelling_state"]}


def test_a_value_of_a_later_batch_is_held_beside_the_median_of_what_is_published(tmp_path: Path) -> None:
    rule = NearMedian(
        rule="near_median", columns=("pay",), per=("state",), max_ratio=2, action="quarantine", keep_row="most_common"
    )
    table = Merged(tmp_path, people((rule,)))
    usual = [person(number, "A", 100 + number, None) for number in range(4)]
    assert table.take(0, [[*usual, person(8, "A", 999, None)]]).quarantined == 1
    later = [person(10, "A", 30, None), person(11, "A", 51, None), person(12, "B", 9, None), person(13, None, 9, None)]
    table.take(1, [[*later, person(0, "A", -100, None)]])
    assert [row["id"] for row in table.table() if row["pay"] < 100] == ["11", "12", "13"]
    assert held(table) == {1: ["near_median_pay"], 5: ["near_median_pay"]}


@pytest.mark.parametrize(
    "more",
    [
        {"rule": "unique", "keep_row": "first"},
        {"rule": "determines", "determines": ["rate"], "keep_row": "most_common"},
        {"rule": "no_pair", "name": "pair", "sql": "a.rate <> b.rate", "keep_row": "first"},
    ],
    ids=lambda more: str(more["rule"]),
)
def test_what_sql_says_is_shared_is_seen_beside_what_is_published(tmp_path: Path, more: dict[str, Any]) -> None:
    rule = RULES.validate_python({**more, "columns_sql": ["lower(state)"], "action": "quarantine"})
    table = Merged(tmp_path, people((rule,)))
    assert table.take(0, [[person(1, "AL", None, 1), person(2, "al", None, 2)]]).quarantined == 1
    later = [person(1, "AL", None, 4), person(3, "Al", None, 3), person(4, "AK", None, 3), person(5, None, None, 5)]
    assert table.take(1, [later]).quarantined == 1
    assert table.values("id", "rate") == [("1", 4.0), ("4", 3.0), ("5", 5.0)]
    assert "lower(state)" not in table.table()[0]


def test_where_nobody_is_in_the_majority_all_are_held(tmp_path: Path) -> None:
    rule = RULES.validate_python(
        {
            "rule": "determines",
            "columns": ["state"],
            "determines": ["pay"],
            "action": "quarantine",
            "keep_row": "majority",
        }
    )
    table = Merged(tmp_path, people((rule,)))
    said = ["A1", "A1", "A2", "B1", "B2", "C1", "D1", "D1", "D2", "D3"]
    table.take(0, [[person(number, one[0], int(one[1]), None) for number, one in enumerate(said)]])
    assert [row["id"] for row in table.table()] == ["0", "1", "5"]
