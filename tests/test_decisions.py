"""A person's decision: who, why, when, until when; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowforge_resources.decisions import Decision, decide, parse_until
from flowforge_resources.errors import DecisionError

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ENDS = {
    "2026-12-01": datetime(2026, 12, 2, tzinfo=UTC),
    "2026-11-21": datetime(2026, 11, 22, tzinfo=UTC),
    "2026-12-01T12:00": datetime(2026, 12, 1, 12, tzinfo=UTC),
    "2026-12-01T12:00+02:00": datetime(2026, 12, 1, 10, tzinfo=UTC),
    "12 hours": NOW + timedelta(hours=12),
    "1 day": NOW + timedelta(days=1),
    "8 weeks": NOW + timedelta(weeks=8),
}


@pytest.mark.parametrize("written", ENDS)
def test_an_end_is_a_day_to_its_end_a_moment_or_a_span(written: str) -> None:
    assert parse_until(written, NOW) == ENDS[written]


@pytest.mark.parametrize(
    "written", ["", "soon", "2026-13-01", "0 days", "2026-11-20", "2026-11-21T09:00", "9" * 12 + " weeks"]
)
def test_an_end_that_is_none_or_over_is_refused_with_the_forms_there_are(written: str) -> None:
    with pytest.raises(DecisionError, match=r"nothing changed.*Write a day"):
        parse_until(written, NOW)


def test_a_decision_needs_a_reason_and_names_who_took_it() -> None:
    with pytest.raises(DecisionError, match="gives no reason"):
        decide(actor="ada", reason=" ", now=NOW)
    assert decide(actor="ada", reason=" known ", now=NOW) == Decision("ada", "known", NOW)
    assert "@" in decide(actor=None, reason="known", now=NOW).actor


def test_a_decision_counts_until_its_end_and_survives_being_written() -> None:
    decision = decide(actor="ada", reason="known", now=NOW, until="1 day")
    assert decision.counts(NOW + timedelta(hours=23, minutes=59))
    assert not decision.counts(NOW + timedelta(days=1))
    assert Decision.of({**decision.as_dict(), "check": "other keys are left alone"}) == decision
    assert str(decision) == "by ada until 2026-11-22 09:00 UTC: known"
