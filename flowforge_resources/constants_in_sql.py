"""Constants in a query that can never be what they must be: `quantity = 'x'` over a number binds, and fails on every row.

DuckDB's plan shows each constant with the cast that its place asks for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_CAST = re.compile(r"(?<!\w)CAST\(('(?:[^']|'')*') AS ([A-Z][A-Z ]*(?:\([0-9, ]*\))?)\)")


def impossible_constant(connection: duckdb.DuckDBPyConnection, query: str) -> str | None:
    """What is wrong with the first such constant of a query that can be bound, or None; within TRY it is meant."""
    import duckdb

    connection.execute("SET explain_output = 'all'")  # the plan as it is bound comes first
    try:
        plan: Any = json.loads(connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()[0][1])
    finally:
        connection.execute("RESET explain_output")
    for text, kind in (found for said in _texts(plan) if "TRY(" not in said for found in _CAST.findall(said)):
        try:
            connection.execute(f"SELECT CAST({text} AS {kind})")
        except duckdb.ConversionException:
            return f"{text} is no {kind}"
    return None


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    for one in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _texts(one)
