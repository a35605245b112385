"""Tests of a gold table: the rules of tables, as they apply to a query's result.

No row of a result can wait in quarantine or be left out, so a test counts (`keep`, the default) or holds back the whole
table (`block`). Belongs here: what a rule must be to be a test. Does not: asking it (`table_judge`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_checks.rules.base import REMOVES_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_checks.rules import Rule


def as_tests(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules as tests: `keep` where no action is written.

    Raises:
        ValueError: a rule says `quarantine` or `drop`, or compares with more versions than are there.
    """
    return tuple(_as_test(rule) for rule in rules)


def _as_test(rule: Rule) -> Rule:
    if rule.versions_compared > 1:
        raise ValueError(
            f"test {rule.check_name} compares with {rule.versions_compared} versions, and a gold table keeps none but the published one. Leave `over` out, or put the rule on the table the rows come from."
        )
    if rule.action not in REMOVES_ROWS:
        return rule
    if "action" in rule.model_fields_set:
        raise ValueError(
            f"test {rule.check_name} says `action: {rule.action}`, and a row that a query returns can neither wait in quarantine nor be left out. Write `keep` or `block`, or put the rule on the table the row comes from."
        )
    return rule.model_copy(update={"action": "keep"})
