"""Rules about two rows at a time: a denial constraint, which no pair of rows may satisfy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import in_code
from flowforge_checks.rules.pair_condition import names_rows
from flowforge_checks.rules.pair_join import PairJoin
from flowforge_checks.rules.sets import GroupedRule
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.rules.tables import Finding, Judged

# Tables made for one question.
_ROWS, _BESIDE, _PAIRS, _MEETS = "pair_row", "pair_beside", "pair_found", "pair_met"
_BOTH_WAYS = "(SELECT x, y FROM _pair UNION SELECT y, x FROM _pair)"


class NoPair(GroupedRule):
    """No two rows `a` and `b` for which a condition holds, such as a higher salary taxed at a lower rate."""

    keeps = ("most_common", "first", "last", "none")
    needs_columns = False

    rule: Literal["no_pair"]
    columns: tuple[str, ...] = Field(
        default=(),
        description="Columns that are the same in both rows; rows with a null there form no pair. Without any, every row is compared with every other.",
    )
    sql: str = Field(
        description="SQL condition over the two rows `a` and `b`, in any order, that must hold for no pair.",
        examples=["a.salary > b.salary AND a.rate < b.rate"],
    )

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if not self.name:
            raise ValueError("`no_pair` needs a `name` that says what holds, e.g. `name: rate_grows_with_salary`.")
        return self

    @property
    def own_column(self) -> str | None:
        """None: it is not the value that both share which is wrong."""
        return None

    @property
    def demand(self) -> str:
        same = f" of the same {in_code(self.grouped)}" if self.grouped else ""
        return f"No two rows a and b{same} have `{' '.join(self.sql.split())}`"

    @property
    def message(self) -> str:
        return f"not true beside another row: {self.name}"

    def rows_breaking(self, judged: Judged) -> str:
        """The rows that would have to go so that no pair is left."""
        rows = f"SELECT *, row_number() OVER () AS _n FROM {self.widened(judged.table)} WHERE {self.present}"
        gone = f"SELECT x FROM {_BOTH_WAYS} {self._yields('most_common')}"
        return self.narrowed(f"WITH {self._found(rows, '')} SELECT * EXCLUDE (_n) FROM _numbered WHERE _n IN ({gone})")

    def losers(self, rows: Rows) -> str:
        """Of each pair within the batch the row that yields; and the batch's rows that form a pair with a published one."""
        rows = self.beside_widened(rows)
        within = f", ({rows.within}) AS _within" if rows.within else ""
        numbered = (
            f"SELECT *, row_number() OVER (ORDER BY {rows.order}) AS _n{within} FROM {rows.batch} WHERE {self.present}"
        )
        apart = f" AND {rows.key('a.')} IS DISTINCT FROM {rows.key('b.')}" if rows.keys else ""
        same = " AND a._within IS NOT DISTINCT FROM b._within" if rows.within else ""
        gone = f"SELECT x FROM {_BOTH_WAYS} {self._yields(self.keep_row or 'most_common')}"
        among = f"SELECT _rid FROM _numbered WHERE _n IN ({gone})"
        if rows.published is None:
            return f"WITH {self._found(numbered, apart + same)} {among}"
        published = f"(SELECT * FROM {rows.published} WHERE {self.present})"
        meets = [
            f"SELECT {mine}._rid FROM _numbered {mine} JOIN {published} {theirs} ON {self._on}{apart}"
            for mine, theirs in (("a", "b"), ("b", "a"))
        ]
        return f"WITH {self._found(numbered, apart + same)} {' UNION '.join([among, *meets])}"

    def judge(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> Finding:
        """How many rows break it."""
        self._look(connection, self._numbered_table(connection, judged.table))
        return self.finding(one_row(connection, f"SELECT count(DISTINCT x) FROM ({self._gone('most_common')})"), judged)

    def rows_breaking_on(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> str:
        """As `rows_breaking`; the pairs are looked for here."""
        self._look(connection, self._numbered_table(connection, judged.table, every=True))
        return self.narrowed(f"SELECT * EXCLUDE (_n) FROM {_ROWS} WHERE _n IN ({self._gone('most_common')})")

    def losers_on(self, connection: duckdb.DuckDBPyConnection, rows: Rows) -> str:
        """As `losers`; the pairs are looked for here."""
        within = f", ({rows.within}) AS _within" if rows.within else ""
        names = (*rows.keys, "_rid")
        apart = f" AND {rows.key('a.')} IS DISTINCT FROM {rows.key('b.')}" if rows.keys else ""
        same = " AND a._within IS NOT DISTINCT FROM b._within" if rows.within else ""
        numbered = self._numbered_table(connection, rows.batch, rows.order, within, names)
        self._look(connection, numbered, apart + same)
        among = f"SELECT _rid FROM {_ROWS} WHERE _n IN ({self._gone(self.keep_row or 'most_common')})"
        if rows.published is None:
            return among
        published = self._needed(connection, self.widened(rows.published), rows.keys)
        connection.execute(
            f"CREATE OR REPLACE TABLE {_BESIDE} AS SELECT {published} FROM {self.widened(rows.published)} WHERE {self.present}"
        )
        for mine, sides in (("a", (_ROWS, _BESIDE)), ("b", (_BESIDE, _ROWS))):
            self._join.create(connection, f"{_MEETS}_{mine}", f"{mine}._rid", sides, apart)
        return f"{among} UNION FROM {_MEETS}_a UNION FROM {_MEETS}_b"

    @property
    def _join(self) -> PairJoin:
        return PairJoin(self.check_name, self.sql, self.grouped)

    def _look(self, connection: duckdb.DuckDBPyConnection, rows: str, apart: str = "") -> None:
        """Create the table of pairs (`x`, `y`: the numbers of `a` and `b`) among numbered rows."""
        self._join.create(connection, _PAIRS, "a._n AS x, b._n AS y", (rows, rows), f" AND a._n <> b._n{apart}")

    def _gone(self, keep: str) -> str:
        """SQL of the numbers of the rows that have to go."""
        both = f"(SELECT x, y FROM {_PAIRS} UNION SELECT y, x FROM {_PAIRS})"
        return f"SELECT x FROM {both} {self._yields(keep)}"

    def _numbered_table(
        self,
        connection: duckdb.DuckDBPyConnection,
        rows: str,
        order: str = "",
        more: str = "",
        also: Sequence[str] = (),
        *,
        every: bool = False,
    ) -> str:
        """Create the table of the rows that take part, numbered by `_n`, of the columns that are needed; return its name."""
        wide = self.widened(rows)
        shown = "*" if every else self._needed(connection, wide, also)
        number = f"row_number() OVER ({f'ORDER BY {order}' if order else ''}) AS _n"
        connection.execute(
            f"CREATE OR REPLACE TABLE {_ROWS} AS SELECT {shown}, {number}{more} FROM {wide} WHERE {self.present}"
        )
        return _ROWS

    def _needed(self, connection: duckdb.DuckDBPyConnection, rows: str, also: Sequence[str]) -> str:
        """Select list of the columns that the condition names; of all where it names a row as a whole."""
        if names_rows(self.sql):
            return "*"
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()]
        told = self.sql.lower()
        named = [
            name
            for name in names
            if re.search(rf"(?<!\w){re.escape(name.lower().replace(chr(34), chr(34) * 2))}(?!\w)", told)
        ]
        return ", ".join(quote(name) for name in dict.fromkeys([*named, *self.grouped, *also])) or "NULL AS _nothing"

    @property
    def _on(self) -> str:
        same = [f"a.{quote(name)} = b.{quote(name)}" for name in self.grouped]
        return " AND ".join([*same, f"({self.sql}\n)"])

    def _found(self, numbered: str, apart: str) -> str:
        """SQL of the numbered rows, and of each row `x` that forms a pair with a row `y`, looked for once."""
        pairs = f"SELECT a._n AS x, b._n AS y FROM _numbered a JOIN _numbered b ON a._n <> b._n{apart} AND {self._on}"
        return f"_numbered AS MATERIALIZED ({numbered}), _pair AS MATERIALIZED ({pairs})"

    @staticmethod
    def _yields(keep: str) -> str:
        """SQL behind the pairs: `x` is the row that goes. So at least one of each pair does.

        `most_common`: the one that forms more pairs, and of two equal ones the later.
        """
        if keep == "most_common":
            degree = "count(*) OVER (PARTITION BY {})".format
            return f"QUALIFY ({degree('x')}, x) > ({degree('y')}, y)"
        return {"first": "WHERE x > y", "last": "WHERE x < y", "none": ""}[keep]
