"""A rule about a column's values together: no step is missing between the first and the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flowforge_checks.rules.base import in_code, listed
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoGaps(TableRule):
    """Between the smallest and the largest value no step is missing: every day is there, or every number. Null is left out."""

    rule: Literal["no_gaps"]
    column: str = Field(description="Column of dates, timestamps or whole numbers.")
    every: Literal["hour", "day", "week", "month", "year"] | int = Field(
        description="The step: an interval of time, or a whole number.", examples=["day", 1]
    )
    per: tuple[str, ...] = Field(default=(), description="Columns of which each combination is a series of its own.")

    @property
    def counts_rows(self) -> bool:
        return True

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column, *self.per)

    @property
    def demand(self) -> str:
        per = f" per {in_code(self.per)}" if self.per else ""
        return f"Every {self.every} between the first and last `{self.column}` is there{per}"

    @property
    def message(self) -> str:
        return f"a gap in {self.column} ends with them"

    def require_types(self, types: Mapping[str, str]) -> None:
        kind = types.get(self.column, "DATE")
        timed = kind.startswith(("DATE", "TIMESTAMP"))
        if not timed and "INT" not in kind:
            raise ValueError(f"`no_gaps` reads dates, timestamps or whole numbers, and '{self.column}' is {kind}.")
        if timed == isinstance(self.every, int):
            instead = "Write e.g. `every: day`." if timed else "Write e.g. `every: 1`."
            raise ValueError(f"`every: {self.every}` does not go with '{self.column}', which is {kind}. {instead}")

    def query(self, judged: Judged) -> str:
        return f"SELECT count(*) FROM ({self.rows_breaking(judged)})"

    def rows_breaking(self, judged: Judged) -> str:
        """The rows behind a gap."""
        value = quote(self.column)
        far = f"{value} - _before > {self.every}"
        if isinstance(self.every, str):
            far = f"date_diff('{self.every}', _before::TIMESTAMP, {value}::TIMESTAMP) > 1"
        per = listed(self.per) or "1"
        first = f"row_number() OVER (PARTITION BY {', '.join([*map(quote, self.per), value])}) = 1"
        rows = f"SELECT * FROM {judged.table}{self.rows_asked}{' AND' if self.where else ' WHERE'} {value} IS NOT NULL QUALIFY {first}"
        before = f"lag({value}) OVER (PARTITION BY {per} ORDER BY {value}) AS _before"
        return f"SELECT * EXCLUDE (_before) FROM (SELECT *, {before} FROM ({rows})) WHERE {far}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """As many as there are gaps, however long."""
        del judged
        gaps = int(values[0])
        return Finding(gaps, f"{gaps:,} gaps in {self.column}." if gaps else "", {"gaps": gaps})
