"""Rules that measure the table as it would be published: how many rows, how empty, how large on average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules.amounts import amount
from flowforge_checks.rules.base import Scalar  # noqa: TC001  # pydantic resolves it at runtime
from flowforge_checks.rules.bounds import require_order
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_checks.rules.values import TEXT
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


class MeasureRule(TableRule):
    """A number of the table that has to lie within bounds."""

    @model_validator(mode="after")
    def _no_thresholds(self) -> Self:
        if self.warn_above is not None or self.error_above is not None:
            raise ValueError(
                f"`{self.rule}` measures the table and counts no broken rows, so `warn_above` and `error_above` say nothing. State the bounds in the rule; for a warning add a second one with `severity: warn`."
            )
        return self

    def found(self, value: Any, judged: Judged, *, broken: bool, said: str) -> Finding:
        """The finding of one number."""
        del judged
        return Finding(int(broken), said if broken else "", {"measured": shown_number(value)})


def shown_number(value: Any) -> int | float | str:
    """A measured value for a check's metadata."""
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return float(value) if isinstance(value, float) or hasattr(value, "as_tuple") else str(value)


class _BetweenRule(MeasureRule):
    """A measure with a smallest and a largest valid value."""

    of: ClassVar[str] = "The measure"

    min: float | None = Field(default=None, description="Smallest valid value.")
    max: float | None = Field(default=None, description="Largest valid value.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"`{self.rule}` needs `min`, `max` or both. Without a bound every table is valid.")
        require_order(self.rule, self.min, self.max)
        return self

    @property
    def measure(self) -> str:
        """What is measured, in words."""
        return f"{self.of} of `{self.columns_read[0]}`" if self.columns_read else self.of

    @property
    def demand(self) -> str:
        bounds = [f"at least {self.min:,g}"] if self.min is not None else []
        bounds += [f"at most {self.max:,g}"] if self.max is not None else []
        return f"{self.measure} is {' and '.join(bounds)}"

    @property
    def message(self) -> str:
        return f"not true: {self.demand.replace('`', '')}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """Within the bounds, or not; of no value at all nothing is asked."""
        (value,) = values
        low = value is not None and self.min is not None and value < self.min
        high = value is not None and self.max is not None and value > self.max
        said = f"{self.measure.replace('`', '')} is {shown_number(value)}: {'below' if low else 'above'} {self.min if low else self.max}."
        return self.found(value, judged, broken=low or high, said=said)


class RowCount(_BetweenRule):
    """The table has so many rows."""

    of = "The number of rows"
    rule: Literal["row_count"]

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    def query(self, judged: Judged) -> str:
        return f"SELECT count(*) FROM {judged.table}{self.rows_asked}"


class _ColumnMeasure(_BetweenRule):
    column: str = Field(description="The column.")

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    def _select(self, judged: Judged, measured: str) -> str:
        return f"SELECT {measured} FROM {judged.table}{self.rows_asked}"


class DistinctCount(_ColumnMeasure):
    """The column has so many different values; null is none of them."""

    of = "The number of different values"
    rule: Literal["distinct_count"]

    def query(self, judged: Judged) -> str:
        return self._select(judged, f"count(DISTINCT {quote(self.column)})")


class _NumberMeasure(_ColumnMeasure):
    def require_types(self, types: Mapping[str, str]) -> None:
        if types.get(self.column) in (TEXT, "DATE", "TIMESTAMP", "BOOLEAN"):
            raise ValueError(
                f"`{self.rule}` reads numbers, and '{self.column}' is {types[self.column]}. Declare its `type` as a number."
            )


class MeanBetween(_NumberMeasure):
    """The average of the column lies within bounds; null is left out."""

    of = "The mean"
    rule: Literal["mean_between"]

    def query(self, judged: Judged) -> str:
        return self._select(judged, f"avg({quote(self.column)})::DOUBLE")


class SumBetween(_NumberMeasure):
    """The sum of the column lies within bounds; null counts as nothing."""

    of = "The sum"
    rule: Literal["sum_between"]

    def query(self, judged: Judged) -> str:
        return self._select(judged, f"sum({quote(self.column)})::DOUBLE")


class QuantileBetween(_NumberMeasure):
    """A quantile of the column, e.g. its median, lies within bounds; null is left out."""

    rule: Literal["quantile_between"]
    q: float = Field(ge=0, le=1, description="Which: 0.5 is the median, 0.95 what 95 % of the values do not exceed.")

    @property
    def default_name(self) -> str:
        return f"quantile_between_{self.column}_{f'{self.q * 100:g}'.replace('.', '_')}"

    @property
    def measure(self) -> str:
        return f"The {self.q:g} quantile of `{self.column}`"

    def query(self, judged: Judged) -> str:
        return self._select(judged, f"quantile_cont({quote(self.column)}::DOUBLE, {self.q!r})")


class NullRate(MeasureRule):
    """At most such a share of the column's values is null."""

    rule: Literal["null_rate"]
    column: str = Field(description="The column.")
    max: Scalar = Field(description="Largest valid share: `5%` or 0.05.", examples=["5%"])

    @field_validator("max")
    @classmethod
    def _check_max(cls, written: Scalar) -> Scalar:
        _share(written)
        return written

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def demand(self) -> str:
        return f"At most {100 * _share(self.max):g} % of `{self.column}` are empty"

    @property
    def message(self) -> str:
        return f"too many values of {self.column} are empty"

    def query(self, judged: Judged) -> str:
        return f"SELECT count(*), count(*) - count({quote(self.column)}) FROM {judged.table}{self.rows_asked}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        rows, nulls = values
        share = nulls / rows if rows else 0.0
        said = f"{nulls:,} of {rows:,} values of {self.column} are empty: {100 * share:.4g} %."
        return self.found(round(share, 6), judged, broken=share > _share(self.max), said=said)


def _share(written: Scalar) -> float:
    if isinstance(written, str):
        found = amount("max", written)
        if found is not None and found.percent:
            return found.value / 100
    elif 0 <= written <= 1:
        return float(written)
    raise ValueError(f"`max: {written}` is no share. Write `5%`, or a number from 0 to 1.")
