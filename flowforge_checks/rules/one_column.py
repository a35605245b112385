"""What rules about one column's values beside each other share: columns by name or pattern, and one check for each.

Belongs here: how such a rule becomes one a column. Does not: any statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field

from flowforge_checks.rules.base import fitting, require_names
from flowforge_checks.rules.sets import SetRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Sequence


class OneColumnSetRule(SetRule):
    """A statement about a column's values beside each other, asked of each of several columns by itself.

    What is usual stays, so that a column has no other row to keep than `most_common`.
    """

    keeps = ("most_common",)

    columns: tuple[str, ...] = Field(
        min_length=1, description="Columns, by name or pattern; one check each.", examples=[["city", "county"]]
    )

    @property
    def default_name(self) -> str:
        """As other rules of one column: `one_spelling_city`."""
        return "_".join([self.rule, *self.columns])

    @property
    def own_column(self) -> str | None:
        """The column whose value is unusual."""
        return self.columns[0]

    def each(self, columns: Sequence[str]) -> tuple[Self, ...]:
        """One rule a column."""
        chosen = fitting("columns", self.columns, columns)
        several = len(self.columns) > 1 or chosen != list(self.columns)
        return tuple(self._about(name, named=several) for name in chosen)

    def _about(self, column: str, *, named: bool) -> Self:
        name = f"{self.name}_{column}" if self.name and named else self.name
        return self.model_copy(update={"columns": (column,), "name": name})

    def named(self) -> tuple[Self, ...]:
        """One rule for each column that is named."""
        require_names("columns", self.columns)
        return self.each(self.columns)

    @property
    def _value(self) -> str:
        return quote(self.columns[0])
