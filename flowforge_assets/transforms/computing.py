"""Transforms by SQL over the columns of a row: a new value, or a condition on which the row stays, goes or is routed.

A condition that is null does not hold. Where an expression fails for a row (a text that is no number), the row stays, is
marked, and goes to quarantine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowforge_assets.transforms.base import Rows, Transform, mentions
from flowforge_assets.transforms.place import FAILED, Place
from flowforge_assets.transforms.sql_expression import check_condition, check_expression
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    import duckdb

_TRIED = "_tried"


def _tried(sql: str, view: str) -> str:
    """A subquery that adds `_tried`: a struct with the expression's value `v`; null where it fails.

    In a lambda, because DuckDB computes what occurs twice in an expression once, and ahead of the TRY around it.
    """
    value = f"list_transform([0], lambda _ff_one: struct_pack(v := ({sql}\n)))[1]"
    return f"(SELECT *, TRY({value}) AS {_TRIED} FROM {quote(view)})"


class Derive(Transform):
    """Computes a column by a SQL expression over the columns of its row."""

    may_fail: ClassVar[bool] = True

    transform: Literal["derive"]
    column: str = Field(description="The column, new or made anew.")
    sql: str = Field(description="Expression in DuckDB's SQL.", examples=["quantity * unit_price"])

    @property
    def makes(self) -> tuple[str, ...]:
        return (self.column,)

    def reads(self, column: str) -> bool:
        return mentions(self.sql, column)

    def check(self, connection: duckdb.DuckDBPyConnection, at: Place) -> None:
        check_expression(connection, self.sql, at)

    def select(self, at: Place) -> str:
        at.require_makeable(self.column)
        values = {self.column: f"{_TRIED}.v", FAILED: at.failing(f"{_TRIED} IS NULL")}
        return at.put(values, source=_tried(self.sql, at.view), without=[_TRIED])


class _Conditional(Transform):
    may_fail: ClassVar[bool] = True

    where: str = Field(description="Condition in DuckDB's SQL.", examples=["country = 'DE'"])

    def reads(self, column: str) -> bool:
        return mentions(self.where, column)

    def check(self, connection: duckdb.DuckDBPyConnection, at: Place) -> None:
        check_condition(connection, self.where, at)

    def _rows_where(self, at: Place, stays: str) -> str:
        """`stays` is SQL that may speak of `_tried`."""
        values = {FAILED: at.failing(f"{_TRIED} IS NULL")}
        source = _tried(self.where, at.view)
        return f"{at.put(values, source=source, without=[_TRIED])} WHERE {stays}"


class Filter(_Conditional):
    """Keeps the rows that satisfy a condition; the others go away and are counted as `filtered` in the books."""

    rows: ClassVar[Rows] = "filtered"

    transform: Literal["filter"]

    def select(self, at: Place) -> str:
        return self._rows_where(at, f"{_TRIED} IS NULL OR {_TRIED}.v IS TRUE OR NOT ({at.sound})")


class Route(_Conditional):
    """Sends the rows that satisfy a condition to another table, whose `source_table` is this one; counted as `routed`."""

    rows: ClassVar[Rows] = "routed"

    transform: Literal["route"]
    to: str = Field(description="The other table, of the same workflow.")

    def select(self, at: Place) -> str:
        return self._rows_where(at, f"NOT ({self._leaves(at)})")

    def select_routed(self, at: Place) -> str:
        """The query for the rows that leave, as the other table takes them."""
        query = self._rows_where(at, self._leaves(at))
        gone = [name for name in at.hidden if name.startswith(("_raw_", "_broken_"))]
        return f"SELECT * EXCLUDE ({', '.join(map(quote, gone))}) FROM ({query})" if gone else query

    @staticmethod
    def _leaves(at: Place) -> str:
        return f"{_TRIED}.v IS TRUE AND {at.sound}"
