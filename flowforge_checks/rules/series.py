"""Rules about a column's values together: no step missing between first and last; spread as they were before."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flowforge_checks.rules.base import in_code, listed
from flowforge_checks.rules.measures import MeasureRule
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_checks.rules.values import TEXT
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The share an empty bin counts with, so that the index stays finite.
_EMPTY_SHARE = 1e-4
_TENTHS = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"


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


class DistributionLike(MeasureRule):
    """The column's values are spread as in the version published before. A first version passes.

    `psi`, the population stability index, compares shares: of texts, those of each value; of numbers, those between the
    tenths of the earlier version; null is a share of its own. Below 0.1 is called stable, above 0.25 a shift (Siddiqi,
    Credit Risk Scorecards, 2006). `cramers_v` makes of the chi-square of the same counts a number from 0 to 1, whatever the
    number of rows (Cramér, Mathematical Methods of Statistics, 1946). `ks`, the statistic of Kolmogorov and Smirnov, is the largest distance of the two
    distribution functions, from 0 to 1; for numbers only, null left out.
    """

    compares = True

    rule: Literal["distribution_like"]
    column: str = Field(description="The column.")
    method: Literal["psi", "cramers_v", "ks"] = Field(default="psi", description="How the spread is compared.")
    max: float = Field(default=0.25, gt=0, description="Largest valid distance.")

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def demand(self) -> str:
        return f"`{self.column}` is spread as before ({self.method} at most {self.max:g})"

    @property
    def message(self) -> str:
        return f"{self.column} is spread otherwise than before"

    def require_types(self, types: Mapping[str, str]) -> None:
        kind = types.get(self.column, "DOUBLE")
        if kind.startswith(("DATE", "TIME")):
            raise ValueError(f"`distribution_like` compares numbers or texts, and '{self.column}' is {kind}.")
        if self.method == "ks" and kind in (TEXT, "BOOLEAN"):
            raise ValueError(f"`method: ks` compares numbers, and '{self.column}' is {kind}. Use `method: psi`.")

    def query(self, judged: Judged) -> str:
        if judged.previous is None:
            return "SELECT NULL"
        now, before = (
            f"(SELECT {quote(self.column)} AS v FROM {one}{self.rows_asked})" for one in (judged.table, judged.previous)
        )
        if self.method == "ks":
            both = f"SELECT v::DOUBLE AS v, 1 AS a, 0 AS b FROM {now} WHERE v IS NOT NULL UNION ALL SELECT v::DOUBLE, 0, 1 FROM {before} WHERE v IS NOT NULL"
            steps = f"SELECT sum(sum(a)) OVER w / sum(sum(a)) OVER () AS fa, sum(sum(b)) OVER w / sum(sum(b)) OVER () AS fb FROM ({both}) GROUP BY v WINDOW w AS (ORDER BY v)"
            return f"SELECT max(abs(fa - fb)) FROM ({steps})"
        number = "try_cast(v AS DOUBLE)"
        tenths = f"SELECT list_distinct(quantile_cont({number}, {_TENTHS})) AS edges FROM {before}"
        part = f"CASE WHEN typeof(v) IN ('VARCHAR', 'BOOLEAN') OR v IS NULL THEN v::VARCHAR ELSE len(list_filter(edges, lambda e: e < {number}))::VARCHAR END"
        p, c = (f"(SELECT {part} AS part, count(*) AS n FROM {rows}, tenths GROUP BY ALL)" for rows in (before, now))
        joined = f"{p} AS p FULL JOIN {c} AS c ON p.part IS NOT DISTINCT FROM c.part"
        return f"WITH tenths AS ({tenths}) SELECT list(coalesce(p.n, 0)), list(coalesce(c.n, 0)) FROM {joined}"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """Of no rows, before or now, nothing is asked."""
        if judged.previous is None or values[0] is None:
            return Finding(0, "", {"measured": "none"})
        of_counts = {"psi": stability_index, "cramers_v": cramers_v}
        distance = float(values[0]) if self.method == "ks" else of_counts[self.method](*values)
        said = f"{self.column} is spread otherwise than in the version before: {self.method} is {distance:.4g}, above {self.max:g}."
        return self.found(round(distance, 6), judged, broken=distance > self.max, said=said)


def cramers_v(before: Sequence[int], now: Sequence[int]) -> float:
    """The square root of the chi-square of two counts of the same bins over the number of rows.

    0 for equal shares, 1 where no bin has rows of both; 0 where one side has no row.
    """
    rows, was, became = sum(before) + sum(now), sum(before), sum(now)
    if not was or not became:
        return 0.0
    bins = [(a, b) for a, b in zip(before, now, strict=True) if a or b]
    expected = [(a, (a + b) * was / rows, b, (a + b) * became / rows) for a, b in bins]
    return sqrt(sum((a - e) ** 2 / e + (b - f) ** 2 / f for a, e, b, f in expected) / rows)


def stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """The population stability index of two counts of the same bins: the sum of (b - a) * ln(b / a) over their shares.

    Zero for equal shares, without an upper limit; 0 where one side has no row.
    """
    if not sum(before) or not sum(now):
        return 0.0
    shares = [
        (max(a / sum(before), _EMPTY_SHARE), max(b / sum(now), _EMPTY_SHARE)) for a, b in zip(before, now, strict=True)
    ]
    return sum((b - a) * log(b / a) for a, b in shares)
