"""Rules about one value: is it there, how large, how long, one of which."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules.base import ColumnRule, Scalar
from flowforge_checks.rules.bounds import require_order
from flowforge_checks.rules.patterns import full_match
from flowforge_resources.duck import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TEXT = "VARCHAR"


def require_text(rule: ColumnRule, types: Mapping[str, str]) -> None:
    """Refuse a column that holds no text.

    Raises:
        ValueError: it does not.
    """
    kind = types.get(rule.column)
    if kind not in (None, TEXT):
        raise ValueError(
            f"`{rule.rule}` reads text, and '{rule.column}' is {kind}. Declare the column as text, or write `range` or `expression`."
        )


class NotNull(ColumnRule):
    """A value is there: not empty."""

    rule: Literal["not_null"]

    @property
    def demand(self) -> str:
        return f"`{self.column}` is not empty"

    @property
    def message(self) -> str:
        return f"{self.column} is empty"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"{self.value} IS NOT NULL"


class NotBlank(ColumnRule):
    """The text says something: it is not null, not only white space, and no marker of a missing value."""

    rule: Literal["not_blank"]
    markers: tuple[Scalar, ...] = Field(
        default=(),
        description="Texts that stand for a missing value here; upper and lower case alike.",
        examples=[["N/A", "empty", "-"]],
    )

    @property
    def demand(self) -> str:
        return f"`{self.column}` says something{self._but()}"

    @property
    def message(self) -> str:
        return f"{self.column} is blank{' or a marker of a missing value' if self.markers else ''}"

    def _but(self) -> str:
        return f" other than {', '.join(map(str, self.markers))}" if self.markers else ""

    def require_types(self, types: Mapping[str, str]) -> None:
        require_text(self, types)

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        # A first character that prints says enough, at a tenth of what the expression costs.
        said = f"CASE WHEN {self.value} >= '!' AND {self.value} < chr(127) THEN TRUE ELSE regexp_matches({self.value}, '[^\\s\\p{{Z}}]') END"
        if self.markers:
            listed = ", ".join(literal(str(one).strip().lower()) for one in self.markers)
            said += f" AND lower(trim({self.value})) NOT IN ({listed})"
        return f"coalesce({said}, FALSE)"


class Range(ColumnRule):
    """The value lies between two bounds, both included. Numbers, dates, timestamps and times."""

    later = frozenset({"exclusive_min", "exclusive_max", "min_sql", "max_sql"})

    rule: Literal["range"]
    min: Scalar | None = Field(default=None, description="Smallest valid value.")
    max: Scalar | None = Field(default=None, description="Largest valid value.")
    exclusive_min: bool = Field(default=False, description="Whether the lower bound itself is not valid.")
    exclusive_max: bool = Field(default=False, description="Whether the upper bound itself is not valid.")
    min_sql: str | None = Field(
        default=None, description="In place of `min`: SQL over the row.", examples=["today() - 365"]
    )
    max_sql: str | None = Field(default=None, description="In place of `max`: SQL over the row.", examples=["today()"])

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        for bound in ("min", "max"):
            if getattr(self, bound) is not None and getattr(self, f"{bound}_sql") is not None:
                raise ValueError(f"`range` has `{bound}` and `{bound}_sql`. Keep one of them.")
            if getattr(self, f"exclusive_{bound}") and self._says(bound) is None:
                raise ValueError(f"`exclusive_{bound}` says whether `{bound}` counts, and there is no `{bound}`.")
        if self._says("min") is None and self._says("max") is None:
            raise ValueError("`range` needs `min`, `max` or both. Without a bound every value is valid.")
        require_order("range", self.min, self.max)
        return self

    def _says(self, bound: str) -> Scalar | None:
        said: Scalar | None = getattr(self, f"{bound}_sql")
        return said if said is not None else getattr(self, bound)

    @property
    def _bounds(self) -> tuple[str, str]:
        """What the rule asks, and what is wrong otherwise, in words."""
        low, high = self._says("min"), self._says("max")
        if low is not None and high is not None and not (self.exclusive_min or self.exclusive_max):
            return f"between {low} and {high}", f"not between {low} and {high}"
        words = {
            "min": (("above", "not above") if self.exclusive_min else ("at least", "below")),
            "max": (("below", "not below") if self.exclusive_max else ("at most", "above")),
        }
        there = [(words[name], value) for name, value in (("min", low), ("max", high)) if value is not None]
        asked, wrong = ([f"{pair[place]} {value}" for pair, value in there] for place in (0, 1))
        return " and ".join(asked), " or ".join(wrong)

    @property
    def demand(self) -> str:
        return f"`{self.column}` is {self._bounds[0]}"

    @property
    def message(self) -> str:
        return f"{self.column} is {self._bounds[1]}"

    @property
    def conditions(self) -> tuple[str, ...]:
        return (*super().conditions, *(sql for sql in (self.min_sql, self.max_sql) if sql))

    def require_types(self, types: Mapping[str, str]) -> None:
        kind = types.get(self.column)
        numeric = [one for one in (self.min, self.max) if isinstance(one, int | float)]
        if kind == TEXT and numeric:
            raise ValueError(
                f"`range` compares the text column '{self.column}' with the number {numeric[0]}. Declare the column's `type`, e.g. integer."
            )

        for bound in (self.min, self.max):
            if kind is not None and isinstance(bound, str) and not _is_of(kind, bound):
                raise ValueError(f"`range` compares '{self.column}', which is {kind}, with '{bound}', which is none.")

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        low, high = (">" if self.exclusive_min else ">="), ("<" if self.exclusive_max else "<=")
        bounds = ((low, self.min, self.min_sql), (high, self.max, self.max_sql))
        return " AND ".join(
            f"{self.value} {op} {literal(bound) if sql is None else f'({sql})'}"
            for op, bound, sql in bounds
            if bound is not None or sql is not None
        )


def _is_of(kind: str, text: str) -> bool:
    """Whether a text is a value of a DuckDB type; of types that are not known here it may be."""
    reads: dict[str, Callable[[str], object]] = {
        "DATE": date.fromisoformat,
        "TIME": time.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
        "BIGINT": int,
        "DOUBLE": float,
        "DECIMAL": float,
    }
    try:
        reads.get(kind.partition("(")[0], str)(text)
    except ValueError:
        return False
    return True


class Length(ColumnRule):
    """The text has so many characters."""

    rule: Literal["length"]
    min: int | None = Field(default=None, ge=0, description="Fewest characters.")
    max: int | None = Field(default=None, ge=0, description="Most characters.")
    exactly: int | None = Field(default=None, ge=0, description="This many characters.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.exactly is not None and (self.min is not None or self.max is not None):
            raise ValueError("`length` has `exactly`, and `min` or `max` beside it. Keep one of them.")
        if self.exactly is None and self.min is None and self.max is None:
            raise ValueError("`length` needs `min`, `max` or `exactly`. Without a bound every text is valid.")
        require_order("length", self.min, self.max)
        return self

    @property
    def _bounds(self) -> str:
        if self.exactly is not None:
            return f"{self.exactly}"
        if self.min is not None and self.max is not None:
            return f"{self.min} to {self.max}"
        return f"at most {self.max}" if self.min is None else f"at least {self.min}"

    @property
    def demand(self) -> str:
        return f"`{self.column}` has {self._bounds} characters"

    @property
    def message(self) -> str:
        return f"{self.column} does not have {self._bounds} characters"

    def require_types(self, types: Mapping[str, str]) -> None:
        require_text(self, types)

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        bounds = (("=", self.exactly), (">=", self.min), ("<=", self.max))
        return " AND ".join(f"length({self.value}) {op} {bound}" for op, bound in bounds if bound is not None)


class _ListedValues(ColumnRule):
    values: tuple[Scalar, ...] = Field(min_length=1, description="The values.")
    case_sensitive: bool = Field(default=True, description="Whether upper and lower case are told apart.")

    @field_validator("values", mode="before")
    @classmethod
    def _only_values(cls, values: object) -> object:
        if isinstance(values, list | tuple) and any(isinstance(value, bool) for value in values):
            raise ValueError("YAML reads bare yes, no, on and off as true or false. Write such values in quotes.")
        if isinstance(values, list | tuple) and None in values:
            raise ValueError("null is no value: it passes. Take it out; `not_null` says that there has to be a value.")
        return values

    def require_types(self, types: Mapping[str, str]) -> None:
        if not self.case_sensitive:
            require_text(self, types)
        numeric = [one for one in self.values if not isinstance(one, str)]
        if types.get(self.column) == TEXT and numeric:
            raise ValueError(
                f"`{self.rule}` compares the text column '{self.column}' with the number {numeric[0]}. Write it in quotes, or declare the column's `type`."
            )

    @property
    def _shown(self) -> str:
        return ", ".join(str(value) for value in self.values)

    @property
    def _listed(self) -> str:
        if self.case_sensitive:
            return f"{self.value} IN ({', '.join(literal(value) for value in self.values)})"
        return f"lower({self.value}) IN ({', '.join(literal(str(value).lower()) for value in self.values)})"


class AllowedValues(_ListedValues):
    """The value is one of a list."""

    later = frozenset({"case_sensitive"})

    rule: Literal["allowed_values"]

    @property
    def demand(self) -> str:
        return f"`{self.column}` is one of {self._shown}"

    @property
    def message(self) -> str:
        return f"{self.column} is none of {self._shown}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return self._listed


class ForbiddenValues(_ListedValues):
    """The value is none of a list."""

    rule: Literal["forbidden_values"]

    @property
    def demand(self) -> str:
        return f"`{self.column}` is none of {self._shown}"

    @property
    def message(self) -> str:
        return f"{self.column} is one of {self._shown}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"NOT {self._listed}"


class Matches(ColumnRule):
    """The whole text matches a regular expression (RE2 syntax)."""

    later = frozenset({"case_sensitive", "negate"})

    rule: Literal["matches"]
    pattern: str = Field(description="Regular expression for the whole value.")
    case_sensitive: bool = Field(default=True, description="Whether upper and lower case are told apart.")
    negate: bool = Field(default=False, description="Whether a valid value does not match.")

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        """What Python cannot read either, found without DuckDB; DuckDB's own word comes with the table's check."""
        if re.search(r"\(\?(<?[=!])|\\[1-9]", pattern):
            raise ValueError(
                f"`pattern: {pattern}` looks ahead or back, or refers to a group, which RE2 cannot. Write two rules, or `expression`."
            )
        return pattern

    @property
    def demand(self) -> str:
        return f"`{self.column}` as a whole {'does not match' if self.negate else 'matches'} `{self.pattern}`"

    @property
    def message(self) -> str:
        return f"{self.column} {'matches' if self.negate else 'does not match'} {self.pattern}"

    def require_types(self, types: Mapping[str, str]) -> None:
        require_text(self, types)

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        matches = full_match(self.value, self.pattern, case_sensitive=self.case_sensitive)
        return f"NOT {matches}" if self.negate else matches
