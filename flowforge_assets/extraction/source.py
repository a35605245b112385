"""What a table's `source` says: which database, which rows, how far the last extraction got, how gently."""

from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from flowforge_resources.databases.readers.base import Reader

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SUM = re.compile(r"sum\((.+)\)")


def duration(written: str) -> timedelta:
    """A length of time such as `10m` or `1d`.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(written.strip())
    if found is None:
        raise ValueError(f"'{written}' is no length of time. Write a number and a unit: s, m, h, d or w, e.g. 10m.")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


class Parallel(BaseModel):
    """Reading in ranges of a column, over several connections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field(description="A column of whole numbers that spreads the rows evenly, best the key.")
    connections: int = Field(default=4, ge=1, le=32, description="Connections at once, at most.")


class DetectDeletes(BaseModel):
    """Rows that are gone from the source are found by comparing all keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: str = Field(
        default="1d",
        description="How long the last comparison holds; a run after that compares again. E.g. `1d`, `6h`.",
    )

    @model_validator(mode="after")
    def _is_duration(self) -> DetectDeletes:
        duration(self.every)
        return self


class DatabaseSource(BaseModel):
    """Where a table's rows come from, instead of landing files."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    connection: str = Field(description="Name of the connection.")
    table: str | None = Field(
        default=None,
        description='Table or view, e.g. `orders` or `public.orders`; a part that holds a dot in quotes: `"my.schema"."Order"`.',
    )
    query: str | None = Field(
        default=None,
        description="A SELECT in the database's own SQL instead of a table.",
        examples=["SELECT id, name FROM customers WHERE NOT test"],
    )
    cursor: str | None = Field(
        default=None,
        description="Column that grows with every change (a moment or a number): a run takes the rows behind the highest value that bronze holds. Default: every run takes the whole table.",
    )
    lag: str | None = Field(
        default=None,
        description="How far behind its highest value a run looks again, for rows that commit late: a length of time (`10m`) or, of numbers, a number. What bronze has already is left out, by key and cursor.",
    )
    bounds: Literal["closed", "open"] | None = Field(
        default=None,
        description="Whether the rows at the last run's highest value are looked at again (`closed`, the default with keys) or not (`open`: right where no two rows share a value).",
    )
    start: str | None = Field(
        default=None, alias="from", description="First value of `cursor` that is wanted. Default: from the beginning."
    )
    parallel: Parallel | None = Field(default=None, description="Read in ranges, e.g. `{by: id, connections: 4}`.")
    max_rows_per_s: int | None = Field(
        default=None, ge=1, description="Rows a second that are asked of the source, at most."
    )
    detect_deletes: DetectDeletes | None = Field(
        default=None,
        description="With `cursor`: find deleted rows by comparing all keys, e.g. `{every: 1d}`. Bronze gets a row of the key with `_deleted` = `true`.",
    )
    reconcile: tuple[str, ...] = Field(
        default=(),
        description="What is compared between source and bronze in the extraction's own snapshot: `row_count`, `sum(column)`, `keys`.",
        examples=[["row_count", "sum(amount)"]],
    )

    @model_validator(mode="after")
    def _fits(self) -> DatabaseSource:
        if (self.table is None) == (self.query is None):
            raise ValueError("`source` takes either `table` or `query`.")
        for name in ("lag", "bounds", "start", "detect_deletes"):
            if getattr(self, name) is not None and self.cursor is None:
                shown = "from" if name == "start" else name
                raise ValueError(f"`{shown}` goes with `cursor`. Declare the column that grows, or take `{shown}` out.")
        for one in self.reconcile:
            if one not in ("row_count", "keys") and not _SUM.fullmatch(one):
                raise ValueError(f"'{one}' cannot be reconciled. Write row_count, sum(column) or keys.")
        if "keys" in self.reconcile and self.cursor is not None:
            raise ValueError(
                "`reconcile: [keys]` goes with a whole table; with `cursor`, `detect_deletes` compares keys."
            )
        return self

    @property
    def name(self) -> str:
        """What the ledger remembers the source by: another table, or another query, is another source."""
        if self.table is not None:
            return f"{self.connection}/{self.table}"
        return f"{self.connection}/query-{sha256((self.query or '').encode()).hexdigest()[:12]}"

    @property
    def sums(self) -> list[str]:
        """Columns whose sums are compared."""
        return [found[1].strip() for one in self.reconcile if (found := _SUM.fullmatch(one))]

    @property
    def consistent(self) -> bool:
        """Whether several statements of one extraction must see the same rows."""
        return bool(self.reconcile or self.detect_deletes)

    def relation(self, reader: Reader) -> str:
        """The rows as SQL names them."""
        from flowforge_resources.databases.catalog import TableName

        if self.query is not None:
            return reader.query(self.query)
        name = TableName.parse(self.table or "")
        return reader.table(name.schema, name.name)
