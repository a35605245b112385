"""A silver table driven batch by batch without Dagster: quick enough for properties and for kills at every write.

Belongs here: bronze from rows, one silver step as the product computes and publishes it, and what the table then holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.partitions.partition_by import PartitionBy
from flowforge_assets.running.step import Stopwatch
from flowforge_assets.silver.batch import Batch, chosen_batch, next_batch
from flowforge_assets.silver.stage import Staged, stage
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_checks.results import BOOKS
from flowforge_checks.rules import Range
from flowforge_resources.io_managers import LakeResource, silver_table
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.ledger import LedgerEntry, commit, read_ledger
from flowforge_resources.partitioned import finish, read_manifest
from flowforge_resources.silver_io_manager import SilverIOManager
from scenario import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_checks.books import Books
    from flowforge_resources.lake import Lake
    from flowforge_resources.partitioned import Manifest

Row = dict[str, str | None]
DAILY = PartitionBy(column="day", every="day", start="2026-01-01")
DECLARED = ("id", "day", "n", "at")


def spec_of(
    name: str, partition_by: PartitionBy | None, keys: tuple[str, ...] = ("id",), *, ordered: bool = True
) -> TableSpec:
    """A table with a key, a day, a number that orders rows, and a moment."""
    return TableSpec(
        id=TableId("w", name),
        files="*.csv",
        file=FileOptions(),
        columns=(
            Column(name="id"),
            Column(name="day", type="date"),
            Column(name="n", type="integer"),
            Column(name="at", type="timestamp"),
        ),
        keys=keys,
        sequence_by=("n",) if ordered else (),
        surrogate_key="t_key",
        rules=(Range(rule="range", column="n", min=0),),
        partition_by=partition_by,
    )


@dataclass
class Driven:
    """One table on a lake."""

    lake: Lake
    spec: TableSpec

    def land(self, rows: Sequence[Row], file: str | None = None) -> None:
        """A bronze file of these rows, committed."""
        version = read_ledger(self.lake, self.spec.id).version + 1
        source = f"{self.spec.id.landing}{file or f'{version}.csv'}"
        audit = [
            {**{name: row.get(name) for name in DECLARED}, "_source_file": source, "_row_number": number}
            for number, row in enumerate(rows, start=1)
        ]
        schema = {**dict.fromkeys(DECLARED, pl.String), "_source_file": pl.String, "_row_number": pl.Int64}
        key = f"{self.spec.id.bronze}run_{version:04d}.parquet"
        with self.lake.scratch() as scratch:
            path = scratch.path(".parquet")
            moment = pl.lit(utc_now().replace(tzinfo=None)).cast(pl.Datetime("us"))
            pl.DataFrame(audit, schema=schema).with_columns(_ingested_at=moment).write_parquet(path)
            self.lake.publish(path, key)
        assert commit(self.lake, self.spec.id, LedgerEntry(version, "", "run", key, len(rows)))

    def batch(self, *chosen: str) -> Batch:
        """What a run takes: what is new, or what the chosen partitions are made of."""
        finish(self.lake, self.spec.id)
        return chosen_batch(self.lake, self.spec, chosen) if chosen else next_batch(self.lake, self.spec)

    def take(self, *chosen: str) -> Books | None:
        """One silver step; None where nothing was new."""
        batch = self.batch(*chosen)
        if not batch.entries and batch.published is not None:
            return None
        with self.lake.scratch() as scratch:
            staged = self.stage(batch, scratch)
            self.publish(staged)
            return staged.books

    def publish_next(self) -> Books:
        """One silver step, whatever there is to do."""
        with self.lake.scratch() as scratch:
            staged = self.stage(self.batch(), scratch)
            self.publish(staged)
            return staged.books

    def stage(self, batch: Batch, scratch: Any) -> Staged:
        """A computed batch, which must pass its checks."""
        staged = stage(self.lake, self.spec, batch, scratch=scratch, watch=Stopwatch(), run_id="run")
        assert staged.books.balances, str(staged.books)
        books = next(one for one in staged.outcomes if one.check == BOOKS)
        assert books.passed, books.description
        return staged

    def publish(self, staged: Staged) -> None:
        """As the IO manager does."""
        manager = SilverIOManager(lake=LakeResource(url=self.lake.url))
        manager.publish(dg.build_output_context(), staged.output)

    def rows(self) -> list[dict[str, Any]]:
        """What FlowForge's readers read."""
        if silver_table(self.lake, self.spec.id).published() is None:
            return []
        return _declared(silver_table(self.lake, self.spec.id).scan().collect().to_dicts())

    def plain_rows(self) -> list[dict[str, Any]]:
        """What a reader of every `current.parquet` reads."""
        keys = [one.key for one in self.lake.objects(self.spec.id.silver) if one.key.endswith("/current.parquet")]
        return _declared([row for key in keys for row in rows_of(self.lake, key)])

    def partitions(self) -> dict[str, int]:
        """Rows of each partition, of those that have any."""
        manifest = read_manifest(self.lake, self.spec.id)
        return {key: part.rows for key, part in manifest.partitions.items() if part.rows} if manifest else {}

    def held(self) -> list[tuple[str, int]]:
        """File and row of what is in quarantine."""
        return sorted(
            (row["_source_file"].rsplit("/", 1)[-1], row["_row_number"])
            for row in rows_of(self.lake, self.spec.id.quarantine)
        )

    def strangers(self) -> list[str]:
        """Objects under silver that no version of the table needs."""
        manifest = read_manifest(self.lake, self.spec.id)
        if manifest is None:
            return []
        nonces = {nonce[:8] for _, nonce in manifest.lineage}
        own = (self.spec.id.manifest, *(self.spec.id.partition_current(key) for key in manifest.partitions))
        return [
            one.key
            for one in self.lake.objects(self.spec.id.silver)
            if one.key not in own and one.key.rsplit("_", 1)[-1].split(".")[0] not in nonces
        ]


def _declared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without where a row came from: of two equal rows a replay keeps the later one, a merge the earlier."""
    names = (*DECLARED, "t_key")
    return sorted(({name: row[name] for name in names} for row in rows), key=str)


def rows(*said: str) -> list[Row]:
    """`id day n` each."""
    return [dict(zip(("id", "day", "n"), one.split(), strict=False)) for one in said]


def manifest_of(table: Driven) -> Manifest:
    found = read_manifest(table.lake, table.spec.id)
    assert found is not None
    return found
