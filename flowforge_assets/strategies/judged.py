"""What the gate asks of rows that are no values: a delete needs its key and its sequence, a truncate its sequence.

Both need whatever says what they are: a column that a condition names and whose text did not cast is null there, and
`deleted_at IS NULL` would be true of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.model_sql.conditions import columns_named
from flowforge_assets.transforms.cast import OPERATION
from flowforge_checks.statements import KEYS_PRESENT, TYPE, Statement
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.table_spec import TableSpec

SEQUENCE_PRESENT = "sequence_present"


def needs_sequence(spec: TableSpec) -> bool:
    """Whether a row must say when it holds: a version has a beginning."""
    return spec.strategy.keeps_history and bool(spec.sequence_by)


def judged(spec: TableSpec, told: Sequence[Statement]) -> list[Statement]:
    """The statements of a table as they apply to each operation."""
    applied = _of_operations(spec, told) if spec.strategy.marks_operations else list(told)
    if not needs_sequence(spec):
        return applied
    first = spec.sequence_by[0]
    message = f"{first} is empty, so that the version has no beginning"
    return [
        *applied,
        Statement(SEQUENCE_PRESENT, first, f"{quote(first)} IS NULL", "quarantine", "error", message, "not empty"),
    ]


def _of_operations(spec: TableSpec, told: Sequence[Statement]) -> list[Statement]:
    always = _deciding(spec)
    return [one if one.check == TYPE and one.column in always else _limited(spec, one) for one in told]


def _limited(spec: TableSpec, one: Statement) -> Statement:
    of_keys = one.check == KEYS_PRESENT or (one.check == TYPE and one.column in spec.keys)
    return replace(one, broken=f"{OPERATION} {'< 2' if of_keys else '= 0'} AND ({one.broken})")


def _deciding(spec: TableSpec) -> set[str]:
    """The columns that say what a row is, and when: those a condition names, and those that order or limit."""
    if "cast" in [step.transform for step in spec.transforms[:-1]]:
        # A row that did not cast misses the steps behind: it was not routed to the table that should have its delete.
        return {column.name for column in spec.columns}
    strategy = spec.strategy
    conditions = [one for one in (strategy.delete_when, strategy.truncate_when) if one]
    named = {name.lower() for one in conditions for name in columns_named(one)}
    return {one.name for one in spec.columns if one.name.lower() in named} | {*spec.sequence_by, strategy.within or ""}
