"""What a user's SQL expression must be: one expression over the columns of its row, the same result in every run.

Needs DuckDB, whose binder knows exactly what it will run; asked before anything runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowforge_assets.transforms.place import TRUTH, UNKNOWN_TYPE
from flowforge_resources.constants_in_sql import impossible_constant
from flowforge_resources.duck import literal, one_row, quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.python_function import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from flowforge_assets.transforms.place import Place

# DuckDB's functions (and words that stand for one) with another result in another run, or none to compute with. Asking
# the catalog for them costs 10 ms each time; a test compares.
UNSTABLE = frozenset(
    [
        "current_connection_id",
        "current_database",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_query",
        "current_query_id",
        "current_schema",
        "current_schemas",
        "current_setting",
        "current_time",
        "current_timestamp",
        "current_transaction_id",
        "currval",
        "error",
        "gen_random_uuid",
        "get_current_time",
        "get_current_timestamp",
        "getvariable",
        "in_search_path",
        "localtime",
        "localtimestamp",
        "nextval",
        "now",
        "random",
        "setseed",
        "setval",
        "sleep_ms",
        "stats",
        "today",
        "transaction_timestamp",
        "txid_current",
        "uuid",
        "uuidv4",
        "uuidv7",
        "vector_type",
        "write_log",
    ]
)
_BEHIND_ONE_EXPRESSION = ("where_clause", "having", "qualify", "group_expressions", "sample", "modifiers")
_LONGEST = 300


def check_expression(connection: duckdb.DuckDBPyConnection, sql: str, at: Place) -> None:
    """The text is one expression over the columns at a place.

    Raises:
        StepError: it does not parse, knows a column or function that is not there, clashes in types, looks at other
            rows, or gives another result in every run.
    """
    nodes = list(_nodes(_parsed(connection, sql)))
    if any(node.get("class") == "SUBQUERY" for node in nodes):
        raise _wrong(sql, "it holds a query", "Take values of other tables with `lookup`.")
    if unstable := sorted(UNSTABLE & set(_names(nodes)) - set(at.types)):
        raise _wrong(sql, f"`{unstable[0]}` gives another result in every run", "Derive from columns only.")
    _bind(connection, sql, at)


def check_condition(connection: duckdb.DuckDBPyConnection, sql: str, at: Place) -> None:
    """The text is an expression that is true or false.

    Raises:
        StepError: it is not.
    """
    check_expression(connection, sql, at)
    kind = one_row(connection, f"DESCRIBE SELECT ({sql}\n) AS v FROM {quote(at.view)}")[1]
    if kind not in (TRUTH, UNKNOWN_TYPE):
        raise _wrong(sql, f"it is {kind}, neither true nor false", "Write a condition, e.g. `status = 'paid'`.")


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """The syntax tree of `SELECT (<sql>)`."""
    text = one_row(connection, f"SELECT json_serialize_sql({literal(f'SELECT ({sql}' + chr(10) + ')')})")[0]
    tree: dict[str, Any] = json.loads(text)
    if tree["error"]:
        raise _wrong(sql, f"it does not parse: {tree['error_message']}", "Correct the expression.")
    node = tree["statements"][0]["node"] if len(tree["statements"]) == 1 else {}
    one = len(node.get("select_list", ())) == 1 and node["from_table"]["type"] == "EMPTY"
    if not one or any(node.get(part) for part in _BEHIND_ONE_EXPRESSION):
        raise _wrong(sql, "it is not one expression", "Write what stands between SELECT and FROM, for one column.")
    return tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for one in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(one)


def _names(nodes: list[dict[str, Any]]) -> Iterator[str]:
    """Functions, and columns, because `current_date` is written like one."""
    for node in nodes:
        yield str(node.get("function_name", "")).lower()
        yield from (name.lower() for name in node.get("column_names", ()) if node.get("class") == "COLUMN_REF")


def _bind(connection: duckdb.DuckDBPyConnection, sql: str, at: Place) -> None:
    """Bind the expression where neither windows nor aggregates are allowed: they look at other rows."""
    import duckdb

    try:
        connection.execute(f"EXPLAIN SELECT 1 FROM {quote(at.view)} WHERE (TRY({sql}\n)) IS NULL")
    except duckdb.Error as error:
        said = str(error).split("Error: ", 1)[-1].split("\n\nLINE", 1)[0]
        said = " ".join(said.replace("WHERE clause cannot contain", "it looks at other rows: no").split())
        raise _wrong(sql, said[:_LONGEST].rstrip("!. "), _fix(said, at)) from None
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _ff_like AS FROM {quote(at.view)} LIMIT 0")
    if impossible := impossible_constant(connection, f"SELECT 1 FROM _ff_like WHERE ({sql}\n) IS NULL"):
        raise _wrong(sql, impossible, "Correct the text, or compare with a column of its type.")


def _fix(said: str, at: Place) -> str:
    if "Referenced column" in said:
        name = said.split('"')[1]
        return f"There is no column '{name}' at this place.{did_you_mean(name, at.types)}"
    types = ", ".join(f"{name} {kind}" for name, kind in at.types.items())
    return f"Here are: {types}. Text becomes a number by `cast` before this transform, or by `::DOUBLE` in it."


def _wrong(sql: str, why: str, fix: str) -> StepError:
    return StepError(f"`{sql}` cannot be computed: {why}.", fix)
