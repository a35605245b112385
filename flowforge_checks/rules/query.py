"""A query of the user's own about the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.base import in_code
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sql(TableRule):
    """A query over the table that returns no row: each row it returns is something wrong."""

    rule: Literal["sql"]
    sql: str = Field(
        description="Query in DuckDB's SQL; `{table}` stands for the table.",
        examples=["SELECT * FROM {table} WHERE total < 0"],
    )
    tables: tuple[str, ...] = Field(default=(), description="Other tables that the query reads, by their names.")

    @model_validator(mode="after")
    def _check_query(self) -> Self:
        if not self.name:
            raise ValueError("`sql` needs a `name` that says what is looked for, e.g. `name: no_orphans`.")
        if "{table}" not in self.sql:
            raise ValueError("`sql` does not read the table. Write `{table}` for it.")
        if self.where:
            raise ValueError("the rule `sql` has a `where`. Write the condition in the query.")
        return self

    @property
    def counts_rows(self) -> bool:
        return True

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    @property
    def tables_read(self) -> tuple[str, ...]:
        return self.tables

    @property
    def demand(self) -> str:
        also = f" over the table and {in_code(self.tables)}" if self.tables else ""
        return f"`{' '.join(self.sql.split())}` returns no row{also}"

    @property
    def message(self) -> str:
        return "rows that the query returns"

    def query(self, judged: Judged) -> str:
        return f"SELECT count(*) FROM ({self._of(judged.table, judged.reads)})"

    def _of(self, table: str, reads: Mapping[str, str]) -> str:
        named = ", ".join(f"{quote(name)} AS (SELECT * FROM {reads[name]})" for name in self.tables)
        text = self.sql.strip().rstrip(";").replace("{table}", table)
        return f"WITH {named} SELECT * FROM ({text}\n)" if named else text

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        del judged
        rows = int(values[0])
        return Finding(rows, f"The query returns {rows:,} rows." if rows else "")
