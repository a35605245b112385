"""What the footer of a silver version says, and what a replay takes over from the version it replaces.

Both readers are elsewhere: `next_batch` continues from these facts, `flowforge_resources.history` shows them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_checks.books import ACCOUNT
from flowforge_checks.quarantine import landed_at
from flowforge_checks.trend import TREND
from flowforge_resources.history import ADDED, LOADED, MADE_ANEW, RELEASED
from flowforge_resources.layout import utc_now
from flowforge_resources.left_out import LEFT_OUT, left_out_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.trend import Trend
    from flowforge_resources.bronze_parts import BronzePart
    from flowforge_resources.published import Published
    from flowforge_resources.scratch import Scratch

# Of a table that another one routes rows to: the table whose bronze the versions count.
BRONZE_TABLE = "bronze_table"
# Up to which decision about quarantined rows a version (or a quarantine file) holds what was decided.
DECISIONS = "decisions"


def version_facts(spec: TableSpec, batch: Batch, books: Books, run_id: str, trend: Trend) -> dict[str, Any]:
    """The footer of the version a batch makes."""
    before = batch.published
    return {
        **next_version(before, batch.covered),
        "table": str(spec.id),
        "run_id": run_id,
        "bronze_version": batch.upto_version,
        "bronze": _bronze_of(batch),
        "definition": spec.fingerprint,
        **({BRONZE_TABLE: spec.root.id.name} if spec.routed else {}),
        **({DECISIONS: batch.decisions[-1].version} if batch.decisions else {}),
        "books": {name: count for name, count in books.as_dict().items() if count and name in ACCOUNT},
        **({TREND: trend} if trend else {}),
        **_cause(batch),
        **({LEFT_OUT: left_out_of(before.facts)} if before and left_out_of(before.facts) else {}),
    }


def _cause(batch: Batch) -> dict[str, str]:
    if batch.anew:
        return {"cause": MADE_ANEW, "because": batch.anew}
    if batch.read_back:
        return {"cause": RELEASED}
    return {"cause": ADDED if batch.published else LOADED}


def _bronze_of(batch: Batch) -> tuple[int, int]:
    """The ledger versions a batch is made of, the first and the last; of released rows alone, the last it holds."""
    first = min((entry.version for entry in batch.new), default=batch.upto_version)
    return first, max((entry.version for entry in batch.new), default=batch.upto_version)


def next_version(before: Published | None, covered: int) -> dict[str, Any]:
    """What tells a version from all others, and what it replaces; `covered`: the bronze that one held in the end."""
    number = int(before.facts.get("version", 0)) if before else 0
    replaced = {"replaces": {"nonce": before.nonce, "bronze_version": covered}} if before else {}
    return {"version": number + 1, "nonce": uuid4().hex, "published_at": utc_now().isoformat(), **replaced}


def rows_left_out(
    connection: duckdb.DuckDBPyConnection, held: Path, left_out: Sequence[BronzePart], scratch: Scratch
) -> Path:
    """The quarantined rows of bronze that a replay leaves out: they wait on, since the replay does not judge them."""
    moments = [_without_zone(entry.committed_at) for entry in left_out]
    return landed_at(connection, held, moments, scratch.path(".parquet"))


def _without_zone(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
