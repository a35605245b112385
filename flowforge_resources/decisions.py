"""A person's decision about data: who, why, when, and until when it counts.

Belongs here: the shape that a waived check and a decided row share, how its parts are read from a command line or a
launchpad form, and who is at the keyboard. Does not: what was decided (see `gates`).
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import DecisionError

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_SPAN = re.compile(r"([1-9]\d*) ?(hour|day|week)s?")
_FORMS = (
    "Write a day (2026-12-01: to its end, UTC), a moment (2026-12-01T12:00) or a span (12 hours, 30 days, 8 weeks)."
)


@dataclass(frozen=True)
class Decision:
    """Who decided, why, when, and until when it counts; `until` None: for ever."""

    actor: str
    reason: str
    at: datetime
    until: datetime | None = None

    def counts(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.until is None or now < self.until

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        until = self.until.isoformat() if self.until else None
        return {"actor": self.actor, "reason": self.reason, "at": self.at.isoformat(), "until": until}

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Decision:
        """As `as_dict` wrote it; other keys are left alone."""
        until = datetime.fromisoformat(raw["until"]) if raw.get("until") else None
        return cls(raw["actor"], raw["reason"], datetime.fromisoformat(raw["at"]), until)

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"by {self.actor}{until}: {self.reason}"


def decide(*, actor: str | None, reason: str, now: datetime, until: str | None = None) -> Decision:
    """A decision made now.

    Args:
        actor: who decided; None or blank: the user of this machine.
        reason: why, in a sentence.
        now: the moment.
        until: a day, a moment or a span of time, as a person writes it; None: it never expires.

    Raises:
        DecisionError: no reason, or an end that is none or is over.
    """
    if not reason.strip():
        raise DecisionError("it gives no reason.", "Say why, in a sentence: it is kept with the decision for ever.")
    end = None if until is None else parse_until(until, now)
    return Decision((actor or "").strip() or who(), reason.strip(), now, end)


def require_person(written: str, field: str) -> str:
    """Who decides in a form; the user of the machine that runs the job is nobody's answer.

    Raises:
        DecisionError: the field is empty.
    """
    if not written.strip():
        raise DecisionError(f"`{field}` is empty.", "Write who decides.")
    return written


def parse_until(written: str, now: datetime) -> datetime:
    """The moment from which on a decision does not count any more.

    Raises:
        DecisionError: it is no moment, or one that is over.
    """
    end = _parse(written.strip(), now)
    if end is None:
        raise DecisionError(f"its end `{written}` is no moment.", _FORMS)
    if end <= now:
        raise DecisionError(f"its end `{written}` is over already (it is {now:%Y-%m-%d %H:%M} UTC).", _FORMS)
    return end


def _parse(written: str, now: datetime) -> datetime | None:
    try:
        if span := _SPAN.fullmatch(written):
            return now + int(span[1]) * _UNITS[span[2]]
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", written):
            return datetime.combine(date.fromisoformat(written), time(tzinfo=UTC)) + timedelta(days=1)
        moment = datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def who() -> str:
    """The person at the keyboard, as far as the machine knows: `name@host`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
