"""The product's own way from bronze files to the next silver file, as the silver step goes it, without a Dagster run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from flowforge_assets.silver.batch import Batch
from flowforge_assets.silver.books import Counting
from flowforge_assets.strategies import judged, merge
from flowforge_assets.strategies.beside import rows_beside
from flowforge_assets.strategies.merged import count
from flowforge_assets.transforms.cast import AUDIT_COLUMNS, content_id, create_views
from flowforge_assets.transforms.picked import picked_rows
from flowforge_assets.transforms.prepare import Prepared
from flowforge_checks.gate import EXAMPLES, Gate
from flowforge_checks.quarantine import held_rows
from flowforge_checks.statements import statements
from flowforge_resources.duck import connect, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.strategies import Merge
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.books_by import Accounts

Rows = list[dict[str, Any]]
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001  # bronze holds UTC without a zone


class Merged:
    """A silver table that takes batches; each batch is a list of landing files, each a list of rows as text."""

    def __init__(self, folder: Path, spec: TableSpec, moments: Sequence[datetime] | None = None) -> None:
        """`moments`: when each batch is taken in; an hour apart by default."""
        self.folder, self.spec, self.moments = folder, spec, moments
        self.current: Path | None = None
        self.state: Path | None = None
        self.quarantine: Path | None = None
        self.batches = 0
        self.changed = False

    def take(self, number: int, batch: Sequence[Rows]) -> Books:
        """Merge a batch; `number` is part of the names of its landing files."""
        bronze = [self._bronze(number, index, file) for index, file in enumerate(batch)]
        self.batches += 1
        folder = self.folder / f"{self.batches}"
        folder.mkdir()
        with connect(self.folder) as connection:
            headers = create_views(connection, self.spec, bronze)
            types = {column.name: column.expected for column in self.spec.typed_columns}
            told = judged.judged(self.spec, statements(self.spec.keys, types, self.spec.rules, {}))
            gate = Gate(connection, told, self.spec.keys, rows_beside(self.spec, self.current))
            known = [self.current] if self.current else []
            merged = merge(connection, self.spec, gate, known, self.state)
            # Rows that break a rule and stay are shown as well, and where rows were picked, the examples are among them.
            with picked_rows(connection):
                counts = gate.counts([column.name for column in self.spec.columns])
            assert all(len(one.examples) == min(one.rows_broken, EXAMPLES) for one in counts)
            target, held, state = folder / "silver.parquet", folder / "held.parquet", folder / "state.parquet"
            connection.execute(f"COPY ({merged.select}) TO {literal(str(target))} (FORMAT parquet)")
            rows = held_rows(
                connection,
                gate,
                content_id(headers),
                headers,
                f"run-{number}",
                sources=self.spec.sources,
                current=self.quarantine,
                earlier=self.quarantine,
            )
            connection.execute(f"COPY ({rows}) TO {literal(str(held))} (FORMAT parquet)")
            rows_after = count(connection, f"read_parquet({literal(str(target))})")
            accounts = self._accounts(connection, gate, merged, Prepared(headers, ""), rows_after)
            if merged.state is not None:
                connection.execute(f"COPY ({merged.state}) TO {literal(str(state))} (FORMAT parquet)")
        self.changed = merged.changed
        if merged.changed:
            self.current, self.state = target, state if merged.state is not None else None
        else:
            # A full extract that says the same again comes from another file, and leaves the table as it is.
            landing = AUDIT_COLUMNS if self.spec.strategy.kind == "full_refresh" else ()
            same = [as_bag([_without(row, landing) for row in self.table(one)]) for one in (target, self.current)]
            assert same[0] == same[1], "unchanged means unchanged"
            if merged.state is not None and self.state is not None:
                assert as_bag(self.memory(state)) == as_bag(self.memory(self.state))
        self.quarantine = held
        books = replace(merged.books, rows_after=len(self.table()))
        assert not books.balances or accounts.problems == ()
        return books

    def _accounts(
        self, connection: duckdb.DuckDBPyConnection, gate: Gate, merged: Merge, prepared: Prepared, rows_after: int
    ) -> Accounts:
        """The books by file; by the table's own counts they have to add up."""
        books = replace(merged.books, rows_after=rows_after)
        return Counting(connection, self.spec, Batch((), None, 0), gate, prepared, merged, books, None).accounts()

    def _bronze(self, number: int, index: int, rows: Rows) -> Path:
        path = self.folder / f"bronze-{number}-{index}-{self.batches}.parquet"
        names = list(dict.fromkeys(name for row in rows for name in row))
        schema: Mapping[str, Any] = dict.fromkeys(names or [column.name for column in self.spec.columns], pl.String)
        audit = [
            {**row, "_source_file": f"{number}/{index}", "_row_number": place}
            for place, row in enumerate(rows, start=1)
        ]
        frame = pl.DataFrame(audit, schema={**schema, "_source_file": pl.String, "_row_number": pl.Int64})
        at = self.moments[number] if self.moments else FIRST + timedelta(hours=number)
        frame.with_columns(_ingested_at=pl.lit(at, dtype=pl.Datetime("us"))).write_parquet(path)
        return path

    def table(self, path: Path | None = None) -> Rows:
        """The rows of the table."""
        found = path or self.current
        return [] if found is None else pl.read_parquet(found).to_dicts()

    def values(self, *names: str) -> list[tuple[Any, ...]]:
        """Some columns of the table, sorted."""
        return sorted((tuple(row[name] for name in names) for row in self.table()), key=str)

    def memory(self, path: Path | None = None) -> Rows:
        """What is remembered beside the table, without the place of an event among its key's."""
        found = path or self.state
        return [] if found is None else pl.read_parquet(found).drop("_ff_ord").to_dicts()


def _without(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def as_bag(rows: Rows) -> list[str]:
    """Rows in an order of their own, to compare tables."""
    return sorted(map(str, rows))
