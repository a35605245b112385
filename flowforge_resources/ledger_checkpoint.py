"""The ledger's memory of its past: all entries up to a version in one Parquet object, and records as frames.

A checkpoint saves reading, and nothing else depends on it: entries are never removed, so one that is torn, lost or not
yet written is replaced by an older one, or by the entries themselves. It is created exclusively under its version, and
two runs that write the same version write the same rows.

A record is what one entry says of one landing object. Records are sorted by key, so that a question about a few keys
reads a few row groups. The entries themselves are the records of the empty key, which sorts first and which no object
has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowforge_resources.frames import scan
from flowforge_resources.scratch import disk_is_full

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId
    from flowforge_resources.ledger import LedgerEntry

ENTRY_KEY = ""
TAKEN = "taken"
# A checkpoint or entry written before 2026-12 has the second name, and bare SHA-256 under it.
HASH, OLD_HASH = "content_hash", "sha256"
REPLACES, ASCII_BLANKS = "replaces", "ascii_blanks"
# A checkpoint written before 2026-12 lacks them: there was no compaction, and nobody looked at types or blanks.
_LATER = (REPLACES, "types", "brought", ASCII_BLANKS)
# Readers that hold an older one may still be at work while the newest is written.
KEPT = 3
ROWS_IN_A_GROUP = 32_768


def records_schema() -> dict[str, Any]:
    """Columns of a checkpoint: what a record says, then what an entry says besides."""
    import polars as pl

    text = ("etag", "last_modified", HASH, "committed_at", "reason", "read_as", "run_id", "bronze_file")
    kinds: dict[str, Any] = {"key": pl.String, "version": pl.Int64, "outcome": pl.String}
    kinds |= dict.fromkeys(text, pl.String)
    kinds |= dict.fromkeys(("size_bytes", "rows", "attempts"), pl.Int64)
    kinds |= dict.fromkeys(("fenced", "columns", "supersedes"), pl.List(pl.String))
    return {
        **kinds,
        REPLACES: pl.List(pl.Struct({"version": pl.Int64, "rows": pl.Int64})),
        "types": pl.List(pl.Struct({"column": pl.String, "type": pl.String})),
        "brought": pl.List(pl.String),
        ASCII_BLANKS: pl.Boolean,
    }


def as_records(entries: Sequence[LedgerEntry]) -> pl.DataFrame:
    """Entries as records, sorted by key and version."""
    import polars as pl

    rows: list[dict[str, Any]] = []
    for entry in entries:
        said = {"version": entry.version, "committed_at": entry.committed_at}
        rows.append({"key": ENTRY_KEY, **said, **entry.own_facts()})
        rows += [{**said, "outcome": TAKEN, **vars(file)} for file in entry.files]
        rows += [{**said, **vars(file)} for file in entry.left]
    return pl.DataFrame(rows, schema=records_schema()).sort("key", "version")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint as it lies on the lake. Nothing of it is read before it is asked for."""

    lake: Lake
    key: str
    version: int

    @cached_property
    def records(self) -> pl.LazyFrame:
        """Every record, by key and version."""
        import polars as pl

        rows = scan(self.lake, self.key).rename({OLD_HASH: HASH}, strict=False)
        there, schema = rows.collect_schema(), records_schema()
        missing = [pl.lit(None, schema[name]).alias(name) for name in _LATER if name not in there]
        return rows.with_columns(missing).select(*schema, *(name for name in there if name not in schema))

    @property
    def is_whole(self) -> bool:
        """Whether its footer can be read and is one of ours."""
        import polars as pl

        try:
            return self.records.collect_schema() == pl.Schema(records_schema())
        except (pl.exceptions.PolarsError, OSError) as error:
            if disk_is_full(error):
                raise
            return False

    def about(self, keys: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of the records of some keys (a frame with a column `key`)."""
        import polars as pl

        if not keys.height:
            return pl.DataFrame(schema=records_schema()).select(columns)
        between = pl.col("key").is_between(pl.lit(keys["key"].min()), pl.lit(keys["key"].max()))
        # Streamed: what is held is the answer, not the checkpoint.
        wanted = self.records.select(columns).filter(between).join(keys.lazy(), on="key", how="semi")
        with self.lake.clear_errors(f"read {self.key}"):
            return wanted.collect(engine="streaming")

    def taken(self, which: pl.Expr, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of some records."""
        with self.lake.clear_errors(f"read {self.key}"):
            return self.records.filter(which).select(columns).collect(engine="streaming")

    @cached_property
    def entries(self) -> pl.DataFrame:
        """The entries, without their files, in order."""
        import polars as pl

        with self.lake.clear_errors(f"read {self.key}"):
            return self.records.filter(pl.col("key") == ENTRY_KEY).collect(engine="streaming").sort("version")


def newest_checkpoint(lake: Lake, table: TableId) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None."""
    return next((one for one in _stored(lake, table) if one.is_whole), None)


def _stored(lake: Lake, table: TableId) -> list[Checkpoint]:
    """What lies there, newest first; a name that is not a version's is someone else's."""
    names = sorted((found.key for found in lake.objects(table.ledger_checkpoints)), reverse=True)
    versions = [name.removeprefix(table.ledger_checkpoints).removesuffix(".parquet") for name in names]
    return [
        Checkpoint(lake, name, int(version))
        for name, version in zip(names, versions, strict=True)
        if version.isdecimal() and name == table.ledger_checkpoint(int(version))
    ]


def write_checkpoint(
    lake: Lake, table: TableId, before: Checkpoint | None, entries: Sequence[LedgerEntry]
) -> Checkpoint:
    """Add `entries`, which follow the checkpoint `before`, to it under their last version; old checkpoints go."""
    version = entries[-1].version
    with lake.scratch() as scratch:
        path = scratch.path(".parquet")
        with lake.clear_errors(f"merge the ledger's entries into {table.ledger_checkpoint(version)}"):
            _sink(before, as_records(entries), path)
        lake.publish_new(path, table.ledger_checkpoint(version))
    for old in _stored(lake, table)[KEPT:]:
        lake.delete(old.key)
    return Checkpoint(lake, table.ledger_checkpoint(version), version)


def _sink(before: Checkpoint | None, later: pl.DataFrame, path: Path) -> None:
    """Merge two sorted frames in one stream: a million records are never held at once."""
    merged = later.lazy() if before is None else before.records.merge_sorted(later.lazy(), key="key")
    merged.sink_parquet(path, compression="zstd", compression_level=1, row_group_size=ROWS_IN_A_GROUP, statistics=True)
