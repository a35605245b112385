"""How a table may grow or shrink from one version to the next."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.amounts import Amount, amount
from flowforge_checks.rules.base import Scalar  # noqa: TC001  # pydantic resolves it at runtime
from flowforge_checks.rules.measures import MeasureRule
from flowforge_checks.rules.tables import Finding, Judged


class RowCountChange(MeasureRule):
    """The table grew or shrank by so much against the version published before. A first version passes."""

    compares = True

    rule: Literal["row_count_change"]
    max_increase: Scalar | None = Field(default=None, description="By at most so many rows, or such a percentage.")
    max_decrease: Scalar | None = Field(default=None, description="By at most so many rows, or such a percentage.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.max_increase is None and self.max_decrease is None:
            raise ValueError("`row_count_change` needs `max_increase`, `max_decrease` or both, e.g. `20%`.")
        _ = self._bounds
        return self

    @property
    def _bounds(self) -> tuple[tuple[str, Amount | None], ...]:
        """Growth by more than all there was is no mistake: percentages beyond 100 are taken as they are."""
        shrink = self.max_decrease
        return (
            ("increase", None if self.max_increase is None else _grown(str(self.max_increase or 0))),
            ("decrease", None if shrink is None else amount("max_decrease", str(shrink or 0))),
        )

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    @property
    def demand(self) -> str:
        said = [
            f"{word} by more than {bound}"
            for (name, bound), word in zip(self._bounds, ("grow", "shrink"), strict=True)
            if bound
        ]
        return f"The number of rows does not {' or '.join(said)}"

    @property
    def message(self) -> str:
        return f"not true: {self.demand}"

    def query(self, judged: Judged) -> str:
        before = f"(SELECT count(*) FROM {judged.previous}{self.rows_asked})" if judged.previous else "NULL"
        return f"SELECT count(*), {before} FROM {judged.table}{self.rows_asked}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        rows, before = values
        if before is None:
            return Finding(0, "", {"measured": "none", "rows": rows})
        (_, grow), (_, shrink) = self._bounds
        broken = (grow is not None and grow.exceeded(rows - before, before)) or (
            shrink is not None and shrink.exceeded(before - rows, before)
        )
        said = f"The number of rows went from {before:,} to {rows:,}."
        return self.found(rows - before, judged, broken=broken, said=said)


def _grown(text: str) -> Amount | None:
    if text.endswith("%") and text[:-1].replace(".", "", 1).isdigit():
        return Amount(float(text[:-1]), percent=True)
    return amount("max_increase", text)
