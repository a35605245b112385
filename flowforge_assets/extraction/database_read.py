"""Rows of a database under the face of a landed file, so that bronze is written, counted and checked as for files."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from time import monotonic, sleep
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.file_read import Decided, own_names, streamed, text_schema
from flowforge_resources.databases.trouble import explain
from flowforge_resources.errors import FlowForgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.databases.readers.base import SourceColumn

_A_SECOND = 1.0


@dataclass
class DatabaseRead:
    """What is read of a database. `error`: what ended the reading, in words, whatever a frame's engine makes of it.

    Args:
        connection: the database.
        source_columns: the columns that are read.
        batches: starts reading anew; frames of text.
        without: rows that bronze has already, by these columns; they are counted in `repeated`.
        summed: columns whose values are added up.
        max_rows_per_s: how fast rows are asked for, at most.
    """

    connection: ConnectionFields
    source_columns: Sequence[SourceColumn]
    batches: Callable[[], Iterator[pl.DataFrame]]
    without: pl.DataFrame | None = None
    summed: Sequence[str] = ()
    max_rows_per_s: int | None = None
    account: CsvAccount = field(default_factory=CsvAccount)
    received: int = 0
    repeated: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)
    error: FlowForgeError | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, usable in bronze."""
        return own_names([one.name for one in self.source_columns])

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily; streamed in bounded memory."""
        return streamed(self._numbered, text_schema(self.columns))

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- reading counts
        """Return the account."""
        return self.account

    def as_dict(self) -> Decided:
        """Return what was found."""
        types = [one.type for one in self.source_columns]
        return {"format": "database", "columns": list(self.columns), "types": types}

    def _numbered(self) -> Iterator[pl.DataFrame]:
        self.account, self.received, self.repeated = CsvAccount(), 0, 0
        self.sums = dict.fromkeys(self.summed, Decimal(0))
        began = monotonic()
        for batch in self._told():
            self.received += batch.height
            self._add_up(batch)
            frame = batch
            if self.without is not None:
                frame = batch.join(self.without, on=self.without.columns, how="anti", nulls_equal=True)
                self.repeated += batch.height - frame.height
            first = self.account.rows + 1
            self.account.rows += frame.height
            self.account.lines += frame.height
            numbers = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True).alias(ROW_NUMBER)
            if frame.height:
                yield frame.select(numbers, pl.all(), pl.lit(None, pl.String).alias(RESCUED))
            self._go_slow(began)

    def _told(self) -> Iterator[pl.DataFrame]:
        """The batches; whatever ends them is remembered in words, because a frame's engine wraps what it meets."""
        try:
            yield from self.batches()
        except (GeneratorExit, KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001  # a panic of an engine written in Rust is no `Exception`
            self.error = error if isinstance(error, FlowForgeError) else explain(self.connection, error)
            raise self.error from None

    def _add_up(self, batch: pl.DataFrame) -> None:
        for name in self.summed:
            try:
                self.sums[name] += sum(map(Decimal, batch[name].drop_nulls()), Decimal(0))
            except InvalidOperation:
                self.sums[name] = Decimal("NaN")

    def _go_slow(self, began: float) -> None:
        if self.max_rows_per_s is None:
            return
        ahead = self.received / self.max_rows_per_s - (monotonic() - began)
        while ahead > 0:
            sleep(min(ahead, _A_SECOND))
            ahead = self.received / self.max_rows_per_s - (monotonic() - began)
