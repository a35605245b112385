"""Rules about rows beside each other: no two share some values; the same always goes with the same.

Asked of the table they count rows. Told to take rows out (`quarantine`, `drop`) they have to say which row stays, and
become rules about rows: judged among the rows of a batch that no other rule takes out, and against what is published
of other keys. So what is published is free of them after every run, whatever the batches were.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import REMOVES_ROWS, Judges, in_code, listed
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KeepRow = Literal["first", "last", "most_common", "none"]


@dataclass(frozen=True)
class Rows:
    """The rows among which one stays.

    Args:
        batch: SQL of the rows that no other rule takes out, with `_rid`.
        order: SQL for an order in which the row that came first is first.
        keys: columns that identify a row; rows of one key replace each other.
        published: SQL of the rows that stay in the table beside the batch; None where it replaces them all.
        within: SQL whose values are sets of their own, e.g. full extracts; empty where all rows are one set.
    """

    batch: str
    order: str
    keys: Sequence[str] = ()
    published: str | None = None
    within: str = ""

    def key(self, of: str = "") -> str:
        """SQL for the key as one value."""
        return f"row({', '.join(of + quote(name) for name in self.keys)})"


class SetRule(TableRule):
    """A statement about rows beside each other."""

    keeps: ClassVar[tuple[KeepRow, ...]] = ("first", "last", "none")
    later = frozenset({"keep_row"})

    columns: tuple[str, ...] = Field(min_length=1, description="The columns that are looked at together.")
    keep_row: KeepRow | None = Field(
        default=None,
        description="With `action: quarantine` or `drop`: which row of a group stays. `first` or `last` by `sequence_by`, then by arrival; `none` of them; the `most_common`: with `determines` those with that value, with `no_pair` the row that forms fewer pairs.",
    )

    @model_validator(mode="after")
    def _check_action(self) -> Self:
        removes = self.action in REMOVES_ROWS and "action" in self.model_fields_set
        if removes and self.keep_row is None:
            raise ValueError(
                f"`{self.rule}` with `action: {self.action}` must say which row of a group stays: `keep_row: {' | '.join(self.keeps)}`. Or write `action: keep` or `block`."
            )
        if self.keep_row is not None and not removes:
            raise ValueError(
                "`keep_row` says which row stays when others are taken out. Add `action: quarantine` or `action: drop`, or remove it."
            )
        if self.keep_row not in (None, *self.keeps):
            raise ValueError(f"`{self.rule}` has no `keep_row: {self.keep_row}`. Write {', '.join(self.keeps)}.")
        return self

    @property
    def judges(self) -> Judges:
        """Rows, where it says which of them stays."""
        return "row" if self.keep_row else "table"

    @property
    def counts_rows(self) -> bool:
        return True

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.columns

    @property
    def present(self) -> str:
        """SQL: the row takes part."""
        return self._asked([f"{quote(name)} IS NOT NULL" for name in self.columns])

    def _asked(self, conditions: list[str]) -> str:
        asked = [f"coalesce(({self.where}\n)::BOOLEAN, FALSE)"] if self.where else []
        return " AND ".join([*conditions, *asked]) or "TRUE"

    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """Its query, and which rows do not stay."""
        numbered = Rows(f"(SELECT *, 0 AS _rid FROM {table})", "_rid", published=table)
        return [*super().questions(table, reads), *([self.losers(numbered)] if self.keep_row else [])]

    def query(self, judged: Judged) -> str:
        """How many rows break it; a rule that can count them cheaper than name them does."""
        return f"SELECT count(*) FROM ({self.rows_breaking(judged)})"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """The rows that break it."""
        del judged
        broken = int(values[0])
        return Finding(broken, f"{broken:,} rows: {self.message}." if broken else "")

    @abstractmethod
    def losers(self, rows: Rows) -> str:
        """SQL for the `_rid` of each row of a batch that does not stay."""


class Unique(SetRule):
    """No two rows of the table share the values of these columns; rows with a null among them are left out."""

    rule: Literal["unique"]

    @property
    def demand(self) -> str:
        return f"No two rows share {in_code(self.columns)}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns)} occurs more than once"

    def query(self, judged: Judged) -> str:
        groups = f"SELECT count(*) AS n FROM {judged.table} WHERE {self.present} GROUP BY {listed(self.columns)} HAVING count(*) > 1"
        return f"SELECT coalesce(sum(n), 0) FROM ({groups})"

    def rows_breaking(self, judged: Judged) -> str:
        return f"SELECT * FROM {judged.table} WHERE {self.present} QUALIFY count(*) OVER (PARTITION BY {listed(self.columns)}) > 1"

    def losers(self, rows: Rows) -> str:
        """All but one key's rows of those that share the values; of the batch's rows, those that meet a published one."""
        group = ", ".join([*([rows.within] if rows.within else []), *map(quote, self.columns)])
        window = (
            f"(PARTITION BY {group} ORDER BY {rows.order} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
        )
        itself = rows.key() if rows.keys else "_rid"
        stays = {
            "first": f"{itself} IS NOT DISTINCT FROM first_value({itself}) OVER {window}",
            "last": f"{itself} IS NOT DISTINCT FROM last_value({itself}) OVER {window}",
            "none": f"min({itself}) OVER {window} IS NOT DISTINCT FROM max({itself}) OVER {window}",
        }[self.keep_row or "first"]
        among = f"SELECT _rid FROM {rows.batch} AS b WHERE {self.present} QUALIFY NOT ({stays})"
        if rows.published is None:
            return among
        same = " AND ".join(f"p.{quote(name)} = b.{quote(name)}" for name in self.columns)
        other = f" AND {rows.key('p.')} IS DISTINCT FROM {rows.key('b.')}" if rows.keys else ""
        published = f"(SELECT * FROM {rows.published} WHERE {self.present})"
        meets = f"SELECT _rid FROM (SELECT * FROM {rows.batch} WHERE {self.present}) AS b WHERE EXISTS (SELECT 1 FROM {published} AS p WHERE {same}{other})"
        return f"{among} UNION {meets}"


class Determines(SetRule):
    """The same values always go with the same: a functional dependency, such as a zip code's city."""

    keeps: ClassVar[tuple[KeepRow, ...]] = ("most_common", "first", "last", "none")

    rule: Literal["determines"]
    determines: tuple[str, ...] = Field(
        min_length=1, description="The columns whose values must be the same.", examples=[["city", "state"]]
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if both := sorted(set(self.columns) & set(self.determines)):
            raise ValueError(f"`determines` has '{both[0]}' on both sides. Every column determines itself: remove it.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (*self.columns, *self.determines)

    @property
    def demand(self) -> str:
        return f"The same {in_code(self.columns)} always has the same {in_code(self.determines)}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.determines)} differs from other rows of the same {', '.join(self.columns)}"

    @property
    def present(self) -> str:
        return self._asked([f"{quote(name)} IS NOT NULL" for name in self.columns_read])

    @property
    def _value(self) -> str:
        return f"row({listed(self.determines)})"

    def query(self, judged: Judged) -> str:
        """The fewest rows that have to change, so that the rest agree: all but the most common value of each group."""
        values = f"SELECT count(*) AS n, {listed(self.columns)} FROM {judged.table} WHERE {self.present} GROUP BY {listed(self.columns_read)}"
        return f"SELECT coalesce(sum(rows - most), 0) FROM (SELECT sum(n) AS rows, max(n) AS most FROM ({values}) GROUP BY {listed(self.columns)})"

    def rows_breaking(self, judged: Judged) -> str:
        values = (
            f"SELECT {listed(self.columns_read)}, count(*) AS _n FROM {judged.table} WHERE {self.present} GROUP BY ALL"
        )
        fewer = f"SELECT {listed(self.columns_read)} FROM ({values}) QUALIFY row_number() OVER (PARTITION BY {listed(self.columns)} ORDER BY _n DESC, {listed(self.determines)}) > 1"
        return (
            f"SELECT * FROM {judged.table} SEMI JOIN ({fewer}) USING ({listed(self.columns_read)}) WHERE {self.present}"
        )

    def losers(self, rows: Rows) -> str:
        group = ", ".join([*([rows.within] if rows.within else []), *map(quote, self.columns)])
        by = "_group ORDER BY _n ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
        numbered = (
            f"SELECT _rid, {self._value} AS _value, row({group}) AS _group, row_number() OVER (ORDER BY {rows.order}) AS _n "
            f"FROM {rows.batch} AS b WHERE {self.present}"
        )
        counted = f"SELECT *, count(*) OVER (PARTITION BY _group, _value) AS _times, min(_n) OVER (PARTITION BY _group, _value) AS _since FROM ({numbered})"
        stays = {
            "first": f"first_value(_value) OVER (PARTITION BY {by})",
            "last": f"last_value(_value) OVER (PARTITION BY {by})",
            "most_common": "first_value(_value) OVER (PARTITION BY _group ORDER BY _times DESC, _since)",
            "none": f"CASE WHEN min(_value) OVER (PARTITION BY {by}) IS NOT DISTINCT FROM max(_value) OVER (PARTITION BY {by}) THEN _value END",
        }[self.keep_row or "first"]
        among = f"SELECT _rid FROM ({counted}) QUALIFY _value IS DISTINCT FROM {stays}"
        if rows.published is None:
            return among
        same = " AND ".join(f"p.{quote(name)} = b.{quote(name)}" for name in self.columns)
        differ = " OR ".join(f"p.{quote(name)} <> b.{quote(name)}" for name in self.determines)
        other = f" AND {rows.key('p.')} IS DISTINCT FROM {rows.key('b.')}" if rows.keys else ""
        meets = (
            f"SELECT _rid FROM (SELECT * FROM {rows.batch} WHERE {self.present}) AS b WHERE EXISTS "
            f"(SELECT 1 FROM (SELECT * FROM {rows.published} WHERE {self.present}) AS p WHERE {same} AND ({differ}){other})"
        )
        return f"{among} UNION {meets}"
