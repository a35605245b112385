"""DuckDB at definition time: what a query returns over empty tables, and what is wrong with it. Runs no query.

The engine that will run a model is asked whether it can, so what is refused here could never have run.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowforge_resources.constants_in_sql import impossible_constant
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.errors import DefinitionError, did_you_mean
from flowforge_resources.settings import user_cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from flowforge_assets.model_sql.query import Query

_DESCRIBE = "DESCRIBE "


def columns_of(query: Query) -> dict[str, str] | None:
    """The columns a query returns, with the type each is stored in (Parquet has no HUGEINT); None where nobody can say.

    Raises:
        DefinitionError: DuckDB cannot run the query: an unknown or ambiguous column, an unknown function, a type clash.
    """
    import duckdb

    with _empty_tables(query) as connection:
        try:
            found = connection.execute(_DESCRIBE + query.statement).fetchall()
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
            raise _refusal(query, error) from None
        except duckdb.Error:  # e.g. a file that is not on this machine
            return None
        _require_possible(connection, query)
        return _stored(connection, [(name, kind) for name, kind, *_ in found])


def _require_possible(connection: duckdb.DuckDBPyConnection, query: Query) -> None:
    """Refuse a text that can never be what it is compared with.

    Raises:
        DefinitionError: the query would fail on its first row.
    """
    import duckdb

    try:
        impossible = impossible_constant(connection, query.statement) if "'" in query.sql else None
    except duckdb.Error:  # no plan, e.g. of a PIVOT that must look at values first
        return
    if impossible:
        before, found, _ = query.sql.partition(impossible.rpartition(" is no ")[0])
        where = f"{query.where}:{before.count(chr(10)) + 1}" if found else query.where
        raise DefinitionError(
            where, f"the SQL cannot be computed: {impossible}.", "Correct the text, or cast the column."
        )


def names_of(query: Query) -> list[str] | None:
    """The names of the columns a query returns, in order, as they are written; None where DuckDB cannot run it."""
    import duckdb

    with _empty_tables(query) as connection:
        try:
            return [name for name, *_ in connection.execute(_DESCRIBE + query.statement).fetchall()]
        except duckdb.Error:
            return None


@contextmanager
def _empty_tables(query: Query) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that looks as it will when the model runs, without a row."""
    with connect(user_cache() / "model_sql") as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(query.workflow)}")
        for name, columns in query.tables.items():
            schema, _, table = name.rpartition(".")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema or query.workflow)}")
            values = ", ".join(f"CAST(NULL AS {kind}) AS {quote(column)}" for column, kind in columns.items())
            connection.execute(
                f"CREATE VIEW {quote(schema or query.workflow)}.{quote(table)} AS SELECT {values} WHERE FALSE"
            )
        connection.execute(f"SET search_path = {literal(query.workflow)}")
        connection.execute("SET errors_as_json = true")
        try:
            yield connection
        finally:
            connection.execute("RESET errors_as_json")


def _stored(connection: duckdb.DuckDBPyConnection, columns: list[tuple[str, str]]) -> dict[str, str]:
    """The columns as they come back from Parquet: two of one name get different ones there."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file = literal(f"{folder}/empty.parquet")
        values = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns)
        connection.execute(f"COPY (SELECT {values} WHERE FALSE) TO {file} (FORMAT parquet)")
        return {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM read_parquet({file})").fetchall()}


def _refusal(query: Query, error: Exception) -> DefinitionError:
    said = _as_json(error)
    line = _line(query, said)
    where = f"{query.where}:{line}" if line else query.where
    text = str(said["exception_message"])
    for pattern, explain in _KNOWN_REFUSALS:
        if found := pattern.search(text):
            return DefinitionError(where, *explain(query, *found.groups()))
    return DefinitionError(where, f"DuckDB cannot run the SQL: {_in_short(text)}", "Correct the SQL there.")


def _as_json(error: Exception) -> dict[str, Any]:
    text = str(error)
    try:
        found: dict[str, Any] = json.loads(text[text.index("{") :])
    except ValueError:
        return {"exception_message": text}
    return found


def _line(query: Query, said: Mapping[str, Any]) -> int | None:
    """Line of the query an error points at; DuckDB counts bytes."""
    position = str(said.get("position", ""))
    if not position.isdecimal():
        return None
    before = query.statement.encode()[: max(int(position) - len(_DESCRIBE), 0)]
    return before.count(b"\n") + 1


def _in_short(text: str) -> str:
    """DuckDB's words on one line, without the list of every function of that name."""
    said = " ".join(text.split("\n\tCandidate", 1)[0].split())
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _no_column(query: Query, column: str) -> tuple[str, str]:
    known = {name for columns in query.tables.values() for name in columns}
    read = ", ".join(query.tables) or "no table"
    return (
        f"the SQL uses the column '{column}', which nothing it reads there has (it reads {read}).{did_you_mean(column, known)}",
        "Correct the name, or declare the column where it should come from.",
    )


def _no_column_there(query: Query, source: str, column: str) -> tuple[str, str]:
    columns = query.tables.get(source.lower()) or {name for one in query.tables.values() for name in one}
    return (
        f"the SQL uses '{source}.{column}', and '{source}' has no column '{column}'.{did_you_mean(column, columns)}",
        "Correct the name, or declare the column where it should come from.",
    )


def _ambiguous(_query: Query, column: str, choices: str) -> tuple[str, str]:
    return (
        f"the column '{column}' is ambiguous: several tables of the query have it.",
        f"Say which one: {choices.replace(chr(39), '')}.",
    )


def _no_source(query: Query, source: str) -> tuple[str, str]:
    return (
        f"the SQL uses a column of '{source}', which is no table of the query there.{did_you_mean(source, query.tables)}",
        "Correct the name, or join that table.",
    )


_KNOWN_REFUSALS = (
    (re.compile(r'Referenced column "(.*?)" (?:not found in FROM clause|was not found)'), _no_column),
    (re.compile(r'(?:Table|Values list|Subquery) "(.*?)" does not have a column named "(.*?)"'), _no_column_there),
    (re.compile(r'Ambiguous reference to column name "(.*?)" \(use: (.*?)\)'), _ambiguous),
    (re.compile(r'Referenced table "(.*?)" not found'), _no_source),
    (re.compile(r'Column "(.*?)" (?:in \w+ list not found|does not exist on)'), _no_column),
)


@lru_cache(maxsize=1)
def aggregate_functions() -> frozenset[str]:
    """Names of DuckDB's aggregates; sqlglot does not know all of them."""
    with connect(user_cache() / "model_sql") as connection:
        found = connection.execute("SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'")
        return frozenset(name for (name,) in found.fetchall())


def tables_parsed_by_duckdb(sql: str) -> list[str] | None:
    """The tables a query reads, of a text that sqlglot's parser does not know; None where DuckDB does not either."""
    with connect(user_cache() / "model_sql") as connection:
        tree = json.loads(one_row(connection, f"SELECT json_serialize_sql({literal(sql)})")[0])
    if tree.get("error") or len(tree["statements"]) != 1:
        return None
    nodes = list(_nodes(tree))
    ctes = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    named = {
        ".".join(part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part).lower()
        for node in nodes
        if node.get("type") == "BASE_TABLE"
    }
    return sorted(named - ctes)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON tree."""
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(child)
