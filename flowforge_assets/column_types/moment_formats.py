"""Formats of dates, times and timestamps: which there are, and the SQL that reads a moment by one.

Belongs here: strptime codes, and the serial numbers by which Excel keeps dates. Does not: ISO 8601, time zones, and
what is stored (`moments`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge_resources.duck import literal, text_list

if TYPE_CHECKING:
    from collections.abc import Sequence

EXCEL, EXCEL_1904 = "excel", "excel_1904"
SERIALS = (EXCEL, EXCEL_1904)
_CODE = re.compile(r"%(-?.?)", re.DOTALL)
# What DuckDB 2.0's strptime takes.
_CODES = frozenset([*"aAwdbhBmyYHIpMSfgnzZjUWVuGcxXT%", *(f"-{code}" for code in "dmyHIMSj")])
_YEARS = frozenset(("y", "-y", "Y", "G", "c", "x"))
_ZONES = frozenset(("z", "Z"))
_WORDS = "('epoch', 'infinity', '-infinity')"
_FOUR_DIGITS = frozenset(("Y", "G"))
_OVERFLOWING = frozenset(("j", "-j", "U", "W", "V"))
# Codes that are not written as they may be read.
_UNLIKE = frozenset("fgncxXzZ")
_DAY_MS = 86_400_000
# Serials of whole days: the first, one past the last (9999-12-31), and the day that is number 0.
_SINCE_1900 = ((1, 60, "1899-12-31"), (61, 2_958_466, "1899-12-30"))  # 60 is 29 February 1900, which never was
_SINCE_1904 = ((0, 2_957_004, "1904-01-01"),)


def check_formats(formats: Sequence[str], *, dated: bool) -> None:
    """Refuse what is no format, and what reads no year where a day is asked for.

    Raises:
        ValueError: the message says which format, and what to write.
    """
    for one in formats:
        if one in SERIALS:
            continue
        codes = _codes(one)
        if not codes:
            raise ValueError(
                f"the format '{one}' has no code such as %Y, so it reads nothing. Write e.g. '%d.%m.%Y', or `excel` for Excel's serial numbers."
            )
        for code in codes:
            if code not in _CODES:
                raise ValueError(f"the format '{one}' has '%{code}', which is no code of strptime. Write %% for a '%'.")
        if dated and not _YEARS & set(codes):
            raise ValueError(f"the format '{one}' reads no year, so every date would be in 1900. Add %Y or %y.")


def has_zone(one: str) -> bool:
    """Whether text of the format says its own time zone or offset."""
    return bool(_ZONES & set(_codes(one)))


def _codes(one: str) -> list[str]:
    return _CODE.findall(one)


def by_strptime(text: str, formats: Sequence[str]) -> str:
    """SQL for the moment the first fitting format reads.

    Formats with a year of four digits, or whose numbers must be looked at again, are asked one by one: what they read
    may be no moment, and the next format's turn.
    """
    alone = _FOUR_DIGITS | _OVERFLOWING
    if len(formats) > 1 and any(alone & set(_codes(one)) for one in formats):
        return f"coalesce({', '.join(by_strptime(text, [one]) for one in formats)})"
    return _a_moment(f"try_strptime(trim({text}), {text_list(list(formats))})", text, formats[0])


def by_zoned_strptime(text: str, one: str) -> str:
    """SQL for the moment, in UTC, that a format with `%z` or `%Z` reads. `Z` is an offset as in ISO 8601."""
    if not one.endswith("%z"):
        return f"timezone('UTC', {_a_moment(f'try_strptime(trim({text}), {text_list([one])})', text, one)})"
    offset = f"regexp_replace(trim({text}), '[Zz]$', '+00')"
    moment = _a_moment(f"try_strptime({offset}, {text_list([one])})", text, one)
    return f"CASE WHEN NOT {far_offset(text)} THEN timezone('UTC', {moment}) END"


def _a_moment(moment: str, text: str, one: str) -> str:
    """SQL for what strptime read, where it may be meant.

    It takes two digits for a year of four, the words of `_WORDS` for 1900 whatever the format, and day 366 or week 53 of a
    year that has none for a day of the next year.
    """
    year = f"lpad(year({moment})::VARCHAR, 4, '0')"
    old = f"{moment} >= '1000-01-01' OR ({moment} >= '0001-01-01' AND contains({text}, {year}))"
    valid = f"({moment} > '1900-01-01' OR (lower(trim({text})) NOT IN {_WORDS} AND ({old})))"
    codes = set(_codes(one))
    if _OVERFLOWING & codes and not _UNLIKE & codes:
        valid += f" AND {_numbers(text)} = {_numbers(f'strftime({moment}, {literal(one)})')}"
    return f"CASE WHEN {valid} THEN {moment} END"


def _numbers(text: str) -> str:
    """SQL for the numbers in a text, as a list."""
    return f"TRY_CAST(regexp_extract_all({text}, '[0-9]+') AS BIGINT[])"


def far_offset(text: str) -> str:
    """SQL: the text ends in an offset of 16 hours or 60 minutes or more, which is no time zone, but which DuckDB would apply."""
    return f"regexp_matches({text}, '[+-](?:(?:1[6-9]|[2-9][0-9])(?::?[0-9]{{2}}){{0,2}}|[0-9]{{2}}:?[6-9][0-9])\\s*$')"


def by_serial(text: str, system: str, *, timed: bool) -> str:
    """SQL for the moment of a serial number in Excel's 1900 or 1904 system; a time of day to the millisecond.

    A serial without a time has no digits but zeros behind the point. Which numbers are days, and that 1900 has one day
    too many: ECMA-376 part 1, 18.17.4.
    """
    ms = _milliseconds(text, r"[0-9]{1,7}(?:\.[0-9]*)?" if timed else r"[0-9]{1,7}(?:\.0*)?")
    eras = _SINCE_1900 if system == EXCEL else _SINCE_1904
    each = (
        f"WHEN {ms} >= {first * _DAY_MS} AND {ms} < {end * _DAY_MS} THEN TIMESTAMP '{zero}' + to_microseconds({ms} * 1000)"
        for first, end, zero in eras
    )
    return f"CASE {' '.join(each)} END"


def time_by_serial(text: str) -> str:
    """SQL for the time of day (a moment of 1970-01-01) of the fraction of a day by which Excel keeps it."""
    ms = _milliseconds(text, r"0(?:\.[0-9]*)?|\.[0-9]+")
    return f"CASE WHEN {ms} < {_DAY_MS} THEN TIMESTAMP '1970-01-01' + to_microseconds({ms} * 1000) END"


def _milliseconds(text: str, pattern: str) -> str:
    """SQL for a number of days in milliseconds, or NULL; the pattern keeps it small, so that nothing overflows."""
    return f"TRY_CAST(round(TRY_CAST(regexp_extract(trim({text}), '^(?:{pattern})$') AS DOUBLE) * {_DAY_MS}) AS BIGINT)"
