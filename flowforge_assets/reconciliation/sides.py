"""Where the rows of a reconciliation's sides come from: a layer of a table, a model, or a query over them.

Names: `orders` is the silver table or model of that name, `sales.orders` that of another workflow; `landing.orders`,
`bronze.orders` and `quarantine.orders` are other layers of this workflow's tables. Landing is read again from the files
themselves, by the reader that made bronze of them; what was cleaned away meanwhile is not there to be read. A side may
also be a table or query of a database (`OfDatabase`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flowforge_checks.reconciliation.sides import DuckSide
from flowforge_resources.bronze_rows import scan_bronze
from flowforge_resources.duck import literal, quote
from flowforge_resources.errors import MissingTableError
from flowforge_resources.frames import as_frame, scan
from flowforge_resources.io_managers import gold_table, silver_table
from flowforge_resources.layout import ModelId, TableId, utc_now
from flowforge_resources.ledger import read_ledger
from flowforge_resources.ledger_checkpoint import TAKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb
    import polars as pl

    from flowforge_assets.extraction.source import DatabaseRows
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.reconciliation.sides import Side
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.lake import Lake
    from flowforge_resources.scratch import Scratch

LAYERS = ("landing", "bronze", "quarantine")
Layer = Literal["landing", "bronze", "silver", "quarantine", "gold"]


@dataclass(frozen=True)
class Place:
    """Rows of one layer of a table. `spec` is needed to read landing again."""

    table: TableId | ModelId
    layer: Layer
    spec: TableSpec | None = None

    @property
    def asset(self) -> tuple[str, str]:
        """Key of the asset that makes them, or of the first made from them."""
        if isinstance(self.table, ModelId):
            return self.table.key
        return self.table.bronze_key if self.layer in ("landing", "bronze") else self.table.silver_key


@dataclass(frozen=True)
class OfDatabase:
    """Rows of a source database."""

    connection: ConnectionFields
    rows: DatabaseRows


@dataclass(frozen=True)
class SideSpec:
    """One side: the rows of a place, of a query over places by the names it has for them, or of a database."""

    places: Mapping[str, Place]
    sql: str | None = None
    name: str = ""
    database: OfDatabase | None = None


@dataclass
class Sides:
    """Opens sides for one evaluation. `staged`: local files (or patterns) of tables that are built or fetched already.

    `opened` holds the databases that sides read; close it behind the evaluation.
    """

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    scratch: Scratch
    staged: Mapping[TableId | ModelId, Path] = field(default_factory=dict)
    opened: ExitStack = field(default_factory=ExitStack)

    def open(self, side: SideSpec) -> Side:
        """The side, ready to be asked.

        Raises:
            MissingTableError: a table of it was never published.
            DatabaseRefusedError, DatabaseUnreachableError, SecretError, MissingDriverError: in words what is wrong.
        """
        if side.database is not None:
            return self._of_database(side.name, side.database)
        for name, place in side.places.items():
            self._show(name, place)
        source = f"({side.sql.rstrip().rstrip(';')}\n)" if side.sql is not None else _placed(side.name)
        return DuckSide(self.connection, source)

    def _of_database(self, name: str, side: OfDatabase) -> Side:
        from flowforge_checks.reconciliation.database_side import DatabaseSide
        from flowforge_resources.databases.reading import reading

        reader = self.opened.enter_context(reading(side.connection))
        return DatabaseSide(name, reader, side.rows.relation(reader), self.connection)

    def _show(self, name: str, place: Place) -> None:
        schema, _, _ = name.rpartition(".")
        if schema:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        self.connection.execute(f"CREATE OR REPLACE VIEW {_placed(name)} AS FROM {self._rows(name, place)}")

    def _rows(self, name: str, place: Place) -> str:
        if isinstance(place.table, ModelId) or place.layer == "silver":
            return self._published(name, place.table)
        if place.layer == "landing":
            return self._landed(name, place)
        if place.layer == "bronze":
            return self._frame(name, scan_bronze(self.lake, place.table), place)
        held = self.lake.head(place.table.quarantine)
        return self._frame(name, scan(self.lake, place.table.quarantine) if held else _nothing(), place)

    def _published(self, name: str, table: TableId | ModelId) -> str:
        """A local lake's table where it lies, under a name of this evaluation's own; a remote one as far as it is read."""
        if table in self.staged:
            return f"read_parquet({literal(str(self.staged[table]))})"
        stored = silver_table(self.lake, table) if isinstance(table, TableId) else gold_table(self.lake, table)
        stored.require()
        if self.lake.local_root is not None:
            return f"read_parquet({literal(str(stored.stage_in(self.scratch)))})"
        return self._registered(name, stored.scan())

    def _frame(self, name: str, rows: pl.LazyFrame | None, place: Place) -> str:
        if rows is None:
            raise MissingTableError(f"{place.layer} of {place.table}", "/".join(place.asset))
        return self._registered(name, rows)

    def _registered(self, name: str, rows: pl.LazyFrame) -> str:
        handle = f"_rows_of_{name}"
        self.connection.execute("SELECT 1").fetchall()  # a statement whose result nobody took forbids `register`
        self.connection.register(handle, rows)
        return quote(handle)

    def _landed(self, name: str, place: Place) -> str:
        """The files that bronze holds, read again as far as they are still there."""
        from flowforge_assets.transforms.ingest import LandedFile, ingest

        if place.spec is None:
            raise AssertionError("landing is read by a table's declaration")
        table, root = place.spec.root.id, self.lake.local_root
        ledger = read_ledger(self.lake, table)
        judged = ledger.judge(as_frame(self.lake.objects(table.landing)))
        keys = sorted(judged.filter(judged["outcome"] == TAKEN)["key"])
        files = [LandedFile(key, root / key if root else self.lake.stage_in(key, self.scratch)) for key in keys]
        done = ingest(
            files, place.spec.root, utc_now(), self.scratch.path(".parquet"), ledger.columns, types=ledger.types
        )
        if done.path is None:
            return self._frame(name, _nothing(), place)
        return f"read_parquet({literal(str(done.path))})"


def _nothing() -> pl.LazyFrame:
    import polars as pl

    return pl.LazyFrame(schema={"_row_number": pl.Int64, "_source_file": pl.String})


def _placed(name: str) -> str:
    return ".".join(map(quote, name.split(".")))
