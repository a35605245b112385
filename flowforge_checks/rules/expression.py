"""What only SQL can say of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import RowRule

if TYPE_CHECKING:
    from collections.abc import Mapping


class Expression(RowRule):
    """A SQL condition over the row's columns that holds for every valid row."""

    rule: Literal["expression"]
    sql: str = Field(description="Condition in DuckDB's SQL.", examples=["ship_date >= order_date"])

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if not self.name:
            raise ValueError("`expression` needs a `name` that says what holds, e.g. `name: shipped_after_ordered`.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    @property
    def conditions(self) -> tuple[str, ...]:
        return (*super().conditions, self.sql)

    @property
    def demand(self) -> str:
        return f"`{self.sql}`"

    @property
    def message(self) -> str:
        return f"not true: {self.sql}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"({self.sql}\n)"
