"""Where everything lies on the lake. Every key and prefix is spelled here and nowhere else.

Readable by any engine: plain Parquet under plain names. What only FlowForge reads starts with an underscore.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

RUN_REPORTS = "_flowforge/runs"
LINEAGE = "_flowforge/lineage"
LANDING = "landing/"


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
    def archive(self) -> str:
        """Prefix of the earlier versions."""
        return f"{self.silver}archive/"

    def snapshot(self, published_at: datetime) -> str:
        """Key of an earlier version, named by the moment that version was published."""
        return f"{self.archive}snapshot_{published_at:%Y%m%d_%H%M%S_%f}.parquet"

    @property
    def states(self) -> str:
        """Prefix of what strategies remember beside a version; a version's footer names its own."""
        return f"{self.silver}_state/"

    @property
    def pool(self) -> str:
        """The Dagster pool of everything that writes the table."""
        return f"flowforge/{self.workflow}/{self.name}"

    @property
    def quarantine(self) -> str:
        """Key of the rows that wait for a decision."""
        return f"quarantine/{self.workflow}/{self.name}/current.parquet"


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
        """Key of the published table."""
        return f"gold/{self.workflow}/{self.name}.parquet"


def landing_prefix(workflow: str) -> str:
    """Prefix of all raw uploads of a workflow."""
    return f"{LANDING}{workflow}/"


def run_reports(workflow: str) -> str:
    """Prefix of the reports of all runs of a workflow."""
    return f"{RUN_REPORTS}/{workflow}/"


def run_report(workflow: str, started_at: datetime, run_id: str, asset: str) -> str:
    """Key of what one asset reports of one run."""
    return f"{run_reports(workflow)}{started_at:%Y%m%d_%H%M%S_%f}_{run_id}/{asset}.json"


def lineage_page(workflow: str) -> str:
    """Key of the page that shows where the columns of a workflow's tables come from."""
    return f"{LINEAGE}/{workflow}.html"
