"""Which partitions of a model must be built again, and the table they make with the rest of the published one.

What the published version was built from is remembered in its footer, as fingerprints; no earlier version of an input is
needed. Where another table changed, the partitions whose rows meet what changed in it are built again (`met_prints`). Where
that, or anything else, is not known, the whole table is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.gold.input_prints import (
    changed_keys,
    columns_used,
    in_order,
    in_partitions,
    partition_key,
    prints_by_partition,
    together,
)
from flowforge_assets.gold.inputs_now import Inputs, driving_rows, look_at_inputs, same
from flowforge_checks.results import Outcome
from flowforge_resources.duck import literal, one_row
from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.published import copy_with_facts, read_footer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.incremental_spec import Incremental
    from flowforge_assets.gold.input_prints import Key, Print
    from flowforge_assets.gold.met_prints import Others
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_resources.published import Published
    from flowforge_resources.scratch import Scratch
    from flowforge_resources.table_parts import TableParts

MEMORY = "incremental"
EQUALS_FULL = "incremental_equals_full"
# A run with this tag builds the whole table and compares.
FULL_TAG = "flowforge/full_rebuild"
_SHOWN = 20


@dataclass(frozen=True)
class Plan:
    """What to build. `affected`: partitions whose driving rows changed; None where the whole table must be built.

    `proves`: the whole table is built too, and is the one that is published. `memory`: what the next build must know.
    """

    declared: Incremental
    why: str
    affected: tuple[Key, ...] | None
    proves: bool
    memory: Mapping[str, Any]
    reads: Mapping[str, dict[Key, Print]]
    kind: str
    judged: Sequence[Sequence[Any]] = ()

    @property
    def whole(self) -> bool:
        """Whether the published table is one that was built as a whole."""
        return self.affected is None or self.proves

    @property
    def kept(self) -> list[Sequence[Any]]:
        """What is remembered of orphans in partitions that are not built again."""
        gone = set(self.affected or ())
        return [row for row in self.judged if row[0] not in gone]

    @property
    def memory_in_part(self) -> Mapping[str, Any]:
        """The memory of a table built in part, as far as it is known before."""
        return {**self.memory, "judged": self.kept} if self.kept else self.memory

    def metadata(self, *, hide: bool) -> dict[str, Any]:
        """What was built and why; keys of partitions only where they may be shown."""
        said: dict[str, Any] = {"built": "whole" if self.whole else "partitions", "built_because": self.why}
        if self.affected is not None:
            said["partitions_rebuilt"] = len(self.affected)
            shown = ["(null)" if key is None else key for key in self.affected[:_SHOWN]]
            more = ["…"] * (len(self.affected) > _SHOWN)
            said |= {} if hide else {"partitions": ", ".join([*shown, *more])}
        return said


def plan_build(
    connection: duckdb.DuckDBPyConnection,
    spec: ModelSpec,
    declared: Incremental,
    published: Published | None,
    *,
    parts: TableParts,
    others: Mapping[str, tuple[Path, str]],
    scratch: Scratch,
    requested: bool,
) -> Plan:
    """Compare the inputs with what the published table was built from.

    Args:
        connection: where to ask.
        spec: the model.
        declared: its partitions.
        published: its version so far.
        parts: the driving table.
        others: local file (or pattern) and nonce of every other table it reads.
        scratch: where parts are fetched to.
        requested: someone asked for the whole table.

    Raises:
        ModelColumnsError: the driving table lacks the column, or it is of a type that makes no partitions.
    """
    before: Mapping[str, Any] = published.facts.get(MEMORY, {}) if published else {}
    inputs = look_at_inputs(connection, spec, declared, before, parts=parts, others=others, scratch=scratch)
    why = _why_whole(spec, published, before, inputs.memory, inputs.met)
    if too_many := inputs.too_many:
        return _plan(inputs, too_many, memory={})
    own = inputs.changed_since(before) if why is None else []
    differing, met = inputs.meeting_what_changed(connection, own, compare=why is None)
    memory = inputs.memory_with(met)
    if why is None and differing and inputs.partitions <= {*own, *differing}:
        why = f"rows of every partition meet what changed in {', '.join(inputs.met.changed)}."
    if why is not None:
        return _plan(inputs, why, memory={**memory, "since_whole": 0})
    return _plan_in_part(inputs, before, in_order({*own, *differing}), memory, requested=requested)


def _plan(
    inputs: Inputs,
    why: str,
    affected: Sequence[Key] | None = None,
    *,
    memory: Mapping[str, Any],
    proves: bool = False,
    judged: Sequence[Sequence[Any]] = (),
) -> Plan:
    """To build some partitions, or the whole table where none are given."""
    some = None if affected is None else tuple(affected)
    return Plan(inputs.declared, why, some, proves, memory, inputs.prints, inputs.kind, judged)


def _plan_in_part(
    inputs: Inputs,
    before: Mapping[str, Any],
    affected: Sequence[Key],
    memory: Mapping[str, Any],
    *,
    requested: bool,
) -> Plan:
    """Some partitions; with the whole table beside them where that is asked for, or due after so many builds."""
    since_whole, every = int(before["since_whole"]) + 1, inputs.declared.full_every
    proves = requested or 0 < every <= since_whole
    why = _why_in_part(inputs.declared, inputs.met, due=proves and not requested, requested=requested)
    told = {**memory, "since_whole": 0 if proves else since_whole}
    return _plan(inputs, why, affected, memory=told, proves=proves, judged=before.get("judged", ()))


def _why_whole(
    spec: ModelSpec, published: Published | None, before: Mapping[str, Any], memory: Mapping[str, Any], met: Others
) -> str | None:
    """Why partitions alone would not do, in a sentence; None where they do."""
    if published is None:
        return "it was never built."
    if not before or published.facts["built_from"].get("") != spec.fingerprint:
        return "its declaration or SQL changed, or it is remembered no more what it was built from."
    if not same(before, memory, "engine"):
        return "DuckDB is of another version, whose hashes may differ."
    if not same(before, memory, "columns"):
        return "the columns of the driving table changed."
    return f"{met.unknown} changed, which every partition may depend on." if met.unknown else None


def _why_in_part(declared: Incremental, met: Others, *, due: bool, requested: bool) -> str:
    """Why partitions are built, and the whole table beside them where that is asked for or due."""
    if requested:
        return "a full rebuild was asked for."
    if due:
        return f"it is due after {declared.full_every} builds."
    beside = f", and of {', '.join(met.changed)}, of which those count that they meet" if met.changed else ""
    return f"only rows of {declared.driving} changed{beside}."


# -- building -----------------------------------------------------------------------------------------------------


def read_driving(
    connection: duckdb.DuckDBPyConnection, view: str, plan: Plan, parts: TableParts, scratch: Scratch, *, whole: bool
) -> None:
    """Let the SQL see the driving table as it is, or only its rows of the affected partitions."""
    keys = None if whole else plan.affected or ()
    source = driving_rows(plan.declared, plan.kind, plan.reads, parts, scratch=scratch, keys=keys)
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS FROM {source}")


def combine(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    select: str,
    *,
    old: Path,
    facts: Mapping[str, Any],
    scratch: Scratch,
) -> Path | None:
    """The published table with its affected partitions replaced; None where what came out does not fit into it."""
    new, target = scratch.path(".parquet"), scratch.path(".parquet")
    connection.execute(copy_with_facts(select, new, {}))
    fresh, kept = (f"read_parquet({literal(str(path))})" for path in (new, old))
    described = [connection.execute(f"DESCRIBE FROM {source}").fetchall() for source in (fresh, kept)]
    kinds = {name.lower(): kind for name, kind, *_ in described[0]}
    declared = plan.declared
    if described[0] != described[1] or declared.output.lower() not in kinds:
        return None
    affected = in_partitions(declared.output, declared.every, kinds[declared.output.lower()], plan.affected or ())
    (strangers,) = one_row(connection, f"SELECT count(*) FROM {fresh} WHERE NOT {affected}")
    if strangers:
        return None
    both = f"SELECT * FROM {kept} WHERE NOT {affected} UNION ALL SELECT * FROM {fresh}"
    connection.execute(copy_with_facts(both, target, facts))
    return target


def require_version(path: Path, published: Published, name: str) -> Path:
    """What was fetched is the version whose memory was read.

    Raises:
        ConcurrentPublishError: another run published meanwhile.
    """
    if read_footer(path)[0].get("nonce") != published.nonce:
        raise ConcurrentPublishError(name)
    return path


def equal_outcome(connection: duckdb.DuckDBPyConnection, plan: Plan, in_part: Path | None, whole: Path) -> Outcome:
    """Whether the table built in part has the rows of the one built as a whole; any order."""
    if not plan.proves:
        return Outcome(EQUALS_FULL, passed=True, description=f"Built as a whole: {plan.why}")
    if in_part is None:
        said = "The new rows did not fit into the table built before; it was built whole."
        return Outcome(EQUALS_FULL, passed=False, description=said)
    columns = [name for name, _ in columns_used(connection, [whole], None)]
    key = partition_key(plan.declared.output, plan.declared.every)
    prints = [together(prints_by_partition(connection, {"": path}, columns, key).values()) for path in (in_part, whole)]
    differing = changed_keys(*prints)
    rows = sum(abs(prints[0].get(one, (0,))[0] - prints[1].get(one, (0,))[0]) for one in differing)
    said = f"{len(differing)} partitions differed from a full rebuild; the table was published as the full rebuild made it. Something in the SQL is not settled by its rows: sums of floats, `any_value`, a tie in an ORDER BY."
    return Outcome(
        EQUALS_FULL,
        passed=not differing,
        rows_broken=len(differing),
        description=said if differing else None,
        metadata={
            "partitions_compared": len(prints[1]),
            "partitions_differing": len(differing),
            "rows_more_or_less": rows,
        },
    )
