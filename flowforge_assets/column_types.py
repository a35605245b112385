"""The types a silver column can have: how each is written in YAML, stored, and cast from the text that landed.

Each type is a small class that owns its cast. A cast never rounds, guesses or turns a bad value into null unseen: the
SQL yields NULL for text that is not such a value, and the caller compares with the text (`Cast.broken`).
Numbers take the form people type (`+5`, `007`, `12.0` for an integer), never `1_000` or `0x1F`, which DuckDB's own
cast would take. Semantics of the underlying casts: DuckDB 2.0, measured.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from flowforge_resources.duck import literal, text_list
from flowforge_resources.errors import did_you_mean

TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")


class ColumnType(ABC):
    """One type. `sql_type` is what DuckDB and Parquet store."""

    sql_type: str

    @abstractmethod
    def cast(self, text: str) -> str:
        """SQL that turns the SQL expression `text` (VARCHAR, may be null) into `sql_type`, or NULL."""


@dataclass(frozen=True)
class Text(ColumnType):
    """The text as it stood in the file; an empty cell is null."""

    sql_type: str = "VARCHAR"

    def cast(self, text: str) -> str:
        return f"nullif({text}, '')"


@dataclass(frozen=True)
class Integer(ColumnType):
    """A whole number of 64 bits; `12.0` is one, `12.5` is not."""

    sql_type: str = "BIGINT"

    def cast(self, text: str) -> str:
        return _number(text, self.sql_type, r"[+-]?[0-9]+(\.0*)?")


@dataclass(frozen=True)
class Decimal(ColumnType):
    """An exact number; more digits behind the point than `scale` is a broken value, not a rounded one."""

    precision: int
    scale: int

    @property
    def sql_type(self) -> str:  # type: ignore[override]  # a constant of the other types, derived here
        return f"DECIMAL({self.precision},{self.scale})"

    def cast(self, text: str) -> str:
        digits = rf"[0-9]{{0,{self.scale}}}0*"
        return _number(text, self.sql_type, rf"[+-]?([0-9]+(\.{digits})?|\.[0-9]{digits})")


@dataclass(frozen=True)
class Float(ColumnType):
    """A double."""

    sql_type: str = "DOUBLE"

    def cast(self, text: str) -> str:
        cast = f"TRY_CAST({text} AS DOUBLE)"
        return f"CASE WHEN regexp_full_match(trim({text}), '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?') AND isfinite({cast}) THEN {cast} END"


@dataclass(frozen=True)
class Boolean(ColumnType):
    """True or false by declared words, case-insensitive."""

    true_words: tuple[str, ...] = TRUE_WORDS
    false_words: tuple[str, ...] = FALSE_WORDS
    sql_type: str = "BOOLEAN"

    def cast(self, text: str) -> str:
        yes, no = (", ".join(literal(w.lower()) for w in words) for words in (self.true_words, self.false_words))
        return f"CASE WHEN lower(trim({text})) IN ({yes}) THEN TRUE WHEN lower(trim({text})) IN ({no}) THEN FALSE END"


@dataclass(frozen=True)
class Date(ColumnType):
    """A calendar day, by the declared formats or ISO 8601."""

    formats: tuple[str, ...] = ()
    sql_type: str = "DATE"

    def cast(self, text: str) -> str:
        if not self.formats:
            return f"CASE WHEN {_is_iso_date(text)} THEN TRY_CAST({text} AS DATE) WHEN {_is_iso_date(f'trim({text})')} THEN TRY_CAST(trim({text}) AS DATE) END"
        parsed = f"TRY_CAST({_parsed(text, self.formats)} AS DATE)"
        if "%Y-%m-%d" not in self.formats:
            return parsed
        return f"CASE WHEN {_is_iso_date(text)} THEN TRY_CAST({text} AS DATE) ELSE {parsed} END"


@dataclass(frozen=True)
class Timestamp(ColumnType):
    """A moment without time zone, by the declared formats or ISO 8601; an offset in the text is applied (UTC)."""

    formats: tuple[str, ...] = ()
    sql_type: str = "TIMESTAMP"

    def cast(self, text: str) -> str:
        if self.formats:
            return f"TRY_CAST({_parsed(text, self.formats)} AS TIMESTAMP)"
        plain, zoned = f"TRY_CAST({text} AS TIMESTAMP)", f"timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ))"
        # A cast to TIMESTAMP reads past an offset without applying it.
        has_zone = f"regexp_matches({text}, ':[0-9.]+\\s*[^0-9.\\s]')"
        return f"CASE WHEN ltrim({text}) < ':' AND isfinite({plain}) THEN CASE WHEN {has_zone} THEN {zoned} ELSE {plain} END END"


def _is_iso_date(text: str) -> str:
    return f"(TRY_CAST({text} AS DATE)::VARCHAR = {text} AND isfinite(TRY_CAST({text} AS DATE)))"


def _parsed(text: str, formats: tuple[str, ...]) -> str:
    """SQL for the moment the first fitting format reads; whatever the format, strptime takes these words for 1900."""
    moment = f"try_strptime(trim({text}), {text_list(list(formats))})"
    words = f"lower(trim({text})) IN ('epoch', 'infinity', '-infinity')"
    return f"CASE WHEN {moment} <> TIMESTAMP '1900-01-01' OR NOT {words} THEN {moment} END"


_PLAIN: dict[str, type[ColumnType]] = {
    "text": Text,
    "integer": Integer,
    "float": Float,
    "boolean": Boolean,
    "date": Date,
    "timestamp": Timestamp,
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_LARGEST_PRECISION = 38


def parse_type(written: str, formats: tuple[str, ...] = ()) -> ColumnType:
    """The type of a YAML word, e.g. `date` or `decimal(10,2)`.

    Raises:
        ValueError: no such type, or `formats` for a type that has none; the message says what to write.
    """
    if decimal := _DECIMAL.fullmatch(written.strip().lower()):
        return _decimal(int(decimal[1]), int(decimal[2]))
    kind = _PLAIN.get(written.strip().lower())
    if kind is None:
        raise ValueError(f"'{written}' is not a type.{did_you_mean(written, [*_PLAIN, 'decimal(10,2)'])}")
    if formats and kind not in (Date, Timestamp):
        raise ValueError(f"`formats` belongs to date and timestamp columns, not to {written}. Remove it.")
    return kind(formats) if formats else kind()  # type: ignore[call-arg]  # only the two that take formats get them


def _decimal(precision: int, scale: int) -> Decimal:
    if not 0 < precision <= _LARGEST_PRECISION or scale > precision:
        raise ValueError(
            f"decimal({precision},{scale}) cannot be: write decimal(p,s) with p from 1 to {_LARGEST_PRECISION} digits in all, s of them behind the point."
        )
    return Decimal(precision, scale)


def _number(text: str, sql_type: str, shape: str) -> str:
    """Cast that first tries the cheap way (the value prints as the same text), then the shape people type."""
    cast = f"TRY_CAST({text} AS {sql_type})"
    return f"CASE WHEN {cast}::VARCHAR = {text} THEN {cast} WHEN regexp_full_match(trim({text}), '{shape}') THEN TRY_CAST(trim({text}) AS {sql_type}) END"
