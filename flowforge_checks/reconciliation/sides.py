"""A side of a reconciliation: anything that can say what its rows add up to, and yield some columns of them.

A side whose rows lie elsewhere answers `aggregate` where they lie, and fetches what `columns` names and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


class Side(Protocol):
    """One side. Expressions and conditions are SQL over its rows, in DuckDB's dialect."""

    def aggregate(self, values: Sequence[str], group_by: Sequence[str], where: str) -> list[tuple[Any, ...]]:
        """A row a group: the groups' values, then the aggregates'. Without groups exactly one row."""

    def columns(self, values: Sequence[tuple[str, str]], where: str) -> str:
        """A relation of DuckDB's with some values (name, expression) of every row."""

    def names(self) -> list[str]:
        """The columns there are."""


@dataclass(frozen=True)
class DuckSide:
    """A side that DuckDB reads: `source` is what stands in FROM."""

    connection: duckdb.DuckDBPyConnection
    source: str

    def aggregate(self, values: Sequence[str], group_by: Sequence[str], where: str) -> list[tuple[Any, ...]]:
        """As declared by `Side`."""
        groups = f" GROUP BY {', '.join(str(place + 1) for place in range(len(group_by)))}" if group_by else ""
        listed = ", ".join([*group_by, *values])
        return self.connection.execute(f"SELECT {listed} FROM {self.source} WHERE {where}{groups}").fetchall()

    def columns(self, values: Sequence[tuple[str, str]], where: str) -> str:
        """As declared by `Side`."""
        listed = ", ".join(f"{sql} AS {quote(name)}" for name, sql in values)
        return f"(SELECT {listed} FROM {self.source} WHERE {where})"

    def names(self) -> list[str]:
        """As declared by `Side`."""
        return [row[0] for row in self.connection.execute(f"DESCRIBE FROM {self.source}").fetchall()]
