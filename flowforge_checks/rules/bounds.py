"""What is said of bounds in rules: that one is above the other, and lengths of time."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d+)\s*(s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)")
_DAY_OR_MOMENT = re.compile(r"\d{4}-\d\d-\d\d.*")


def require_order(rule: str, low: float | str | None, high: float | str | None) -> None:
    """Whether some value can lie between two bounds, as far as they can be compared here: numbers, days and moments.

    Raises:
        ValueError: none can.
    """
    texts = [one for one in (low, high) if isinstance(one, str)]
    if low is None or high is None or len(texts) == 1 or not all(map(_DAY_OR_MOMENT.fullmatch, texts)):
        return
    if low > high:  # type: ignore[operator]  # both are numbers, or both texts
        raise ValueError(f"`{rule}` has `min: {low}` above `max: {high}`, so nothing would be valid. Swap them.")


def span(field: str, written: str) -> timedelta:
    """A length of time as written: `36h` or `2 days`.

    Raises:
        ValueError: it is none.
    """
    found = _SPAN.fullmatch(written.strip())
    if not found:
        raise ValueError(f"`{field}: {written}` is no length of time. Write e.g. `36h` or `2 days`.")
    return timedelta(**{_UNITS[found[2][0]]: int(found[1])})
