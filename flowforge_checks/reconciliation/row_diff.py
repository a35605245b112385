"""Two sides row by row, found by their key: which keys only one has, and which rows say something else.

Null is a value, in a key and in a column: two rows whose key is null are of one key. Where a key occurs more than once
on a side, its rows are paired in the order of their values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_checks.reconciliation.findings import Compared, Finding
from flowforge_checks.reconciliation.measures import left_of, right_of
from flowforge_checks.reconciliation.spec import PERSONAL, Tolerant
from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_checks.reconciliation.sides import Side
    from flowforge_checks.reconciliation.spec import Measure, Reconciliation

EXAMPLES = 5
_TEXT = "VARCHAR"
IDENTICAL, MODIFIED, ADDED, REMOVED = "identical", "modified", "added", "removed"


def compare_rows(connection: duckdb.DuckDBPyConnection, spec: Reconciliation, left: Side, right: Side) -> Compared:
    """What `key_set` and `diff` ask."""
    found = Compared(())
    for measure in spec.measures:
        if measure.measure == "key_set":
            found += _Diff(connection, spec, measure, left, right, ()).compared()
        elif measure.measure == "diff":
            found += _Diff(connection, spec, measure, left, right, _columns(spec, left, right)).compared()
    return found


def _columns(spec: Reconciliation, left: Side, right: Side) -> tuple[Tolerant, ...]:
    """What is compared: as declared, else all that both sides have besides the key and FlowForge's own."""
    if spec.compare:
        return spec.compare
    there = {name.lower() for name in right.names()}
    keys = {(key.column or "").lower() for key in spec.keys}
    both = [name for name in left.names() if name.lower() in there and name.lower() not in keys]
    return tuple(Tolerant(column=name) for name in both if not name.startswith("_"))


