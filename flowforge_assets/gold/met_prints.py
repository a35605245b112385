"""Fingerprints, by partition of the driving table, of the rows of other tables that its rows meet.

Where another table changed, these say which partitions may come out differently: a new customer that no earlier order
names changes none of theirs. By which columns rows meet, the SQL says (`model_sql.met_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_assets.gold.input_prints import SUMS, as_json, changed_keys, columns_used, hash_of, in_order, of_json
from flowforge_assets.model_sql.met_rows import Step, ways_to
from flowforge_assets.model_sql.query import Query
from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.input_prints import Key, Print
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.model_sql.met_rows import Way

MET = "met"


@dataclass(frozen=True)
class Others:
    """The tables a model reads besides the driving one, and how its rows meet theirs; a table without ways is unknown.

    `changed`: those that say something else than when the model was built.
    """

    files: Mapping[str, Path]
    ways: Mapping[str, list[Way]]
    changed: Sequence[str] = ()
    used: frozenset[str] | None = None
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unknown(self) -> str | None:
        """A table that changed, of which it is not known which partitions depend on it."""
        return next((name for name in self.changed if name not in self.ways or self._known(name) is None), None)

    def _known(self, name: str) -> dict[Key, Print] | None:
        """What was remembered of the rows met; None where it was met in another way, or not remembered."""
        last = self.before.get(name)
        if not self.ways[name]:
            return {}
        if last is None or last["ways"] != _told(self.ways[name]):
            return None
        return of_json(last["prints"])

    def look(
        self,
        connection: duckdb.DuckDBPyConnection,
        driving: Callable[[Sequence[Key] | None], str],
        key: str,
        affected: Collection[Key],
    ) -> tuple[list[Key], dict[str, Any]]:
        """The partitions whose rows meet other rows than before, and what to remember.

        Args:
            connection: where to ask.
            driving: SQL for the driving rows of some partitions; of all for None.
            key: SQL of the partition of a driving row.
            affected: partitions whose driving rows changed.
        """
        differing: set[Key] = set()
        memory: dict[str, Any] = {}
        for name in sorted(self.ways):
            if not self.ways[name]:
                continue
            known = self._known(name)
            if known is not None and name not in self.changed:
                fresh = self._prints(connection, name, driving(list(affected)), key) if affected else {}
                now = {one: told for one, told in known.items() if one not in affected} | fresh
            else:
                now = self._prints(connection, name, driving(None), key)
                differing |= set(changed_keys(known, now)) if known is not None else set()
            memory[name] = {"ways": _told(self.ways[name]), "prints": as_json({one: now[one] for one in in_order(now)})}
        return in_order(differing), memory

    def _prints(self, connection: duckdb.DuckDBPyConnection, name: str, driving: str, key: str) -> dict[Key, Print]:
        """Every row of the driving table with each of the ways to the rows it meets."""
        each = [self._met(connection, way, driving, key) for way in self.ways[name]]
        found = connection.execute(f"SELECT key, {SUMS} FROM ({' UNION ALL '.join(each)}) GROUP BY key").fetchall()
        return {one: (int(rows), int(xor), int(total)) for one, rows, xor, total in found}

    def _met(self, connection: duckdb.DuckDBPyConnection, way: Way, driving: str, key: str) -> str:
        """SQL for `key` and `h` of each driving row that meets any; one row a value that is joined, so that none multiply."""
        last = way[-1]
        columns = [one for one, _ in columns_used(connection, [self.files[last.table]], self.used)]
        rows = f"(SELECT {_listed(last.equal)}, {hash_of(columns)} AS h FROM {self._rows(last.table)})"
        for step, before in zip(way[:0:-1], way[-2::-1], strict=True):
            linked = " AND ".join(f"b.{quote(other)} = m.{quote(own)}" for own, other in step.equal)
            rows = f"(SELECT {_listed(before.equal, 'b.')}, m.h FROM {self._rows(before.table)} b JOIN {_together(rows, step.equal)} m ON {linked})"
        linked = " AND ".join(f"d.{quote(other)} = m.{quote(own)}" for own, other in way[0].equal)
        return f"SELECT d._ff_key AS key, hash(m.h) AS h FROM (SELECT *, {key} AS _ff_key FROM {driving}) d JOIN {_together(rows, way[0].equal)} m ON {linked}"

    def _rows(self, name: str) -> str:
        return f"read_parquet({literal(str(self.files[name]))})"


def _together(rows: str, equal: Sequence[tuple[str, str]]) -> str:
    """The rows of each value that is joined, as one."""
    columns = _listed(equal)
    return f"(SELECT {columns}, hash(count(*), bit_xor(h), sum(h)) AS h FROM {rows} GROUP BY {columns})"


def _listed(equal: Sequence[tuple[str, str]], of: str = "") -> str:
    return ", ".join(dict.fromkeys(f"{of}{quote(own)}" for own, _ in equal))


def _told(ways: Sequence[Way]) -> list[Any]:
    """As JSON gives it back."""
    return [[[step.table, [list(pair) for pair in step.equal]] for step in way] for way in ways]


def ways_of(
    connection: duckdb.DuckDBPyConnection, spec: ModelSpec, driving: Sequence[Path], files: Mapping[str, Path]
) -> dict[str, list[Way]]:
    """How rows of the other tables are met; nothing is said of a table where the SQL does not tell.

    A foreign key that leaves the rows as they are makes no table depend on another.
    """
    declared = spec.incremental
    if declared is None:
        raise AssertionError("an incremental model says by what")
    tables = {name: dict(columns_used(connection, [file], None)) for name, file in files.items()}
    tables[declared.driving] = dict(columns_used(connection, driving, None))
    own = spec.reads[declared.driving]
    names = {name for name, read in spec.reads.items() if read == own}
    beside = [Step(one.model, tuple((theirs, mine) for mine, theirs in one.match.items())) for one in spec.lookups]
    beside += [Step(one.model, ((one.target, one.column),)) for one in spec.foreign_keys if one.moves_orphans]
    query = Query(spec.sql, spec.sql_file, spec.id.workflow, tables)
    return ways_to(query, names | {f"{spec.id.workflow}.{name}" for name in names}, beside)
