"""How silver is stored: the old version kept, quarantine and table swapped in, and what no version needs let go.

In one piece: `current.parquet`, its earlier versions in `archive/`. In partitions: see `partitioned`.

Dagster wants the type itself, not its name, on a resource's fields: no postponed annotations in this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import dagster as dg

from flowforge_resources.errors import ConcurrentPublishError, FlowForgeError
from flowforge_resources.history import moment_of
from flowforge_resources.io_managers import LayerIOManager, StoredTable, object_metadata, silver_table, table_of
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.partition_history import kept_manifests, let_go_of_versions
from flowforge_resources.partitioned import (
    StagedPartitions,
    cover,
    publish_partitions,
    put_away_partitions,
    put_away_single,
)
from flowforge_resources.published import Published
from flowforge_resources.retention import Retention, expired
from flowforge_resources.side_by_side import side_by_side


@dataclass(frozen=True)
class StagedState:
    """What is remembered beside the next version of a silver table, and the key under which that version names it."""

    key: str
    path: Path


@dataclass(frozen=True)
class StagedSilver:
    """The next version of a silver table and its quarantine; a path of None means that part does not change."""

    table: TableId
    replaces: Published | None
    path: Path | None
    quarantine_replaces: Published | None
    quarantine_path: Path | None
    covers_bronze_version: int
    notes: Mapping[str, str] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)
    state: StagedState | None = None
    partitions: StagedPartitions | None = None


class SilverIOManager(LayerIOManager):
    """Silver: `current.parquet`, its earlier versions in `archive/`, its quarantine beside it."""

    prefix: ClassVar[str] = "silver_"

    def stored(self, lake: Lake, key: dg.AssetKey) -> StoredTable:
        """The published version."""
        return silver_table(lake, table_of(key, self.prefix))

    def publish(self, context: dg.OutputContext, obj: StagedSilver) -> None:
        """Keep the old version, swap in quarantine, then the table: the one moment at which the batch becomes true.

        Raises:
            ConcurrentPublishError: another run published this table since it was read.
        """
        lake = self.lake.open()
        if obj.quarantine_path is not None:
            self._swap(lake, obj.table, obj.quarantine_path, obj.table.quarantine, obj.quarantine_replaces)
        if obj.partitions is not None:
            self._publish_partitions(context, lake, obj, obj.partitions)
            return
        if obj.path is None:
            self._cover(lake, obj)
            return
        self._describe(context, lake, obj.table.current, obj.path, obj.notes)
        unnamed = _unnamed_states(lake, obj)
        if obj.state is not None:
            lake.publish_new(obj.state.path, obj.state.key)
        if obj.replaces is not None:
            # Never over a snapshot that is there: by now another run may have published what would be copied.
            lake.copy_new(obj.table.current, obj.table.snapshot(moment_of(obj.replaces)))
        self._swap(lake, obj.table, obj.path, obj.table.current, obj.replaces)
        if obj.replaces is None:
            put_away_partitions(lake, obj.table)
        if obj.replaces is not None or unnamed:
            _let_go(context, lake, obj, unnamed)

    def _publish_partitions(
        self, context: dg.OutputContext, lake: Lake, obj: StagedSilver, staged: StagedPartitions
    ) -> None:
        """Swap the manifest in: the one moment at which the batch becomes true, for all partitions at once."""
        before = staged.replaces
        if staged.files or before is None or obj.state is not None or staged.decided:
            unnamed = _unnamed_states(lake, obj)
            if obj.state is not None:
                lake.publish_new(obj.state.path, obj.state.key)
            described = object_metadata(
                lake.uri(obj.table.silver), staged.size_bytes, staged.rows, staged.columns, obj.notes
            )
            context.add_output_metadata(described)
            publish_partitions(lake, obj.table, staged)
            put_away_single(lake, obj.table)
            let_go_of_versions(lake, obj.table, obj.retention)
            side_by_side(lake.delete, unnamed)
        elif obj.covers_bronze_version > before.bronze_version and not staged.chosen:
            cover(lake, obj.table, before, obj.covers_bronze_version)

    def _swap(self, lake: Lake, table: TableId, path: Path, key: str, replaces: Published | None) -> None:
        if lake.swap(path, key, expected=replaces.object if replaces else None) is None:
            raise ConcurrentPublishError(f"silver of {table}")

    def _cover(self, lake: Lake, staged: StagedSilver) -> None:
        """Note that the published version also holds bronze which changed no row, instead of writing it again."""
        covers, published = staged.covers_bronze_version, staged.replaces
        if published is not None and covers > covered_bronze_version(lake, staged.table, published):
            write_cover(lake, staged.table, published, covers)


def _let_go(context: dg.OutputContext, lake: Lake, staged: StagedSilver, unnamed: list[str]) -> None:
    """Remove what no version needs, and the snapshots whose time is over.

    The table is published, so that whatever stays is only told of.
    """
    try:
        for key in (*unnamed, *(found.key for found in expired(lake, staged.table, staged.retention, utc_now()))):
            lake.delete(key)
    except FlowForgeError as error:
        context.log.warning("%s is published; its old snapshots stay until the next run: %s", staged.table, error)


def _unnamed_states(lake: Lake, staged: StagedSilver) -> list[str]:
    """Memories of versions that never came to be: of runs that ended before they published.

    A memory lies there as long as its version does, in place or archived; both bear the moment of publishing in their
    names. Listed before this run publishes its own: whoever begins after that reads the version this run publishes.
    """
    if staged.state is None:
        return []
    table, named = staged.table, staged.replaces.facts.get("state") if staged.replaces else None
    archived = {found.key for found in lake.objects(table.archive)}
    kept = {one.facts.get("state") for one in kept_manifests(lake, table)} if staged.partitions else set()
    return [
        found.key
        for found in lake.objects(table.states)
        if found.key != named and found.key not in kept and table.snapshot_beside(found.key) not in archived
    ]


def write_cover(lake: Lake, table: TableId, published: Published, bronze_version: int) -> None:
    """Say that a published version covers bronze up to a ledger version. Counts for that version only."""
    lake.write(table.covered, f"{published.nonce} {bronze_version}".encode())


def covered_bronze_version(lake: Lake, table: TableId, published: Published) -> int:
    """Up to which ledger version bronze is merged into a published version."""
    merged = int(published.facts["bronze_version"])
    nonce, _, noted = (lake.read(table.covered) or b"").decode().partition(" ")
    return max(merged, int(noted)) if nonce == published.nonce else merged
