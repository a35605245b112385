"""The SQL of a date dimension: one row a day, with what people group by. No Dagster, no lake.

Weeks are ISO 8601's: they begin on Monday and belong to the year of their Thursday. A fiscal year is named by the
calendar year in which it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.duck import literal, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

ENGLISH = "en"
_MONTHS = {
    ENGLISH: "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
_WEEKDAYS = {
    ENGLISH: "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
}
MONTH_NAMES = {language: tuple(names.split()) for language, names in _MONTHS.items()}
WEEKDAY_NAMES = {language: tuple(names.split()) for language, names in _WEEKDAYS.items()}


@dataclass(frozen=True)
class Calendar:
    """What a date dimension holds, as declared.

    `covers`: (table as SQL names it, column) pairs whose dates must have a row; they set the bound that is not given.
    """

    first: date | None
    last: date | None
    covers: tuple[tuple[str, str], ...]
    whole_years: bool
    fiscal_year_starts: int
    week_starts: str
    month_names: tuple[str, ...]
    weekday_names: tuple[str, ...]
    columns: tuple[str, ...]

    def sql(self) -> str:
        """One SELECT; no row where `covers` decides and no date is there."""
        expressions = _expressions(self)
        wanted = ",\n    ".join(f"{expressions[name]} AS {quote(name)}" for name in self.columns)
        days = "SELECT unnest(generate_series(first_day, last_day, INTERVAL 1 DAY))::DATE AS day FROM span"
        return (
            f"WITH span AS (\n    {self._span()}\n),\n\ndays AS (\n    {days}\n)\n\nSELECT\n    {wanted}\nFROM days\n"
        )

    def _span(self) -> str:
        first, last = self._bound("min", self.first), self._bound("max", self.last)
        if self.whole_years:
            shift = f"INTERVAL {self.fiscal_year_starts - 1} MONTH"
            year = "date_trunc('year', {} - {})"
            first = f"{year.format(first, shift)} + {shift}"
            last = f"{year.format(last, shift)} + INTERVAL 1 YEAR - INTERVAL 1 DAY + {shift}"
        found = " UNION ALL BY NAME ".join(
            f"SELECT min({quote(column)})::DATE AS lowest, max({quote(column)})::DATE AS highest FROM {_table(table)}"
            for table, column in self.covers
        )
        source = f" FROM ({found}) AS found" if found else ""
        return f"SELECT {first} AS first_day, {last} AS last_day{source}"

    def _bound(self, function: str, given: date | None) -> str:
        if given is not None:
            return f"DATE {literal(given.isoformat())}"
        return f"{function}({'lowest' if function == 'min' else 'highest'})"


def _table(name: str) -> str:
    return ".".join(quote(part) for part in name.split("."))


def _expressions(calendar: Calendar) -> dict[str, str]:
    """What each column on offer is made of, from `day`."""
    in_fiscal_year = f"(day - INTERVAL {calendar.fiscal_year_starts - 1} MONTH)"
    later = 1 if calendar.fiscal_year_starts > 1 else 0
    fiscal_month = f"((month(day) + {12 - calendar.fiscal_year_starts}) % 12 + 1)"
    weekday = "isodow(day)" if calendar.week_starts == "monday" else "(dayofweek(day) + 1)"
    return {
        "date_key": "strftime(day, '%Y%m%d')::INTEGER",
        "day": "day",
        "year": "year(day)",
        "quarter": "quarter(day)",
        "month": "month(day)",
        "month_name": f"{text_list(list(calendar.month_names))}[month(day)]",
        "year_month": "strftime(day, '%Y-%m')",
        "day_of_month": "day(day)",
        "day_of_year": "dayofyear(day)",
        "weekday": f"{text_list(list(calendar.weekday_names))}[isodow(day)]",
        "weekday_number": weekday,
        "is_weekend": "isodow(day) >= 6",
        "iso_week": "week(day)",
        "iso_year": "isoyear(day)",
        "first_day_of_week": f"day - ({weekday} - 1)::INTEGER",
        "first_day_of_month": "date_trunc('month', day)::DATE",
        "last_day_of_month": "last_day(day)",
        "fiscal_year": f"year({in_fiscal_year}) + {later}",
        "fiscal_quarter": f"({fiscal_month} + 2) // 3",
        "fiscal_month": fiscal_month,
    }


KEY_COLUMN = "date_key"
_PLAIN = Calendar(
    None,
    None,
    (),
    whole_years=False,
    fiscal_year_starts=1,
    week_starts="monday",
    month_names=(),
    weekday_names=(),
    columns=(),
)
COLUMNS: Sequence[str] = tuple(_expressions(_PLAIN))
