"""Types in whole runs: a messy export with every option, reasons in quarantine, null markers, what an upgrade leaves."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_resources.duck import literal
from flowforge_resources.layout import TableId
from flowforge_resources.published import copy_with_facts
from scenario import checks, land, load, metadata, rows_of, run_well
from test_yaml import refusal

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: An export of a German spreadsheet.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: invoices
      null_markers: ["NA", "-"]
      columns:
        - {name: number, source: Nr, type: integer, thousands_separator: ".", decimal_separator: ","}
        - {name: amount, type: "decimal(12,2)", thousands_separator: ".", decimal_separator: ",",
           currency: ["€", EUR], negatives: ["(5)", "5-"], null_markers: ["offen", "-999"]}
        - {name: discount, type: "decimal(7,4)", percent: true, decimal_separator: ","}
        - {name: weight, type: float, decimal_separator: ",", pii: true}
        - {name: paid, type: boolean, true_words: [ja], false_words: [nein]}
        - {name: issued, type: date, formats: ["%d.%m.%Y", excel]}
        - {name: seen, type: timestamp, formats: ["%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z", excel], timezone: Europe/Berlin}
        - {name: opens, type: time}
        - {name: details, type: json}
        - {name: note, null_markers: []}
      keys: [number]
      rules:
        - {rule: range, column: amount, max: 1000000}
"""
HEADER = "Nr;amount;discount;weight;paid;issued;seen;opens;details;note\n"
GOOD = HEADER + (
    '1.001;1.234,50 €;12,5%;1,5;ja;28.02.2025;15.07.2025 12:00;09:30;"{""a"": [1]}";NA\n'
    "1.002;(5,00);0%;;NEIN;45292;2025-07-15T12:00:00Z;;[];-\n"
    "1.003;EUR 5-;NA;-;NA;-;45292,5;NA;-;\n".replace("45292,5", "45292.5")
    + "1004;offen;-;NA;;;;;;x\n"
    "1005;-999;;;;;;;;\n"
)
BAD = HEADER + (
    "2.001;1.23;;;;;;;;\n"
    "2.002;$5;12,5;1.5;yes;30.02.2025;30.03.2025 02:30;24:00;[1,];\n"
    "-;1;;;;;;;;\n"
    "2.004;2.000.000;;;;;;;;\n"
    "12.34;-;;;;;;;;\n"
)


def invoices(folder: Path) -> dg.Definitions:
    return load(folder, YAML)


def silver(lake: Lake) -> dict[int, dict[str, Any]]:
    return {row["number"]: row for row in rows_of(lake, "silver/shop/invoices/current.parquet")}


def held(lake: Lake) -> dict[str | None, dict[tuple[str, str | None], dict[str, Any]]]:
    """Reasons by the raw number of the row, then by rule and column."""
    rows = rows_of(lake, "quarantine/shop/invoices/current.parquet")
    return {row["Nr"]: {(one["rule"], one["column"]): one for one in row["_reasons"]} for row in rows}


def test_an_export_in_the_ways_of_a_country_becomes_typed_values(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"invoices/a.csv": GOOD})
    result = run_well(invoices(tmp_path), "shop")

    rows = silver(lake)
    assert {number: row["amount"] for number, row in rows.items()} == {
        1001: Decimal("1234.50"),
        1002: Decimal("-5.00"),
        1003: Decimal("-5.00"),
        1004: None,
        1005: None,
    }
    shown = ("discount", "weight", "paid", "issued", "seen", "opens", "details", "note")
    assert [rows[1001][name] for name in shown] == [
        Decimal("0.125"),
        1.5,
        True,
        date(2025, 2, 28),
        datetime(2025, 7, 15, 10),  # noqa: DTZ001  # stored without a zone, in UTC
        time(9, 30),
        '{"a": [1]}',
        "NA",
    ]
    utc = datetime(2025, 7, 15, 12)  # noqa: DTZ001
    assert [rows[1002][name] for name in shown] == [Decimal(0), None, False, date(2024, 1, 1), utc, None, "[]", "-"]
    nothing = [None, None, None, None, datetime(2024, 1, 1, 11), None, None, None]  # noqa: DTZ001
    assert [rows[1003][name] for name in shown] == nothing
    assert metadata(result, "silver_invoices")["quarantined"] == 0
    assert checks(result)["silver_invoices", "type"].passed


