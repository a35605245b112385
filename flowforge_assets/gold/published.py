"""The asset `[workflow, "gold_published"]`: the last word of a run, that its gold tables belong together.

Models are published one by one, each whole. Between the first and the last of a run a reader of the single files could
join a new fact with an old dimension; a reader that goes through the set cannot. The set changes only when every
model was built from the very versions of the others that it would name, and all from the same silver: after a blocked
check, a killed run or one of some models only, the old set stays, whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.running.step import AssetFace, StepEvents, Stopwatch, report, set_asset
from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.gold_sets import GoldSet, Pointer, read_pointer, read_set, swap_pointer
from flowforge_resources.io_managers import gold_table
from flowforge_resources.layout import ModelId, TableId, published_set
from flowforge_resources.run_reports import AssetReport
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_checks.holding import GateGraph
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published

GOLD_PUBLISHED = "gold_published"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Verdict:
    """What became of the set: the one that counts now, whether this run swapped it in, and why not if it should have."""

    current: GoldSet | None
    changed: bool
    waits: str | None = None


class _MovedError(Exception):
    """A table was published anew while its set was put together."""


def build_gold_published(
    workflow: str,
    models: Sequence[ModelSpec],
    automation: dg.AutomationCondition[Any] | None,
    gates: GateGraph,
) -> dg.AssetsDefinition:
    """The asset that publishes the models of a workflow together."""
    key = dg.AssetKey([workflow, GOLD_PUBLISHED])
    said = f"The gold tables of {workflow} that belong together: readers see this set, always whole."
    face = AssetFace(description=said, automation=automation, gates=gates)
    return set_asset(
        key, face, partial(_step, models=models, key=key), deps=[one.id.key for one in models], kind="parquet"
    )


def _step(context: dg.AssetExecutionContext, *, models: Sequence[ModelSpec], key: dg.AssetKey) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    workflow, watch = key.path[0], Stopwatch()
    verdict = publish_set(lake, workflow, models, context.run.run_id)
    if verdict.waits:
        context.log.warning("The published set of %s stays as it was: %s", workflow, verdict.waits)
    said = (f"gold of {workflow} was not published together: {verdict.waits}",) if verdict.waits else ()
    uri = lake.uri(published_set(workflow))
    report(context, key, lake, AssetReport(GOLD_PUBLISHED, "set", uri, published=verdict.changed, notes=said))
    yield dg.MaterializeResult(asset_key=key, metadata=_metadata(verdict, uri, watch))


def _metadata(verdict: Verdict, uri: str, watch: Stopwatch) -> dict[str, Any]:
    current = verdict.current
    return {
        "dagster/uri": uri,
        "changed": verdict.changed,
        "tables": len(current.tables) if current else 0,
        **({"set": current.nonce, "published_at": current.published_at} if current else {}),
        **({"waits_for": verdict.waits} if verdict.waits else {}),
        **watch.metadata(),
    }


def publish_set(lake: Lake, workflow: str, models: Sequence[ModelSpec], run_id: str) -> Verdict:
    """Name the newest version of every model as one set, if they belong together.

    Raises:
        ConcurrentPublishError: other runs published again and again meanwhile.
    """
    for _ in range(_ATTEMPTS):
        pointer = read_pointer(lake, workflow)
        current = pointer.current if pointer else None
        found = _newest(lake, models)
        if waits := why_mixed(models, found):
            return Verdict(current, changed=False, waits=waits)
        made = _as_set(models, {model: version for model, version in found.items() if version}, run_id)
        if current is not None and made.same_versions(current):
            return Verdict(current, changed=False)
        try:
            missing = _keep_versions(lake, workflow, made, found, pointer)
        except _MovedError:
            continue
        if missing:
            return Verdict(current, changed=False, waits=f"{missing} was rebuilt since; run {workflow} again.")
        if swap_pointer(lake, workflow, made, pointer):
            return Verdict(made, changed=True)
    raise ConcurrentPublishError(f"the gold set of {workflow}")


def _newest(lake: Lake, models: Sequence[ModelSpec]) -> dict[ModelId, Published | None]:
    found = side_by_side(lambda model: gold_table(lake, model.id).published(), models)
    return {model.id: version for model, version in zip(models, found, strict=True)}


def why_mixed(models: Sequence[ModelSpec], found: Mapping[ModelId, Published | None]) -> str | None:
    """Why the newest versions are not of one build, in a sentence; None where they are."""
    agreed: dict[TableId | ModelId, tuple[str, str]] = {}
    for model in models:
        version = found[model.id]
        if version is None:
            return f"{model.id} was never published."
        built_from = version.facts.get("built_from", {})
        if built_from.get("") != model.fingerprint:
            return f"{model.id} was built as it was declared before, and not since."
        for name, read in model.reads.items():
            own = found.get(read) if isinstance(read, ModelId) else None
            nonce, by = (own.nonce, str(read)) if own else agreed.setdefault(read, (built_from[name], str(model.id)))
            if built_from[name] != nonce:
                return (
                    f"{model.id} was built from another version of {read} than {by if own is None else 'the newest'}."
                )
    return None


def _as_set(models: Sequence[ModelSpec], found: Mapping[ModelId, Published], run_id: str) -> GoldSet:
    tables = {str(model): version.nonce for model, version in found.items()}
    silver = {}
    for model in models:
        for name, read in model.reads.items():
            nonce = found[model.id].facts["built_from"][name]
            if isinstance(read, TableId):
                silver[str(read)] = nonce
            else:
                tables.setdefault(str(read), nonce)
    return GoldSet(tables, silver, run_id)


def _keep_versions(
    lake: Lake, workflow: str, made: GoldSet, found: Mapping[ModelId, Published | None], pointer: Pointer | None
) -> str | None:
    """Give every version of the set its lasting name; the name of a table whose version is gone, if any.

    Raises:
        _MovedError: a table changed while it was copied; what was copied is then some other version.
    """
    there = pointer.kept(workflow) if pointer else set()
    new = [(ModelId(*name.split(".", 1)), key) for name, key in made.keys(workflow).items() if key not in there]

    def keep(wanted: tuple[ModelId, str]) -> str | None:
        model, key = wanted
        published = found[model] if model in found else gold_table(lake, model).published()
        if published is not None and published.nonce == made.tables[str(model)]:
            lake.copy_new(model.object, key)
            if lake.head(model.object) != published.object:
                raise _MovedError(str(model))
            return None
        return None if _copy_from_its_set(lake, model, made.tables[str(model)], key) else str(model)

    return next((name for name in side_by_side(keep, new) if name), None)


def _copy_from_its_set(lake: Lake, model: ModelId, nonce: str, key: str) -> bool:
    """Keep a version of another workflow's model that is not its newest any more but in its published set."""
    theirs = read_set(lake, model.workflow)
    if theirs is None or theirs.tables.get(str(model)) != nonce:
        return False
    lake.copy_new(model.version(nonce), key)
    return True
