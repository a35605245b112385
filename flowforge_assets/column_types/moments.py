"""Dates, times of day and timestamps: by ISO 8601 or declared formats, local times turned into UTC."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from flowforge_assets.column_types.base import ColumnType, by_the_engine
from flowforge_assets.column_types.moment_formats import (
    EXCEL,
    EXCEL_1904,
    SERIALS,
    by_serial,
    by_strptime,
    by_zoned_strptime,
    check_formats,
    far_offset,
    has_zone,
    time_by_serial,
)
from flowforge_resources.duck import literal
from flowforge_resources.errors import did_you_mean

_NO_ZONES = ("localtime", "posix", "right")


@dataclass(frozen=True, kw_only=True)
class Date(ColumnType):
    """A calendar day. By a format with an offset: the day in UTC."""

    formats: tuple[str, ...] = ()
    sql_type = "DATE"

    def __post_init__(self) -> None:
        check_formats(self.formats, dated=True)

    def cast(self, text: str) -> str:
        if not self.formats:
            return f"CASE WHEN {_is_iso_date(text)} THEN TRY_CAST({text} AS DATE) WHEN {_is_iso_date(f'trim({text})')} THEN TRY_CAST(trim({text}) AS DATE) END"
        parsed = f"TRY_CAST({_in_order(text, self.formats, timed=False)} AS DATE)"
        if "%Y-%m-%d" not in self.formats:
            return parsed
        return f"CASE WHEN {_is_iso_date(text)} THEN TRY_CAST({text} AS DATE) ELSE {parsed} END"

    def settled(self, text: str, *, ascii_blanks: bool = False) -> str:
        return self.cast(text) if self.formats else by_the_engine(self, text, ascii_blanks=ascii_blanks)


@dataclass(frozen=True, kw_only=True)
class Time(ColumnType):
    """A time of day: `10:20`, `10:20:30`, `10:20:30.123456`, or by declared formats; `24:00` is none."""

    formats: tuple[str, ...] = ()
    sql_type = "TIME"

    def __post_init__(self) -> None:
        check_formats(self.formats, dated=False)
        for one in self.formats:
            if one == EXCEL_1904:
                raise ValueError(f"a time of day is the same number in both of Excel's systems. Write `{EXCEL}`.")
            if has_zone(one):
                raise ValueError(f"the format '{one}' has a zone, but a time of day is in none. Declare a `timestamp`.")

    def cast(self, text: str) -> str:
        if not self.formats:
            shape = r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?"
            return f"CASE WHEN regexp_full_match(trim({text}), '{shape}') THEN TRY_CAST(trim({text}) AS TIME) END"
        ways = [
            time_by_serial(text) if serial else by_strptime(text, list(some))
            for serial, some in groupby(self.formats, EXCEL.__eq__)
        ]
        return f"TRY_CAST(coalesce({', '.join(ways)}) AS TIME)"


@dataclass(frozen=True, kw_only=True)
class Timestamp(ColumnType):
    """A moment, stored in UTC. An offset in the text is applied; text without one is local time of `timezone`.

    A local time that never was (clocks went forward) is broken; of one that was twice (clocks went back) the second
    counts, as in PostgreSQL. Digits behind the microseconds are cut off.
    """

    formats: tuple[str, ...] = ()
    timezone: str = ""
    sql_type = "TIMESTAMP"

    def __post_init__(self) -> None:
        check_formats(self.formats, dated=True)
        if self.timezone:
            _check_zone(self.timezone)

    def cast(self, text: str) -> str:
        if self.formats:
            return f"TRY_CAST({_in_order(text, self.formats, timed=True, zone=self.timezone)} AS TIMESTAMP)"
        # DuckDB's cast passes over ASCII's blanks; a second look costs less than trimming each text.
        return f"CASE WHEN TRY_CAST({text} AS TIMESTAMP) IS NULL THEN {self._iso(f'trim({text})')} ELSE {self._iso(text)} END"

    def _iso(self, text: str) -> str:
        """SQL for the moment of a text in a form of ISO 8601."""
        plain, zoned = f"TRY_CAST({text} AS TIMESTAMP)", f"timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ))"
        # A cast to TIMESTAMP reads past an offset without applying it.
        zone_said = f"regexp_matches({text}, ':[0-9.]+\\s*[^0-9.:\\s]')"
        applied = f"CASE WHEN NOT {far_offset(text)} THEN {zoned} END"
        # Years have four digits: DuckDB reads 25-02-01 as a day of the year 25.
        a_year = f"({plain} >= TIMESTAMP '1000-01-01' OR ({plain} >= TIMESTAMP '0001-01-01' AND ltrim({text}) LIKE '0___-%'))"
        in_range = f"ltrim({text}) < ':' AND {plain} < TIMESTAMP '10000-01-01' AND {a_year}"
        return f"CASE WHEN {in_range} THEN CASE WHEN {zone_said} THEN {applied} ELSE {_in_utc(plain, self.timezone)} END END"


def _is_iso_date(text: str) -> str:
    """SQL: text of ten characters, so no year before Christ or of five digits."""
    return f"(strlen({text}) = 10 AND TRY_CAST({text} AS DATE)::VARCHAR = {text})"


def _in_order(text: str, formats: tuple[str, ...], *, timed: bool, zone: str = "") -> str:
    """SQL for the moment in UTC by the first format that fits; formats of a kind that follow each other go together."""
    ways: list[str] = []
    for kind, some in groupby(formats, _kind):
        if kind in SERIALS:
            ways.append(_in_utc(by_serial(text, kind, timed=timed), zone))
        elif kind == "zoned":
            ways += [by_zoned_strptime(text, one) for one in some]
        else:
            ways.append(_in_utc(by_strptime(text, list(some)), zone))
    return ways[0] if len(ways) == 1 else f"coalesce({', '.join(ways)})"


def _kind(one: str) -> str:
    return one if one in SERIALS else "zoned" if has_zone(one) else "local"


def _in_utc(local: str, zone: str) -> str:
    """SQL for a local time as UTC; NULL for one that never was, which would come back as another local time."""
    if not zone:
        return local
    moment = f"timezone({literal(zone)}, {local})"
    return f"CASE WHEN timezone({literal(zone)}, {moment}) = {local} THEN timezone('UTC', {moment}) END"


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
        known = name.split("/", maxsplit=1)[0] not in _NO_ZONES
    except (LookupError, ValueError, OSError):
        known = False
    if not known:
        nearest = did_you_mean(name, available_timezones())
        raise ValueError(
            f"'{name}' is not a time zone.{nearest} Write a name of the IANA database, e.g. 'Europe/Berlin'."
        )
