"""The part of a table's YAML that says what is true of its rows and of itself, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from flowforge_assets.components.part import AsWritten, as_written
from flowforge_assets.components.transformed import TransformedPart
from flowforge_assets.model_sql.rule_questions import ITSELF, first_refused
from flowforge_assets.strategies import beside
from flowforge_assets.table_spec import Column
from flowforge_assets.transforms.cast import AUDIT_TYPES, table_types
from flowforge_checks.rules import AnyRule, SetRule  # pydantic resolves it at runtime
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowforge_assets.components.table import Table
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import Rule
    from flowforge_resources.errors import DefinitionError


class RuledPart(TransformedPart):
    """A table whose rows, and which itself, must obey rules."""

    columns: Annotated[list[AsWritten[Column]], as_written(list[Column])] = Field(
        default=[],
        description="The columns of silver, in order. A table with a `source` may have none: then it is bronze only.",
    )
    rules: Annotated[list[AsWritten[AnyRule]], as_written(list[AnyRule])] = Field(
        default=[], description="What is true of valid rows, or of the table."
    )

    def each_rule(self, columns: Sequence[str]) -> tuple[Rule, ...]:
        """The rules, each about columns that are known.

        Raises:
            DefinitionError: a pattern that fits no column.
        """
        return tuple(rule for _, rule in self._placed(columns))

    def _placed(self, columns: Sequence[str]) -> Iterator[tuple[int, Rule]]:
        """Every rule with its place in the YAML."""
        for at, written in enumerate(self.rules):
            try:
                every = written.beside(self.folder).each(columns)
            except ValueError as error:
                raise self._wrong_rule(at, written, str(error), "") from None
            yield from ((at, rule) for rule in every)

    def validate_rules(self, spec: TableSpec, tables: Mapping[str, Table]) -> None:
        """Check the rules against the columns, against other tables, and by DuckDB.

        Raises:
            DefinitionError: naming file, line and rule.
        """
        placed = list(self._placed([column.name for column in self.columns]))
        for at, rule in placed:
            types = _types(spec, rule.judges)
            for name in rule.columns_read:
                if name not in types:
                    near = did_you_mean(name, [column.name for column in self.columns])
                    problem = f"names the column '{name}', which is not declared.{near}"
                    raise self._wrong_rule(at, rule, problem, "Declare it under `columns`, or correct the name.")
            try:
                rule.require_types(types)
            except ValueError as error:
                raise self._wrong_rule(at, rule, str(error), "") from None
            self._validate_tables(at, rule, tables)
            if isinstance(rule, SetRule) and rule.keep_row and (wrong := beside.problem(spec, rule)):
                raise self._wrong_rule(at, rule, f"takes single rows out: {wrong[0]}.", wrong[1])
        self._ask_duckdb(placed, spec, tables)
        self.validate_conditions(_types(spec, "row"))

    def _validate_tables(self, at: int, rule: Rule, tables: Mapping[str, Table]) -> None:
        for other in rule.tables_read:
            if other not in tables:
                problem = f"refers to the table '{other}', which is not in this workflow.{did_you_mean(other, tables)}"
                raise self._wrong_rule(at, rule, problem, "Correct `table`, or declare that table.")
        for name in rule.referenced_columns:
            names = [one.name for one in tables[rule.tables_read[0]].columns]
            if name not in names:
                problem = f"looks for the column '{name}' of '{rule.referenced_table}', which is not declared there.{did_you_mean(name, names)}"
                raise self._wrong_rule(at, rule, problem, "Say which column with `to:`.")

    def _ask_duckdb(self, placed: Sequence[tuple[int, Rule]], spec: TableSpec, tables: Mapping[str, Table]) -> None:
        read = sorted({name for _, rule in placed for name in rule.tables_read})
        others = {name: table_types(tables[name].spec(tables)) for name in read}
        reads = {name: quote(name) for name in read}
        for judges in ("row", "table"):
            asked = [(at, rule) for at, rule in placed if rule.judges == judges]
            questions = [rule.questions(quote(ITSELF), reads) for _, rule in asked]
            refused = first_refused(questions, _types(spec, judges), others) if asked else None
            if refused:
                at, rule = asked[refused[0]]
                raise self._wrong_rule(at, rule, f"cannot be asked: {refused[1]}", "Correct it.")

    def _wrong_rule(self, at: int, rule: Rule, problem: str, fix: str) -> DefinitionError:
        colon = "" if problem[:1].islower() else ":"
        said = f"rule {rule.check_name} of table '{self.name}'{colon} {problem}"
        return self.wrong(said, fix, "attributes", "rules", at)


def _types(spec: TableSpec, judges: str) -> Mapping[str, str]:
    """The columns that rules of rows see, before what is not stored is left out; or rules of the table."""
    if judges == "table":
        return table_types(spec)
    return {column.name: column.kind.sql_type for column in spec.columns} | AUDIT_TYPES
