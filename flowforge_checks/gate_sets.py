"""The gate's word on rows beside each other: which of them go, and by which rules.

Belongs here: the order in which such rules are asked. Does not: a rule (`rules.sets`), a row's own rules (`gate`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_checks.rules.base import REMOVES_ROWS
from flowforge_checks.rules.conditions import named_in_errors
from flowforge_checks.rules.sets import SetRule
from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from flowforge_checks.gate import Gate
    from flowforge_checks.rules.sets import Rows


def judge_sets(gate: Gate, beside: Rows) -> None:
    """Ask each rule in order, among the rows that nothing before it takes out; then say all that holds a row.

    A row that one rule holds is not there for the next, so that it holds no other. Whether the others would hold it too
    is asked once more, beside every row that its own values let pass: a person then sees all reasons at once, and no
    further row is held for them.
    """
    sets = [(place, one.rule) for place, one in enumerate(gate.told) if isinstance(one.rule, SetRule)]
    for place, rule in sets:
        _judge(gate, place, rule, replace(beside, batch=_rows_but(gate.taken_out)))
    holding = [(place, rule) for place, rule in sets if rule.effective_action == "quarantine"]
    held = gate.breaks_one_of([place for place, _ in holding])
    if not holding[1:] or not one_row(gate.connection, f"SELECT count(*) FROM verdict WHERE {held}")[0]:
        return
    of_row = [
        place for place, one in enumerate(gate.told) if one.action in REMOVES_ROWS and not isinstance(one.rule, SetRule)
    ]
    everyone = replace(beside, batch=_rows_but(gate.breaks_one_of(of_row)))
    for place, rule in holding:
        _judge(gate, place, rule, everyone, held)


def _rows_but(out: str) -> str:
    return f"(SELECT * FROM typed ANTI JOIN (FROM verdict WHERE {out}) USING (_rid))"


def _judge(gate: Gate, place: int, rule: SetRule, beside: Rows, among: str = "TRUE") -> None:
    """Note the rows that do not stay. `among`: SQL over `verdict` for those of which it is noted."""
    with named_in_errors(rule.check_name):
        losers = rule.losers_on(gate.connection, beside)
        gate.note(place, f"_rid IN ({losers}) AND NOT ({gate.told[place].waived}) AND {among}")
