"""From the words of YAML to a type: `decimal(10,2)` and its options."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from flowforge_assets.column_types.base import Boolean, ColumnType, Json, Text
from flowforge_assets.column_types.moments import Date, Time, Timestamp
from flowforge_assets.column_types.numbers import Decimal, Float, Integer
from flowforge_resources.errors import did_you_mean

_TYPES: dict[str, type[ColumnType]] = {
    "text": Text,
    "integer": Integer,
    "decimal": Decimal,
    "float": Float,
    "boolean": Boolean,
    "date": Date,
    "time": Time,
    "timestamp": Timestamp,
    "json": Json,
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_EXAMPLE = "decimal(10,2)"


def parse_type(written: str, **options: Any) -> ColumnType:
    """The type of a YAML word, e.g. `date` or `decimal(10,2)`, with its options by name.

    Raises:
        ValueError: no such type, or an option that the type does not have; the message says what to write.
    """
    word = written.strip().lower()
    digits = _DECIMAL.fullmatch(word)
    name = "decimal" if digits else word
    if name not in _TYPES or (name == "decimal" and not digits):
        words = [_EXAMPLE if one == "decimal" else one for one in _TYPES]
        raise ValueError(f"'{written}' is not a type.{did_you_mean(written, words)}")
    for option in options:
        if option not in _options(_TYPES[name]):
            raise ValueError(f"`{option}` belongs to {_owners(option)} columns, not to {written}. Remove it.")
    size = {"precision": int(digits[1]), "scale": int(digits[2])} if digits else {}
    return _TYPES[name](**size, **options)


def _options(kind: type[ColumnType]) -> set[str]:
    return {field.name for field in fields(kind)} - {"precision", "scale"}  # type: ignore[arg-type]  # all are dataclasses


def _owners(option: str) -> str:
    names = [name for name, kind in _TYPES.items() if option in _options(kind)]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
