"""How old the newest row of a table may be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from flowforge_checks.rules.bounds import span
from flowforge_checks.rules.measures import MeasureRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_checks.rules.tables import Finding, Judged


class FreshWithin(MeasureRule):
    """The newest value of a date or timestamp column is no older than this when the run starts."""

    rule: Literal["fresh_within"]
    column: str = Field(description="Date or timestamp column.")
    max_age: str = Field(description="A length of time: `36h`, `2 days`.", examples=["36h", "2 days"])

    @field_validator("max_age")
    @classmethod
    def _check_age(cls, written: str) -> str:
        span("max_age", written)
        return written

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def demand(self) -> str:
        return f"The newest `{self.column}` is at most {self.max_age} old"

    @property
    def message(self) -> str:
        return f"the newest {self.column} is older than {self.max_age}"

    def require_types(self, types: Mapping[str, str]) -> None:
        kind = types.get(self.column, "DATE")
        if not kind.startswith(("DATE", "TIMESTAMP")):
            raise ValueError(f"`fresh_within` reads a date or timestamp, and '{self.column}' is {kind}.")

    def query(self, judged: Judged) -> str:
        return f"SELECT max({quote(self.column)}) FROM {judged.table}{self.rows_asked}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """A table without any value is not fresh. A date lasts to the end of its day."""
        (newest,) = values
        if newest is None:
            return self.found(None, judged, broken=True, said=f"{self.column} has no value.")
        late = _moment(newest) < judged.at.astimezone(UTC) - span("max_age", self.max_age)
        return self.found(
            str(newest), judged, broken=late, said=f"The newest {self.column} is {newest}: {self.message}."
        )


def _moment(value: datetime | date) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1)
