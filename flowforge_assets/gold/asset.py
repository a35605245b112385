"""A gold asset: a SQL model over silver and other gold tables, rebuilt whole or by partition, published only if it passes its checks.

A model whose SQL and inputs are the ones its published table was built from is left as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.gold.build import KEY, Built, build
from flowforge_assets.gold.incremental import EQUALS_FULL, FULL_TAG
from flowforge_assets.gold.lookups import lookup_check
from flowforge_assets.gold.orphans import foreign_check
from flowforge_assets.gold.rows_kept import ROWS_KEPT
from flowforge_assets.reconciliation.reconciling import evaluate
from flowforge_assets.running.step import (
    AssetFace,
    StepEvents,
    Stopwatch,
    check_spec,
    layer_asset,
    report,
    results,
    rule_spec,
)
from flowforge_assets.running.users_code import beside_others
from flowforge_checks.rules import in_code
from flowforge_resources.io_managers import StagedGold, StoredTable, gold_table, object_metadata, silver_table
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.gates.keeping import Gatekeeper
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_checks.results import Outcome
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published


def build_gold(spec: ModelSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, <model>]`, with a blocking check of its key and a check of every foreign key."""
    key = dg.AssetKey(spec.id.key)
    return layer_asset(
        key,
        face,
        lambda context, gate: _rebuild(context, spec, key, gate),
        layer="gold",
        engine="duckdb",
        deps=[asset_path(read) for read in spec.reads.values()],
        checks=gold_checks(spec, key),
        code_version=spec.fingerprint,
        pool=spec.id.pool,
        beside_others=beside_others(spec.tests),
    )


def gold_checks(spec: ModelSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """That of its key, and one a foreign key, lookup and test."""
    checks = (
        [check_spec(KEY, key, f"No row lacks its key ({in_code(spec.keys)}), and no two rows share one.", blocks=True)]
        if spec.keys
        else []
    )
    checks += [
        check_spec(
            foreign_check(one),
            key,
            f"`{one.column}` points to a row of `{one.model}`, and not to its unknown member.",
            blocks=one.on_orphan == "block",
        )
        for one in spec.foreign_keys
    ]
    checks += [
        check_spec(
            lookup_check(one), key, f"`{one.column}` was found in `{one.model}`, in one row at most.", blocks=True
        )
        for one in spec.lookups
    ]
    checks += [rule_spec(test, key) for test in spec.tests]
    if spec.rows_kept is not None:
        checks.append(check_spec(ROWS_KEPT, key, spec.rows_kept.about, blocks=spec.rows_kept.blocks))
    checks += [check_spec(one.check, key, one.about, blocks=True) for one in spec.reconciled]
    if spec.incremental is not None:
        said = "The partitions built one by one are what a full rebuild makes; judged at every one."
        checks.append(check_spec(EQUALS_FULL, key, said))
    return checks


def _blocking_checks(spec: ModelSpec) -> list[str]:
    """Checks that a published table has passed. That of a lookup warns as well: it keeps what it last said."""
    foreign = [foreign_check(one) for one in spec.foreign_keys if one.on_orphan == "block"]
    tests = [test.check_name for test in spec.tests if test.effective_action == "block"]
    kept = [ROWS_KEPT] if spec.rows_kept and spec.rows_kept.blocks else []
    return [KEY] * bool(spec.keys) + foreign + tests + kept


def asset_path(read: TableId | ModelId) -> tuple[str, str]:
    """Key of the asset that makes a table."""
    return read.silver_key if isinstance(read, TableId) else read.key


def open_table(lake: Lake, read: TableId | ModelId) -> StoredTable:
    """The published table that a model reads."""
    return silver_table(lake, read) if isinstance(read, TableId) else gold_table(lake, read)


def _rebuild(context: dg.AssetExecutionContext, spec: ModelSpec, key: dg.AssetKey, gate: Gatekeeper) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    inputs = {name: open_table(lake, read) for name, read in spec.reads.items()}
    built_from = _built_from(spec, {name: table.require() for name, table in inputs.items()})
    published = gold_table(lake, spec.id).published()
    same = published is not None and published.facts.get("built_from") == built_from
    asked = spec.incremental is not None and FULL_TAG in context.run.tags
    if published is not None and same and not asked and key in context.selected_asset_keys:
        report(context, key, lake, _report(lake, spec, None, watch, published.rows))
        yield dg.MaterializeResult(
            asset_key=key, value=StagedGold(spec.id, published, None), metadata=_unchanged(lake, spec, published, watch)
        )
        again = [evaluate(lake, one, context.run.run_id)[1] for one in spec.reconciled]
        stood = [*gate.stood(_blocking_checks(spec), published), *again]
        gate.settle(stood)
        yield from results(context, key, stood)
        return
    with lake.scratch() as scratch:
        built = build(spec, inputs, published, lake=lake, scratch=scratch, watch=watch, context=context)
        built = replace(built, outcomes=gate.waived(built.outcomes))
        if key in context.selected_asset_keys and not built.blocked:
            staged = StagedGold(spec.id, published, built.path, column_notes.of_gold(spec))
            yield dg.MaterializeResult(asset_key=key, value=staged, metadata=_metadata(built, watch))
        gate.settle(built.outcomes)
        report(context, key, lake, _report(lake, spec, built, watch, built.rows))
        yield from results(context, key, built.outcomes)


def _built_from(spec: ModelSpec, inputs: Mapping[str, Published]) -> dict[str, str]:
    return {"": spec.fingerprint, **{name: table.nonce for name, table in sorted(inputs.items())}}


def _unchanged(lake: Lake, spec: ModelSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    uri, notes = lake.uri(spec.id.object), column_notes.of_gold(spec)
    described = object_metadata(uri, published.object.size_bytes, published.rows, published.columns, notes)
    return {**described, "changed": False, **watch.metadata()}


def _metadata(built: Built, watch: Stopwatch) -> dict[str, Any]:
    dropped = {"rows_dropped": built.rows_dropped} if built.rows_dropped else {}
    return {"preview": dg.MetadataValue.md(built.preview), "changed": True, **dropped, **built.said, **watch.metadata()}


def _report(lake: Lake, spec: ModelSpec, built: Built | None, watch: Stopwatch, rows: int) -> AssetReport:
    outcomes: Sequence[Outcome] = built.outcomes if built else ()
    return AssetReport(
        asset=spec.id.name,
        layer="gold",
        uri=lake.uri(spec.id.object),
        published=built is not None and not built.blocked,
        blocked=built.blocked if built else False,
        rows=rows,
        seconds=round(watch.seconds, 3),
        checks=tuple(outcome.report() for outcome in outcomes),
    )
