"""Numbers: integers, decimals and floats. In range and exact, or broken; never wrapped, cut or rounded.

They take the form people type (`+5`, `007`, `12.0` for an integer), never `1_000` or `0x1F`, which DuckDB's own cast
would take, and whatever way of writing is declared besides (`number_text`).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

from flowforge_assets.column_types.base import ColumnType, by_the_engine
from flowforge_assets.column_types.number_text import NegativeForm, NumberForm, ThousandsSeparator
from flowforge_resources.duck import literal

LARGEST_PRECISION = 38


@dataclass(frozen=True, kw_only=True)
class Number(ColumnType):
    """What numbers have in common: the options of how they are written."""

    decimal_separator: str = "."
    thousands_separator: ThousandsSeparator | str = ""
    currency: tuple[str, ...] = ()
    negatives: tuple[NegativeForm | str, ...] = ()

    def __post_init__(self) -> None:
        _ = self.form

    @cached_property
    def form(self) -> NumberForm:
        """How the column's numbers are written."""
        percent = getattr(self, "percent", False)
        return NumberForm(
            self.decimal_separator, self.thousands_separator, self.currency, self.negatives, percent=percent
        )

    @property
    @abstractmethod
    def _pattern(self) -> str:
        """Pattern of a number of the type, without sign."""

    def cast(self, text: str) -> str:
        return self._plain(text) if self.form.is_plain else self._written(text)

    def settled(self, text: str, *, ascii_blanks: bool = False) -> str:
        return by_the_engine(self, text, ascii_blanks=ascii_blanks) if self.form.is_plain else self.cast(text)

    def _plain(self, text: str) -> str:
        """First the cheap way (the value prints as the same text), then the form people type."""
        pattern = literal(f"[+-]?{self._pattern}")
        return f"CASE {self._printed(text)} WHEN regexp_full_match(trim({text}), {pattern}) THEN TRY_CAST(trim({text}) AS {self.sql_type}) END"

    def _written(self, text: str) -> str:
        bare = self.form.bare(text)
        cheap = "" if self.form.percent else self._printed(text)
        accepted = self.form.accepts(bare, self._pattern)
        return f"CASE {cheap} WHEN {accepted} THEN TRY_CAST({self.form.canonical(bare)} AS {self.sql_type}) END"

    def _printed(self, text: str) -> str:
        if self.form.decimal_separator == ".":
            cast = f"TRY_CAST({text} AS {self.sql_type})"
            return f"WHEN {cast}::VARCHAR = {text} THEN {cast}"
        cast = f"TRY_CAST(replace({text}, ',', '.') AS {self.sql_type})"
        return f"WHEN replace({cast}::VARCHAR, '.', ',') = {text} THEN {cast}"


@dataclass(frozen=True, kw_only=True)
class Integer(Number):
    """A whole number of 64 bits; `12.0` is one, `12.5` is not."""

    sql_type = "BIGINT"

    @property
    def _pattern(self) -> str:
        return f"{self.form.whole}(?:{self.form.point}0*)?"


@dataclass(frozen=True, kw_only=True)
class Decimal(Number):
    """An exact number; more digits behind the point than `scale` is a broken value, not a rounded one."""

    precision: int
    scale: int
    percent: bool = False

    def __post_init__(self) -> None:
        written = f"decimal({self.precision},{self.scale})"
        if not 0 < self.precision <= LARGEST_PRECISION or self.scale > self.precision:
            raise ValueError(
                f"{written} cannot be: write decimal(p,s) with p from 1 to {LARGEST_PRECISION} digits in all, s of them behind the point."
            )
        if self.percent and self.scale < 2:  # noqa: PLR2004  # one per cent has two digits behind the point
            raise ValueError(
                f"{written} cannot hold 1 %, which is 0.01. Write e.g. decimal({min(self.precision + 4, LARGEST_PRECISION)},4)."
            )
        super().__post_init__()

    @property
    def sql_type(self) -> str:  # type: ignore[override]  # a constant of the other types, derived here
        return f"DECIMAL({self.precision},{self.scale})"

    @property
    def _pattern(self) -> str:
        digits = self.scale - 2 if self.percent else self.scale
        whole, point = self.form.whole, self.form.point
        some = f"(?:[0-9]{{1,{digits}}}0*|0+)" if digits else "0+"
        return f"(?:{whole}(?:{point}[0-9]{{0,{digits}}}0*)?|{point}{some})"


@dataclass(frozen=True, kw_only=True)
class Float(Number):
    """A double: the nearest one to the text. Too large for one is broken, not infinite. `-0` is 0: one key, one hash."""

    percent: bool = False
    sql_type = "DOUBLE"

    @property
    def _pattern(self) -> str:
        exponent = "" if self.percent else "(?:[eE][+-]?[0-9]+)?"
        return f"(?:{self.form.whole}{self.form.point}?[0-9]*|{self.form.point}[0-9]+){exponent}"

    def _plain(self, text: str) -> str:
        bare = f"trim({text})"
        cast = f"TRY_CAST({bare} AS DOUBLE)"
        return f"CASE WHEN regexp_full_match({bare}, {literal(f'[+-]?{self._pattern}')}) AND isfinite({cast}) THEN {cast} + 0.0 END"

    def settled(self, text: str, *, ascii_blanks: bool = False) -> str:
        return f"({super().settled(text, ascii_blanks=ascii_blanks)}) + 0.0"

    def _written(self, text: str) -> str:
        bare = self.form.bare(text)
        cast = f"TRY_CAST({self.form.canonical(bare)} AS DOUBLE)"
        return f"CASE WHEN {self.form.accepts(bare, self._pattern)} AND isfinite({cast}) THEN {cast} + 0.0 END"
