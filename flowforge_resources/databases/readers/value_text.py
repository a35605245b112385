"""A Python value, as a driver returns it, as canonical text: the same text that `readers` ask of a database itself."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_HOUR_S, _MINUTE_S = 3_600, 60


def value_text(value: Any) -> str | None:
    """The text of a value, losing nothing; None is None."""
    if value is None or isinstance(value, str):
        return value
    text = next((write for kinds, write in _WRITERS if isinstance(value, kinds)), str)
    return text(value)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _decimal(value: Decimal) -> str:
    return format(value, "f") if value.is_finite() else str(value)


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return b64encode(bytes(value)).decode()


def _moment(value: datetime) -> str:
    return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat(sep=" ")


def _day_or_time(value: date | time) -> str:
    return value.isoformat()


def _nested(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else value_text(value)


def _duration(value: timedelta) -> str:
    """ISO 8601, e.g. `P1DT2H3M4.5S`."""
    sign, rest = ("-", -value) if value < timedelta() else ("", value)
    hours, seconds = divmod(rest.seconds, _HOUR_S)
    minutes, seconds = divmod(seconds, _MINUTE_S)
    fraction = f".{rest.microseconds:06d}".rstrip("0").rstrip(".")
    return f"{sign}P{rest.days}DT{hours}H{minutes}M{seconds}{fraction}S"


# In this order: a boolean is an integer to Python, and a moment a day.
_WRITERS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, _boolean),
    (int, str),
    (float, repr),
    (Decimal, _decimal),
    ((bytes, bytearray, memoryview), _bytes),
    (datetime, _moment),
    ((date, time), _day_or_time),
    (timedelta, _duration),
    ((list, tuple, dict, set), _nested),
)
