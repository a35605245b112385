"""Which partitions of a model must be built again, and the table they make with the rest of the published one.

What the published version was built from is remembered in its footer, as fingerprints; no earlier version of an input is
needed. Where another table changed, the partitions whose rows meet what changed in it are built again (`met_prints`). Where
that, or anything else, is not known, the whole table is built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.gold.input_prints import (
    as_json,
    changed_keys,
    columns_used,
    in_order,
    in_partitions,
    of_json,
    partition_key,
    print_of,
    prints_by_partition,
    together,
    used_names,
)
from flowforge_assets.gold.met_prints import MET, Others, ways_of
from flowforge_checks.results import Outcome
from flowforge_resources.duck import literal, one_row
from flowforge_resources.errors import ConcurrentPublishError, ModelColumnsError
from flowforge_resources.published import copy_with_facts, read_footer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.incremental_spec import Incremental
    from flowforge_assets.gold.input_prints import Key, Print
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_resources.published import Published
    from flowforge_resources.scratch import Scratch
    from flowforge_resources.table_parts import TableParts

MEMORY = "incremental"
EQUALS_FULL = "incremental_equals_full"
# A run with this tag builds the whole table and compares.
FULL_TAG = "flowforge/full_rebuild"
# What the footer may have to remember; beyond that the table is built whole.
MOST_PARTITIONS = 10_000
_SHOWN = 20
_MOMENTS = ("DATE", "TIMESTAMP")
_VALUES = ("VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")  # fmt: skip


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
    used = used_names(spec.sql, [declared.column, *_named(spec)])
    some = list(parts.fetch(parts.names()[:1], scratch).values())
    columns = columns_used(connection, some, used)
    kind = _require_column(connection, spec, declared, some)
    memory: dict[str, Any] = {"engine": _version(), "columns": [list(one) for one in columns]}
    memory["others"] = _others(connection, others, used, before)
    known = _known_parts(before) if _same(before, memory, "engine", "columns") else {}
    new = parts.fetch([name for name in parts.names() if name not in known], scratch)
    names = [name for name, _ in columns]
    prints = known | prints_by_partition(connection, new, names, partition_key(declared.column, declared.every))
    prints = {name: prints[name] for name in parts.names()}
    files = {name: file for name, (file, _) in others.items()}
    met = Others(files, ways_of(connection, spec, some, files), _changed(before, memory), used, before.get(MET, {}))
    why = _why_whole(spec, published, before, memory, met)
    entries = sum(map(len, prints.values()))
    if entries > MOST_PARTITIONS:
        why = f"it has {entries:,} partitions, and more than {MOST_PARTITIONS:,} are not remembered."
        return Plan(declared, why, None, proves=False, memory={}, reads=prints, kind=kind)
    memory["parts"] = {name: as_json(found) for name, found in prints.items()}
    own = changed_keys(together(_known_parts(before).values()), together(prints.values())) if why is None else []

    def rows_in(keys: Sequence[Key] | None) -> str:
        return driving_rows(declared, kind, prints, parts, scratch=scratch, keys=keys)

    key = partition_key(declared.column, declared.every)
    differing, told = (met if why is None else replace(met, before={})).look(connection, rows_in, key, own)
    if entries + sum(len(one["prints"]) for one in told.values()) <= MOST_PARTITIONS:
        memory[MET] = told
    affected = in_order({*own, *differing})
    if why is None and differing and {one for found in prints.values() for one in found} <= set(affected):
        why = f"rows of every partition meet what changed in {', '.join(met.changed)}."
    if why is not None:
        memory["since_whole"] = 0
        return Plan(declared, why, None, proves=False, memory=memory, reads=prints, kind=kind)
    due = 0 < declared.full_every <= int(before["since_whole"]) + 1
    memory["since_whole"] = 0 if due or requested else int(before["since_whole"]) + 1
    why = _why_in_part(declared, met, due=due, requested=requested)
    return Plan(declared, why, tuple(affected), requested or due, memory, prints, kind, before.get("judged", ()))


def _named(spec: ModelSpec) -> list[str]:
    """Columns of other tables that are named beside the SQL."""
    found = [one.target for one in spec.foreign_keys]
    for one in spec.lookups:
        found += [
            one.target,
            *one.match,
            *one.match.values(),
            one.valid_from,
            one.valid_to,
            *([one.as_of] if one.as_of else []),
        ]
    return found


def _require_column(
    connection: duckdb.DuckDBPyConnection, spec: ModelSpec, declared: Incremental, files: Sequence[Path]
) -> str:
    kinds = {name.lower(): kind for name, kind in columns_used(connection, files, None)}
    kind = kinds.get(declared.column.lower())
    if kind is None:
        problem = f"`incremental` names the column `{declared.column}`, which '{declared.driving}' does not have."
        raise ModelColumnsError(spec.sql_file, problem, f"It has: {', '.join(kinds)}.")
    fitting = _VALUES if declared.every == "value" else _MOMENTS
    if kind.partition("(")[0].partition(" WITH")[0] not in fitting:
        problem = (
            f"`incremental` cuts '{declared.driving}' by {declared.every} of `{declared.column}`, which is {kind}."
        )
        raise ModelColumnsError(
            spec.sql_file, problem, "Take a date or timestamp for day, month and year, and no float for value."
        )
    return kind


def _version() -> str:
    import duckdb

    return duckdb.__version__


def _others(
    connection: duckdb.DuckDBPyConnection,
    others: Mapping[str, tuple[Path, str]],
    used: frozenset[str] | None,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Fingerprints of all other tables; of one that is the same version, the one that is known."""
    known = before.get("others", {}) if before.get("engine") == _version() else {}
    found = {}
    for name, (file, nonce) in others.items():
        columns = columns_used(connection, [file], used)
        told = [list(one) for one in columns]
        last = known.get(name, {})
        same = last.get("nonce") == nonce and last.get("columns") == told
        print_ = last["print"] if same else list(print_of(connection, [file], [one for one, _ in columns]))
        found[name] = {"nonce": nonce, "columns": told, "print": print_}
    return found


