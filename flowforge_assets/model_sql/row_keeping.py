"""Whether a query's joins keep the rows of its driving table: each once, none lost, none doubled.

The driving table is the one whose rows the model's rows are: the one that is declared, else the one whose columns are
aggregated, or make up the model's key, else the first in FROM; followed through CTEs and subqueries. Of every SELECT on
the way that joins, two queries are made: the driving rows that go in, and those that come out of its joins. A WHERE on
the driving row itself counts as meant, and so do SEMI, ANTI, GROUP BY, LIMIT and what is written behind them.

Belongs here: the SQL to ask. Does not: asking it (`flowforge_assets.gold.rows_kept`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.join_scope import ROW, JoinScope, NotAnalysedError, tables_of
from flowforge_assets.model_sql.met_once import counted, partners
from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from flowforge_assets.model_sql.query import Query

# The driving table with a number for each row.
DRIVING = "_flowforge_driving"
_BREAKS = ("group", "having", "qualify", "distinct", "limit", "offset", "sample")


@dataclass(frozen=True)
class JoinStage:
    """One SELECT that joins: queries for the rows (`_flowforge_row`) before its joins, behind them, and behind each.

    `partners`: queries for keys, one a join; where none of them has a value twice, no row is multiplied.
    """

    expected: str
    joined: str
    steps: tuple[tuple[str, str], ...]
    filtered: bool
    partners: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowKeeping:
    """What to ask of a model's joins.

    `by_count`: the model has a row for each row behind its only stage's joins. `certain`: equal counts then prove that
    every row is there once, given that the model's key is unique where `by_key`. `counted`: the model's column that says
    how many rows behind its only stage's joins each of its rows is made of. `unjudged`: conditions of a WHERE that
    read joined columns. `reason`: why nothing can be asked; empty otherwise.
    """

    driving: str = ""
    stages: tuple[JoinStage, ...] = ()
    by_count: bool = False
    certain: bool = False
    by_key: bool = False
    counted: str = ""
    unjudged: tuple[str, ...] = ()
    reason: str = ""


def row_keeping(query: Query, keys: Sequence[str], driving: str | None) -> RowKeeping | None:
    """What to ask of a query's joins; None where it has none on the way of its driving rows.

    Args:
        query: the model's, with the columns of all it reads.
        keys: the model's key columns.
        driving: the table whose rows are to be kept, named as the SQL does; None to find it.
    """
    tables = {name: list(columns.items()) for name, columns in query.tables.items()}
    question = ["row keeping", query.sql, query.workflow, sorted(tables.items()), list(keys), driving]
    found = remembered(question, lambda: _analyse(query, keys, driving))
    return None if found is None else _parsed(found)


def _parsed(found: dict[str, Any]) -> RowKeeping:
    stages = tuple(
        JoinStage(**{**one, "steps": tuple(map(tuple, one["steps"])), "partners": tuple(one["partners"])})
        for one in found.pop("stages")
    )
    return RowKeeping(**{**found, "stages": stages, "unjudged": tuple(found["unjudged"])})


def _analyse(query: Query, keys: Sequence[str], driving: str | None) -> dict[str, Any] | None:
    from sqlglot.errors import SqlglotError

    try:
        walk = _Walk(query, keys, driving)
        found = walk.keeping() if walk.joins else RowKeeping()
        _require_runs(query, found)
    except NotAnalysedError as error:
        found = RowKeeping(driving or "", reason=str(error))
    except (SqlglotError, DefinitionError, RecursionError, KeyError, ValueError):
        found = RowKeeping(driving or "", reason="the SQL is one that cannot be taken apart.")
    return asdict(found) if found.stages or found.reason else None


def _require_runs(query: Query, found: RowKeeping) -> None:
    """DuckDB understands every query that was made."""
    from flowforge_assets.model_sql.engine import columns_of
    from flowforge_assets.model_sql.query import Query as Made

    if not found.stages:
        return
    tables = _numbered(query, found.driving)
    for stage in found.stages:
        for sql in (stage.expected, stage.joined, *(sql for _, sql in stage.steps), *stage.partners):
            columns_of(Made(sql, query.where, query.workflow, tables))


def _numbered(query: Query, driving: str) -> dict[str, Mapping[str, str]]:
    """What the queries of stages read: what the model reads, and its driving table with a number for each row."""
    return {**query.tables, DRIVING: {**query.tables[driving], ROW: "BIGINT"}}


class _Walk:
    """One query, from the SELECT that reads the driving table to the outermost."""

    def __init__(self, query: Query, keys: Sequence[str], driving: str | None) -> None:
        from sqlglot import exp
        from sqlglot.optimizer.scope import build_scope

        from flowforge_assets.model_sql.origins import qualified

        self.query, self.keys = query, {key.lower() for key in keys}
        self.wanted = self._full(driving) if driving else None
        self.tree = qualified(query)
        root = build_scope(self.tree)
        if root is None:
            raise NotAnalysedError("it is no SELECT.")
        self.root = root
        self.joins = any(True for _ in self.tree.find_all(exp.Join))
        self.ctes = [cte for with_ in self.tree.find_all(exp.With) for cte in with_.expressions]
        names = [cte.alias_or_name for cte in self.ctes]
        if len(set(names)) < len(names) or any(cte.args["alias"].args.get("columns") for cte in self.ctes):
            raise NotAnalysedError("two of its CTEs share a name, or one renames its columns.")
        self.recursive = any(with_.args.get("recursive") for with_ in self.tree.find_all(exp.With))

    def _full(self, name: str) -> str:
        return (name if "." in name else f"{self.query.workflow}.{name}").lower()

    # -- the way ----------------------------------------------------------------------------------------------------

    def _chain(self) -> tuple[list[tuple[Scope, str]], exp.Table]:
        """Scopes from the outermost to the one that reads the driving table, each with what carries its rows."""
        from sqlglot import exp

        chain: list[tuple[Scope, str]] = []
        scope = self.root
        while True:
            if not isinstance(scope.expression, exp.Select):
                raise NotAnalysedError("a set operation or PIVOT makes its rows.")
            alias = self._carrier(scope)
            if alias not in scope.selected_sources:
                raise NotAnalysedError("a function, VALUES or UNNEST is what it reads first.")
            chain.append((scope, alias))
            source = scope.selected_sources[alias][1]
            if isinstance(source, exp.Table):
                return chain, source
            scope = source

    def _carrier(self, scope: Scope) -> str:
        select = scope.expression
        if self.wanted is not None:
            found = [alias for alias, (_, source) in scope.selected_sources.items() if self._reads(source)]
            if len(found) != 1:
                raise NotAnalysedError(f"it reads its driving table {len(found)} times in one FROM.")
            return found[0]
        first = select.args.get("from_")
        if first is None:
            raise NotAnalysedError("it reads no table.")
        told = self._told(scope)
        return told.pop() if len(told) == 1 and told <= set(scope.selected_sources) else str(first.this.alias_or_name)

    def _reads(self, source: exp.Table | Scope) -> bool:
        from sqlglot import exp

        if isinstance(source, exp.Table):
            return self._full(_name(source)) == self.wanted
        return any(self._reads(one) for _, one in source.selected_sources.values())

    def _told(self, scope: Scope) -> set[str]:
        """Whose columns are aggregated, or make up the key."""
        from flowforge_assets.model_sql.partitionwise import aggregates_of

        aggregated = list(aggregates_of(scope))
        if aggregated:
            return {table for one in aggregated for table in tables_of(one)}
        if scope is not self.root or _breaks(scope.expression):
            return set()
        chosen = [one for one in scope.expression.expressions if one.alias_or_name.lower() in self.keys]
        return {table for one in chosen for table in tables_of(one)} if self.keys else set()

    # -- what is asked -----------------------------------------------------------------------------------------------

    def keeping(self) -> RowKeeping:
        """The stages, from the innermost out; those behind a GROUP BY or the like have no driving rows any more."""
        from sqlglot import exp

        chain, table = self._chain()
        driving = self._known_name(table)
        self.numbered = replace(self.query, tables=_numbered(self.query, driving))
        carrier: exp.Expr = exp.to_table(f"{self.query.workflow}.{DRIVING}", dialect="duckdb")
        stages, unjudged, reached, filtered = [], [], False, False
        counts = ""
        last: JoinScope | None = None
        for scope, alias in reversed(chain):
            last = JoinScope(scope, alias, carrier)
            unjudged += last.others
            filtered = filtered or bool(last.own)
            if last.joins:
                stages.append(self._stage(last, filtered=filtered))
            reached = scope is self.root
            if reached and not set(_breaking(scope.expression)) - {"group"}:
                counts = counted(scope.expression)
            if _breaks(scope.expression) or any(True for _ in _aggregates(scope)):
                reached = False
                break
            filtered = filtered or bool(last.others) or last.semi
            carrier = exp.Subquery(this=last.with_row())
        if last is None:
            raise AssertionError("a chain has a scope")
        one_stage = len(stages) == 1 and bool(last.joins) and not last.others and not last.semi
        by_count = reached and one_stage
        by_key = bool(self.keys) and self._keys_carried(last)
        return RowKeeping(
            driving=driving,
            stages=tuple(stages),
            by_count=by_count,
            certain=by_count and (by_key or last.only_left),
            by_key=by_key and not last.only_left,
            counted=counts if one_stage and stages[0].partners else "",
            unjudged=tuple(unjudged),
        )

    def _known_name(self, table: exp.Table) -> str:
        """The name by which the model's inputs know the driving table."""
        name = self._full(_name(table))
        own = name.removeprefix(f"{self.query.workflow.lower()}.")
        for known in (own, name):
            if known in self.query.tables:
                return known
        raise NotAnalysedError("what it reads first is no table of the lake.")

    def _keys_carried(self, scope: JoinScope) -> bool:
        """Whether the model's key says nothing but what the driving row says."""
        chosen = [one for one in scope.select.expressions if one.alias_or_name.lower() in self.keys]
        return len(chosen) == len(self.keys) and all(tables_of(one) == {scope.alias} for one in chosen)

    def _stage(self, scope: JoinScope, *, filtered: bool) -> JoinStage:
        # A join that only a WHERE makes one is not asked for by itself: it may be all rows times all rows till then.
        places = [len(scope.joins)] if scope.linking else range(1, len(scope.joins) + 1)
        steps = [
            (", ".join(scope.said) if scope.linking else scope.said[place - 1], self._with_ctes(scope.joined(place)))
            for place in places
        ]
        for number, (said, _) in enumerate(scope.rejecting, start=1):
            told = f"WHERE {said}, which no row of its LEFT JOIN fulfils that is not there"
            steps.append((told, self._with_ctes(scope.joined(len(scope.joins), number))))
        met = partners(scope, self._with_ctes, self.numbered)
        return JoinStage(self._with_ctes(scope.expected()), steps[-1][1], tuple(steps), filtered, met)

    def _with_ctes(self, select: exp.Select) -> str:
        from sqlglot import exp

        if self.ctes:
            with_ = exp.With(expressions=[cte.copy() for cte in self.ctes], recursive=self.recursive)
            select.set("with_", with_)
        return str(select.sql(dialect="duckdb", comments=False))


def _breaks(select: exp.Expr) -> bool:
    """Whether a SELECT returns other rows than its FROM and WHERE give."""
    return bool(_breaking(select))


def _breaking(select: exp.Expr) -> list[str]:
    """The clauses for which it does."""
    return [clause for clause in _BREAKS if select.args.get(clause)]


def _aggregates(scope: Scope) -> Iterator[exp.Expr]:
    from flowforge_assets.model_sql.partitionwise import aggregates_of

    return aggregates_of(scope)


def _name(table: exp.Table) -> str:
    return ".".join(part for part in (table.db, table.name) if part).lower()
