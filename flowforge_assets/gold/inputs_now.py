"""What an incremental model reads, as it is now, against what its published table was built from.

Belongs here: fingerprints of the inputs, which are taken of what is new alone, and what changed between two looks at them.
Does not: what is then built (`incremental`), how a fingerprint is made (`input_prints`, `met_prints`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.gold.input_prints import (
    as_json,
    changed_keys,
    columns_used,
    in_partitions,
    of_json,
    partition_key,
    print_of,
    prints_by_partition,
    together,
    used_names,
)
from flowforge_assets.gold.met_prints import MET, Others, ways_of
from flowforge_resources.duck import literal
from flowforge_resources.errors import ModelColumnsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.incremental_spec import Incremental
    from flowforge_assets.gold.input_prints import Key, Print
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_resources.scratch import Scratch
    from flowforge_resources.table_parts import TableParts

# What the footer may have to remember; beyond that the table is built whole.
MOST_PARTITIONS = 10_000
_MOMENTS = ("DATE", "TIMESTAMP")
_VALUES = ("VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What a model reads, as it is now.

    `prints`: fingerprints of the driving table's partitions, by its parts. `kind`: type of the column that cuts it. `met`:
    the other tables. `memory`: what the next build must know of all that.
    """

    declared: Incremental
    parts: TableParts
    scratch: Scratch
    prints: Mapping[str, dict[Key, Print]]
    kind: str
    met: Others
    memory: Mapping[str, Any]

    @property
    def entries(self) -> int:
        """How many fingerprints there are: a partition has one in every part that holds rows of it."""
        return sum(map(len, self.prints.values()))

    @property
    def too_many(self) -> str | None:
        """Why they are not remembered, in a sentence; None where they are."""
        if self.entries <= MOST_PARTITIONS:
            return None
        return f"it has {self.entries:,} partitions, and more than {MOST_PARTITIONS:,} are not remembered."

    @property
    def partitions(self) -> set[Key]:
        """Those that have rows."""
        return {key for found in self.prints.values() for key in found}

    def changed_since(self, before: Mapping[str, Any]) -> list[Key]:
        """Partitions whose driving rows are not the ones the published table was built from."""
        return changed_keys(together(_known_parts(before).values()), together(self.prints.values()))

    def meeting_what_changed(
        self, connection: duckdb.DuckDBPyConnection, own: Sequence[Key], *, compare: bool
    ) -> tuple[Sequence[Key], dict[str, Any]]:
        """Partitions beside `own` whose rows meet changed rows of other tables, and what to remember of those they meet."""

        def rows_in(keys: Sequence[Key] | None) -> str:
            return driving_rows(self.declared, self.kind, self.prints, self.parts, scratch=self.scratch, keys=keys)

        met = self.met if compare else replace(self.met, before={})
        key = partition_key(self.declared.column, self.declared.every)
        return met.look(connection, rows_in, key, own)

    def memory_with(self, met: Mapping[str, Any]) -> dict[str, Any]:
        """The memory with what rows of other tables meet, as far as there is room for it."""
        room = self.entries + sum(len(one["prints"]) for one in met.values()) <= MOST_PARTITIONS
        return {**self.memory, **({MET: met} if room else {})}


def look_at_inputs(
    connection: duckdb.DuckDBPyConnection,
    spec: ModelSpec,
    declared: Incremental,
    before: Mapping[str, Any],
    *,
    parts: TableParts,
    others: Mapping[str, tuple[Path, str]],
    scratch: Scratch,
) -> Inputs:
    """Take fingerprints; of parts and tables that are the same version as before, those that are known."""
    used = used_names(spec.sql, [declared.column, *_named(spec)])
    some = list(parts.fetch(parts.names()[:1], scratch).values())
    columns = columns_used(connection, some, used)
    kind = _require_column(connection, spec, declared, some)
    memory: dict[str, Any] = {"engine": _version(), "columns": [list(one) for one in columns]}
    memory["others"] = _others(connection, others, used, before)
    known = _known_parts(before) if same(before, memory, "engine", "columns") else {}
    new = parts.fetch([name for name in parts.names() if name not in known], scratch)
    key = partition_key(declared.column, declared.every)
    found = known | prints_by_partition(connection, new, [name for name, _ in columns], key)
    prints = {name: found[name] for name in parts.names()}
    memory["parts"] = {name: as_json(found) for name, found in prints.items()}
    files = {name: file for name, (file, _) in others.items()}
    met = Others(files, ways_of(connection, spec, some, files), _changed(before, memory), used, before.get(MET, {}))
    return Inputs(declared, parts, scratch, prints, kind, met, memory)


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


def same(before: Mapping[str, Any], memory: Mapping[str, Any], *names: str) -> bool:
    """Whether what was remembered under some names is what is so now."""
    return all(before.get(name) == memory[name] for name in names)


def _known_parts(before: Mapping[str, Any]) -> dict[str, dict[Key, Print]]:
    return {name: of_json(found) for name, found in before.get("parts", {}).items()}


def _changed(before: Mapping[str, Any], memory: Mapping[str, Any]) -> list[str]:
    """The other tables that say something else than when the table was built."""
    told = {name: (one["columns"], one["print"]) for name, one in before.get("others", {}).items()}
    return [name for name, one in memory["others"].items() if told.get(name) != (one["columns"], one["print"])]
