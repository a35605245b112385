"""Oracle: rows as Arrow where the driver has them, as the vendor's does. The server itself writes the texts, since the driver would round.

Untested against a live server: the tests call this with the driver's own classes and errors, and parse the SQL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.readers.alchemy import AlchemyReader
from flowforge_resources.databases.readers.arrow_text import rows_of_width, text_of_arrow
from flowforge_resources.databases.readers.base import SourceColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

_MOMENT = "SYYYY-MM-DD HH24:MI:SS"
_FINE = f"{_MOMENT}.FF9"
_ZONED = f"{_FINE}TZH:TZM"
# The driver's words that are not the server's. A DATE has a time of day, as the `datetime` of others.
_WORDS = {
    "DATE": "datetime",
    "VARCHAR": "varchar2",
    "NVARCHAR": "nvarchar2",
    "LONG_NVARCHAR": "long",
    "LONG_RAW": "long raw",
    "INTERVAL_DS": "interval day to second",
    "INTERVAL_YM": "interval year to month",
    "TIMESTAMP_TZ": "timestamp with time zone",
    "TIMESTAMP_LTZ": "timestamp with local time zone",
}
_SIZED = ("varchar2", "nvarchar2", "char", "nchar", "raw")
_FLOATING = -127
_TEXTS = {
    "datetime": f"LTRIM(TO_CHAR({{}}, '{_MOMENT}'))",
    "timestamp": f"LTRIM(TO_CHAR({{}}, '{_FINE}'))",
    "timestamp with time zone": f"LTRIM(TO_CHAR({{}}, '{_ZONED}'))",
    "timestamp with local time zone": f"LTRIM(TO_CHAR({{}}, '{_ZONED}'))",
    "interval day to second": "TO_CHAR({})",
    "interval year to month": "TO_CHAR({})",
    "number": "TO_CHAR({}, 'TM9')",
    "raw": "RAWTOHEX({})",
    "rowid": "ROWIDTOCHAR({})",
    "json": "JSON_SERIALIZE({} RETURNING CLOB)",
    "xmltype": "XMLSERIALIZE(CONTENT {} AS CLOB)",
    "vector": "FROM_VECTOR({} RETURNING CLOB)",
}
_LARGE = ("clob", "nclob", "blob", "long", "long raw")
# What the driver brings as Arrow without rounding; rows with anything else come as values of Python.
_AS_ARROW = (*_LARGE, "varchar2", "nvarchar2", "char", "nchar", "binary_double", "binary_float", "boolean")
_LARGE_VALUE_BYTES = 64 << 10
_SMALL_VALUE_BYTES = 8
_WRITTEN = re.compile(
    r"(?P<day>-?\d{4}-\d\d-\d\d)(?:[ T](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9})\d*)?)?\s*(?P<zone>[+-]\d\d:?\d\d)?Z?"
)


class OracleReader(AlchemyReader):
    """One read-only transaction: every statement sees what there was when it began.

    Names that Oracle keeps in capitals, because nobody quoted them, are lower case here, as SQLAlchemy and sinks have them.
    """

    def _begin(self) -> str:
        self._session.exec_driver_sql("SET TRANSACTION READ ONLY")
        return "one read-only transaction"

    def stored(self, name: str) -> str:
        return str(self._engine.dialect.denormalize_name(name))

    def quote(self, identifier: str) -> str:
        return super().quote(self.stored(identifier))

    def query(self, sql: str) -> str:
        return f"({sql.strip().rstrip(';')}\n) source"

    def typed_literal(self, value: str, kind: str) -> str:
        moment, form, function = moment_parts(value, kind)
        return f"{function}({self.text_literal(moment)}, '{form}')"

    def describe(self, relation: str) -> list[SourceColumn]:
        return [
            SourceColumn(name, word, column_text(self.quote(name), word))
            for one in self.description(relation)
            for name, word in [(self._engine.dialect.normalize_name(one[0]), type_word(one))]
        ]

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        answered = [(type_word(one), one[2]) for one in self.description(self.query(sql))]
        session = self.driver_session
        if not (hasattr(session, "fetch_df_batches") and all(_bare(word) in _AS_ARROW for word, _ in answered)):
            yield from super().batches(sql, names)
            return
        import pyarrow as pa

        for frame in session.fetch_df_batches(sql, size=rows_at_once(answered)):
            if frame.num_rows():
                yield text_of_arrow(pa.table(frame), names)


def type_word(described: Sequence[Any]) -> str:
    """The type of a column that the driver describes, in the server's words."""
    name, size, precision, scale = described[1].name.removeprefix("DB_TYPE_"), *described[2:3], *described[4:6]
    word = _WORDS.get(name, name.lower())
    if word == "number" and precision and scale is not None and scale != _FLOATING:
        return f"number({precision},{scale})"
    return f"{word}({size})" if word in _SIZED and size else word


def column_text(name: str, kind: str) -> str:
    """SQL: a column as text that loses nothing; what the driver brings whole stays as it is."""
    return _TEXTS.get(_bare(kind), "{}").format(name)


def _bare(kind: str) -> str:
    return kind.partition("(")[0]


def rows_at_once(answered: Sequence[tuple[str, int | None]]) -> int:
    """How many rows to ask for, by the types of an answer's columns and the sizes that they declare."""
    widths = [_LARGE_VALUE_BYTES if word in _LARGE else size or _SMALL_VALUE_BYTES for word, size in answered]
    return rows_of_width(sum(widths))


def moment_parts(value: str, kind: str) -> tuple[str, str, str]:
    """A moment's text written in full, the format that reads it, and the function that does."""
    found = _WRITTEN.fullmatch(value.strip())
    day, time, fraction, zone = found.group("day", "time", "fraction", "zone") if found else (value, None, None, None)
    moment = f"{day} {time or '00:00:00'}" if found else value
    if kind == "datetime":
        return moment, _MOMENT, "TO_DATE"
    moment = f"{moment}.{(fraction or '').ljust(9, '0')}" if found else value
    if "time zone" not in kind:
        return moment, _FINE, "TO_TIMESTAMP"
    return f"{moment}{zone or '+00:00'}" if found else value, _ZONED, "TO_TIMESTAMP_TZ"
