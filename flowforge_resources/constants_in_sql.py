"""Constants in a query that can never be what they must be: `quantity = 'x'` over a number binds, and fails on every row.

DuckDB computes the casts of constants while it plans; one that it cannot compute stays in the plan as a cast.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_CAST = re.compile(r"(?<!\w)CAST\(('(?:[^']|'')*') AS ([A-Z][A-Z ]*(?:\([0-9, ]*\))?)\)")


def impossible_constant(connection: duckdb.DuckDBPyConnection, query: str) -> str | None:
    """What is wrong with the first such constant of a query that can be bound, or None.

    The tables it reads must be tables: of a view over nothing DuckDB plans nothing.
    """
    import duckdb

    plan: Any = json.loads(one_row(connection, f"EXPLAIN (FORMAT json) {query}")[1])
    for text, kind in (found for said in _texts(plan) for found in _CAST.findall(said)):
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
