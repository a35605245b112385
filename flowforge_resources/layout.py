"""Where everything lies on the lake. Every key and prefix is spelled here and nowhere else.

Readable by any engine: plain Parquet under plain names. What only FlowForge reads starts with an underscore.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

RUN_REPORTS = "_flowforge/runs"
LINEAGE = "_flowforge/lineage"
GATES = "_flowforge/gates"
LANDING = "landing/"
# Partitions of rows without a value, of values nobody declared, and of a table without a row.
NULL_PARTITION, OTHER_PARTITION, EMPTY_PARTITION = "__null__", "__other__", "__empty__"
_OWN_PARTITIONS = (NULL_PARTITION, OTHER_PARTITION, EMPTY_PARTITION)
_LONGEST_FOLDER = 200
_ASCII = 128


def utc_now() -> datetime:
    """The moment, in UTC, to the microsecond."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class TableId:
    """A table of a workflow; the unit that has a landing folder, a bronze and a silver asset."""

    workflow: str
    name: str

    def __str__(self) -> str:
        return f"{self.workflow}.{self.name}"

    @property
    def bronze_key(self) -> tuple[str, str]:
        """Asset key of the bronze table."""
        return self.workflow, f"bronze_{self.name}"

    @property
    def silver_key(self) -> tuple[str, str]:
        """Asset key of the silver table."""
        return self.workflow, f"silver_{self.name}"

    @property
    def landing(self) -> str:
        """Prefix of the raw uploads."""
        return f"{landing_prefix(self.workflow)}{self.name}/"

    @property
    def landing_archive(self) -> str:
        """Prefix of the raw uploads that `clean_source: move` put away."""
        return f"landing_archive/{self.workflow}/{self.name}/"

    @property
    def bronze(self) -> str:
        """Prefix of the bronze files."""
        return f"bronze/{self.workflow}/{self.name}/"

    @property
    def ledger(self) -> str:
        """Prefix of the numbered ledger entries: what was ingested, recorded beside the data."""
        return f"{self.bronze}_ledger/"

    def ledger_entry(self, version: int) -> str:
        """Key of one ledger entry; names sort in order of version."""
        return f"{self.ledger}{version:012d}.json"

    @property
    def ledger_checkpoints(self) -> str:
        """Prefix of the ledger's checkpoints."""
        return f"{self.ledger}checkpoints/"

    def ledger_checkpoint(self, version: int) -> str:
        """Key of all entries up to a version in one Parquet file; names sort in order of version."""
        return f"{self.ledger_checkpoints}{version:012d}.parquet"

    def bronze_file(self, at: datetime, clash: int = 0) -> str:
        """Key of one run's bronze file; the n-th clash within a second takes the suffix `_n`."""
        suffix = f"_{clash + 1}" if clash else ""
        return f"{self.bronze}run_{at:%Y%m%d_%H%M%S}_{self.name}{suffix}.parquet"

    def compacted_file(self, at: datetime, clash: int = 0) -> str:
        """Key of a bronze file that holds the rows of several runs' files."""
        suffix = f"_{clash + 1}" if clash else ""
        return f"{self.bronze}compacted_{at:%Y%m%d_%H%M%S}_{self.name}{suffix}.parquet"

    @property
    def silver(self) -> str:
        """Prefix of the silver table."""
        return f"silver/{self.workflow}/{self.name}/"

    @property
    def current(self) -> str:
        """Key of the published silver table."""
        return f"{self.silver}current.parquet"

    @property
    def covered(self) -> str:
        """Key of the note that a published version also covers later bronze which changed no row."""
        return f"{self.silver}_covered.json"

    @property
    def states(self) -> str:
        """Prefix of what is remembered beside the table: deletes, and events its rows do not tell."""
        return f"{self.silver}_state/"

    def state(self, published_at: datetime, nonce: str) -> str:
        """Key of what is remembered beside one published version, named by the moment that version was published."""
        return f"{self.states}{published_at:%Y%m%d_%H%M%S_%f}_{nonce}.parquet"

    def snapshot_beside(self, state: str) -> str:
        """Key of the earlier version that a state belongs to."""
        moment, _, _ = state.removeprefix(self.states).rpartition("_")
        return f"{self.archive}snapshot_{moment}.parquet"

    @property
    def archive(self) -> str:
        """Prefix of the earlier versions."""
        return f"{self.silver}archive/"

    def snapshot(self, published_at: datetime) -> str:
        """Key of an earlier version, named by the moment that version was published."""
        return f"{self.archive}snapshot_{published_at:%Y%m%d_%H%M%S_%f}.parquet"

    @property
    def manifest(self) -> str:
        """Key of the list of a partitioned table's partitions: which object each is at present."""
        return f"{self.silver}_partitions.json"

    @property
    def manifests(self) -> str:
        """Prefix of the lists of partitions of every version, the published one among them."""
        return f"{self.silver}_manifests/"

    def snapshot_manifest(self, published_at: datetime, nonce: str) -> str:
        """Key of one version's list of partitions, kept."""
        return f"{self.manifests}{_snapshot(published_at, nonce)}.json"

    def partition_current(self, partition: str) -> str:
        """Key of a partition for readers who know nothing of FlowForge."""
        return f"{self.silver}{partition_folder(partition)}/current.parquet"

    def partition_snapshot(self, partition: str, published_at: datetime, nonce: str) -> str:
        """Key of one version of a partition: written once, never changed."""
        return f"{self.silver}{partition_folder(partition)}/archive/{_snapshot(published_at, nonce)}.parquet"

    @property
    def unfinished(self) -> str:
        """Prefix of the notes on publishes that have begun and not ended."""
        return f"{self.silver}_publishing/"

    @property
    def pool(self) -> str:
        """The Dagster pool of everything that writes the table."""
        return f"flowforge/{self.workflow}/{self.name}"

    @property
    def quarantine(self) -> str:
        """Key of the rows that wait for a decision."""
        return f"quarantine/{self.workflow}/{self.name}/current.parquet"

    @property
    def decisions(self) -> str:
        """Prefix of what was decided about quarantined rows."""
        return f"quarantine/{self.workflow}/{self.name}/_decisions/"

    def decision(self, version: int) -> str:
        """Key of one decision; names sort in order of version."""
        return f"{self.decisions}{version:012d}.json"


