"""What is said of a silver run: the metadata of its materialization, and its part of the run's report on the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_resources.io_managers import object_metadata
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from flowforge_assets.running.step import Stopwatch
    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.silver.stage import Staged
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published

# Files of a run whose accounts its report holds.
FILES_KEPT = 1000


def metadata(lake: Lake, spec: TableSpec, batch: Batch, staged: Staged, watch: Stopwatch) -> dict[str, Any]:
    """The account first, then what the table looks like, then where things are and how long they took."""
    changed = staged.output.path is not None
    kept = _as_published(lake, spec, batch.published) if batch.published and not changed else {}
    held = {"quarantine": lake.uri(spec.id.quarantine)} if staged.books.quarantined else {}
    return {
        **staged.books.as_dict(),
        "preview": dg.MetadataValue.md(staged.preview),
        **held,
        "bronze_files": dg.MetadataValue.md("\n".join(f"- `{file.key}`" for file in batch.files)),
        **kept,
        "changed": changed,
        **({"made_anew": f"all of bronze, because {batch.anew}"} if batch.replay else {}),
        **watch.metadata(),
    }


def unchanged(lake: Lake, spec: TableSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    """Of a run that found nothing new."""
    return {"read": 0, **_as_published(lake, spec, published), "changed": False, **watch.metadata()}


def _as_published(lake: Lake, spec: TableSpec, published: Published) -> dict[str, Any]:
    """What the IO manager says of a new version, for a run that leaves the old one."""
    uri = lake.uri(spec.id.silver if spec.partition_by else spec.id.current)
    notes = column_notes.of_silver(spec)
    return object_metadata(uri, published.object.size_bytes, published.rows, published.columns, notes)


def report_of(lake: Lake, spec: TableSpec, staged: Staged | None, watch: Stopwatch, rows: int) -> AssetReport:
    """For `flowforge status`; nothing is staged where nothing was new."""
    return AssetReport(
        asset=spec.id.silver_key[-1],
        layer="silver",
        uri=lake.uri(spec.id.silver if spec.partition_by else spec.id.current),
        published=staged is not None and staged.output.path is not None and not staged.blocked,
        blocked=staged.blocked if staged else False,
        rows=rows,
        seconds=round(watch.seconds, 3),
        books=staged.books.as_dict() if staged else {},
        checks=tuple(outcome.report() for outcome in staged.outcomes) if staged else (),
        released_from=staged.released_from if staged and not staged.blocked else {},
        accounts=tuple(staged.files[:FILES_KEPT]) if staged else (),
    )
