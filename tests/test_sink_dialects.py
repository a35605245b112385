"""The SQL of deliveries to databases that no server is at hand for: each statement parses in that dialect, names are quoted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlglot

from flowforge_resources.databases.catalog import TableName
from flowforge_resources.sinks.dialects import Dialect, MySql, Oracle, Postgres, SqlServer, dialect_of

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET, STAGING, OLD = TableName("sales", "Order]s\"`'"), TableName("sales", "ff_stage_1"), TableName("sales", "old")
COLUMNS = {"id": "BIGINT", "select": "VARCHAR", "Größe": "DECIMAL(10,2)", "at": "TIMESTAMP WITH TIME ZONE"}
VALUES = {"select": "text", "Größe": "decimal"}
STATEMENTS: dict[str, Callable[[Dialect], str]] = {
    "create": lambda one: one.create(TARGET, COLUMNS, ["id"]),
    "stage": lambda one: one.stage(STAGING, TARGET, list(COLUMNS)),
    "put": lambda one: one.put(TARGET, list(COLUMNS)),
    "insert": lambda one: one.insert(TARGET, STAGING, list(COLUMNS), ["id"]),
    "update": lambda one: one.update(TARGET, STAGING, ["id"], VALUES),
    "delete": lambda one: one.delete_missing(TARGET, STAGING, ["id"]),
    "clear": lambda one: one.clear(TARGET),
    "count": lambda one: one.count_matched(TARGET, STAGING, ["id"]),
    "clash": lambda one: one.count_clashing(TARGET, STAGING, ["select"], ["id"]),
}
DIALECTS = {"tsql": SqlServer(), "oracle": Oracle()}


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_parse_and_name_the_target_whatever_it_is_called(dialect: str, statement: str) -> None:
    sql = STATEMENTS[statement](DIALECTS[dialect])
    (parsed,) = sqlglot.parse(re.sub(r":(\d)", r":v\1", sql), dialect=dialect)  # it knows no values by number
    assert parsed is not None
    tables = {table.name for table in parsed.find_all(sqlglot.exp.Table)}
    assert any(name == TARGET.name for name in tables), sql


def test_sql_server_renames_and_upserts_in_its_own_words() -> None:
    one = SqlServer()
    target = TableName("dbo", "it's")
    assert one.swap(target, STAGING, OLD) == [
        "EXEC sp_rename N'[dbo].[it''s]', N'old'",
        "EXEC sp_rename N'[sales].[ff_stage_1]', N'it''s'",
        "DROP TABLE [sales].[old]",
    ]
    assert one.update(target, STAGING, ["id"], {"n": "int"}) == (
        "UPDATE t SET [n] = s.[n] FROM [dbo].[it's] AS t JOIN [sales].[ff_stage_1] AS s ON t.[id] = s.[id] "
        "WHERE EXISTS (SELECT t.[n] EXCEPT SELECT s.[n])"
    )
    assert one.delete_missing(target, STAGING, ["id"]).startswith("DELETE t FROM [dbo].[it's] AS t WHERE NOT EXISTS")


def test_oracle_merges_and_takes_values_by_number() -> None:
    one = Oracle()
    assert one.put(TableName(None, "sales"), ["id", "Name"]) == 'INSERT INTO "SALES" ("ID", "Name") VALUES (:1, :2)'
    assert one.update(TableName(None, "sales"), TableName(None, "stage"), ["id"], {"n": "number"}) == (
        'MERGE INTO "SALES" t USING "STAGE" s ON (t."ID" = s."ID") '
        'WHEN MATCHED THEN UPDATE SET t."N" = s."N" WHERE (DECODE(t."N", s."N", 0, 1) = 1)'
    ).replace("WHERE (DECODE(", "WHERE DECODE(").removesuffix(")")
    assert not one.renames


@pytest.mark.parametrize(
    ("name", "kind"),
    [("postgresql", Postgres), ("mariadb", MySql), ("mssql", SqlServer), ("oracle", Oracle), ("db2", Dialect)],
)
def test_a_database_is_spoken_to_in_its_dialect(name: str, kind: type[Dialect]) -> None:
    assert type(dialect_of(name, "qmark")) is kind
