"""How each layer is stored. An asset hands over what it staged on local disk; the IO manager publishes it atomically.

Bronze: a new file and a ledger entry. Gold: swapped in. Silver has a module of its own (`silver_io_manager`).
IO managers know no schema and no rule. FlowForge's own assets read each other through `StoredTable`; a Python asset
of a user's gets the same table by annotating its input with `pl.LazyFrame`, `pl.DataFrame` or `StoredTable`.

Dagster wants the type itself, not its name, on a resource's fields: no postponed annotations in this module.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import dagster as dg

from flowforge_resources.errors import ConcurrentPublishError, LakeAccessError, MissingTableError
from flowforge_resources.frames import scan, scan_all
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.ledger import LedgerEntry, LeftFile, TakenFile, commit, read_ledger
from flowforge_resources.partitioned import objects_of, read_manifest, stage_in_partitions
from flowforge_resources.published import Published, read_footer, read_published
from flowforge_resources.retries import clear_failure
from flowforge_resources.scratch import Scratch

if TYPE_CHECKING:
    import polars as pl

FIRST_VERSION_CLASHES = 100


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake every asset reads and writes."""

    url: str = ""

    def open(self) -> Lake:
        """The lake of this resource, or of `FLOWFORGE_LAKE_URL` where it names none."""
        return Lake(self.url or None)


@dataclass(frozen=True)
class StagedBronze:
    """A batch of landing files turned into one local Parquet file, and what was looked at and left.

    `path` is None where there was no row. `fenced`: names that must not be used, because someone may still remove them.
    """

    table: TableId
    run_id: str
    ingested_at: datetime
    after_version: int
    path: Path | None
    rows: int
    files: tuple[TakenFile, ...]
    left: tuple[LeftFile, ...] = ()
    fenced: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    brought: tuple[str, ...] = ()
    ascii_blanks: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)

    def entry(self, bronze_file: str | None) -> LedgerEntry:
        """The ledger entry that makes the batch true, its Parquet file stored under a key."""
        return LedgerEntry(
            version=self.after_version + 1,
            committed_at=self.ingested_at.isoformat(),
            run_id=self.run_id,
            bronze_file=bronze_file,
            rows=self.rows,
            files=self.files,
            left=self.left,
            columns=self.columns if bronze_file else (),
            supersedes=self.supersedes,
            types=self.types if bronze_file else {},
            brought=self.brought if bronze_file else (),
            ascii_blanks=self.ascii_blanks and bronze_file is not None,
        )


@dataclass(frozen=True)
class StagedGold:
    """The next version of a gold table; `path` is None where it would be the same."""

    model: ModelId
    replaces: Published | None
    path: Path | None
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredTable:
    """A published silver or gold table, opened by key."""

    lake: Lake
    key: str
    name: str
    asset: str

    def published(self) -> Published | None:
        """Its version, from the footer."""
        return read_published(self.lake, self.key)

    def require(self) -> Published:
        """Its version, or `MissingTableError`."""
        found = self.published()
        if found is None:
            raise MissingTableError(self.name, self.asset)
        return found

    def stage_in(self, scratch: Scratch) -> Path:
        """A local Parquet file that stays as it is while others publish."""
        return self.lake.stage_in(self.key, scratch)

    def stage_in_version(self, scratch: Scratch) -> tuple[Path, str | None]:
        """As `stage_in`, with the nonce of the very version that was fetched."""
        path = self.stage_in(scratch)
        return path, read_footer(path)[0].get("nonce")

    def scan(self) -> "pl.LazyFrame":
        """A lazy frame over the store itself: only the columns and row groups that are used are read."""
        self.require()
        return scan(self.lake, self.key)


@dataclass(frozen=True)
class SilverTable(StoredTable):
    """The published silver of a table, in one piece or in partitions."""

    table: TableId

    def published(self) -> Published | None:
        """Its version, from the footer or, of a table in partitions, from their manifest."""
        return published_silver(self.lake, self.table)

    def stage_in(self, scratch: Scratch) -> Path:
        """A local Parquet file, or a pattern that stands for the files of all partitions."""
        return self.stage_in_version(scratch)[0]

    def stage_in_version(self, scratch: Scratch) -> tuple[Path, str | None]:
        """As `stage_in`, with the nonce of the very version that was fetched."""
        try:
            path = super().stage_in(scratch)
        except LakeAccessError:
            manifest = read_manifest(self.lake, self.table)
            if manifest is None:
                raise
            return stage_in_partitions(self.lake, objects_of(manifest), scratch), manifest.nonce
        return path, read_footer(path)[0].get("nonce")

    def scan(self) -> "pl.LazyFrame":
        """A lazy frame over the store itself: only the columns and row groups that are used are read."""
        if self.require().object.key == self.key:
            return scan(self.lake, self.key)
        manifest = read_manifest(self.lake, self.table)
        if manifest is None:
            raise MissingTableError(self.name, self.asset)
        return scan_all(self.lake, list(objects_of(manifest).values()))


def silver_table(lake: Lake, table: TableId) -> StoredTable:
    """The published silver of a table."""
    return SilverTable(lake, table.current, str(table), "/".join(table.silver_key), table)


