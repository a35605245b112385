"""The bronze asset of a table with a `source`: the rows of a database or an API, each taken once, as text in Parquet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.bronze.schema_changes import changes_of, stop_once
from flowforge_assets.bronze.staged import (
    LOSSLESS,
    ROWS_ONLY,
    SCHEMA,
    bronze_report,
    lossless,
    staged_batch,
    tidy_ledger,
)
from flowforge_assets.preview import preview_of_text
from flowforge_assets.running.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_checks.results import Outcome, blocks_publishing, still_true
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import TakenFile

if TYPE_CHECKING:
    from datetime import datetime

    from flowforge_assets.bronze.schema_changes import SchemaChanges
    from flowforge_assets.extraction.extract import Extraction
    from flowforge_assets.extraction.origin import Origin
    from flowforge_assets.gates.keeping import Gatekeeper
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.io_managers import StagedBronze
    from flowforge_resources.lake import Lake

SOURCE, RECONCILED = "source", "reconciled"


def build_source_bronze(spec: TableSpec, origin: Origin, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, bronze_<table>]` of a table that is extracted from a database or an API."""
    key = dg.AssetKey(spec.id.bronze_key)
    declared = {"dagster/column_schema": column_notes.declared_bronze(spec)}
    described = replace(
        face,
        metadata={**face.metadata, **declared},
        description=origin.described,
    )
    return layer_asset(
        key,
        described,
        lambda context, gate: _take_new_rows(context, spec, origin, key, gate),
        layer="bronze",
        engine=origin.engine,
        checks=source_checks(spec, key),
        pool=spec.id.pool,
    )


def source_checks(spec: TableSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """What is asked of every table that is extracted from a database or an API."""
    checks = [
        check_spec(LOSSLESS, key, "Every row that the source sent is in bronze, or is there already.", blocks=True),
        check_spec(SOURCE, key, "The source holds rows, and every row can be extracted."),
        check_spec(
            SCHEMA, key, "The source's columns are the ones the table has had, and the declared ones are there."
        ),
    ]
    if spec.source is not None and spec.source.reconcile:
        said = ", ".join(spec.source.reconcile)
        about = f"Source and bronze agree in the extraction's snapshot: {said}."
        checks.append(check_spec(RECONCILED, key, about, blocks=True))
    return checks


def _take_new_rows(
    context: dg.AssetExecutionContext,
    spec: TableSpec,
    origin: Origin,
    key: dg.AssetKey,
    gate: Gatekeeper,
) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    with lake.scratch() as scratch:
        with watch.phase("discover"):
            ledger = tidy_ledger(lake, spec, context.run.run_id)
        with watch.phase("extract"):
            at = utc_now()
            found = origin.extract(lake, spec, ledger, at=at, scratch=scratch)
        changes = changes_of(spec, ledger, found.done)
        staged = staged_batch(
            spec,
            ledger,
            found.done,
            changes,
            run_id=context.run.run_id,
            at=at,
            files=_files(spec, found, at),
            notes=_types(found),
        )
        wanted = key in context.selected_asset_keys
        if wanted:
            stop_once(lake, spec, ledger, changes, run_id=context.run.run_id, at=at)
        outcomes = gate.waived(_outcomes(spec, found, changes))
        blocked = blocks_publishing(outcomes)
        if wanted and not blocked:
            said = _metadata(spec, staged, found, ledger.rows + staged.rows, watch)
            yield dg.MaterializeResult(asset_key=key, value=staged, metadata={**said, **changes.metadata})
        gate.settle(outcomes)
        report(context, key, lake, bronze_report(lake, spec, staged, outcomes, watch, blocked=blocked))
        yield from results(context, key, outcomes)


def _files(spec: TableSpec, found: Extraction, at: datetime) -> tuple[TakenFile, ...]:
    """An extraction as the ledger has it: one file, whose version is how far the source was read."""
    if found.nothing_new:
        return ()
    size = found.done.path.stat().st_size if found.done.path else 0
    name = spec.source.name if spec.source else ""
    return (TakenFile(name, found.reached.as_text(), size, at.isoformat(), "", sum(found.done.rows.values())),)


def _types(found: Extraction) -> dict[str, str]:
    return {name: f"{kind} in the source." for name, kind in found.types.items()}


def _outcomes(spec: TableSpec, found: Extraction, changes: SchemaChanges) -> list[Outcome]:
    done = found.done
    outcomes = [
        Outcome(
            SOURCE,
            passed=not found.remarks,
            warns=True,
            rows_broken=len(found.remarks),
            description=" ".join(found.remarks) or None,
        )
    ]
    outcomes += (
        [still_true(LOSSLESS)] if found.nothing_new else [lossless(done, ROWS_ONLY), changes.outcome(SCHEMA, spec)]
    )
    if found.compared:
        differs = [one for one in found.compared if not one.same]
        said = "; ".join(f"{one.what} is {one.source} in the source and {one.bronze} in bronze" for one in differs)
        outcomes.append(
            Outcome(
                RECONCILED,
                passed=not differs,
                blocks=True,
                rows_broken=len(differs),
                description=f"{said}. Nothing was published." if differs else None,
                metadata={
                    one.what: f"{one.source} = {one.bronze}" if one.same else f"{one.source} ≠ {one.bronze}"
                    for one in found.compared
                },
            )
        )
    elif spec.source and spec.source.reconcile:
        outcomes.append(still_true(RECONCILED))
    return outcomes


def _metadata(spec: TableSpec, staged: StagedBronze, found: Extraction, rows: int, watch: Stopwatch) -> dict[str, Any]:
    source = spec.source
    cursor = (
        {
            "cursor": source.cursor,
            "cursor_from": found.low or "the beginning",
            "cursor_to": found.reached.to or "nothing yet",
        }
        if source and source.cursor
        else {}
    )
    return {
        "rows_ingested": staged.rows,
        "dagster/row_count": rows,
        "source": source.name if source else "",
        **cursor,
        **({"rows_known_already": found.repeated} if found.repeated else {}),
        **({"keys_deleted": found.deleted} if found.deleted is not None else {}),
        "snapshot": found.snapshot or "each statement its own",
        **({"preview": dg.MetadataValue.md(preview_of_text(staged.path, spec))} if staged.path else {}),
        **watch.metadata(),
    }