@dataclass
class _Diff:
    """One full join of the sides by key; `columns` empty to compare nothing but the keys."""

    connection: duckdb.DuckDBPyConnection
    spec: Reconciliation
    measure: Measure
    left: Side
    right: Side
    columns: tuple[Tolerant, ...]
    joined: str = field(init=False)
    same: list[str] = field(init=False)

    def __post_init__(self) -> None:
        keys = self.spec.keys
        one = [(f"k{place}", left_of(key)) for place, key in enumerate(keys)]
        other = [(f"k{place}", right_of(key)) for place, key in enumerate(keys)]
        one += [(f"v{place}", left_of(column)) for place, column in enumerate(self.columns)]
        other += [(f"v{place}", right_of(column)) for place, column in enumerate(self.columns)]
        self._store("_left", self.left, one, self.spec.wheres[0])
        self._store("_right", self.right, other, self.spec.wheres[1])
        types = [self._types(name) for name in ("_left", "_right")]
        on = [self._equal(f"k{place}", types) for place in range(len(keys))]
        self.joined = f"_left AS l FULL JOIN _right AS r ON {' AND '.join([*on, 'l.n = r.n'])}"
        self.same = [self._same(place, column, types) for place, column in enumerate(self.columns)]

    def _store(self, name: str, side: Side, values: Sequence[tuple[str, str]], where: str) -> None:
        """The side's values, each row with its number among those of its key; of a key set, each key once."""
        rows = side.columns(values, where)
        keys = ", ".join(one for one, _ in values if one.startswith("k"))
        if not self.columns:
            sql = f"SELECT DISTINCT {keys}, 1 AS n FROM {rows}"
        else:
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {rows}")
            rows = name
            twice = f"SELECT 1 FROM {name} GROUP BY {keys} HAVING count(*) > 1"
            (doubled,) = one_row(self.connection, f"SELECT EXISTS ({twice})")
            order = ", ".join(one for one, _ in values)
            number = f"row_number() OVER (PARTITION BY {keys} ORDER BY {order})" if doubled else "1"
            sql = f"SELECT *, {number} AS n FROM {name}"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def _types(self, table: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self.connection.execute(f"DESCRIBE {table}").fetchall()}

    def _equal(self, name: str, types: Sequence[dict[str, str]]) -> str:
        """Null-safe equality; text and another type are compared as texts."""
        kinds = [one[name] for one in types]
        cast = "::VARCHAR" if kinds[0] != kinds[1] and "VARCHAR" in kinds else ""
        return f"l.{name}{cast} IS NOT DISTINCT FROM r.{name}{cast}"

    def _same(self, place: int, column: Tolerant, types: Sequence[dict[str, str]]) -> str:
        name = f"v{place}"
        equal, numbers = self._equal(name, types), _as_numbers(name, [one[name] for one in types])
        tolerance = self.spec.tolerance[0] if column.tolerance is None else column.tolerance
        percent = self.spec.tolerance[1] if column.tolerance_percent is None else column.tolerance_percent
        if numbers is None or not (tolerance or percent or _TEXT in [one[name] for one in types]):
            return f"({equal})"
        one, other = numbers
        allowed = f"greatest({tolerance!r}, abs({one}) * {percent!r} / 100)"
        return f"({equal} OR coalesce(abs({other} - {one}) <= {allowed}, FALSE))"

    # -- answers ------------------------------------------------------------------------------------------------------

    def compared(self) -> Compared:
        """Counts, columns that differ, and a few rows of each kind."""
        alike = " AND ".join(self.same) or "TRUE"
        both = "l.n IS NOT NULL AND r.n IS NOT NULL"
        conditions = {
            IDENTICAL: f"{both} AND ({alike})",
            MODIFIED: f"{both} AND NOT ({alike})",
            ADDED: "l.n IS NULL",
            REMOVED: "r.n IS NULL",
        }
        listed = [f"count(*) FILTER ({one})" for one in conditions.values()]
        listed += [f"count(*) FILTER ({both} AND NOT {one})" for one in self.same]
        counts = [int(one) for one in one_row(self.connection, f"SELECT {', '.join(listed)} FROM {self.joined}")]
        of_kind = dict(zip(conditions, counts, strict=False))
        differ = zip(self.columns, counts[len(conditions) :], strict=True)
        columns = [{"column": column.label, "rows_that_differ": count} for column, count in differ if count]
        examples = [
            example
            for kind in (MODIFIED, ADDED, REMOVED)
            if of_kind[kind]
            for example in self._examples(kind, conditions[kind])
        ]
        return Compared(self._findings(of_kind), tuple(columns), tuple(examples))

    def _findings(self, counts: dict[str, int]) -> tuple[Finding, ...]:
        left = counts[IDENTICAL] + counts[MODIFIED] + counts[REMOVED]
        right = counts[IDENTICAL] + counts[MODIFIED] + counts[ADDED]
        apart = counts[MODIFIED] + counts[ADDED] + counts[REMOVED]
        allowed = self.measure.allowed(left, (0.0, 0.0))
        kinds = (IDENTICAL, MODIFIED, ADDED, REMOVED) if self.columns else (IDENTICAL, ADDED, REMOVED)
        said = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds)
        what = "rows" if self.columns else "keys"
        return (
            Finding(
                self.measure.measure,
                "",
                f"{left:,} {what}",
                f"{right:,} {what}",
                said,
                f"{allowed:,.15g}",
                apart <= allowed,
            ),
        )

    def _examples(self, kind: str, condition: str) -> list[dict[str, Any]]:
        """Rows of a kind: their key, and of modified ones which columns say what on each side."""
        keys = [f"coalesce(l.k{place}::VARCHAR, r.k{place}::VARCHAR)" for place in range(len(self.spec.keys))]
        values = [f"{side}.v{place}::VARCHAR" for place in range(len(self.columns)) for side in ("l", "r")]
        told = [f"NOT {one}" for one in self.same]
        found = self.connection.execute(
            f"SELECT {', '.join([*keys, *told, *values])} FROM {self.joined} WHERE {condition} ORDER BY ALL LIMIT {EXAMPLES}"
        ).fetchall()
        return [self._example(kind, row) for row in found]

    def _example(self, kind: str, row: Sequence[Any]) -> dict[str, Any]:
        keys, rest = row[: len(self.spec.keys)], row[len(self.spec.keys) :]
        told, values = rest[: len(self.columns)], rest[len(self.columns) :]
        named = {
            pair.label: PERSONAL if self.spec.hides(pair) else _text(value)
            for pair, value in zip(self.spec.keys, keys, strict=True)
        }
        changes = [
            f"{column.label}: {PERSONAL if self.spec.hides(column) else f'{_text(values[2 * place])} → {_text(values[2 * place + 1])}'}"
            for place, column in enumerate(self.columns)
            if kind == MODIFIED and told[place]
        ]
        return {"row": kind, **named, "what differs": ", ".join(changes)}


def _as_numbers(name: str, kinds: Sequence[str]) -> tuple[str, str] | None:
    """SQL of both sides as numbers, `5` of a text and 5.00 being one; None where neither is a number."""
    if not any(map(_is_number, kinds)) or not all(kind == _TEXT or _is_number(kind) for kind in kinds):
        return None
    if _TEXT not in kinds:
        return f"l.{name}", f"r.{name}"
    kind = "DOUBLE" if {"FLOAT", "DOUBLE"} & {*kinds} else "DECIMAL(38, 10)"
    return f"try_cast(l.{name} AS {kind})", f"try_cast(r.{name} AS {kind})"


def _text(value: Any) -> str:
    return "(null)" if value is None else str(value)


def _is_number(kind: str) -> bool:
    return kind.partition("(")[0] in {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
        "FLOAT", "DOUBLE", "DECIMAL",
    }  # fmt: skip
