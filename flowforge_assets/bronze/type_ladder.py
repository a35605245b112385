"""Types of columns in typed sources (Parquet, JSON, Excel, databases) by their SQL word, and which holds all of another.

Belongs here: comparing two types by their words. Does not: what a value's text looks like, what silver's type is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BITS = {
    "tinyint": 8,
    "int1": 8,
    "utinyint": 9,
    "smallint": 16,
    "int2": 16,
    "smallserial": 16,
    "usmallint": 17,
    "year": 16,
    "mediumint": 24,
    "integer": 32,
    "int": 32,
    "int4": 32,
    "serial": 32,
    "uinteger": 33,
    "bigint": 64,
    "int8": 64,
    "bigserial": 64,
    "unsigned big int": 65,
    "ubigint": 65,
    "hugeint": 128,
    "uhugeint": 129,
}
_FLOATS = {
    "real": 32,
    "float4": 32,
    "float": 64,
    "float8": 64,
    "double": 64,
    "double precision": 64,
    "binary_float": 32,
    "binary_double": 64,
}
_OF_WORD = {
    **dict.fromkeys(("decimal", "numeric", "number"), "decimal"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(
        ("text", "varchar", "char", "character", "character varying", "nvarchar", "nchar", "string"), "text"
    ),
    **dict.fromkeys(
        ("bpchar", "name", "tinytext", "mediumtext", "longtext", "ntext", "clob", "varchar2", "nvarchar2", "nclob"),
        "text",
    ),
    **dict.fromkeys(
        ("timestamp", "datetime", "datetime2", "timestamptz", "smalldatetime", "datetimeoffset"), "timestamp"
    ),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "timestamp"),
    **dict.fromkeys(("timestamp with local time zone", "timestamp_s", "timestamp_ms", "timestamp_ns"), "timestamp"),
}
_DECLARED = re.compile(r"([a-z][a-z0-9_ ]*?)\s*(?:\((\d+)(?:\s*,\s*(\d+))?\))?\s*((?:with|without) time zone)?")
_BITS_OF_A_DIGIT = 3.33
UNBOUNDED = 10_000


@dataclass(frozen=True)
class Kind:
    """What a type's word says. `size`: bits of a number, digits before the point of a decimal; `scale`: those behind it."""

    family: str
    size: int = 0
    scale: int = 0


def kind_of(declared: str) -> Kind:
    """Read a type's word; one that is not known is a family of its own."""
    lowered, unsigned, _ = declared.strip().lower().partition(" unsigned")
    lowered = lowered.removesuffix(" zerofill")
    found = _DECLARED.fullmatch(lowered)
    if found is None:
        return Kind(lowered)
    word, first, second = found[1], found[2], found[3]
    if word in _BITS:
        return Kind("integer", _BITS[word] + bool(unsigned))
    if word in _FLOATS:
        return Kind("float", _FLOATS[word])
    family = _OF_WORD.get(word, word)
    if family == "decimal":
        scale = int(second or 0) if first else UNBOUNDED
        return Kind(family, int(first) - scale if first else UNBOUNDED, scale)
    return Kind(family)


def is_number(declared: str) -> bool:
    """Whether a type's values are numbers."""
    return kind_of(declared).family in {"integer", "decimal", "float"}


def is_moment(declared: str) -> bool:
    """Whether a type's values are days or moments."""
    return kind_of(declared).family in {"timestamp", "date"}


def holds_all_of(wide: str, narrow: str) -> bool:
    """Whether every value of the type `narrow` is one of the type `wide`: the same, a wider number, a timestamp, text."""
    if wide == narrow:
        return True
    one, other = kind_of(wide), kind_of(narrow)
    if one.family == "text":
        return True
    if one.family == other.family:
        return one.size >= other.size and one.scale >= other.scale
    if other.family == "integer":
        return one.family == "float" or (one.family == "decimal" and one.size * _BITS_OF_A_DIGIT >= other.size - 1)
    return (one.family, other.family) == ("timestamp", "date")


def common_type(first: str, second: str) -> str:
    """The narrowest of the two that holds all of the other; `text` where neither does."""
    if holds_all_of(first, second):
        return first
    return second if holds_all_of(second, first) else "text"
