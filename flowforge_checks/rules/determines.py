"""Values that always go with the same values: functional dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import fitting, in_code, listed, require_names
from flowforge_checks.rules.sets import GroupedRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.rules.tables import Judged


class Determines(GroupedRule):
    """The same values always go with the same: a functional dependency, such as a zip code's city."""

    keeps = ("most_common", "majority", "first", "last", "none")
    later = GroupedRule.later | {"determines_each"}

    rule: Literal["determines"]
    determines: tuple[str, ...] = Field(
        default=(),
        description="The columns whose values must be the same, looked at together.",
        examples=[["city", "state"]],
    )
    determines_each: tuple[str, ...] = Field(
        default=(),
        description="In place of `determines`: several columns, by name or pattern, each by itself; one check each.",
        examples=[["city", "address_*"]],
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if bool(self.determines) == bool(self.determines_each):
            raise ValueError(
                "`determines` needs `determines`, columns that go together, or `determines_each`, each by itself; not both."
            )
        if both := sorted(set(self.columns) & set(self.determines)):
            raise ValueError(f"`determines` has '{both[0]}' on both sides. Every column determines itself: remove it.")
        return self

    def each(self, columns: Sequence[str]) -> tuple[Self, ...]:
        """One rule for each column of `determines_each`."""
        if not self.determines_each:
            return (self,)
        others = [name for name in columns if name not in self.columns]
        return tuple(
            self.model_copy(
                update={
                    "determines": (name,),
                    "determines_each": (),
                    "name": f"{self.name}_{name}" if self.name else "",
                }
            )
            for name in fitting("determines_each", self.determines_each, others, "other column")
        )

    def named(self) -> tuple[Self, ...]:
        """One rule for each column that is named."""
        require_names("determines_each", self.determines_each)
        return self.each(self.determines_each)

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (*self.columns, *(self.determines or self.determines_each))

    @property
    def demand(self) -> str:
        return f"The same {in_code(self.grouped)} always has the same {in_code(self.determines)}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.determines)} differs from other rows of the same {', '.join(self.grouped)}"

    @property
    def _looked_at(self) -> tuple[str, ...]:
        return (*self.grouped, *self.determines)

    @property
    def present(self) -> str:
        return self._asked([f"{quote(name)} IS NOT NULL" for name in self._looked_at])

    @property
    def _value(self) -> str:
        return f"row({listed(self.determines)})"

    def query(self, judged: Judged) -> str:
        """The fewest rows that have to change, so that the rest agree: all but the most common value of each group."""
        values = f"SELECT count(*) AS n, {listed(self.grouped)} FROM {self.widened(judged.table)} WHERE {self.present} GROUP BY {listed(self._looked_at)}"
        return f"SELECT coalesce(sum(rows - most), 0) FROM (SELECT sum(n) AS rows, max(n) AS most FROM ({values}) GROUP BY {listed(self.grouped)})"

    def rows_breaking(self, judged: Judged) -> str:
        values = f"SELECT {listed(self._looked_at)}, count(*) AS _n FROM {self.widened(judged.table)} WHERE {self.present} GROUP BY ALL"
        fewer = f"SELECT {listed(self._looked_at)} FROM ({values}) QUALIFY row_number() OVER (PARTITION BY {listed(self.grouped)} ORDER BY _n DESC, {listed(self.determines)}) > 1"
        table = self.widened(judged.table)
        return self.narrowed(
            f"SELECT * FROM {table} SEMI JOIN ({fewer}) USING ({listed(self._looked_at)}) WHERE {self.present}"
        )

    def losers(self, rows: Rows) -> str:
        rows = self.beside_widened(rows)
        group = ", ".join([*([rows.within] if rows.within else []), *map(quote, self.grouped)])
        by = "_group ORDER BY _n ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
        numbered = (
            f"SELECT _rid, {self._value} AS _value, row({group}) AS _group, row_number() OVER (ORDER BY {rows.order}) AS _n "
            f"FROM {rows.batch} AS b WHERE {self.present}"
        )
        counted = f"SELECT *, count(*) OVER (PARTITION BY _group, _value) AS _times, min(_n) OVER (PARTITION BY _group, _value) AS _since FROM ({numbered})"
        usual = "first_value(_value) OVER (PARTITION BY _group ORDER BY _times DESC, _since)"
        stays = {
            "first": f"first_value(_value) OVER (PARTITION BY {by})",
            "last": f"last_value(_value) OVER (PARTITION BY {by})",
            "most_common": usual,
            "majority": f"CASE WHEN 2 * max(_times) OVER (PARTITION BY _group) > count(*) OVER (PARTITION BY _group) THEN {usual} END",
            "none": f"CASE WHEN min(_value) OVER (PARTITION BY {by}) IS NOT DISTINCT FROM max(_value) OVER (PARTITION BY {by}) THEN _value END",
        }[self.keep_row or "first"]
        among = f"SELECT _rid FROM ({counted}) QUALIFY _value IS DISTINCT FROM {stays}"
        if rows.published is None:
            return among
        differ = " OR ".join(f"p.{quote(name)} <> b.{quote(name)}" for name in self.determines)
        return f"{among} UNION {self.meeting_published(rows, f' AND ({differ})')}"
