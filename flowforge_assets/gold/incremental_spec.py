"""What is declared of a model that is built partition by partition. Holds no data logic."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Every = Literal["day", "month", "year", "value"]


class Incremental(BaseModel):
    """Build only the partitions of a model whose rows of one large table changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    driving: str = Field(
        description="The large table, as the SQL names it: each row of the model comes from its rows of one partition."
    )
    column: str = Field(description="The column of the driving table that says which partition a row belongs to.")
    partition_by: str | None = Field(
        default=None, description="The column of the model that holds it. Default: `column`."
    )
    every: Every = Field(
        default="day", description="What a partition is: a day, month or year of a date or timestamp, or each `value`."
    )
    full_every: int = Field(
        default=10,
        ge=0,
        description="After so many builds in part one of the whole table, which proves that they were equal (check `incremental_equals_full`). 0: only on request.",
    )

    @property
    def output(self) -> str:
        """Column of the model that holds the partition."""
        return self.partition_by or self.column
