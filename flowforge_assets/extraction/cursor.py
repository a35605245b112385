"""How far an extraction got, and where the next one goes on.

The bounds of a run are fixed before a row is read: from what the ledger says was reached, less the lag, to the highest
value there is. What is reached stands in the ledger entry that makes the rows true, so it moves with them or not at all.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from flowforge_assets.bronze import type_ladder
from flowforge_assets.extraction.source import duration
from flowforge_resources.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.extraction.source import DatabaseSource
    from flowforge_resources.databases.readers.base import Reader, SourceColumn

_FINER = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True)
class Reached:
    """What the ledger keeps of an extraction. `to`: the highest cursor value that bronze holds, as text."""

    extracted_at: str
    cursor: str | None = None
    to: str | None = None
    keys_compared_at: str | None = None

    def as_text(self) -> str:
        """As the ledger keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Reached:
        """As the ledger kept it."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Window:
    """The rows a run asks for: `low` as text (None: from the beginning), included or not, up to `high`.

    `again`: whether rows that bronze holds may be among them.
    """

    column: SourceColumn
    low: str | None
    closed: bool
    high: str | None
    again: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask for."""
        return self.high is None

    def where(self, reader: Reader) -> str:
        """The condition in SQL."""
        if self.high is None:
            raise AssertionError("an empty window has no condition")
        name, kind = reader.quote(self.column.name), self.column.type
        said = [f"{name} <= {reader.literal(self.high, kind)}"]
        if self.low is not None:
            said.append(f"{name} {'>=' if self.closed else '>'} {reader.literal(self.low, kind)}")
        return " AND ".join(said)


def is_number(column: SourceColumn) -> bool:
    """Whether a cursor column holds numbers; it holds moments otherwise."""
    return type_ladder.is_number(column.type)


def cursor_column(table: str, source: DatabaseSource, columns: Sequence[SourceColumn], reader: Reader) -> SourceColumn:
    """The cursor's column.

    Raises:
        SourceError: there is none of that name, or it holds neither numbers nor moments.
    """
    found = require_column(table, source.cursor or "", columns, "cursor")
    untyped = reader.connection.kind in ("sqlite", "sqlalchemy") and found.type in ("any", "text", "str")
    if not untyped and not is_number(found) and not type_ladder.is_moment(found.type):
        raise SourceError(
            table,
            f"`cursor: {found.name}` is a column of type {found.type}, and a cursor must hold numbers or moments: texts sort in another order in every database.",
            "Name a column such as `updated_at` or a growing key, or take the whole table.",
        )
    return found


def require_column(table: str, name: str, columns: Sequence[SourceColumn], field: str) -> SourceColumn:
    """A column of the source by name.

    Raises:
        SourceError: there is none; the nearest name is suggested.
    """
    from flowforge_resources.errors import did_you_mean

    by_name = {one.name: one for one in columns}
    if name not in by_name:
        raise SourceError(
            table,
            f"the source has no column '{name}', named by `{field}`.{did_you_mean(name, by_name)}",
            f"Correct `{field}`.",
        )
    return by_name[name]


def window(
    table: str,
    source: DatabaseSource,
    column: SourceColumn,
    reached: Reached | None,
    reader: Reader,
    *,
    keyed: bool,
) -> Window:
    """What to ask for now.

    Raises:
        SourceError: `lag` or `from` does not fit the column.
    """
    closed = source.bounds == "closed" or (source.bounds is None and keyed)
    before = reached.to if reached and reached.cursor == source.cursor else None
    low = before if before is not None else source.start
    if before is not None and source.lag is not None:
        low = earlier_than(table, before, source.lag, column)
        closed = True
    if before is None:
        closed = True
    name, relation = reader.quote(column.name), source.relation(reader)
    highest = reader.query(f"SELECT max({name}) AS {name} FROM {relation} WHERE {reader.finite(name)}")
    high = reader.texts(f"SELECT {column.text} FROM {highest}")[0][0]
    high = None if high is None else str(high)
    if (high is not None and low is not None and value_of(high, column) < value_of(low, column)) or (
        high is not None and high == low and not closed
    ):
        high = None
    return Window(column, low, closed, high, again=before is not None and closed)


def value_of(text: str, column: SourceColumn) -> Decimal:
    """A cursor's text as what can be compared: a number, or the microseconds of a moment."""
    if is_number(column):
        return Decimal(text)
    try:
        moment = _moment(text)
    except ValueError:
        return Decimal(text)  # a column without a type, which holds numbers
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal(since // timedelta(microseconds=1))


def _moment(text: str) -> datetime:
    """A moment, to the microsecond; some databases write more digits."""
    return datetime.fromisoformat(_FINER.sub(r"\1", text.strip()))


def earlier_than(table: str, value: str, lag: str, column: SourceColumn, *, separator: str = " ") -> str:
    """A cursor's value less a lag, as text; a moment with what stands between day and time.

    Raises:
        SourceError: the lag does not fit the column.
    """
    try:
        if is_number(column):
            return format(Decimal(value) - Decimal(lag), "f")
        earlier = _moment(value) - duration(lag)
    except (InvalidOperation, ValueError):
        kind = "a number" if is_number(column) else "a length of time such as 10m"
        raise SourceError(
            table, f"`lag: {lag}` does not fit the cursor '{column.name}' of type {column.type}.", f"Write {kind}."
        ) from None
    if column.type == "date":
        return earlier.date().isoformat()
    return earlier.isoformat(sep=separator)
