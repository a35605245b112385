"""A rule about a column's spread: as it was in earlier versions of the table. The formulas are in `distances`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flowforge_checks.distances import average_of, cramers_v, stability_index
from flowforge_checks.rules.measures import MeasureRule
from flowforge_checks.rules.tables import Finding, Judged
from flowforge_checks.rules.values import TEXT
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

_TENTHS = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"


class DistributionLike(MeasureRule):
    """The column's values are spread as in the version published before, or in several together. A first version passes.

    `psi`, the population stability index, compares shares: of texts, those of each value; of numbers, those between the
    tenths of the earlier version; null is a share of its own. Below 0.1 is called stable, above 0.25 a shift (Siddiqi,
    Credit Risk Scorecards, 2006). `cramers_v` makes of the chi-square of the same counts a number from 0 to 1, whatever the
    number of rows (Cramér, Mathematical Methods of Statistics, 1946). `ks`, the statistic of Kolmogorov and Smirnov, is the largest distance of the two
    distribution functions, from 0 to 1; for numbers only, null left out.

    Several versions (`over`) are one reference: the mean of their distributions, each with the same weight, as large as one of them.
    So a distance means what it means of one version, an odd one is a part of the reference and not all of it, and a slow
    shift is measured from where it began. The median of single distances would be the distance to no distribution.
    """

    compares = True
    later = frozenset({"over"})

    rule: Literal["distribution_like"]
    column: str = Field(description="The column.")
    method: Literal["psi", "cramers_v", "ks"] = Field(default="psi", description="How the spread is compared.")
    max: float = Field(default=0.25, gt=0, description="Largest valid distance.")
    over: int = Field(
        default=1, ge=1, le=100, description="With how many of the versions before it is compared, taken together."
    )

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def versions_compared(self) -> int:
        return self.over

    @property
    def demand(self) -> str:
        before = "before" if self.over == 1 else f"in the {self.over} versions before"
        return f"`{self.column}` is spread as {before} ({self.method} at most {self.max:g})"

    @property
    def message(self) -> str:
        return f"{self.column} is spread otherwise than before"

    def require_types(self, types: Mapping[str, str]) -> None:
        kind = types.get(self.column, "DOUBLE")
        if kind.startswith(("DATE", "TIME")):
            raise ValueError(f"`distribution_like` compares numbers or texts, and '{self.column}' is {kind}.")
        if self.method == "ks" and kind in (TEXT, "BOOLEAN"):
            raise ValueError(f"`method: ks` compares numbers, and '{self.column}' is {kind}. Use `method: psi`.")

    def judge(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> Finding:
        """Ask the table; a version from before the column was declared says nothing of it."""
        there = [one for one in judged.before(self.over) if _can_be_asked(connection, self._values(one))]
        return super().judge(
            connection, replace(judged, previous=there[0] if there else None, earlier=tuple(there[1:]))
        )

    def query(self, judged: Judged) -> str:
        before = judged.before(self.over)
        if not before:
            return "SELECT NULL"
        return self._largest_gap(judged.table, before) if self.method == "ks" else self._counts(judged.table, before)

    def _values(self, rows: str) -> str:
        return f"(SELECT {quote(self.column)} AS v FROM {rows}{self.rows_asked})"

    def _largest_gap(self, now: str, before: Sequence[str]) -> str:
        """SQL of the largest distance of the distribution function from the mean of the earlier ones."""
        samples = [f"SELECT v::DOUBLE AS v, 1 AS a, 0 AS b FROM {self._values(now)} WHERE v IS NOT NULL"]
        for one in before:
            weight = f"1 / (SELECT count(v) FROM {self._values(one)})" if len(before) > 1 else "1"
            samples.append(f"SELECT v::DOUBLE, 0, {weight} FROM {self._values(one)} WHERE v IS NOT NULL")
        both = " UNION ALL ".join(samples)
        steps = f"SELECT sum(sum(a)) OVER w / sum(sum(a)) OVER () AS fa, sum(sum(b)) OVER w / sum(sum(b)) OVER () AS fb FROM ({both}) GROUP BY v WINDOW w AS (ORDER BY v)"
        return f"SELECT max(abs(fa - fb)) FROM ({steps})"

    def _counts(self, now: str, before: Sequence[str]) -> str:
        """SQL of one list of counts a version, now first: by value, or by tenths of all earlier ones."""
        number = "try_cast(v AS DOUBLE)"
        numbers = " UNION ALL ".join(f"SELECT {number} AS n FROM {self._values(one)}" for one in before)
        tenths = f"SELECT list_distinct(quantile_cont(n, {_TENTHS})) AS edges FROM ({numbers})"
        part = f"CASE WHEN typeof(v) IN ('VARCHAR', 'BOOLEAN') OR v IS NULL THEN v::VARCHAR ELSE len(list_filter(edges, lambda e: e < {number}))::VARCHAR END"
        parts = " UNION ALL ".join(
            f"SELECT {place} AS k, {part} AS part, count(*) AS n FROM {self._values(one)}, tenths GROUP BY ALL"
            for place, one in enumerate((now, *before))
        )
        of_version = [
            f"coalesce(sum(n) FILTER (k = {place}), 0)::BIGINT AS n{place}" for place in range(len(before) + 1)
        ]
        rows = f"SELECT {', '.join(of_version)} FROM ({parts}) GROUP BY part"
        lists = ", ".join(f"list(n{place})" for place in range(len(before) + 1))
        return f"WITH tenths AS ({tenths}) SELECT {lists} FROM ({rows})"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """Of no rows, before or now, nothing is asked."""
        before = len(judged.before(self.over))
        if not before or values[0] is None:
            return Finding(0, "", {"measured": "none"})
        of_counts = {"psi": stability_index, "cramers_v": cramers_v}
        distance = (
            float(values[0]) if self.method == "ks" else of_counts[self.method](average_of(values[1:]), values[0])
        )
        than = "the version before" if before == 1 else f"the {before} versions before"
        said = f"{self.column} is spread otherwise than in {than}: {self.method} is {distance:.4g}, above {self.max:g}."
        found = self.found(round(distance, 6), judged, broken=distance > self.max, said=said)
        return found if self.over == 1 else replace(found, shown={**found.shown, "versions": before})


def _can_be_asked(connection: duckdb.DuckDBPyConnection, values: str) -> bool:
    import duckdb

    try:
        connection.execute(f"DESCRIBE FROM {values}")
    except duckdb.BinderException:
        return False
    return True
