"""How long to wait: before a request that is tried again, between requests of a limited rate, and in all."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass
class Clock:
    """The time, and waiting: one seam, so that tests need not wait."""

    def now_s(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The moment."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def rate(written: str) -> float:
    """Requests a second of a rate such as `5/s` or `100/m`.

    Raises:
        ValueError: it is none.
    """
    found = _RATE.fullmatch(written.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"'{written}' is no rate. Write requests and a unit: `5/s`, `100/m` or `1000/h`.")
    return float(found[1]) / _SECONDS[found[2]]


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks for, written as seconds or as a date (RFC 9110, 10.2.3); None for neither."""
    if header is None:
        return None
    text = header.strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a zone of many digits
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())


@dataclass
class Pace:
    """At most so many requests a second, evenly spread; None: as many as one after the other makes."""

    per_s: float | None
    clock: Clock
    _next_s: float = field(default=0.0)

    def wait(self) -> None:
        """Wait until the next request may go out."""
        if self.per_s is None:
            return
        now = self.clock.now_s()
        if self._next_s > now:
            self.clock.sleep(self._next_s - now)
        self._next_s = max(self._next_s, now) + 1 / self.per_s


@dataclass
class Deadline:
    """The end of all waiting of one extraction."""

    seconds: float
    clock: Clock
    _began_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._began_s = self.clock.now_s()

    @property
    def left_s(self) -> float:
        """Seconds that are left, below zero when it is over."""
        return self.seconds - (self.clock.now_s() - self._began_s)
