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
    """The text as it stood in the file."""

    sql_type: str = "VARCHAR"

    def cast(self, text: str) -> str:
        return text


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
        return f"CASE WHEN regexp_full_match(trim({text}), '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?') THEN TRY_CAST({text} AS DOUBLE) END"


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
        iso = f"CASE WHEN TRY_CAST({text} AS DATE)::VARCHAR = {text} THEN TRY_CAST({text} AS DATE)"
        others = [form for form in self.formats if form != "%Y-%m-%d"]
        if not self.formats:
            return f"{iso} WHEN TRY_CAST(trim({text}) AS DATE)::VARCHAR = trim({text}) THEN TRY_CAST(trim({text}) AS DATE) END"
        parsed = f"TRY_CAST(try_strptime(trim({text}), {text_list(list(self.formats))}) AS DATE)"
        return f"{iso} ELSE {parsed} END" if len(others) < len(self.formats) else parsed


@dataclass(frozen=True)
class Timestamp(ColumnType):
    """A moment without time zone, by the declared formats or ISO 8601; an offset in the text is applied (UTC)."""

    formats: tuple[str, ...] = ()
    sql_type: str = "TIMESTAMP"

    def cast(self, text: str) -> str:
        if self.formats:
            return f"TRY_CAST(try_strptime(trim({text}), {text_list(list(self.formats))}) AS TIMESTAMP)"
        return f"CASE WHEN ltrim({text}) < ':' AND isfinite(TRY_CAST({text} AS TIMESTAMP)) THEN TRY_CAST({text} AS TIMESTAMP) END"


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
