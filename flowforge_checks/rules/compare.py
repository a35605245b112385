"""Columns of one row against each other, and how many of several are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules.base import RowRule, in_code
from flowforge_checks.rules.values import TEXT
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_WORDS: Mapping[str, str] = {
    "==": "equals",
    "!=": "differs from",
    "<": "is less than",
    "<=": "is at most",
    ">": "is greater than",
    ">=": "is at least",
}
_SLACK = {"<": "+", "<=": "+", ">": "-", ">=": "-"}


class Compare(RowRule):
    """Two columns of a row against each other. A null on either side passes, unless `nulls` says otherwise."""

    rule: Literal["compare"]
    column: str = Field(description="The left column.")
    operator: Operator = Field(description="How they compare.")
    other: str = Field(description="The right column.")
    tolerance: float | None = Field(
        default=None, ge=0, description="By how much numbers may miss it; dates and timestamps by days."
    )
    nulls: Literal["pass", "fail", "equal"] = Field(
        default="pass",
        description="A null on one side or both: `pass`, `fail`, or `equal`, where two nulls are equal and one null is not.",
    )

    @field_validator("operator", mode="before")
    @classmethod
    def _one_equals_sign(cls, operator: object) -> object:
        return {"=": "==", "<>": "!="}.get(str(operator), operator)

    @model_validator(mode="after")
    def _check_tolerance(self) -> Self:
        if self.tolerance is not None and self.operator == "!=":
            raise ValueError("`tolerance` says how near counts as equal, and `operator: !=` asks for a difference.")
        if self.nulls == "equal" and self.operator not in ("==", "!="):
            raise ValueError(f"`nulls: equal` goes with `operator: ==` or `!=`, not with `{self.operator}`.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column, self.other)

    @property
    def default_name(self) -> str:
        return f"compare_{self.column}_{self.other}"

    @property
    def _within(self) -> str:
        return f" within {self.tolerance:g}" if self.tolerance is not None else ""

    @property
    def demand(self) -> str:
        return f"`{self.column}` {_WORDS[self.operator]} `{self.other}`{self._within}"

    @property
    def message(self) -> str:
        return f"not true: {self.column} {_WORDS[self.operator]} {self.other}{self._within}"

    def require_types(self, types: Mapping[str, str]) -> None:
        kinds = types.get(self.column), types.get(self.other)
        if None not in kinds and (kinds[0] == TEXT) != (kinds[1] == TEXT):
            raise ValueError(
                f"`compare` has '{self.column}' ({kinds[0]}) and '{self.other}' ({kinds[1]}), of which one is text. Declare their `type` alike."
            )

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        left, right = quote(self.column), quote(self.other)
        if self.nulls == "equal":
            differs = f"{left} IS DISTINCT FROM {right}"
            near = f"abs({left} - {right}) <= {self.tolerance!r}" if self.tolerance is not None else "FALSE"
            return differs if self.operator == "!=" else f"(NOT ({differs}) OR coalesce({near}, FALSE))"
        if self.tolerance is None:
            said = f"{left} {self.operator} {right}"
        elif self.operator == "==":
            said = f"{left} - {right} BETWEEN -{self._slack} AND {self._slack}"
        else:
            said = f"{left} {self.operator} {right} {_SLACK[self.operator]} {self._slack}"
        return f"coalesce({said}, FALSE)" if self.nulls == "fail" else said

    @property
    def _slack(self) -> str:
        return repr(self.tolerance)


class _NullsOfSeveral(RowRule):
    columns: tuple[str, ...] = Field(min_length=2, description="The columns.")

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.columns

    @property
    def _there(self) -> str:
        return " + ".join(f"({quote(name)} IS NOT NULL)::INTEGER" for name in self.columns)


class AtLeastOneNotNull(_NullsOfSeveral):
    """Of several columns at least one has a value."""

    rule: Literal["at_least_one_not_null"]

    @property
    def demand(self) -> str:
        return f"At least one of {in_code(self.columns)} is not empty"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns)} are all empty"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"{self._there} >= 1"


class ExactlyOneNotNull(_NullsOfSeveral):
    """Of several columns one has a value, and the others have none."""

    rule: Literal["exactly_one_not_null"]

    @property
    def demand(self) -> str:
        return f"Exactly one of {in_code(self.columns)} is not empty"

    @property
    def message(self) -> str:
        return f"not exactly one of {', '.join(self.columns)} has a value"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"{self._there} = 1"
