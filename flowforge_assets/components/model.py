"""The YAML of a gold model: its SQL file, what it means, and what must hold of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import dagster as dg
from pydantic import Field

from flowforge_assets.components.gold_part import GoldPart
from flowforge_assets.components.part import AsWritten, as_written
from flowforge_assets.gold.incremental_spec import Incremental  # as below
from flowforge_assets.gold.lookups import Lookup  # noqa: TC001  # a field of a pydantic model is needed at runtime
from flowforge_assets.gold.model_spec import ForeignKey, ModelColumn, ModelSpec
from flowforge_assets.gold.rows_kept import KeptRows
from flowforge_assets.model_sql.partitionwise import require_partitionwise
from flowforge_assets.model_sql.reads import read_sql
from flowforge_checks.model_tests import as_tests
from flowforge_checks.rules import AnyRule  # noqa: TC001  # pydantic resolves it at runtime
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.components.known import KnownTables
    from flowforge_checks.rules import Rule
    from flowforge_resources.layout import TableId


class Model(GoldPart):
    """A gold table made by a SQL query over silver and other gold tables."""

    sql: str = Field(default="", description="File of the query, beside this YAML. Default: `<model>.sql`.")
    grain: str | None = Field(
        default=None, description="What one row stands for; shown in the UI.", examples=["one order line"]
    )
    keys: list[str] = Field(default=[], description="Columns that identify a row; a blocking check.")
    unknown_member: str | None = Field(
        default=None,
        description="For a dimension: its key column. Adds the row -1 `Unknown`, which facts point to when theirs is missing.",
    )
    foreign_keys: Annotated[list[AsWritten[ForeignKey]], as_written(list[ForeignKey])] = Field(
        default=[], description="Columns that point to rows of other gold tables."
    )
    lookups: Annotated[list[AsWritten[Lookup]], as_written(list[Lookup])] = Field(
        default=[],
        description="Columns that are found in dimensions by natural key, as of a date where history is kept.",
    )
    omit: list[str] = Field(
        default=[], description="Columns of the query that only `lookups` need; the table does not get them."
    )
    columns: Annotated[list[AsWritten[ModelColumn]], as_written(list[ModelColumn])] = Field(
        default=[], description="What columns mean, and tests of them. The SQL says which columns there are."
    )
    tests: Annotated[list[AsWritten[AnyRule]], as_written(list[AnyRule])] = Field(
        default=[],
        description="Rules about the rows of the result: `action: keep` (the default) counts those that break it, `block` publishes nothing.",
    )
    pii: list[str] = Field(
        default=[],
        description="Columns with personal data: never shown in previews. What the SQL takes from personal columns or computes of them is so by itself.",
    )
    not_pii: list[str] = Field(
        default=[], description="Columns that are computed of personal data and hold none, e.g. a region of an address."
    )
    incremental: Annotated[AsWritten[Incremental] | None, as_written(Incremental | None)] = Field(
        default=None,
        description="Build only the partitions whose rows of one large table changed, instead of the whole table.",
    )
    materialization: Literal["full", "incremental"] | None = Field(
        default=None,
        description="How the table is made when its SQL or inputs changed: `full`, anew as a whole, or `incremental`, by the partitions that `incremental` declares. Default: as `incremental` is declared or not.",
    )

    rows_kept: Literal["keep", "block", "ignore"] = Field(
        default="keep",
        description="What happens when a JOIN of the SQL loses or multiplies rows of the table the model's rows come from: the check `rows_kept` fails (`keep`), nothing is published (`block`), or nobody looks (`ignore`). A SQL without a JOIN has no such check.",
    )
    driving: str | None = Field(
        default=None,
        description="The table whose rows `rows_kept` counts, as the SQL names it. Default: the one whose columns are aggregated, else the one that `keys` come from, else the first in FROM.",
        examples=["order_items"],
    )

    @property
    def unknown_key(self) -> str | None:
        """As declared."""
        return self.unknown_member

    @property
    def documented(self) -> list[str]:
        """As declared."""
        return [column.name for column in self.columns]

    @property
    def facts(self) -> dict[str, Any]:
        """What one row stands for."""
        return {"grain": dg.MetadataValue.text(self.grain)} if self.grain else {}

    def spec(self, known: KnownTables) -> ModelSpec:
        """The model as the factory takes it, with what its SQL reads.

        Raises:
            DefinitionError: no such file, SQL that does not parse, or a table nobody makes.
        """
        name = self.sql or f"{self.name}.sql"
        file = self.folder / name
        if not file.is_file():
            there = [path.name for path in self.folder.glob("*.sql")]
            raise self.wrong(
                f"model '{self.name}' has no file '{name}' beside this YAML.{did_you_mean(name, there)}",
                "Write the query there, or name its file with `sql`.",
            )
        sql = file.read_text(encoding="utf-8")
        where = f"defs/{self.workflow}/{name}"
        tests = self._tests()
        self._require_different([one.column for one in self.lookups])
        named = {one.model for one in self.foreign_keys} | {one.model for one in self.lookups}
        named |= {name for one in tests for name in one.tables_read}
        reads = self.reads({*read_sql(sql, where).within(self.workflow), *named}, known, where)
        incremental = self._incremental(sql, where, reads, named)
        if self.driving is not None and self.driving not in reads:
            raise self.wrong(
                f"`driving` of model '{self.name}' is '{self.driving}', which its SQL does not read.{did_you_mean(self.driving, reads)}",
                "Name the table as the SQL does.",
            )
        return ModelSpec(
            id=ModelId(self.workflow, self.name),
            sql=sql,
            sql_file=where,
            keys=tuple(self.keys),
            unknown_member=self.unknown_member,
            foreign_keys=tuple(self.foreign_keys),
            pii=frozenset(self.pii),
            not_pii=frozenset(self.not_pii),
            reads=reads,
            tests=tests,
            notes={one.name: one.description for one in self.columns if one.description},
            lookups=tuple(self.lookups),
            omit=tuple(self.omit),
            incremental=incremental,
            rows_kept=None if self.rows_kept == "ignore" else KeptRows(self.rows_kept == "block", self.driving),
        )

    def _tests(self) -> tuple[Rule, ...]:
        try:
            written = [*self.tests, *(rule for column in self.columns for rule in column.rules)]
            return as_tests([one.beside(self.folder) for rule in written for one in rule.named()])
        except ValueError as error:
            raise self.wrong(f"model '{self.name}': {error}", "") from None

    def _incremental(
        self, sql: str, where: str, reads: Mapping[str, TableId | ModelId], pointed_to: set[str]
    ) -> Incremental | None:
        """How the model is cut, if building some partitions makes the table that building all would make."""
        declared = None if self.materialization == "full" else self.incremental
        if declared is None:
            if self.materialization == "incremental":
                problem = f"model '{self.name}' is to be `incremental`, and does not say by which partitions."
                raise self.wrong(problem, "Declare `incremental: {driving: …, column: …, every: …}`.")
            return None
        if declared.driving not in reads:
            raise self.wrong(
                f"`incremental` of model '{self.name}' is driven by '{declared.driving}', which its SQL does not read.{did_you_mean(declared.driving, reads)}",
                "Name the table as the SQL does.",
            )
        if self.unknown_member is not None or declared.output in self.omit:
            what = (
                "an `unknown_member` belongs to no partition" if self.unknown_member else "its partition is in `omit`"
            )
            raise self.wrong(f"model '{self.name}' cannot be `incremental`: {what}.", "Leave one of the two out.")
        names = {name for name, read in reads.items() if read == reads[declared.driving]}
        if twice := names & pointed_to:
            raise self.wrong(
                f"model '{self.name}' cannot be `incremental`: it is driven by '{twice.pop()}', and points to it as well.",
                "Leave `incremental` out: the table is then built whole.",
            )
        require_partitionwise(sql, where, declared, names | {f"{self.workflow}.{name}" for name in names})
        return declared

    def _require_different(self, columns: list[str]) -> None:
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise self.wrong(
                f"model '{self.name}' looks up `{twice[0]}` twice.",
                "Give each lookup a `column` of its own, and name the dimension's column in `key`.",
            )
