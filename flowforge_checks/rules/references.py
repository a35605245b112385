"""Values that occur in another table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import RowRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


class References(RowRule):
    """The value, or the values together, occur in another table's silver."""

    later = frozenset({"columns", "of_rows", "case_sensitive"})

    rule: Literal["references"]
    column: str = Field(default="", description="The column the rule is about.")
    table: str = Field(description="The other table, of the same workflow.")
    to: str | tuple[str, ...] | None = Field(
        default=None, description="Its column, or columns. Default: those of the same name."
    )
    columns: tuple[str, ...] = Field(
        default=(), description="In place of `column`: columns that are found together, in one row."
    )
    of_rows: str | None = Field(
        default=None, description="SQL condition on the other table's rows.", examples=["active"]
    )
    case_sensitive: bool = Field(default=True, description="Whether upper and lower case are told apart.")

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if bool(self.column) == bool(self.columns):
            raise ValueError("`references` needs `column`, or `columns` that are found together; not both.")
        if len(self.columns_read) != len(self.referenced_columns):
            raise ValueError(
                f"`references` has {len(self.columns_read)} column(s), and {len(self.referenced_columns)} in `to`. Name one for each."
            )
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.columns or (self.column,)

    @property
    def referenced_table(self) -> str:
        return self.table

    @property
    def referenced_columns(self) -> tuple[str, ...]:
        if self.to is None:
            return self.columns_read
        return (self.to,) if isinstance(self.to, str) else self.to

    @property
    def _there(self) -> str:
        return ", ".join(f"{self.table}.{name}" for name in self.referenced_columns)

    @property
    def demand(self) -> str:
        asked = f", of its rows where `{self.of_rows}`" if self.of_rows else ""
        return f"{', '.join(f'`{name}`' for name in self.columns_read)} is in `{self._there}`{asked}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns_read)} is not in {self._there}"

    def valid(self, reads: Mapping[str, str]) -> str:
        other = reads[self.table]
        rows = f" WHERE {self.of_rows}" if self.of_rows else ""
        if len(self.columns_read) == 1:
            mine, theirs = quote(self.columns_read[0]), quote(self.referenced_columns[0])
            if not self.case_sensitive:
                mine, theirs = f"lower({mine})", f"lower({theirs})"
            return f"{mine} IN (SELECT {theirs} FROM {other}{rows})"
        present = " AND ".join(f"{quote(name)} IS NOT NULL" for name in self.columns_read)
        pairs = [
            (quote(mine), quote(theirs))
            for mine, theirs in zip(self.columns_read, self.referenced_columns, strict=True)
        ]
        if not self.case_sensitive:
            pairs = [(f"lower({mine}::VARCHAR)", f"lower({theirs}::VARCHAR)") for mine, theirs in pairs]
        mine, theirs = (", ".join(pair[place] for pair in pairs) for place in (0, 1))
        return f"CASE WHEN {present} THEN ({mine}) IN (SELECT ({theirs}) FROM {other}{rows}) END"