def test_a_value_that_does_not_cast_says_its_column_its_text_and_what_was_expected(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"invoices/a.csv": GOOD, "invoices/b.csv": BAD})
    result = run_well(invoices(tmp_path), "shop")

    assert len(silver(lake)) == 5
    reasons = held(lake)
    fingerprint = reasons["2.001"]["type", "amount"].pop("fingerprint")
    assert len(fingerprint) == 12
    assert reasons["2.001"] == {
        ("type", "amount"): {
            "rule": "type",
            "column": "amount",
            "message": f"amount is not {AMOUNT}",
            "value": "1.23",
            "expected": AMOUNT,
        }
    }
    assert checks(result)["silver_invoices", "type"].metadata["rows_broken"].value == 3
    said = {column: (one["value"], one["expected"]) for (_, column), one in reasons["2.002"].items()}
    assert said == {
        "amount": ("$5", AMOUNT),
        "discount": ("12,5", "decimal(7,4) (decimal_separator: ,; percent: true)"),
        "weight": ("1.5", "float (decimal_separator: ,)"),
        "paid": ("yes", "boolean (true_words: ja; false_words: nein)"),
        "issued": ("30.02.2025", "date (formats: %d.%m.%Y, excel)"),
        "seen": (
            "30.03.2025 02:30",
            "timestamp (formats: %d.%m.%Y %H:%M, %Y-%m-%dT%H:%M:%S%z, excel; timezone: Europe/Berlin)",
        ),
        "opens": ("24:00", "time"),
        "details": ("[1,]", "json"),
    }
    assert reasons["-"]["keys_present", "number"]["value"] == "-"
    above = reasons["2.004"]["range_amount", "amount"]
    assert (above["value"], above["expected"]) == ("2.000.000", "amount is at most 1000000")
    assert set(reasons["12.34"]) == {("type", "number"), ("keys_present", "number"), ("type", "amount")}
    books = metadata(result, "silver_invoices")
    assert (books["read"], books["inserted"], books["quarantined"]) == (10, 5, 5)


def test_a_personal_value_that_does_not_cast_is_in_quarantine_and_nowhere_else(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"invoices/a.csv": HEADER + "7;;;secret77;;;;;;\n"})
    result = run_well(invoices(tmp_path), "shop")

    assert held(lake)["7"]["type", "weight"]["value"] == "secret77"
    assert checks(result)["silver_invoices", "type"].metadata["rows_broken"].value == 1
    assert "secret77" not in "".join(str(event) for event in result.all_events)


def test_rows_held_before_reasons_had_values_stay_beside_new_ones(lake: Lake, tmp_path: Path) -> None:
    defs, key = invoices(tmp_path), "quarantine/shop/invoices/current.parquet"
    land(lake, "shop", {"invoices/a.csv": BAD})
    run_well(defs, "shop")
    with lake.scratch() as scratch, duckdb.connect() as connection:
        new, old = scratch.path(".parquet"), scratch.path(".parquet")
        new.write_bytes(lake.read(key) or b"")
        earlier = "list_transform(_reasons, lambda r: {'rule': r.rule, 'column': r.column, 'message': r.message})"
        rows = f"SELECT * REPLACE ({earlier} AS _reasons) FROM read_parquet({literal(str(new))})"
        connection.execute(copy_with_facts(rows, old, {"nonce": "old", "run_id": "old"}))
        lake.write(key, old.read_bytes())
    assert all(set(one) == {"rule", "column", "message"} for row in held(lake).values() for one in row.values())

    land(lake, "shop", {"invoices/b.csv": HEADER + "3.001;five;;;;;;;;\n"})
    run_well(defs, "shop")

    reasons = held(lake)
    assert len(reasons) == 6
    assert reasons["3.001"]["type", "amount"]["value"] == "five"
    assert reasons["2.001"]["type", "amount"]["message"] == f"amount is not {AMOUNT}"
    assert reasons["2.001"]["type", "amount"]["value"] is None


def test_a_changed_option_makes_silver_anew(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"invoices/a.csv": BAD})
    run_well(load(tmp_path / "before", YAML), "shop")
    assert "2.002" in held(lake)

    changed = YAML.replace('currency: ["€", EUR]', "currency: [$]").replace("[ja]", '[ja, "yes"]')
    run_well(load(tmp_path / "after", changed), "shop")

    assert set(held(lake)["2.002"]) == {
        ("type", column) for column in ("discount", "weight", "issued", "seen", "opens", "details")
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("true_words: [ja]", "true_words: [yes]", "YAML read a text of the list as True. Write it in quotes."),
        ('["NA", "-"]', "[~]", "YAML read a text of the list as null. Write it in quotes."),
        ('"%d.%m.%Y", excel', '"dd.mm.yyyy"', "has no code such as %Y"),
        ("timezone: Europe/Berlin", "timezone: Europe/Bonn", "'Europe/Bonn' is not a time zone."),
        ("type: json", "type: jsn", "Did you mean 'json'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_the_yaml_is_loaded(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in YAML
    assert said in refusal(tmp_path, YAML.replace(old, new))


def spec(*columns: Column) -> TableSpec:
    return TableSpec(
        id=TableId("w", "t"),
        files="*",
        file=FileOptions(),
        columns=columns,
        keys=("a",),
        sequence_by=("c",),
        surrogate_key="k",
    )


def test_options_that_are_not_used_leave_a_table_as_it_was_made() -> None:
    plain = (
        Column(name="a"),
        Column(name="b", type="decimal(10,2)", source="B", aliases=("x",)),
        Column(name="c", type="date", formats=("%Y",), pii=True),
    )
    assert spec(*plain).fingerprint == "dd63d8dc0ba72827", "tables of the first version would be made anew"
    comma = Column(name="b", type="decimal(10,2)", source="B", aliases=("x",), decimal_separator=",")
    marked = Column(name="a", null_markers=("NA",))
    others = [spec(plain[0], comma, plain[2]), spec(marked, *plain[1:])]
    assert len({spec(*plain).fingerprint, *(one.fingerprint for one in others)}) == 3


AMOUNT = "decimal(12,2) (decimal_separator: ,; thousands_separator: .; currency: €, EUR; negatives: (5), 5-)"
