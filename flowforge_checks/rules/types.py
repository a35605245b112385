"""Whether a text would become a value of some type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules.base import ColumnRule
from flowforge_checks.rules.values import require_text
from flowforge_resources.duck import text_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_CASTS: Mapping[str, Callable[[str], str]] = {
    "integer": lambda v: f"regexp_full_match({v}, '[+-]?[0-9]+') AND try_cast({v} AS HUGEINT) IS NOT NULL",
    "decimal": lambda v: f"regexp_full_match({v}, '[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)')",
    "float": lambda v: f"NOT regexp_matches({v}, '_') AND isfinite(try_cast({v} AS DOUBLE))",
    "boolean": lambda v: f"lower({v}) IN ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n', '1', '0')",
    "date": lambda v: (
        f"regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND try_cast({v} AS DATE) IS NOT NULL"
    ),
    "time": lambda v: f"regexp_full_match({v}, '([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]+)?)?')",
    "timestamp": lambda v: (
        f"regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T].+') AND try_cast({v} AS TIMESTAMPTZ) IS NOT NULL"
    ),
    "uuid": lambda v: f"try_cast({v} AS UUID) IS NOT NULL",
    "json": lambda v: f"json_valid({v})",
}
_MOMENTS = ("date", "time", "timestamp")


class Type(ColumnRule):
    """The text would become a value of a type, though the column stays text."""

    rule: Literal["type"]
    is_a: str = Field(
        description="integer, decimal, decimal(p,s), float, boolean, date, time, timestamp, uuid or json.",
        examples=["date"],
    )
    formats: tuple[str, ...] = Field(
        default=(),
        description="Of a date, time or timestamp: the formats it may have (strptime). Default: ISO 8601.",
        examples=[["%d.%m.%Y", "%I:%M %p"]],
    )

    @field_validator("is_a")
    @classmethod
    def _check_type(cls, written: str) -> str:
        if written not in _CASTS and not _DECIMAL.fullmatch(written):
            from flowforge_resources.errors import did_you_mean

            raise ValueError(f"`is_a: {written}` is no type.{did_you_mean(written, _CASTS)}")
        return written

    @model_validator(mode="after")
    def _check_formats(self) -> Self:
        if self.formats and self.is_a not in _MOMENTS:
            raise ValueError(f"`formats` goes with a date, time or timestamp, not with `is_a: {self.is_a}`.")
        return self

    @property
    def demand(self) -> str:
        like = f" like {' or '.join(self.formats)}" if self.formats else ""
        return f"`{self.column}` reads as {self.is_a}{like}"

    @property
    def message(self) -> str:
        return f"{self.column} does not read as {self.is_a}"

    def require_types(self, types: Mapping[str, str]) -> None:
        require_text(self, types)

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        text = f"trim({self.value})"
        if self.formats:
            read = f"try_strptime({text}, {text_list(list(self.formats))}) IS NOT NULL"
            return f"CASE WHEN {self.value} IS NOT NULL THEN {read} END"
        if found := _DECIMAL.fullmatch(self.is_a):
            whole, scale = int(found[1]) - int(found[2]), int(found[2])
            return f"regexp_full_match({text}, '[+-]?0*[0-9]{{0,{whole}}}(\\.[0-9]{{0,{scale}}}0*)?') AND regexp_matches({text}, '[0-9]')"
        return f"CASE WHEN {self.value} IS NOT NULL THEN coalesce({_CASTS[self.is_a](text)}, FALSE) END"