def published_silver(lake: Lake, table: TableId) -> Published | None:
    """A silver table's version, whether it is in one piece or in partitions."""
    if (single := read_published(lake, table.current)) is not None:
        return single
    manifest = read_manifest(lake, table)
    return manifest.published() if manifest else None


def gold_table(lake: Lake, model: ModelId) -> StoredTable:
    """A published gold table."""
    return StoredTable(lake, model.object, str(model), "/".join(model.key))


class LayerIOManager(dg.ConfigurableIOManager):
    """What the layers have in common: the lake, and how a downstream asset's input is opened."""

    lake: dg.ResourceDependency[LakeResource]

    @abstractmethod
    def stored(self, lake: Lake, key: dg.AssetKey) -> StoredTable:
        """The table an asset key stands for."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Publish what an asset staged; a transient failure repeats the step, a permanent one ends it."""
        attempt = context.step_context.previous_attempt_count
        with clear_failure(attempt):
            self.publish(context, obj)

    @abstractmethod
    def publish(self, context: dg.OutputContext, obj: Any) -> None:
        """Make what was staged true, atomically."""

    def load_input(self, context: dg.InputContext) -> Any:
        """Open the upstream table in the form the input is annotated with; `StoredTable` by default."""
        import polars as pl

        table = self.stored(self.lake.open(), context.asset_key)
        wanted = context.dagster_type.typing_type
        if wanted is pl.LazyFrame:
            return table.scan()
        if wanted is pl.DataFrame:
            return table.scan().collect()
        return table

    def _describe(self, context: dg.OutputContext, lake: Lake, key: str, path: Path, notes: Mapping[str, str]) -> None:
        """Add what every materialization of a new object carries."""
        _, rows, columns = read_footer(path)
        context.add_output_metadata(object_metadata(lake.uri(key), path.stat().st_size, rows, columns, notes))


def object_metadata(
    uri: str, size_bytes: int, rows: int, columns: tuple[tuple[str, str], ...], notes: Mapping[str, str]
) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata of a stored table, in Dagster's own keys where it has them; `notes` say what columns are."""
    schema = dg.TableSchema([dg.TableColumn(name, kind, notes.get(name)) for name, kind in columns])
    return {
        "dagster/uri": dg.MetadataValue.text(uri),
        "dagster/row_count": dg.MetadataValue.int(rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
        "size_bytes": dg.MetadataValue.int(size_bytes),
    }


class BronzeIOManager(LayerIOManager):
    """Bronze: one Parquet file an ingesting run, true once the ledger says so."""

    prefix: ClassVar[str] = "bronze_"

    def stored(self, lake: Lake, key: dg.AssetKey) -> StoredTable:
        """Bronze is many files; the newest one stands for the table."""
        table = table_of(key, self.prefix)
        parts = read_ledger(lake, table).data_after(0)
        if not parts:
            raise MissingTableError(f"bronze of {table}", "/".join(key.path))
        return StoredTable(lake, parts[-1].bronze_file, f"bronze of {table}", "/".join(key.path))

    def publish(self, context: dg.OutputContext, obj: StagedBronze) -> None:
        """Put the file, then commit the ledger entry that makes it and its landing objects taken.

        Raises:
            ConcurrentPublishError: another run committed first; nothing of this run is true.
        """
        lake = self.lake.open()
        if not obj.files and not obj.left:
            return
        bronze_file = None
        if obj.path is not None:
            bronze_file = _put_new(lake, obj, obj.path, context)
        if not commit(lake, obj.table, obj.entry(bronze_file)):
            if bronze_file is not None:
                lake.delete(bronze_file)
            raise ConcurrentPublishError(f"bronze of {obj.table}")


def _put_new(lake: Lake, staged: StagedBronze, path: Path, context: dg.OutputContext) -> str:
    """Put the file under its run's name, with a suffix where another run of the same second has it."""
    _, rows, columns = read_footer(path)
    size = path.stat().st_size
    for clash in range(FIRST_VERSION_CLASHES):
        key = staged.table.bronze_file(staged.ingested_at, clash)
        if key not in staged.fenced and lake.put_new(path, key):
            described = object_metadata(lake.uri(key), size, rows, columns, staged.notes)
            described.pop("dagster/row_count")  # of one file; the asset says how many rows the table has
            context.add_output_metadata(described)
            return key
    raise ConcurrentPublishError(f"bronze of {staged.table}")


class GoldIOManager(LayerIOManager):
    """Gold: one Parquet object a model, replaced as a whole."""

    def stored(self, lake: Lake, key: dg.AssetKey) -> StoredTable:
        """The published table."""
        return gold_table(lake, ModelId(*key.path))

    def publish(self, context: dg.OutputContext, obj: StagedGold) -> None:
        """Swap the table in.

        Raises:
            ConcurrentPublishError: another run published this table since it was read.
        """
        if obj.path is None:
            return
        lake = self.lake.open()
        self._describe(context, lake, obj.model.object, obj.path, obj.notes)
        expected = obj.replaces.object if obj.replaces else None
        if lake.swap(obj.path, obj.model.object, expected=expected) is None:
            raise ConcurrentPublishError(str(obj.model))


def table_of(key: dg.AssetKey, prefix: str) -> TableId:
    """The table an asset key such as `retail/silver_customers` belongs to."""
    workflow, name = cast("tuple[str, str]", tuple(key.path))
    return TableId(workflow, name.removeprefix(prefix))
