"""What casts to each type, and what breaks: nothing is rounded, guessed, or turned into null unseen."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from unittest.mock import sentinel

import duckdb
import pytest

from flowforge_assets.column_types import parse_type
from flowforge_assets.column_types.typed_column import TypedColumn

BROKEN = sentinel.BROKEN
LONG = "12345678901234567890"

CASTS: dict[str, dict[str, Any]] = {
    "text": {"007": "007", " x ": " x ", "NA": "NA", "null": "null"},
    "integer": {
        "7": 7,
        " 7 ": 7,
        "+5": 5,
        "-5": -5,
        "007": 7,
        "12.0": 12,
        "12.": 12,
        "-0": 0,
        "9223372036854775807": 9223372036854775807,
        "9223372036854775808": BROKEN,
        LONG: BROKEN,
        "12.5": BROKEN,
        "12,5": BROKEN,
        "1,000": BROKEN,
        "1_000": BROKEN,
        "0x1F": BROKEN,
        "0b11": BROKEN,
        "1e3": BROKEN,
        "infinity": BROKEN,
        "nan": BROKEN,
        "true": BROKEN,
        "--5": BROKEN,
        "+": BROKEN,
        "1 000": BROKEN,
        "٣": BROKEN,
        "twelve": BROKEN,
    },
    "decimal(10,2)": {
        "12.5": Decimal("12.50"),
        "12.50": Decimal("12.50"),
        "12.500": Decimal("12.50"),
        "12": Decimal("12.00"),
        "12.": Decimal("12.00"),
        ".5": Decimal("0.50"),
        "+5": Decimal("5.00"),
        "-0.01": Decimal("-0.01"),
        " 7 ": Decimal("7.00"),
        "007": Decimal("7.00"),
        "99999999.99": Decimal("99999999.99"),
        "100000000": BROKEN,
        "12.345": BROKEN,
        "12.3450": BROKEN,
        "12,5": BROKEN,
        "1_000": BROKEN,
        "0x1F": BROKEN,
        "1e3": BROKEN,
        "1E2": BROKEN,
        "infinity": BROKEN,
        "nan": BROKEN,
        ".": BROKEN,
        "1.2.3": BROKEN,
        ".12": Decimal("0.12"),
        ".1200": Decimal("0.12"),
        ".125": BROKEN,
        "$5": BROKEN,
    },
    "decimal(38,0)": {"9" * 38: Decimal("9" * 38), "-" + "9" * 38: Decimal("-" + "9" * 38), "1" + "0" * 38: BROKEN},
    "decimal(38,38)": {"." + "9" * 38: Decimal("." + "9" * 38), "0." + "9" * 39: BROKEN, "1": BROKEN},
    "decimal(4,0)": {
        ".0": Decimal(0),
        ".5": BROKEN,
        "12": Decimal(12),
        "12.0": Decimal(12),
        "12.5": BROKEN,
        "12345": BROKEN,
    },
    "float": {
        "12.5": 12.5,
        " 7 ": 7.0,
        "+5": 5.0,
        "007": 7.0,
        "1e3": 1000.0,
        "-1.5E-3": -0.0015,
        ".5": 0.5,
        "5.": 5.0,
        "12,5": BROKEN,
        "1_000": BROKEN,
        "0x1F": BROKEN,
        "infinity": BROKEN,
        "-inf": BROKEN,
        "nan": BROKEN,
        "NaN": BROKEN,
        "1e999": BROKEN,
        "e5": BROKEN,
    },
    "boolean": {
        "true": True,
        "TRUE": True,
        " t ": True,
        "Yes": True,
        "y": True,
        "1": True,
        "false": False,
        "N": False,
        "no": False,
        "0": False,
        "2": BROKEN,
        "on": BROKEN,
        "ja": BROKEN,
        "truee": BROKEN,
        "1.0": BROKEN,
    },
    "date": {
        "2025-02-28": date(2025, 2, 28),
        " 2025-02-28 ": date(2025, 2, 28),
        "2024-02-29": date(2024, 2, 29),
        "1000-01-01": date(1000, 1, 1),
        "2025-02-30": BROKEN,
        "2025-13-01": BROKEN,
        "2025-2-3": BROKEN,
        "20250228": BROKEN,
        "28.02.2025": BROKEN,
        "2025/02/28": BROKEN,
        "2025-02-28 10:00:00": BROKEN,
        "epoch": BROKEN,
        "infinity": BROKEN,
        "-infinity": BROKEN,
        "today": BROKEN,
        "0": BROKEN,
    },
    "timestamp": {
        "2025-02-28 10:20:30": datetime(2025, 2, 28, 10, 20, 30),  # noqa: DTZ001  # stored without a zone
        "2025-02-28T10:20:30": datetime(2025, 2, 28, 10, 20, 30),  # noqa: DTZ001
        "2025-02-28 10:20:30.123456": datetime(2025, 2, 28, 10, 20, 30, 123456),  # noqa: DTZ001
        "2025-02-28T10:20:30+02:00": datetime(2025, 2, 28, 8, 20, 30),  # noqa: DTZ001
        "2025-02-28T10:20:30Z": datetime(2025, 2, 28, 10, 20, 30),  # noqa: DTZ001
        " 2025-02-28 10:20:30 ": datetime(2025, 2, 28, 10, 20, 30),  # noqa: DTZ001
        "2025-02-28": datetime(2025, 2, 28),  # noqa: DTZ001
        "2025-02-30 00:00:00": BROKEN,
        "2025-02-28 25:00:00": BROKEN,
        "2025-02-28 10:20:30 Europe/Berlin": datetime(2025, 2, 28, 9, 20, 30),  # noqa: DTZ001
        "2025-02-28 10:20:30 Nowhere/Town": BROKEN,
        "2025-02-28 10:20:30+99": BROKEN,
        "2025-02-28 10:20:30-16:00": BROKEN,
        "10:20:30": BROKEN,
        "epoch": BROKEN,
        "infinity": BROKEN,
        "-infinity": BROKEN,
        "now": BROKEN,
        "1740736830": BROKEN,
    },
    "time": {
        "10:20": time(10, 20),
        " 9:05:07 ": time(9, 5, 7),
        "10:20:30.5": time(10, 20, 30, 500000),
        "00:00:00": time(0),
        "24:00:00": BROKEN,
        "23:60": BROKEN,
        "10": BROKEN,
        "10:20 pm": BROKEN,
        "2025-02-28 10:20:30": BROKEN,
    },
    "json": {
        '{"a": [1, {"b": null}]}': '{"a": [1, {"b": null}]}',
        " 5 ": "5",
        '"NaN,]"': '"NaN,]"',
        r'"an \" Infinity"': r'"an \" Infinity"',
        "null": "null",
        "[]": "[]",
        "{a: 1}": BROKEN,
        "[1,]": BROKEN,
        '{"a": 1,\n}': BROKEN,
        "NaN": BROKEN,
        '{"a": -Infinity}': BROKEN,
        "{} x": BROKEN,
        '"open': BROKEN,
        '"': BROKEN,
        "text": BROKEN,
    },
}
FORMATTED: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {
    ("date", ("%Y-%m-%d", "%d.%m.%Y")): {
        "2025-02-28": date(2025, 2, 28),
        "28.02.2025": date(2025, 2, 28),
        " 28.02.2025 ": date(2025, 2, 28),
        "30.02.2025": BROKEN,
        "2025-02-30": BROKEN,
        "02/28/2025": BROKEN,
        "28.02.2025 x": BROKEN,
        "epoch": BROKEN,
        "infinity": BROKEN,
    },
    ("date", ("%d.%m.%Y",)): {"28.02.2025": date(2025, 2, 28), "2025-02-28": BROKEN},
    ("timestamp", ("%Y-%m-%d %H:%M:%S",)): {
        "2025-02-28 10:20:30": datetime(2025, 2, 28, 10, 20, 30),  # noqa: DTZ001
        "2025-02-28T10:20:30": BROKEN,
        "2025-02-28": BROKEN,
        "epoch": BROKEN,
        "infinity": BROKEN,
    },
}
CASES = [
    (kind, formats, text, value)
    for (kind, formats), texts in {**{(kind, ()): texts for kind, texts in CASTS.items()}, **FORMATTED}.items()
    for text, value in texts.items()
]


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    return made


@pytest.mark.parametrize(("kind", "formats", "text", "value"), CASES, ids=lambda part: repr(part)[:30])
def test_a_text_becomes_the_value_it_says_or_breaks(
    connection: duckdb.DuckDBPyConnection, kind: str, formats: tuple[str, ...], text: str, value: Any
) -> None:
    cast = parse_type(kind, **({"formats": formats} if formats else {})).cast("cell")
    (found,) = connection.execute(f"SELECT {cast} FROM (SELECT ?::VARCHAR AS cell)", [text]).fetchall()[0]
    assert found == (None if value is BROKEN else value)
    assert type(found) is (type(None) if value is BROKEN else type(value))


@pytest.mark.parametrize("kind", [*CASTS, *(kind for kind, _ in FORMATTED)])
@pytest.mark.parametrize("text", [None, "", "  "])
def test_an_empty_cell_is_null_and_never_an_error(
    connection: duckdb.DuckDBPyConnection, kind: str, text: str | None
) -> None:
    cast = parse_type(kind).cast("cell")
    (found,) = connection.execute(f"SELECT {cast} FROM (SELECT ?::VARCHAR AS cell)", [text]).fetchall()[0]
    assert found == ("  " if (kind, text) == ("text", "  ") else None)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("integr", "Did you mean 'integer'"),
        ("int", "Did you mean 'integer'"),
        ("datetime", "is not a type"),
        ("decimal", "Did you mean 'decimal(10,2)'"),
        ("decimal(39,2)", "from 1 to 38"),
        ("decimal(4,5)", "decimal(4,5) cannot be"),
        ("decimal(0,0)", "cannot be"),
    ],
)
def test_a_type_that_is_none_is_refused_with_the_nearest(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"type|decimal") as caught:
        parse_type(written)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (
            {"type": "integer", "formats": ["%d"]},
            "`formats` belongs to date, time and timestamp columns, not to integer",
        ),
        ({"percent": True}, "`percent` belongs to decimal and float columns, not to text"),
        ({"type": "integer", "percent": True}, "`percent` belongs to decimal and float columns"),
        ({"type": "date", "timezone": "Europe/Berlin"}, "`timezone` belongs to timestamp columns"),
        (
            {"type": "date", "decimal_separator": ","},
            "`decimal_separator` belongs to integer, decimal and float columns",
        ),
        ({"type": "float", "true_words": ["x"]}, "`true_words` belongs to boolean columns"),
        ({"type": "boolean", "true_words": [True]}, "YAML read a text of the list as True. Write it in quotes"),
        ({"null_markers": [None]}, "YAML read a text of the list as null. Write it in quotes"),
        ({"null_markers": [-999]}, "as -999. Write it in quotes"),
        ({"type": "boolean", "true_words": ["N"]}, "'n' is among the words for true and for false"),
        ({"type": "boolean", "true_words": [" "]}, "an empty cell is always null"),
    ],
)
def test_an_option_that_does_not_fit_the_type_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"belongs|quotes|words") as caught:
        TypedColumn.model_validate({"name": "c", **declared})
    assert said in str(caught.value)


def test_declared_words_take_the_place_of_the_usual_ones(connection: duckdb.DuckDBPyConnection) -> None:
    cast = parse_type("boolean", true_words=("Ja", "x"), false_words=("Nein",)).cast("cell")
    found = {
        text: connection.execute(f"SELECT {cast} FROM (SELECT ?::VARCHAR AS cell)", [text]).fetchall()[0][0]
        for text in ("JA", " x ", "nein", "yes", "no", "1")
    }
    assert found == {"JA": True, " x ": True, "nein": False, "yes": None, "no": None, "1": None}


def test_what_is_expected_is_said_as_it_was_declared() -> None:
    plain = TypedColumn(name="c", type="decimal(10,2)", decimal_separator=".")
    rich = TypedColumn(name="c", type="date", formats=("%d.%m.%Y", "excel"))
    money = TypedColumn(name="c", type="float", decimal_separator=",", currency=("€", "EUR"))
    assert plain.expected == "decimal(10,2)"
    assert rich.expected == "date (formats: %d.%m.%Y, excel)"
    assert money.expected == "float (decimal_separator: ,; currency: €, EUR)"
