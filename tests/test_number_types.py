"""Numbers as people write them: separators, currency and percent signs, negative forms; what casts, and what breaks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import sentinel

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_assets.column_types import parse_type

BROKEN = sentinel.BROKEN
GERMAN = {"decimal_separator": ",", "thousands_separator": "."}
EURO = {**GERMAN, "currency": ("€", "EUR"), "negatives": ("(5)", "5-")}
BLANKS = {"": "", ".": ".", ",": ",", "'": "'\u2019", " ": " \u00a0\u202f\u2009"}

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "decimal(10,2)",
        {"decimal_separator": ","},
        {
            "12,5": Decimal("12.50"),
            "12": Decimal("12.00"),
            " -0,01 ": Decimal("-0.01"),
            "+,5": Decimal("0.50"),
            "12,500": Decimal("12.50"),
            "12.5": BROKEN,
            "12,345": BROKEN,
            "1.234,50": BROKEN,
            "1,2,3": BROKEN,
            "100000000": BROKEN,
        },
    ),
    (
        "decimal(10,3)",
        GERMAN,
        {
            "1.234": Decimal(1234),  # DuckDB alone would read 1 and a bit
            "1.234,5": Decimal("1234.5"),
            "1.234.567,891": Decimal("1234567.891"),
            "1234567": Decimal(1234567),
            "-1.234": Decimal(-1234),
            "1.2.3": BROKEN,
            "1.23": BROKEN,
            "12.34": BROKEN,
            "1234.567": BROKEN,
            "0.123": BROKEN,
            "1..234": BROKEN,
            ".123": BROKEN,
            "1.234,567.8": BROKEN,
        },
    ),
    (
        "decimal(10,2)",
        {"thousands_separator": ","},
        {
            "1,234.50": Decimal("1234.50"),
            "12.50": Decimal("12.50"),
            "1,23": BROKEN,
            "0,99": BROKEN,
            "1,2345": BROKEN,
            ",234": BROKEN,
        },
    ),
    (
        "integer",
        {"thousands_separator": " "},
        {
            "1 000": 1000,
            "1\u00a0000\u00a0000": 1000000,
            "1\u202f000": 1000,
            "1\u2009000": 1000,
            "12 000.0": 12000,
            "9 223 372 036 854 775 807": 2**63 - 1,
            "-9 223 372 036 854 775 808": -(2**63),
            "9 223 372 036 854 775 808": BROKEN,
            "1 00": BROKEN,
            "1  000": BROKEN,
            "1,000": BROKEN,
        },
    ),
    ("integer", {"thousands_separator": "'"}, {"1'234": 1234, "1\u2019234": 1234, "1'23": BROKEN}),
    ("float", GERMAN, {"1.234,5": 1234.5, "1,5e-3": 0.0015, "1e999": BROKEN, "1.5": BROKEN, "nan": BROKEN}),
    (
        "decimal(10,2)",
        EURO,
        {
            "5 €": Decimal(5),
            "€5": Decimal(5),
            "€ 1.234,50": Decimal("1234.50"),
            "1.234,50 EUR": Decimal("1234.50"),
            "EUR 5": Decimal(5),
            "EUR5": Decimal(5),
            "5\u00a0€": Decimal(5),
            "5": Decimal(5),
            "-€5": Decimal(-5),
            "€-5": Decimal(-5),
            "- 5 €": BROKEN,
            "-5 €": Decimal(-5),
            "\u22125": Decimal(-5),
            "(5,00)": Decimal(-5),
            "(€5)": Decimal(-5),
            "€(5)": Decimal(-5),
            "(5 €)": Decimal(-5),
            "(5) €": Decimal(-5),
            "5-": Decimal(-5),
            "5 -": Decimal(-5),
            "5- €": Decimal(-5),
            "5 €-": Decimal(-5),
            "$5": BROKEN,
            "€5€": BROKEN,
            "€ EUR 5": BROKEN,
            "5€0": BROKEN,
            "-5-": BROKEN,
            "(-5)": BROKEN,
            "-(5)": BROKEN,
            "(5": BROKEN,
            "5)": BROKEN,
            "€": BROKEN,
            "-": BROKEN,
            "eur 5": BROKEN,
        },
    ),
    ("decimal(10,2)", {"currency": ("$",)}, {"$.50": Decimal("0.50"), "(5)": BROKEN, "5-": BROKEN, "US$5": BROKEN}),
    # `Fr` and `.5`, or `Fr.` and `5`?
    ("decimal(10,2)", {"currency": ("Fr",)}, {"Fr 5": Decimal(5), "5 Fr": Decimal(5), "Fr.5": BROKEN}),
    ("decimal(10,2)", {"currency": ("Fr.", "Fr")}, {"Fr.5": Decimal(5), "Fr 5": Decimal(5), "-Fr.5": Decimal(-5)}),
    (
        "decimal(7,4)",
        {"percent": True},
        {
            "12.5%": Decimal("0.1250"),
            "12.5 %": Decimal("0.1250"),
            "-5%": Decimal("-0.05"),
            "100.00%": Decimal(1),
            ".5%": Decimal("0.005"),
            "0.01%": Decimal("0.0001"),
            "0.010%": Decimal("0.0001"),
            "0.001%": BROKEN,
            "99999%": Decimal("999.99"),
            "100000%": BROKEN,
            "12.5": BROKEN,
            "0": BROKEN,
            "%5": BROKEN,
            "5%%": BROKEN,
            "%": BROKEN,
        },
    ),
    ("decimal(5,2)", {"percent": True}, {"5%": Decimal("0.05"), "5.0%": Decimal("0.05"), "5.5%": BROKEN, ".0%": Decimal(0)}),
    ("decimal(7,4)", {"percent": True, **GERMAN, "negatives": ("(5)",)}, {"1.000,5 %": Decimal("10.005"), "(5%)": Decimal("-0.05")}),
    ("float", {"percent": True}, {"12.5%": 0.125, "0.1%": 0.001, "1e3%": BROKEN, "5": BROKEN}),
    (
        "decimal(38,2)",
        {"percent": True},
        {"9" * 38 + "%": Decimal("9" * 36 + ".99"), "1" + "0" * 38 + "%": BROKEN},
    ),
]  # fmt: skip
FLAT = [(kind, options, text, value) for kind, options, texts in CASES for text, value in texts.items()]


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def cast(connection: duckdb.DuckDBPyConnection, kind: str, options: dict[str, Any], text: str) -> Any:
    sql = parse_type(kind, **options).cast("cell")
    return connection.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS cell)", [text]).fetchall()[0][0]


@pytest.mark.parametrize(("kind", "options", "text", "value"), FLAT, ids=lambda part: repr(part)[:30])
def test_a_number_is_read_as_it_is_written_or_breaks(
    connection: duckdb.DuckDBPyConnection, kind: str, options: dict[str, Any], text: str, value: Any
) -> None:
    found = cast(connection, kind, options, text)
    assert found == (None if value is BROKEN else value)


@pytest.mark.parametrize("text", ["-0", "-0.0", "-0e5", "-1e-400"])
def test_nought_has_no_sign_so_that_a_key_has_one_hash(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert str(cast(connection, "float", {}, text)) == "0.0"


FORMS = st.fixed_dictionaries({
    "separators": st.sampled_from([(".", ""), (".", ","), (".", " "), (".", "'"), (",", ""), (",", "."), (",", " ")]),
    "currency": st.sampled_from([(), ("€",), ("$", "US$"), ("EUR",), ("kr.", "kr"), ("Fr.",)]),
    "negatives": st.sampled_from([(), ("(5)",), ("5-",), ("(5)", "5-")]),
})  # fmt: skip


def write(number: Decimal, form: dict[str, Any], data: st.DataObject) -> str:
    """A number in one of the ways a form allows."""
    point, group = form["separators"]
    digits = f"{abs(number):,f}".replace(",", "G").replace(".", point)
    text = "".join(data.draw(st.sampled_from(BLANKS[group])) if char == "G" and group else char for char in digits)
    text = text.replace("G", "")
    if sign := data.draw(st.sampled_from(["", *form["currency"]])):
        blank = data.draw(st.sampled_from(["", " ", "\u00a0"]))
        text = data.draw(st.sampled_from([f"{sign}{blank}{text}", f"{text}{blank}{sign}"]))
    if number < 0:
        ways = [f"-{text}", *([f"({text})"] if "(5)" in form["negatives"] else [])]
        text = data.draw(st.sampled_from([*ways, *([f"{text}-"] if "5-" in form["negatives"] else [])]))
    return text


@given(form=FORMS, number=st.decimals(-(10**15), 10**15, places=2), data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_number_comes_back_however_it_was_written(
    connection: duckdb.DuckDBPyConnection, form: dict[str, Any], number: Decimal, data: st.DataObject
) -> None:
    point, group = form["separators"]
    options = {
        "decimal_separator": point,
        "thousands_separator": group,
        "currency": form["currency"],
        "negatives": form["negatives"],
    }
    assert cast(connection, "decimal(38,2)", options, write(number, form, data)) == number


@given(form=FORMS, text=st.text(alphabet="0159.,' ()-+%€$EURkF\u00a0\u2212e", max_size=9))
@settings(max_examples=300, deadline=None)
def test_what_is_read_has_the_digits_of_the_text_in_their_order(
    connection: duckdb.DuckDBPyConnection, form: dict[str, Any], text: str
) -> None:
    point, group = form["separators"]
    options = {
        "decimal_separator": point,
        "thousands_separator": group,
        "currency": form["currency"],
        "negatives": form["negatives"],
    }
    found = cast(connection, "decimal(18,9)", options, text)
    if found is not None:
        digits = "".join(char for char in text if char in "0123456789")
        assert "".join(char for char in f"{found:f}" if char.isdigit()).strip("0") == digits.strip("0")


ALL_OF = [
    ("integer", {}),
    ("decimal(10,2)", EURO),
    ("decimal(38,38)", {"percent": True}),
    ("float", {"percent": True, "decimal_separator": ","}),
    ("float", {"thousands_separator": " ", "currency": ("Fr.", "$"), "negatives": ("5-",)}),
    ("boolean", {"true_words": ("it's",)}),
    ("date", {"formats": ("%d.%m.%Y", "excel", "%x", "excel_1904")}),
    ("time", {"formats": ("%H:%M", "excel")}),
    ("timestamp", {"timezone": "America/New_York"}),
    ("timestamp", {"timezone": "Europe/Berlin", "formats": ("%Y %z", "excel", "%c %Z", "%Y")}),
    ("json", {}),
]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(alphabet='0123456789.,-+eE%$():TZ /{}[]"\\naif', max_size=25),
    st.integers(-(10**40), 10**40).map(str),
    st.floats().map(repr),
    st.datetimes().map(str),
)


@given(texts=st.lists(TEXTS, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_no_text_whatsoever_makes_a_cast_fail(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    connection.execute("CREATE OR REPLACE TABLE texts AS SELECT unnest(?::VARCHAR[]) AS cell", [texts])
    casts = ", ".join(f"{parse_type(kind, **options).cast('cell')}::VARCHAR" for kind, options in ALL_OF)
    assert len(connection.execute(f"SELECT {casts} FROM texts").fetchall()) == len(texts)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text("0123456789+-. eE_'\t\n\u00a0", max_size=9), min_size=30, max_size=60))
def test_a_text_that_is_a_number_or_blank_is_the_same_without_the_proof(
    connection: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    every = [*texts, "", " ", "\u00a0", "12.5", " 7\u00a0", "-0", "2024-02-30", " 2024-02-29 "]
    connection.execute("CREATE OR REPLACE TABLE texts AS SELECT unnest(?::VARCHAR[]) AS cell", [every])
    for of in map(parse_type, ("integer", "decimal(6,2)", "decimal(38,0)", "float", "date")):
        asked = f"SELECT cell, {of.cast('cell')} AS proven, {of.settled('cell')} AS settled FROM texts"
        counts = "(proven IS NOT NULL OR trim(cell) = '') AND proven::VARCHAR IS DISTINCT FROM settled::VARCHAR"
        assert not connection.execute(f"FROM ({asked}) WHERE {counts}").fetchall()
        by_the_engine = asked.replace(of.settled("cell"), of.settled("cell", ascii_blanks=True))
        assert not connection.execute(
            f"FROM ({by_the_engine} WHERE cell NOT LIKE '%\u00a0%') WHERE {counts}"
        ).fetchall()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("integer", {"thousands_separator": "."}, "'.' cannot be both `thousands_separator` and `decimal_separator`"),
        ("float", {"decimal_separator": ",", "thousands_separator": ","}, "',' cannot be both"),
        ("decimal(10,2)", {"percent": True, "currency": ("€",)}, "of amounts or of percentages, not both"),
        ("decimal(10,1)", {"percent": True}, "cannot hold 1 %, which is 0.01. Write e.g. decimal(14,4)"),
        ("float", {"currency": ("5",)}, "'5' cannot be a currency"),
        ("float", {"currency": ("",)}, "'' cannot be a currency"),
        ("float", {"currency": ("US $",)}, "'US $' cannot be a currency"),
    ],
)
def test_a_form_that_contradicts_itself_is_refused(kind: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"cannot|not both") as caught:
        parse_type(kind, **options)
    assert said in str(caught.value)