def _same(before: Mapping[str, Any], memory: Mapping[str, Any], *names: str) -> bool:
    return all(before.get(name) == memory[name] for name in names)


def _known_parts(before: Mapping[str, Any]) -> dict[str, dict[Key, Print]]:
    return {name: of_json(found) for name, found in before.get("parts", {}).items()}


def _why_whole(
    spec: ModelSpec, published: Published | None, before: Mapping[str, Any], memory: Mapping[str, Any], met: Others
) -> str | None:
    """Why partitions alone would not do, in a sentence; None where they do."""
    if published is None:
        return "it was never built."
    if not before or published.facts["built_from"].get("") != spec.fingerprint:
        return "its declaration or SQL changed, or it is remembered no more what it was built from."
    if not _same(before, memory, "engine"):
        return "DuckDB is of another version, whose hashes may differ."
    if not _same(before, memory, "columns"):
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


def _changed(before: Mapping[str, Any], memory: Mapping[str, Any]) -> list[str]:
    """The other tables that say something else than when the table was built."""
    told = {name: (one["columns"], one["print"]) for name, one in before.get("others", {}).items()}
    return [name for name, one in memory["others"].items() if told.get(name) != (one["columns"], one["print"])]


# -- building -----------------------------------------------------------------------------------------------------


def read_driving(
    connection: duckdb.DuckDBPyConnection, view: str, plan: Plan, parts: TableParts, scratch: Scratch, *, whole: bool
) -> None:
    """Let the SQL see the driving table as it is, or only its rows of the affected partitions."""
    keys = None if whole else plan.affected or ()
    source = driving_rows(plan.declared, plan.kind, plan.reads, parts, scratch=scratch, keys=keys)
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS FROM {source}")


def driving_rows(
    declared: Incremental,
    kind: str,
    reads: Mapping[str, dict[Key, Print]],
    parts: TableParts,
    *,
    scratch: Scratch,
    keys: Sequence[Key] | None,
) -> str:
    """SQL for the driving rows of some partitions, from the parts that have any; for None all."""
    wanted = [name for name, found in reads.items() if keys is None or set(keys) & set(found)]
    files = parts.fetch(wanted or parts.names()[:1], scratch).values()
    source = f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"
    if keys is None:
        return source
    return f"(SELECT * FROM {source} WHERE {in_partitions(declared.column, declared.every, kind, keys)})"


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
