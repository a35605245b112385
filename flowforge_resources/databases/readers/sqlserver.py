"""SQL Server: rows as Arrow where the driver has them, as the vendor's does. The server itself writes the texts, since the driver would round.

Untested against a live server: the tests call this with Arrow batches and errors such as the driver's, and parse the SQL.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.readers.alchemy import AlchemyReader, fetched
from flowforge_resources.databases.readers.arrow_text import FIRST_ROWS, rows_of_next, text_of_arrow
from flowforge_resources.databases.readers.base import SourceColumn
from flowforge_resources.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

_BOUNDED = "CONVERT(nvarchar(64), {})"
_MOMENT = "CONVERT(nvarchar(64), {}, 121)"
# Styles that lose nothing: without one, money has two digits and a float six.
_TEXTS = {
    **dict.fromkeys(
        ("bit", "tinyint", "smallint", "int", "bigint", "decimal", "numeric", "uniqueidentifier"), _BOUNDED
    ),
    **dict.fromkeys(("date", "time", "datetime", "datetime2", "smalldatetime"), _MOMENT),
    "datetimeoffset": f"REPLACE(REPLACE({_MOMENT}, ' +', '+'), ' -', '-')",
    **dict.fromkeys(("money", "smallmoney"), "CONVERT(nvarchar(64), {}, 2)"),
    **dict.fromkeys(("float", "real"), "CONVERT(nvarchar(64), {}, 3)"),
    **dict.fromkeys(
        ("binary", "varbinary", "image", "rowversion", "geography", "geometry"), "CAST({} AS varbinary(max))"
    ),
    "hierarchyid": "{}.ToString()",
}
_TEXT = re.compile(r"n?(?:var)?char\((\d+)\)")
_LONGEST_IN_A_BLOCK = 4000
_MAY_HAVE_SNAPSHOTS = "SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()"


class SqlServerReader(AlchemyReader):
    """One transaction; of snapshot isolation where the database allows it."""

    def _begin(self) -> str:
        ((state,),) = self.rows(_MAY_HAVE_SNAPSHOTS)
        self.driver_session.rollback()
        if state != 1:
            return ""
        with closing(self.driver_session.cursor()) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        return "one transaction of snapshot isolation"

    def typed_literal(self, value: str, kind: str) -> str:
        text = self.text_literal(value)
        # A `datetime` reads no more than three digits, and dates by the session's language; `datetime2` does neither.
        inner = "datetime2(7)" if kind in ("datetime", "smalldatetime") else kind
        said = f"CAST({text} AS {inner})"
        return said if inner == kind else f"CAST({said} AS {kind})"

    def text_literal(self, value: str) -> str:
        return "N" + super().text_literal(value)

    def describe(self, relation: str) -> list[SourceColumn]:
        named = self._described(f"SELECT * FROM {relation} WHERE 1 = 0")
        types = self.rows(types_asked(self.text_literal(f"SELECT * FROM {relation}")))
        kinds = [type_word(str(kind)) for kind, _ in types if kind is not None]
        if len(kinds) != len(named):
            said = next((str(problem) for _, problem in types if problem), "nothing.")
            raise SourceError(
                f"connection '{self.connection.name}'",
                f"the server does not tell the types of {relation}; it says: {said}",
                "Read a table, a view, or a SELECT without variables and temporary tables.",
            )
        return [
            SourceColumn(name, kind, column_text(self.quote(name), kind))
            for name, kind in zip(named, kinds, strict=True)
        ]

    def _described(self, sql: str) -> list[str]:
        with closing(self.driver_session.cursor()) as cursor:
            cursor.execute(sql)
            return [one[0] for one in cursor.description or ()]

    def rows(self, sql: str) -> list[Sequence[Any]]:
        with closing(self.driver_session.cursor()) as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with closing(self.driver_session.cursor()) as cursor:
            cursor.execute(sql)
            if not hasattr(cursor, "arrow_batch"):
                yield from fetched(cursor, names)
                return
            wanted = FIRST_ROWS
            while (batch := cursor.arrow_batch(wanted)).num_rows:
                yield text_of_arrow(batch, names)
                wanted = rows_of_next(batch.num_rows, batch.nbytes)


def types_asked(statement: str) -> str:
    """SQL: the type of every column of a statement, which is given as a literal; and what is wrong with it."""
    return (
        "SELECT coalesce(system_type_name, user_type_name), error_message "
        f"FROM sys.dm_exec_describe_first_result_set({statement}, NULL, 0) WHERE coalesce(is_hidden, 0) = 0 "
        "ORDER BY column_ordinal"
    )


def type_word(named: str) -> str:
    """A type as we name it: SQL Server's `timestamp` is no moment, but the version of a row."""
    return "rowversion" if named == "timestamp" else named


def column_text(name: str, kind: str) -> str:
    """SQL: a column as text that loses nothing, or as bytes; bounded where its type is, because such are read in blocks."""
    text = _TEXT.fullmatch(kind)
    size = text[1] if text is not None and int(text[1]) <= _LONGEST_IN_A_BLOCK else "max"
    return _TEXTS.get(kind.partition("(")[0], f"CONVERT(nvarchar({size}), {{}})").format(name)
