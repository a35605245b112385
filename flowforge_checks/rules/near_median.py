"""Values far from what is usual in their group: outliers, wrong units and scales, one source that contradicts the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules.base import in_code
from flowforge_checks.rules.bounds import span
from flowforge_checks.rules.one_column import OneColumnSetRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.rules.tables import Judged

_MEASURES = ("max_ratio", "max_difference", "max_spreads")
_MOMENTS = ("DATE", "TIME", "TIMESTAMP")
_NO_NUMBERS = (*_MOMENTS, "VARCHAR", "BOOLEAN")


class NearMedian(OneColumnSetRule):
    """The value is near the median of its group; null is left out, and so is a group with too few values.

    Half of a group can be wrong without moving its median beyond the right values, which a mean cannot stand.
    """

    rule: Literal["near_median"]
    per: tuple[str, ...] = Field(
        default=(), description="Columns that make a group; rows with a null there are left out.", examples=[["style"]]
    )
    max_ratio: float | None = Field(
        default=None,
        gt=1,
        description="At most so many times the median, and at least the median divided by it. A median of 0 judges nothing.",
    )
    max_difference: float | str | None = Field(
        default=None,
        description="At most so far from the median: a number; of dates, times and timestamps a length of time.",
        examples=[0.5, "15m"],
    )
    max_spreads: float | None = Field(
        default=None,
        gt=0,
        description="At most so many interquartile ranges outside the quartiles (Tukey's fences: 1.5 is unusual, 3 is far out). Where the quartiles are equal nothing is judged.",
    )
    min_rows: int = Field(default=5, ge=3, description="Groups with fewer values are not judged.")

    @field_validator("max_difference")
    @classmethod
    def _check_difference(cls, written: float | str | None) -> float | str | None:
        if isinstance(written, str):
            span("max_difference", written)
        if isinstance(written, float | int) and written < 0:
            raise ValueError(f"`max_difference: {written:g}` is below 0. Write how far a value may be from the median.")
        return written

    @model_validator(mode="after")
    def _check_measure(self) -> Self:
        if sum(getattr(self, name) is not None for name in _MEASURES) != 1:
            raise ValueError(
                "`near_median` needs to know what is near: one of `max_ratio: 5`, `max_difference: 10`, `max_spreads: 3`."
            )
        if both := sorted(set(self.columns) & set(self.per)):
            raise ValueError(f"`near_median` has '{both[0]}' in `columns` and in `per`. Keep one of them.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (*self.columns, *self.per)

    @property
    def _near(self) -> str:
        if self.max_ratio is not None:
            return f"within {self.max_ratio:g} times"
        if self.max_spreads is not None:
            return f"within {self.max_spreads:g} interquartile ranges of the quartiles around"
        far = self.max_difference if isinstance(self.max_difference, str) else f"{self.max_difference:g}"
        return f"within {far} of"

    @property
    def demand(self) -> str:
        group = f" of its {in_code(self.per)}" if self.per else ""
        return f"`{', '.join(self.columns)}` is {self._near} the median{group}"

    @property
    def message(self) -> str:
        group = f" of its {', '.join(self.per)}" if self.per else ""
        return f"{', '.join(self.columns)} is not {self._near} the median{group}"

    def require_types(self, types: Mapping[str, str]) -> None:
        moment = isinstance(self.max_difference, str)
        for name in self.columns:
            kind = types.get(name)
            if kind is None:
                continue
            if moment and not kind.startswith(_MOMENTS):
                raise ValueError(
                    f"`max_difference: {self.max_difference}` is a length of time, and '{name}' is {kind}."
                )
            if not moment and kind.startswith(_NO_NUMBERS):
                more = " Of moments write `max_difference: 15m`." if kind.startswith(_MOMENTS) else ""
                raise ValueError(
                    f"`near_median` reads numbers, and '{name}' is {kind}. Declare its `type` as a number.{more}"
                )

    @property
    def present(self) -> str:
        return self._asked([f"{quote(name)} IS NOT NULL" for name in self.columns_read])

    def rows_breaking(self, judged: Judged) -> str:
        rows = self._with_value(judged.table)
        return f"SELECT * EXCLUDE (_v, _w) FROM ({self._far(rows, self._groups([rows]))})"

    def losers(self, rows: Rows) -> str:
        """The batch's values that are far from the median of its own and the published ones."""
        batch = self._with_value(rows.batch, rows.within or "0")
        published = [] if rows.published is None else [self._with_value(rows.published)]
        return f"SELECT _rid FROM ({self._far(batch, self._groups([batch, *published]))})"

    def _with_value(self, rows: str, within: str = "0") -> str:
        """SQL of the rows that are looked at, with their value `_v` and what they are compared within, `_w`."""
        return f"SELECT *, {self._number} AS _v, ({within}) AS _w FROM {rows} WHERE {self.present}"

    @property
    def _number(self) -> str:
        return f"epoch({self._value})" if isinstance(self.max_difference, str) else f"{self._value}::DOUBLE"

    def _groups(self, rows: Sequence[str]) -> str:
        """SQL of each group's quartiles, of queries of rows with `_v` and `_w`."""
        group = "".join(f", {quote(name)} AS _p{place}" for place, name in enumerate(self.per))
        places = "".join(f", _p{place}" for place in range(len(self.per)))
        values = " UNION ALL ".join(f"SELECT _v, _w{group} FROM ({one})" for one in rows)
        return f"SELECT _w{places}, quantile_cont(_v, [0.25, 0.5, 0.75]) AS _q FROM ({values}) GROUP BY ALL HAVING count(*) >= {self.min_rows}"

    def _far(self, rows: str, groups: str) -> str:
        """SQL of the rows, of a query of them with `_v` and `_w`, that are not near."""
        same = " AND ".join(["r._w = g._w", *(f"r.{quote(name)} = g._p{place}" for place, name in enumerate(self.per))])
        return f"SELECT r.* FROM ({rows}) AS r JOIN ({groups}) AS g ON {same} WHERE NOT ({self._is_near})"

    @property
    def _is_near(self) -> str:
        value, low, middle, high = "r._v", "g._q[1]", "g._q[2]", "g._q[3]"
        if self.max_ratio is not None:
            bounds = f"abs({middle}) / {self.max_ratio!r} AND abs({middle}) * {self.max_ratio!r}"
            return f"{middle} = 0 OR {value} * sign({middle}) BETWEEN {bounds}"
        if self.max_spreads is not None:
            slack = f"{self.max_spreads!r} * ({high} - {low})"
            return f"{high} = {low} OR {value} BETWEEN {low} - {slack} AND {high} + {slack}"
        return f"abs({value} - {middle}) <= {self._difference!r}"

    @property
    def _difference(self) -> float:
        if not isinstance(self.max_difference, str):
            return self.max_difference or 0.0
        return span("max_difference", self.max_difference).total_seconds()
