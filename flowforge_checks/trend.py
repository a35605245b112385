"""The trend of a rule: how many rows broke it in the last batches that made a version of the table.

Kept in the facts of the version itself, so that it is there with the data and costs no reading.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowforge_checks.results import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_checks.gate import CheckCount
    from flowforge_checks.results import Outcome

# Name of the fact. Of each check its batches, oldest first: when, rows checked, rows broken.
TREND = "trend"
BATCHES = 10
Trend = dict[str, list[tuple[str, int, int]]]


def continued(facts: Mapping[str, Any], counts: Sequence[CheckCount], at: str) -> Trend:
    """The trend up to this batch.

    Args:
        facts: of the version before; empty where there is none.
        counts: what the rules about a row found in this batch.
        at: when its run began.
    """
    before = facts.get(TREND, {})
    return {
        count.check: [*before.get(count.check, [])[1 - BATCHES :], (at, count.rows_checked, count.rows_broken)]
        for count in counts
    }


def with_trend(outcome: Outcome, trend: Trend) -> Outcome:
    """The same with the batches before it, where there are any."""
    batches = trend.get(outcome.check, [])
    if len(batches) <= 1:
        return outcome
    rows = [
        {"at": at, "rows_checked": asked, "rows_broken": broken, "percent": f"{100 * broken / max(asked, 1):.2f}"}
        for at, asked, broken in reversed(batches)
    ]
    return replace(outcome, metadata={**outcome.metadata, TREND: as_table(rows)})
