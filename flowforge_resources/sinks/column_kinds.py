"""Which column of a database may take which of ours without a value being changed, and the types new columns get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True)
class Family:
    """A kind of value. `scale`: digits behind the point of a decimal; None where the type bounds none."""

    word: str
    scale: int | None = None


def family_of(duckdb_type: str) -> Family:
    """What a type of DuckDB holds."""
    name, _, inside = duckdb_type.partition("(")
    if name == "DECIMAL":
        return Family("decimal", int(inside.rstrip(")").split(",")[1]) if inside else None)
    if name in _WHOLE or name in ("HUGEINT", "UHUGEINT"):
        return Family("integer")
    words = {"BOOLEAN": "boolean", "FLOAT": "float", "DOUBLE": "float", "DATE": "date", "TIME": "time", "BLOB": "bytes"}
    return Family("timestamp" if name.startswith("TIMESTAMP") else words.get(name, "text"))


def family_of_target(kind: Any) -> Family:
    """What a column of a database holds, by its SQLAlchemy type; `text` also for JSON, UUID, enumerations and the like."""
    from sqlalchemy import types

    if isinstance(kind, types.Float):
        return Family("float")
    if isinstance(kind, types.Numeric):
        return Family("decimal", kind.scale)
    for base, word in (
        (types.Boolean, "boolean"),
        (types.Integer, "integer"),
        (types.DateTime, "timestamp"),
        (types.Date, "date"),
        (types.Time, "time"),
    ):
        if isinstance(kind, base):
            return Family(word)
    return Family("bytes" if _is_binary(kind) else "text")


def _is_binary(kind: Any) -> bool:
    try:
        return kind.python_type is bytes
    except NotImplementedError:  # of JSON, arrays and the like
        return False


_TAKES = {
    "boolean": {"boolean", "integer", "decimal"},
    "integer": {"integer", "decimal"},
    "decimal": {"decimal"},
    "float": {"float"},
    "date": {"date", "timestamp"},
    "time": {"time"},
    "timestamp": {"timestamp"},
    "bytes": {"bytes"},
    "text": {"text"},
}


def fits(ours: Family, theirs: Family) -> bool:
    """Whether every value of ours has a place there: a decimal needs all its digits behind the point."""
    if theirs.word not in _TAKES[ours.word]:
        return False
    return ours.word != "decimal" or theirs.scale is None or theirs.scale >= (ours.scale or 0)


@dataclass(frozen=True)
class NewTypes:
    """The types that new columns of a database get, by kind of value. `key_text`: text that an index can hold."""

    boolean: str
    small: str
    integer: str
    big: str
    wide: str
    decimal: str
    float: str
    date: str
    time: str
    timestamp: str
    zoned: str
    text: str
    key_text: str
    bytes: str

    def of(self, duckdb_type: str, *, key: bool) -> str:
        """The type of a column that is to hold one of DuckDB's."""
        name, _, inside = duckdb_type.partition("(")
        if name == "DECIMAL":
            return self.decimal.format(*inside.rstrip(")").split(","))
        return self._named(key=key).get(name, self.key_text if key else self.text)

    def _named(self, *, key: bool) -> Mapping[str, str]:
        return {
            "BOOLEAN": self.boolean,
            **dict.fromkeys(("TINYINT", "UTINYINT", "SMALLINT"), self.small),
            **dict.fromkeys(("USMALLINT", "INTEGER"), self.integer),
            **dict.fromkeys(("UINTEGER", "BIGINT"), self.big),
            "UBIGINT": self.wide,
            **dict.fromkeys(("FLOAT", "DOUBLE"), self.float),
            "DATE": self.date,
            "TIME": self.time,
            "TIMESTAMP": self.timestamp,
            "TIMESTAMP WITH TIME ZONE": self.zoned,
            "BLOB": self.bytes,
            "VARCHAR": self.key_text if key else self.text,
        }