@dataclass(frozen=True)
class ModelId:
    """A gold table."""

    workflow: str
    name: str

    def __str__(self) -> str:
        return f"{self.workflow}.{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Asset key."""
        return self.workflow, self.name

    @property
    def pool(self) -> str:
        """The Dagster pool of everything that writes the table."""
        return f"flowforge/{self.workflow}/{self.name}"

    @property
    def object(self) -> str:
        """Key of the newest table."""
        return f"{gold_prefix(self.workflow)}{self.name}.parquet"

    def version(self, nonce: str, *, kept_by: str | None = None) -> str:
        """Key of one version that a published set names; a set of another workflow keeps its own."""
        folder = self.name if kept_by in (None, self.workflow) else str(self)
        return f"{gold_versions(kept_by or self.workflow)}{folder}/{nonce}.parquet"


def _snapshot(published_at: datetime, nonce: str) -> str:
    return f"snapshot_{published_at:%Y%m%d_%H%M%S_%f}_{nonce[:8]}"


def partition_folder(partition: str) -> str:
    """A partition's key as the name of a folder, different for different keys.

    What is not plain in every store and shell becomes `~` and its bytes in hex; so does the first byte of a name that
    is taken. A name too long for a disk ends in its hash.
    """
    plain = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < _ASCII) or chr(byte) in "-_." else f"~{byte:02X}"
        for byte in partition.encode()
    )
    if plain in ("", "archive") or (plain[0] in "_." and partition not in _OWN_PARTITIONS):
        plain = f"~{partition.encode()[:1].hex().upper()}{plain[1:]}"
    if len(plain) <= _LONGEST_FOLDER:
        return plain
    return f"{plain[:100]}~{sha256(partition.encode()).hexdigest()}"


def landing_prefix(workflow: str) -> str:
    """Prefix of all raw uploads of a workflow."""
    return f"{LANDING}{workflow}/"


def gold_prefix(workflow: str) -> str:
    """Prefix of all gold of a workflow."""
    return f"gold/{workflow}/"


def gold_versions(workflow: str) -> str:
    """Prefix of the versions of gold that published sets name."""
    return f"{gold_prefix(workflow)}_versions/"


def published_set(workflow: str) -> str:
    """Key of the pointer to the gold tables that belong together."""
    return f"{gold_prefix(workflow)}_published.json"


def warehouse_file(workflow: str) -> str:
    """Key of the DuckDB database of a workflow's tables."""
    return f"{gold_prefix(workflow)}warehouse.duckdb"


def warehouse_note(workflow: str) -> str:
    """Key of what the warehouse was built from."""
    return f"{gold_prefix(workflow)}_warehouse.json"


def run_reports(workflow: str) -> str:
    """Prefix of the reports of all runs of a workflow."""
    return f"{RUN_REPORTS}/{workflow}/"


def run_report(workflow: str, started_at: datetime, run_id: str, asset: str) -> str:
    """Key of what one asset reports of one run."""
    return f"{run_reports(workflow)}{started_at:%Y%m%d_%H%M%S_%f}_{run_id}/{asset}.json"


def reconciliation_results(workflow: str, name: str = "") -> str:
    """Prefix of what a workflow's reconciliations found, or one of them."""
    return f"reconciliation/{workflow}/{name}/" if name else f"reconciliation/{workflow}/"


def reconciliation_result(workflow: str, name: str, at: datetime, nonce: str) -> str:
    """Key of what one evaluation found; names sort in order of time."""
    return f"{reconciliation_results(workflow, name)}{at:%Y%m%d_%H%M%S_%f}_{nonce[:8]}.parquet"


def profiles(workflow: str, name: str) -> str:
    """Prefix of the profiles of one of a workflow's tables."""
    return f"profiles/{workflow}/{name}/"


def profile(workflow: str, name: str, at: datetime, nonce: str) -> str:
    """Key of one profile; names sort in order of time."""
    return f"{profiles(workflow, name)}{at:%Y%m%d_%H%M%S_%f}_{nonce[:8]}.json"


def lineage_page(workflow: str) -> str:
    """Key of the page that shows where the columns of a workflow's tables come from."""
    return f"{LINEAGE}/{workflow}.html"


def gates_file(workflow: str) -> str:
    """Key of which failed checks of a workflow's tables hold what is made from them, and what is held."""
    return f"{GATES}/{workflow}.json"


def gate_events(workflow: str) -> str:
    """Prefix of what ever happened at the gates of a workflow."""
    return f"{GATES}/{workflow}/"


def gate_event(workflow: str, at: datetime, nonce: str) -> str:
    """Key of one thing that happened; names sort in order of time."""
    return f"{gate_events(workflow)}{at:%Y%m%d_%H%M%S_%f}_{nonce[:8]}.json"
