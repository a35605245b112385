"""Rules about rows beside each other: no two share some values; the same always goes with the same.

Asked of the table they count rows. Told to take rows out (`quarantine`, `drop`) they have to say which row stays, and
become rules about rows: judged among the rows of a batch that no other rule takes out, and against what is published
of other keys. So what is published is free of them after every run, whatever the batches were.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import REMOVES_ROWS, Judges, in_code, listed
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

KeepRow = Literal["first", "last", "most_common", "majority", "none"]


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
        description="With `action: quarantine` or `drop`: which row of a group stays. `first` or `last` by `sequence_by`, then by arrival; `none` of them; the `most_common`: with `determines` those with that value (`majority`: if more than half have it, else none), with `no_pair` the row that forms fewer pairs.",
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
        asked = [self.asked] if self.where else []
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

    def losers_on(self, connection: duckdb.DuckDBPyConnection, rows: Rows) -> str:
        """The same, on a connection where tables may be made for it; they stand until the next question."""
        del connection
        return self.losers(rows)

    def rows_breaking_on(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> str:
        """As `rows_breaking`, on a connection where tables may be made for it."""
        del connection
        return self.rows_breaking(judged)


class GroupedRule(SetRule):
    """A statement about the rows that share some values."""

    later = SetRule.later | {"columns_sql"}
    # Whether it means something without any value that is shared.
    needs_columns: ClassVar[bool] = True

    columns: tuple[str, ...] = Field(default=(), description="The columns that are looked at together.")
    columns_sql: tuple[str, ...] = Field(
        default=(),
        description="In place of `columns` or beside them: SQL over the row, whose values are looked at together.",
        examples=[["left(zip, 3)"], ["lower(email)"]],
    )

    @model_validator(mode="after")
    def _check_grouped(self) -> Self:
        if self.needs_columns and not self.grouped:
            raise ValueError(f"`{self.rule}` needs `columns`, or `columns_sql`, e.g. `columns_sql: [lower(email)]`.")
        if name := next((one for one in self.columns_sql if re.fullmatch(r"\w+", one.strip())), None):
            raise ValueError(f"`columns_sql` has '{name}', which is a name. Write it into `columns`.")
        return self

    @property
    def grouped(self) -> tuple[str, ...]:
        """What rows share: columns, and SQL, by which its values are named in `widened` rows."""
        return (*self.columns, *self.columns_sql)

    @property
    def default_name(self) -> str:
        return "_".join([self.rule, *self.columns_read, *map(_as_name, self.columns_sql)])

    @property
    def conditions(self) -> tuple[str, ...]:
        return (*super().conditions, *self.columns_sql)

    @property
    def present(self) -> str:
        return self._asked([f"{quote(name)} IS NOT NULL" for name in self.grouped])

    def widened(self, table: str) -> str:
        """SQL of the rows with the values of `columns_sql`."""
        more = ", ".join(f"({sql}\n) AS {quote(sql)}" for sql in self.columns_sql)
        return f"(SELECT *, {more} FROM {table})" if more else table

    def narrowed(self, query: str) -> str:
        """SQL of the rows of a query without them, so that nobody is shown them."""
        return f"SELECT * EXCLUDE ({listed(self.columns_sql)}) FROM ({query})" if self.columns_sql else query

    def beside_widened(self, rows: Rows) -> Rows:
        """The rows of a batch and those beside it with the values of `columns_sql`."""
        published = None if rows.published is None else self.widened(rows.published)
        return replace(rows, batch=self.widened(rows.batch), published=published)

    def meeting_published(self, rows: Rows, also: str = "") -> str:
        """SQL of the batch's rows `b` that share the values with a published one `p` of another key. `also`: what else is so of both."""
        same = " AND ".join(f"p.{quote(name)} = b.{quote(name)}" for name in self.grouped)
        other = f" AND {rows.key('p.')} IS DISTINCT FROM {rows.key('b.')}" if rows.keys else ""
        batch, published = (f"(SELECT * FROM {one} WHERE {self.present})" for one in (rows.batch, rows.published))
        return f"SELECT _rid FROM {batch} AS b WHERE EXISTS (SELECT 1 FROM {published} AS p WHERE {same}{also}{other})"


def _as_name(sql: str) -> str:
    return re.sub(r"\W+", "_", sql, flags=re.ASCII).strip("_")


class Unique(GroupedRule):
    """No two rows of the table share the values of these columns; rows with a null among them are left out."""

    rule: Literal["unique"]

    @property
    def demand(self) -> str:
        return f"No two rows share {in_code(self.grouped)}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.grouped)} occurs more than once"

    def query(self, judged: Judged) -> str:
        groups = f"SELECT count(*) AS n FROM {self.widened(judged.table)} WHERE {self.present} GROUP BY {listed(self.grouped)} HAVING count(*) > 1"
        return f"SELECT coalesce(sum(n), 0) FROM ({groups})"

    def rows_breaking(self, judged: Judged) -> str:
        return self.narrowed(
            f"SELECT * FROM {self.widened(judged.table)} WHERE {self.present} QUALIFY count(*) OVER (PARTITION BY {listed(self.grouped)}) > 1"
        )

    def losers(self, rows: Rows) -> str:
        """All but one key's rows of those that share the values; of the batch's rows, those that meet a published one."""
        rows = self.beside_widened(rows)
        group = ", ".join([*([rows.within] if rows.within else []), *map(quote, self.grouped)])
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
        return f"{among} UNION {self.meeting_published(rows)}"
