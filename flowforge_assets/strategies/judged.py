"""What the gate asks of rows that are no values: a delete needs its key only, a truncate nothing but its sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    applied = [_limited(one) for one in told] if spec.strategy.marks_operations else list(told)
    if not needs_sequence(spec):
        return applied
    first = spec.sequence_by[0]
    message = f"{first} is empty, so that the version has no beginning"
    return [
        *applied,
        Statement(SEQUENCE_PRESENT, first, f"{quote(first)} IS NULL", "quarantine", "error", message, "not empty"),
    ]


def _limited(one: Statement) -> Statement:
    if one.check == TYPE:
        return one
    limit = f"{OPERATION} < 2" if one.check == KEYS_PRESENT else f"{OPERATION} = 0"
    return replace(one, broken=f"{limit} AND ({one.broken})")
