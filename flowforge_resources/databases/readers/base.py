"""What every reader offers: the columns of a relation, and its rows as batches of text.

Bronze keeps what a database holds as canonical text, as it does for Parquet files: decimals by their digits, moments as
ISO 8601, binary as base64, nested values as JSON. The database itself writes the text where it can, so nothing is rounded
on the way through a driver. What each type becomes is in docs/databases.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields

BATCH_ROWS = 16_384


@dataclass(frozen=True)
class SourceColumn:
    """A column of a relation: its name and type there, and SQL over the quoted name for its canonical text."""

    name: str
    type: str
    text: str


class Reader(ABC):
    """An open view of a database: what it reads belongs to one snapshot where the database offers one.

    `snapshot` says so in words, for a run's metadata; '' where each statement sees its own. `reads_side_by_side`:
    whether several statements may be read at once.
    """

    snapshot = ""
    reads_side_by_side = False

    def __init__(self, connection: ConnectionFields) -> None:
        self.connection = connection

    def quote(self, identifier: str) -> str:
        """An identifier as the database takes it, whatever it holds."""
        return '"' + identifier.replace('"', '""') + '"'

    def stored(self, name: str) -> str:
        """A name of ours as the database spells it."""
        return name

    def literal(self, value: str, kind: str) -> str:
        """A text as a literal of a type of the database."""
        return f"CAST({self.text_literal(value)} AS {kind})"

    def text_literal(self, value: str) -> str:
        """A text as a literal."""
        return "'" + value.replace("'", "''") + "'"

    def table(self, schema: str | None, name: str) -> str:
        """A table as SQL names it."""
        return f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)

    def query(self, sql: str) -> str:
        """A query as a relation."""
        return f"({sql.strip().rstrip(';')}\n) AS source"

    def finite(self, column: str) -> str:
        """SQL: a cursor column has a value that others can be compared with."""
        return f"{column} IS NOT NULL"

    @abstractmethod
    def describe(self, relation: str) -> list[SourceColumn]:
        """The columns of a relation, in order."""

    @abstractmethod
    def rows(self, sql: str) -> list[Sequence[Any]]:
        """All rows of a small answer."""

    def texts(self, sql: str) -> list[Sequence[str | None]]:
        """All rows of a small answer whose values are texts, as `batches` would have them."""
        return self.rows(sql)

    def read_beside(self, relation: str, connections: int, *, agreeing: bool) -> None:  # noqa: B027  # most are ready
        """Make ready for reading ranges at once, before anything is read.

        Args:
            relation: what will be read.
            connections: how many at once, at most.
            agreeing: whether all must see the same rows; where they cannot, there is one connection.
        """

    @abstractmethod
    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows of a query as text, streamed."""

    @abstractmethod
    def close(self) -> None:
        """End the view."""


def text_frame(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> pl.DataFrame:
    """Rows of Python values as a frame of text."""
    import polars as pl

    from flowforge_resources.databases.readers.value_text import value_text

    columns = zip(*rows, strict=True)
    texts = {
        name: pl.Series(name, list(map(value_text, column)), pl.String)
        for name, column in zip(names, columns, strict=True)
    }
    return pl.DataFrame(texts)


def named(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """A driver's frame under the columns' own names, all of them text; bytes as base64."""
    import polars as pl
    import polars.selectors as cs

    renamed = frame.rename(dict(zip(frame.columns, names, strict=True)))
    return renamed.with_columns(cs.binary().bin.encode("base64")).cast(pl.String)
