"""The `gates` of documents: which checks of the tables above hold a table.

Belongs here: checking what is written, and the edges of all documents together. Does not: what holds a table at a moment
(`flowforge_checks.holding`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.bronze.landed import bronze_checks
from flowforge_assets.bronze.sourced import source_checks
from flowforge_assets.gold.asset import asset_path, gold_checks
from flowforge_assets.gold.published import GOLD_PUBLISHED
from flowforge_assets.gold.warehouse import WAREHOUSE
from flowforge_assets.silver.asset import silver_checks, silver_reads
from flowforge_checks.holding import BLOCKING, UPSTREAM_GATE, Edge
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowforge_assets.components.part import AssetPart, Gated
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.layout import ModelId, TableId

Key = tuple[str, str]
NONE = "none"
_WORDS = (BLOCKING, UPSTREAM_GATE)


def edges_of(
    tables: Iterable[tuple[AssetPart, TableSpec]],
    models: Iterable[tuple[AssetPart, ModelSpec]],
    sinks: Iterable[tuple[AssetPart, TableId | ModelId]] = (),
) -> dict[str, tuple[Edge, ...]]:
    """The edges that lead to every asset, as declared."""
    found: dict[str, tuple[Edge, ...]] = {}
    silver, gold = defaultdict(list), defaultdict(list)
    for part, spec in tables:
        silver[part.workflow].append(spec.id.silver_key)
        found[_name(spec.id.silver_key)] = _edges(part, silver_reads(spec))
    for part, model in models:
        gold[part.workflow].append(model.id.key)
        found[_name(model.id.key)] = _edges(part, model_reads(model))
    for part, read in sinks:
        found[_name((part.workflow, part.name))] = _edges(part, [asset_path(read)])
    for workflow in {*silver, *gold}:
        together, all_tables = (workflow, GOLD_PUBLISHED), [*silver[workflow], *gold[workflow]]
        found[_name(together)] = tuple(Edge(_name(key)) for key in gold[workflow])
        found[_name((workflow, WAREHOUSE))] = tuple(Edge(_name(key)) for key in all_tables)
    return found


def model_reads(spec: ModelSpec) -> list[Key]:
    """Keys of the assets that a model is made from."""
    return sorted({asset_path(read) for read in spec.reads.values()})


def checks_of(tables: Iterable[TableSpec], models: Iterable[ModelSpec]) -> dict[str, tuple[str, ...]]:
    """The names of every asset's checks that can hold what is made from it."""
    found = {}
    for spec in tables:
        keys = dg.AssetKey(spec.root.id.bronze_key), dg.AssetKey(spec.id.silver_key)
        of_bronze = source_checks(spec.root, keys[0]) if spec.root.source else bronze_checks(keys[0])
        found[keys[0].to_user_string()] = _names(of_bronze)
        found[keys[1].to_user_string()] = _names(silver_checks(spec, keys[1]))
    for model in models:
        key = dg.AssetKey(model.id.key)
        found[key.to_user_string()] = _names(gold_checks(model, key))
    return found


def _names(specs: Sequence[dg.AssetCheckSpec]) -> tuple[str, ...]:
    return tuple(spec.name for spec in specs)


def require_gates(part: AssetPart, reads: Sequence[Key], checks: Mapping[str, Sequence[str]]) -> None:
    """Everything that `gates` names is there.

    Raises:
        DefinitionError: a table that this one is not made from, or a check that table does not have.
    """
    names = _spoken(part.workflow, reads)
    for table, chosen in part.gates.items():
        if table not in names:
            raise part.wrong(
                f"`gates` of '{part.name}' names '{table}', which it is not made from.{did_you_mean(table, names)}",
                "Name a table as the SQL, rule or lookup does.",
                *("attributes", "gates"),
            )
        if isinstance(chosen, str) and chosen != NONE:
            raise part.wrong(
                f"`gates: {{{table}: {chosen}}}` of '{part.name}' is neither `none` nor a list of checks.",
                f"Write `{table}: [{chosen}]` for that check alone, `[blocking, {chosen}]` for all that block and that one.",
                *("attributes", "gates"),
            )
        known = checks[_name(names[table])]
        for check in () if isinstance(chosen, str) else chosen:
            if check not in (*known, *_WORDS):
                raise part.wrong(
                    f"`gates` of '{part.name}' names the check '{check}', which '{table}' does not have.{did_you_mean(check, [*known, *_WORDS])}",
                    "Correct the name. Checks are listed on the table's page in the UI.",
                    *("attributes", "gates"),
                )


def _edges(part: AssetPart, reads: Sequence[Key]) -> tuple[Edge, ...]:
    named = {key: part.gates[name] for name, key in _spoken(part.workflow, reads).items() if name in part.gates}
    return tuple(_edge(key, named.get(key)) for key in reads)


def _edge(key: Key, chosen: Gated | None) -> Edge:
    if chosen is None:
        return Edge(_name(key))
    return Edge(_name(key), frozenset() if isinstance(chosen, str) else frozenset(chosen))


def _spoken(workflow: str, reads: Sequence[Key]) -> dict[str, Key]:
    """What the tables that a document is made from may be called in it."""
    found: dict[str, Key] = {}
    for key in reads:
        bare = key[1].removeprefix("silver_")
        own = (bare, key[1]) if key[0] == workflow else ()
        found |= dict.fromkeys((*own, f"{key[0]}.{bare}", f"{key[0]}.{key[1]}"), key)
    return found


def _name(key: Key) -> str:
    return "/".join(key)
