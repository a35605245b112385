"""Whether DuckDB can ask a table's rules, known before anything runs: their queries over empty tables of the same types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.constants_in_sql import impossible_constant
from flowforge_resources.duck import connect, quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.settings import user_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The table that rules are about; those they look into keep their names.
ITSELF = "_this_table"
_LONGEST = 300


def first_refused(
    questions: Sequence[Sequence[str]], itself: Mapping[str, str], others: Mapping[str, Mapping[str, str]]
) -> tuple[int, str] | None:
    """The first of several rules that cannot be asked, by its place, and why; None where all can.

    Args:
        questions: the queries of each rule.
        itself: columns of the table and their DuckDB types.
        others: the same of the tables they look into.
    """
    tables = {name: list(columns.items()) for name, columns in {**others, ITSELF: itself}.items()}
    asked: list[Any] = ["rules", [list(one) for one in questions], sorted(tables.items())]
    found = remembered(asked, lambda: _ask(questions, tables))
    return (found[0], found[1]) if found else None


def _ask(questions: Sequence[Sequence[str]], tables: Mapping[str, list[tuple[str, str]]]) -> list[Any]:
    import duckdb

    with connect(user_cache() / "model_sql") as connection:
        for name, columns in tables.items():
            listed = ", ".join(f"{quote(column)} {kind}" for column, kind in columns)
            connection.execute(f"CREATE TABLE {quote(name)} ({listed})")
        for place, queries in enumerate(questions):
            for query in queries:
                try:
                    impossible = impossible_constant(connection, query)
                except duckdb.Error as error:
                    return [place, _in_words(str(error), tables)]
                if impossible:
                    return [place, f"{impossible}."]
    return []


def _in_words(said: str, tables: Mapping[str, list[tuple[str, str]]]) -> str:
    """DuckDB's words on one line, without the position in a query that nobody wrote."""
    if 'Referenced column "' in said:
        name = said.split('Referenced column "')[1].split('"', maxsplit=1)[0]
        return f"there is no column '{name}'.{did_you_mean(name, [column for column, _ in tables[ITSELF]])}"
    if "Table with name" in said:
        name = said.split("Table with name ")[1].split(" ", maxsplit=1)[0]
        return f"it reads '{name}', which is not listed under the rule's `tables`."
    if "WHERE clause cannot contain" in said:
        return "it looks at other rows, and it is asked of each row by itself. A rule of the table (`sum_between`, `unique`, `sql`) can."
    text = said.split("Error: ", 1)[-1].split("\n\nLINE", 1)[0].split("\n\tCandidate", 1)[0]
    return " ".join(text.split())[:_LONGEST].rstrip(".! ") + "."
