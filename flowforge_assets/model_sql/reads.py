"""Which tables a model's SQL reads, by sqlglot's parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class SqlReads:
    """What one SQL file reads, CTEs left out: names as `table` or `workflow.table`, in lower case.

    `open_ended`: what it returns depends on more than the columns of those tables (a pivot over whatever values there
    are, a file), so that nothing can be said of its columns before it runs.
    """

    tables: tuple[str, ...]
    open_ended: bool = False

    def within(self, workflow: str) -> tuple[str, ...]:
        """The tables as a model of `workflow` names them: its own without the workflow."""
        return tuple(dict.fromkeys(name.removeprefix(f"{workflow.lower()}.") for name in self.tables))


def read_sql(sql: str, where: str) -> SqlReads:
    """Parse a model's SQL (DuckDB dialect) and list the tables it reads.

    Raises:
        DefinitionError: the text is not one SELECT statement; the message gives line and column.
    """
    tables, open_ended = remembered(["reads", sql], lambda: _read(sql, where))
    return SqlReads(tuple(tables), open_ended)


def _read(sql: str, where: str) -> list[Any]:
    """As JSON can hold it. What only DuckDB's own parser knows is open-ended: sqlglot cannot say what it does."""
    try:
        query = parse(sql, where)
    except DefinitionError:
        from flowforge_assets.model_sql.engine import tables_parsed_by_duckdb

        tables = tables_parsed_by_duckdb(sql)
        if tables is None:
            raise
        return [tables, True]
    return [_tables(query), _is_open_ended(query)]


def parse(sql: str, where: str) -> exp.Expr:
    """The syntax tree of a model's SQL.

    Raises:
        DefinitionError: the text is not one SELECT statement; the message gives line and column.
    """
    import sqlglot
    from sqlglot import exp

    try:
        statements = sqlglot.parse(sql, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        first = error.errors[0]
        problem = f"the SQL does not parse: {first['description']} near `{first['highlight']}`."
        raise DefinitionError(f"{where}:{first['line']}", problem, "Fix the statement there.") from None
    except sqlglot.errors.TokenError as error:
        problem = f"the SQL does not parse: {str(error).splitlines()[-1]}."
        raise DefinitionError(where, problem, "Close the text or name that is open there (line:column).") from None
    if len(statements) == 1 and isinstance(statements[0], exp.Pivot) and not statements[0].args.get("with_"):
        statements = [exp.select("*").from_(exp.Subquery(this=statements[0]))]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError(
            where, "a model is one SELECT statement.", "Keep one query in the file; what it returns becomes the table."
        )
    for cte in statements[0].find_all(exp.CTE):
        if isinstance(cte.this, exp.Pivot):  # sqlglot looks into a SELECT only
            cte.set("this", exp.select("*").from_(exp.Subquery(this=cte.this)))
    return statements[0]


def _tables(query: exp.Expr) -> list[str]:
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    seen = query.copy()
    # Scopes do not look into `(PIVOT table …)`. Inner ones first.
    for pivot in reversed([one for one in seen.find_all(exp.Pivot) if one.this]):
        pivot.replace(exp.select("*").from_(pivot.this.copy()))
    found = {
        _written(source)
        for scope in traverse_scope(seen)
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and source.name
    }
    return sorted(found)


def _written(table: exp.Table) -> str:
    return ".".join(part for part in (table.catalog, table.db, table.name) if part).lower()


def _is_open_ended(query: exp.Expr) -> bool:
    from sqlglot import exp

    pivots = any(_takes_any_value(pivot) for pivot in query.find_all(exp.Pivot))
    # `range(…)` returns the same columns everywhere, `read_csv(…)` does not.
    functions = (table.this for table in query.find_all(exp.Table) if isinstance(table.this, exp.Func))
    return pivots or any(function.sql_name() not in _SAME_EVERYWHERE for function in functions)


_SAME_EVERYWHERE = {"GENERATE_SERIES", "RANGE", "UNNEST", "EXPLODE"}


def _takes_any_value(pivot: exp.Expr) -> bool:
    """`PIVOT … ON shop` without the values that become columns."""
    from sqlglot import exp

    if pivot.args.get("unpivot"):
        return False
    named = (*pivot.expressions, *(pivot.args.get("fields") or []))
    return not any(isinstance(one, exp.In) for one in named)
