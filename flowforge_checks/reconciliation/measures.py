"""What two sides add up to: counts, sums, distinct values, least and greatest, by group, within tolerances."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flowforge_checks.reconciliation.findings import Compared, Finding
from flowforge_checks.reconciliation.spec import OF_ROWS, PERSONAL
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_checks.reconciliation.sides import Side
    from flowforge_checks.reconciliation.spec import Measure, Pair, Reconciliation

_SQL = {
    "row_count": "count(*)",
    "sum": "sum({value})",
    "distinct_count": "count(DISTINCT {value})",
    "min": "min({value})",
    "max": "max({value})",
}
# What a group that one side lacks says there; a least value says nothing.
_OF_NOTHING: dict[str, Any] = {"row_count": 0, "sum": 0, "distinct_count": 0}


def left_of(pair: Pair) -> str:
    """SQL for a pair on the left side."""
    return pair.left or quote(str(pair.column))


def right_of(pair: Pair) -> str:
    """SQL for a pair on the right side."""
    return pair.right or quote(str(pair.column))


def compare_measures(spec: Reconciliation, left: Side, right: Side) -> Compared:
    """One question to each side, whatever the number of measures; the answers group by group, null being a group."""
    asked = [one for one in spec.measures if one.measure not in OF_ROWS]
    if not asked:
        return Compared(())
    groups = len(spec.group_by)
    on_left = _answers(
        left.aggregate(_values(asked, "left"), [left_of(one) for one in spec.group_by], spec.wheres[0]), groups
    )
    on_right = _answers(
        right.aggregate(_values(asked, "right"), [right_of(one) for one in spec.group_by], spec.wheres[1]), groups
    )
    found = []
    for group in sorted({*on_left, *on_right}, key=lambda one: [(value is not None, str(value)) for value in one]):
        for place, measure in enumerate(asked):
            values = [_value(side, group, place, measure) for side in (on_left, on_right)]
            found.append(_finding(spec, measure, group, *values))
    return Compared(tuple(found))


def _values(asked: Sequence[Measure], side: str) -> list[str]:
    of = left_of if side == "left" else right_of
    return [_SQL[one.measure].format(value="" if one.measure == "row_count" else of(one)) for one in asked]


def _answers(rows: list[tuple[Any, ...]], groups: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """By group; a group is compared by its text, because sides may have different types for it."""
    return {tuple(None if one is None else str(one) for one in row[:groups]): row[groups:] for row in rows}


def _value(side: dict[tuple[Any, ...], tuple[Any, ...]], group: tuple[Any, ...], place: int, measure: Measure) -> Any:
    found = side.get(group)
    value = None if found is None else found[place]
    return _OF_NOTHING.get(measure.measure) if value is None else value


def _finding(spec: Reconciliation, measure: Measure, group: tuple[Any, ...], left: Any, right: Any) -> Finding:
    difference, allowed, agrees = _apart(spec, measure, left, right)
    hides = measure.measure in ("min", "max") and spec.hides(measure)
    one, other = (PERSONAL if hides else _text(value) for value in (left, right))
    named = ", ".join(
        f"{pair.label} {PERSONAL if spec.hides(pair) else _text(value)}"
        for pair, value in zip(spec.group_by, group, strict=True)
    )
    return Finding(measure.label, named, one, other, "" if hides else difference, allowed, agrees)


def _apart(spec: Reconciliation, measure: Measure, left: Any, right: Any) -> tuple[str, str, bool]:
    """The difference and the largest that is allowed, as text, and whether the values agree."""
    one, other = _number(left), _number(right)
    if one is None or other is None:
        return "", "", left == right or _text(left) == _text(right)
    if isinstance(one, Decimal) != isinstance(other, Decimal):
        one, other = float(one), float(other)
    difference: Any = other - one  # type: ignore[operator]  # both are of one kind by now
    allowed = measure.allowed(float(one), spec.tolerance)
    agrees = abs(difference) <= (Decimal(repr(allowed)) if isinstance(difference, Decimal) else allowed)
    return _text(difference), _text(allowed) if allowed else "0", bool(agrees)


def _number(value: Any) -> Decimal | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return value if isinstance(value, float) else Decimal(value)


def _text(value: Any) -> str:
    if value is None:
        return "(null)"
    if isinstance(value, float):
        return f"{value:,.15g}"
    return f"{value:,}" if isinstance(value, int | Decimal) and not isinstance(value, bool) else str(value)
