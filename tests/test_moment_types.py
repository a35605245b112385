"""Dates, times and timestamps by declared formats: several, Excel's serial numbers, offsets, local time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from unittest.mock import sentinel

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_assets.column_types import parse_type

BROKEN = sentinel.BROKEN
at = datetime  # stored without a zone, in UTC
BERLIN = {"timezone": "Europe/Berlin"}
SECONDS = "%Y-%m-%d %H:%M:%S"

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "date",
        {"formats": ("%d.%m.%Y", "excel", "%Y%m%d")},
        {
            "28.02.2025": date(2025, 2, 28),
            "45292": date(2024, 1, 1),
            "45292.0": date(2024, 1, 1),
            "1": date(1900, 1, 1),
            "59": date(1900, 2, 28),
            "60": BROKEN,  # 29 February 1900, which never was
            "61": date(1900, 3, 1),
            "2958465": date(9999, 12, 31),
            "2958466": BROKEN,
            "20250228": date(2025, 2, 28),  # no serial, so the next format reads it
            "0": BROKEN,
            "-1": BROKEN,
            "45292.5": BROKEN,  # a time of day is not cut off
            "4.5e4": BROKEN,
            "45,292": BROKEN,
        },
    ),
    ("date", {"formats": ("excel_1904",)}, {"0": date(1904, 1, 1), "43830": date(2024, 1, 1), "2957003": date(9999, 12, 31), "2957004": BROKEN}),
    (
        "timestamp",
        {"formats": ("excel",)},
        {
            "45292.5": at(2024, 1, 1, 12),
            "45292": at(2024, 1, 1),
            "45292.430902777778": at(2024, 1, 1, 10, 20, 30),
            "45292.99999999999": at(2024, 1, 2),  # half a microsecond before
            "60.5": BROKEN,
            "0.5": BROKEN,
            "12345678": BROKEN,
        },
    ),
    ("time", {"formats": ("%H:%M", "excel")}, {"10:20": time(10, 20), "0.5": time(12), ".75": time(18), "0": time(0), "1.5": BROKEN, "1": BROKEN}),
    ("time", {"formats": ("%I:%M %p",)}, {"09:05 PM": time(21, 5), "21:05": BROKEN}),
    (
        "timestamp",
        BERLIN,
        {
            "2025-01-15 12:00:00": at(2025, 1, 15, 11),
            "2025-07-15 12:00:00": at(2025, 7, 15, 10),
            "2025-07-15T12:00": at(2025, 7, 15, 10),
            "2025-07-15": at(2025, 7, 14, 22),
            "2025-07-15 12:00:00Z": at(2025, 7, 15, 12),
            "2025-07-15 12:00:00-04:00": at(2025, 7, 15, 16),
            "2025-03-30 01:59:59": at(2025, 3, 30, 0, 59, 59),
            "2025-03-30 02:30:00": BROKEN,  # clocks went from 02:00 to 03:00
            "2025-03-30 03:00:00": at(2025, 3, 30, 1),
            "2025-10-26 02:30:00": at(2025, 10, 26, 1, 30),  # twice: the second
            "noon": BROKEN,
        },
    ),
    (
        "timestamp",
        {**BERLIN, "formats": ("%d.%m.%Y %H:%M", f"{SECONDS} %z", "excel", f"{SECONDS} %Z")},
        {
            "15.07.2025 12:00": at(2025, 7, 15, 10),
            "30.03.2025 02:30": BROKEN,
            "2025-07-15 12:00:00 +0530": at(2025, 7, 15, 6, 30),
            "2025-07-15 12:00:00 +05:30": at(2025, 7, 15, 6, 30),
            "2025-07-15 12:00:00 Z": at(2025, 7, 15, 12),
            "2025-07-15 12:00:00 +25:00": BROKEN,
            "2025-07-15 12:00:00 America/New_York": at(2025, 7, 15, 16),
            "2025-07-15 12:00:00": BROKEN,
            "45292.5": at(2024, 1, 1, 11),
        },
    ),
    # A year of four digits has four: strptime alone reads the year 25.
    ("date", {"formats": ("%d.%m.%Y",)}, {"01.02.25": BROKEN, "01.02.025": BROKEN, "1.2.2025": date(2025, 2, 1), "01.01.0001": date(1, 1, 1), "01.02.20255": BROKEN}),
    ("date", {"formats": ("%d.%m.%Y", "%d.%m.%y")}, {"01.02.25": date(2025, 2, 1), "01.02.1925": date(1925, 2, 1), "31.02.25": BROKEN}),
    ("date", {"formats": ("%Y-%m-%d",)}, {"25-02-01": BROKEN, "0025-02-01": date(25, 2, 1)}),
    ("timestamp", {"formats": ("%d.%m.%Y %H%M",)}, {"01.02.25 0930": BROKEN, "01.02.2025 0930": at(2025, 2, 1, 9, 30)}),
    ("date", {}, {"10000-01-01": BROKEN, "2025-02-28 (BC)": BROKEN, "0001-01-01": date(1, 1, 1), "9999-12-31": date(9999, 12, 31)}),
    ("timestamp", {}, {"25-02-01 10:00": BROKEN, "0001-01-01 00:00:00": at(1, 1, 1), "10000-01-01 00:00": BROKEN, "2025-02-01 (BC) 10:00": BROKEN, "infinity": BROKEN}),
    # Days and weeks that a year does not have.
    ("date", {"formats": ("%Y-%j",)}, {"2024-366": date(2024, 12, 31), "2025-366": BROKEN, "2025-59": date(2025, 2, 28)}),
    ("date", {"formats": ("%G-W%V-%u",)}, {"2020-W53-7": date(2021, 1, 3), "2021-W53-1": BROKEN, "2025-W09-5": date(2025, 2, 28)}),
    ("timestamp", {"formats": (f"{SECONDS}%z",)}, {"2025-07-15 12:00:00+05:60": BROKEN, "2025-07-15 12:00:00+0545": at(2025, 7, 15, 6, 15), "25-07-15 12:00:00+02": BROKEN}),
    ("timestamp", {}, {"2025-07-15 12:00:00+05:75": BROKEN, "2016-12-31 23:59:60": BROKEN, "2025-07-15 24:00": at(2025, 7, 16)}),
    ("timestamp", {"formats": (f"{SECONDS}%z",)}, {"2025-07-15 12:00:00+02": at(2025, 7, 15, 10), "2025-07-15 12:00:00": BROKEN}),
]  # fmt: skip
FLAT = [(kind, options, text, value) for kind, options, texts in CASES for text, value in texts.items()]


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    return made


def cast(connection: duckdb.DuckDBPyConnection, kind: str, options: dict[str, Any], text: str) -> Any:
    sql = parse_type(kind, **options).cast("cell")
    return connection.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS cell)", [text]).fetchall()[0][0]


@pytest.mark.parametrize(("kind", "options", "text", "value"), FLAT, ids=lambda part: repr(part)[:30])
def test_a_moment_is_read_by_its_formats_or_breaks(
    connection: duckdb.DuckDBPyConnection, kind: str, options: dict[str, Any], text: str, value: Any
) -> None:
    found = cast(connection, kind, options, text)
    assert found == (None if value is BROKEN else value)
    assert type(found) is (type(None) if value is BROKEN else type(value))


@given(moment=st.datetimes(at(1900, 3, 1), at(9999, 12, 30)))
@settings(max_examples=80, deadline=None)
def test_a_serial_number_comes_back_to_the_millisecond(connection: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    serial = (moment - at(1899, 12, 30)) / timedelta(days=1)
    found = cast(connection, "timestamp", {"formats": ("excel",)}, f"{serial:.11f}")
    assert abs(found - moment) <= timedelta(milliseconds=1)


@given(moment=st.datetimes(at(1970, 1, 1), at(2037, 12, 31)), zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_a_local_time_is_the_utc_python_knows_or_never_was(
    connection: duckdb.DuckDBPyConnection, moment: datetime, zone: str
) -> None:
    from zoneinfo import ZoneInfo

    local = moment.replace(tzinfo=ZoneInfo(zone), fold=1)
    utc = local.astimezone(ZoneInfo("UTC"))
    was = utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment
    found = cast(connection, "timestamp", {"timezone": zone}, str(moment))
    assert found == (utc.replace(tzinfo=None) if was else None)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("date", {"formats": ("dd.mm.yyyy",)}, "has no code such as %Y"),
        ("date", {"formats": ("%d.%m.%Q",)}, "has '%Q', which is no code of strptime"),
        ("date", {"formats": ("%d.%m.%Y %",)}, "has '%', which is no code"),
        ("date", {"formats": ("%d.%m.",)}, "reads no year"),
        ("time", {"formats": ("excel_1904",)}, "Write `excel`"),
        ("time", {"formats": ("%H:%M %z",)}, "has a zone"),
        ("timestamp", {"timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
        ("timestamp", {"timezone": "localtime"}, "is not a time zone"),
        ("timestamp", {"timezone": "/etc/passwd"}, "is not a time zone"),
        ("timestamp", {"timezone": "Europe"}, "is not a time zone"),
    ],
)
def test_a_format_or_zone_that_is_none_is_refused(kind: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"format|zone|time") as caught:
        parse_type(kind, **options)
    assert said in str(caught.value)


def test_every_code_that_is_let_through_is_one_to_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    from flowforge_assets.column_types.moment_formats import _CODES

    for code in _CODES:
        connection.execute(f"SELECT try_strptime('x', '%{code}')").fetchall()


def test_every_zone_python_knows_is_one_to_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    from zoneinfo import available_timezones

    known = {row[0] for row in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()}
    assert available_timezones() - known <= {"localtime"}
