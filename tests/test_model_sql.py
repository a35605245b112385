"""What a model's SQL says about itself is true: its columns as DuckDB makes them, its origins as changed data shows them."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from flowforge_assets.model_sql import remembered as memory
from flowforge_assets.model_sql.analysis import SqlAnalysis, analyse
from flowforge_assets.model_sql.query import Query
from flowforge_assets.model_sql.reads import read_sql
from flowforge_resources.duck import quote
from flowforge_resources.errors import DefinitionError
from queries import FOLLOWED, NOT_FOLLOWED, OPEN_ENDED, OTHERWISE, ROWS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

WHERE = "defs/shop/x.sql"
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]


def analysis_of(sql: str, tables: dict[str, dict[str, str]] = TABLES) -> SqlAnalysis:
    reads = read_sql(sql, WHERE)
    assert not reads.open_ended
    return analyse(Query(sql, WHERE, "shop", {name: tables[name] for name in reads.within("shop")}))


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA shop; SET search_path = 'shop'")
        for table, columns in TABLES.items():
            declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE shop.stored_{table} ({declared})")
            connection.execute(f"INSERT INTO shop.stored_{table} VALUES {ROWS[table]}")
        show(connection)
        yield connection


def show(connection: duckdb.DuckDBPyConnection, changed: tuple[str, str] | None = None) -> None:
    """The tables as they are, or with one column's values changed."""
    for table, columns in TABLES.items():
        values = [
            f"CAST({OTHERWISE[kind].format(name)} AS {kind}) AS {name}" if (table, name) == changed else name
            for name, kind in columns.items()
        ]
        connection.execute(
            f"CREATE OR REPLACE VIEW shop.{table} AS SELECT {', '.join(values)} FROM shop.stored_{table}"
        )


def values(connection: duckdb.DuckDBPyConnection, sql: str) -> list[list[str]] | None:
    """Each returned column's values in order of their text; None where DuckDB cannot run it on this data."""
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error:
        return None
    return [sorted(str(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []


@pytest.mark.parametrize("sql", [*FOLLOWED, *NOT_FOLLOWED])
def test_the_columns_are_those_that_duckdb_writes(
    sql: str, database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "written.parquet"
    database.execute(f"COPY (SELECT * FROM ({sql})) TO '{file}' (FORMAT parquet)")
    written = {row[0]: row[1] for row in database.execute(f"DESCRIBE FROM '{file}'").fetchall()}
    assert analysis_of(sql).columns == written


@pytest.mark.parametrize("sql", FOLLOWED)
def test_a_column_changes_only_with_what_it_is_said_to_come_from(sql: str, database: duckdb.DuckDBPyConnection) -> None:
    """The law of lineage, by experiment: other values in a column are noticed by nobody who does not name it."""
    analysis = analysis_of(sql)
    assert analysis.columns is not None
    assert set(analysis.origins) == set(analysis.columns)
    before = values(database, sql)
    rows = {(one.table, one.column) for one in analysis.rows}
    for changed in COLUMNS:
        if changed in rows:
            continue
        show(database, changed)
        after = values(database, sql)
        show(database)
        if before is None or after is None:
            continue
        unmoved = [
            place
            for place, name in enumerate(analysis.columns)
            if changed not in {(one.table, one.column) for one in analysis.origins[name]}
        ]
        assert [before[place] for place in unmoved] == [after[place] for place in unmoved], f"{changed} moved {sql}"


@pytest.mark.parametrize("sql", NOT_FOLLOWED)
def test_what_cannot_be_followed_is_unknown_and_no_error(sql: str) -> None:
    analysis = analysis_of(sql)
    assert analysis.columns
    assert set(analysis.origins) < set(analysis.columns)


@pytest.mark.parametrize("sql", OPEN_ENDED)
def test_a_query_whose_columns_depend_on_data_is_open_ended(sql: str) -> None:
    assert read_sql(sql, WHERE).open_ended


READS = {
    "select * from items i, shop.sales, other.things": ("items", "sales", "other.things"),
    "with items as (select 1 as n) select * from items": (),
    "with a as (select * from items) select * from a join a as b using (n)": ("items",),
    "select (select max(q) from sales) from Items": ("items", "sales"),
    "select * from (pivot sales on shop in ('a') using sum(q))": ("sales",),
    "select * from range(3), unnest([1]), (values (1)) v(x)": (),
}


@pytest.mark.parametrize("sql", READS)
def test_the_tables_a_query_reads_are_found(sql: str) -> None:
    assert set(read_sql(sql, WHERE).within("shop")) == set(READS[sql])


KINDS: dict[str, dict[str, set[str]]] = {
    "select item_id, n + 1 as m from items": {"item_id": {"items.item_id identity"}, "m": {"items.n transformation"}},
    "select item_id::int as i, (item_id) as same from items": {
        "i": {"items.item_id transformation"},
        "same": {"items.item_id identity"},
    },
    "select label, sum(n) + 1 as total from items where price > 1 group by label": {
        "label": {"items.label identity"},
        "total": {"items.n aggregation"},
        "": {"items.price filter", "items.label aggregation"},
    },
    "with a as (select item_id, max(n) as most from items group by 1) select most as m from a": {
        "m": {"items.n aggregation"},
        "": {"items.item_id aggregation"},
    },
    "select i.label, s.q from items i join sales s on s.item_id = i.item_id and s.day > i.day where i.day is not null": {
        "label": {"items.label identity"},
        "q": {"sales.q identity"},
        "": {"items.item_id join", "items.day join", "sales.item_id join", "sales.day join"},
    },
    "select item_id from items join sales using (item_id)": {
        "item_id": {"items.item_id identity", "sales.item_id identity"},
        "": {"items.item_id join", "sales.item_id join"},
    },
    "select coalesce(item_id, 'none') as item_id from items": {"item_id": {"items.item_id transformation"}},
    "select lag(n) over (order by day) as before, sum(n) over () as total from items": {
        "before": {"items.n transformation", "items.day transformation"},
        "total": {"items.n aggregation"},
    },
    "select md5(label) as h, hash(item_id, n) as k, max(sha256(label)) as m from items group by all": {
        "h": {"items.label masked"},
        "k": {"items.item_id masked", "items.n masked"},
        "m": {"items.label masked"},
        "": {"items.label aggregation", "items.item_id aggregation", "items.n aggregation"},
    },
    "select item_id, k, v from items unpivot (v for k in (price, n))": {
        "item_id": {"items.item_id identity"},
        "k": set(),
        "v": {"items.price identity", "items.n identity"},
        "": {"items.price filter", "items.n filter"},
    },
    "select s.* from (select {'a': item_id, 'b': n} as s from items)": {
        name: {"items.item_id transformation", "items.n transformation"} for name in ("a", "b")
    },
    "select item_id from items qualify row_number() over (partition by label) = 1": {
        "item_id": {"items.item_id identity"},
        "": {"items.label filter"},
    },
}


@pytest.mark.parametrize("sql", KINDS)
def test_each_edge_has_the_kind_that_says_what_happens(sql: str) -> None:
    analysis = analysis_of(sql)
    said = {name: {f"{one.table}.{one.column} {one.kind}" for one in found} for name, found in analysis.origins.items()}
    said |= {"": {f"{one.table}.{one.column} {one.kind}" for one in analysis.rows}} if analysis.rows else {}
    assert said == KINDS[sql]


# What is wrong, the line it is named with, and what must be said.
WRONG: dict[str, tuple[int, tuple[str, ...]]] = {
    "select item_id,\n  prise\nfrom items": (2, ("'prise'", "Did you mean 'price'?")),
    "select item_id\nfrom items\nwhere nn > 1": (3, ("'nn'",)),
    "select item_id\nfrom items i\njoin sales s on true": (1, ("'item_id' is ambiguous", "i.item_id or s.item_id")),
    "select -- äöü€\n i.prise from items i": (2, ("'i.prise'", "Did you mean 'price'?")),
    "with a as (select item_id from items)\nselect label\nfrom a": (2, ("'label'",)),
    "select i.item_id\nfrom items i\norder by j.day": (3, ("'j'", "no table of the query")),
    "select item_id\n, nosuch(n) from items": (2, ("nosuch",)),
    "select item_id + price\nfrom items": (1, ("VARCHAR, DECIMAL(10,2)",)),
    "select label, sum(n)\nfrom items": (1, ("GROUP BY",)),
    "select * exclude (prise)\nfrom items": (0, ("'prise'", "Did you mean 'price'?")),
    "select * from items\njoin sales using (shop)": (0, ("'shop'",)),
    "select item_id\nfrom items\nwhere day > 'yesterday' and n = 5": (3, ("'yesterday' is no DATE",)),
    "select item_id\nfrom items\nwhere n in ('1', 'two')": (3, ("'two' is no BIGINT",)),
    "select item_id from items\nunion all\nselect item_id, q from sales": (0, ("same number",)),
}


@pytest.mark.parametrize("sql", WRONG)
def test_what_duckdb_could_not_run_is_refused_with_its_line(sql: str) -> None:
    line, wanted = WRONG[sql]
    with pytest.raises(DefinitionError) as caught:
        analysis_of(sql)
    assert str(caught.value).startswith(f"{WHERE}:{line}: " if line else f"{WHERE}: ")
    for part in wanted:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_only_duckdbs_parser_knows_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlglot

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise sqlglot.errors.ParseError("new syntax", [{"line": 1, "description": "new syntax", "highlight": "x"}])

    monkeypatch.setattr(sqlglot, "parse", refuse)
    reads = read_sql("with a as (select * from Items) select * from a join other.things using (n)", WHERE)
    assert reads.tables == ("items", "other.things")
    assert reads.open_ended
    with pytest.raises(DefinitionError, match=r"x\.sql:1: the SQL does not parse"):
        read_sql("select from where", WHERE)


# -- answers on disk --------------------------------------------------------------------------------------------------


def answers() -> list[Path]:
    return sorted((Path(os.environ["XDG_CACHE_HOME"]) / "flowforge" / "model_sql").glob("*.json"))


def count_answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from flowforge_assets.model_sql import engine

    asked: list[str] = []
    really = engine.columns_of

    def counted(query: Query) -> dict[str, str] | None:
        asked.append(query.sql)
        return really(query)

    monkeypatch.setattr(engine, "columns_of", counted)
    return asked


def test_an_answer_is_given_again_until_anything_it_depends_on_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_answers(monkeypatch)
    sql = "select * from items"
    first = analysis_of(sql)
    assert analysis_of(sql) == first
    assert len(asked) == 1
    assert analysis_of(sql + " where n > 1").rows
    wider = {**TABLES, "items": {**TABLES["items"], "more": "INTEGER"}}
    assert analysis_of(sql, wider).columns == {**(first.columns or {}), "more": "INTEGER"}
    other = {**TABLES, "items": {**TABLES["items"], "n": "DOUBLE"}}
    assert (analysis_of(sql, other).columns or {})["n"] == "DOUBLE"
    assert len(asked) == 4


def test_an_answer_of_other_code_or_another_engine_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_answers(monkeypatch)
    analysis_of("select n from items")
    monkeypatch.setattr(memory, "_engines", lambda: "others")
    analysis_of("select n from items")
    assert len(asked) == 2


@pytest.mark.parametrize("damage", ["cut", "altered", "emptied", "no text"])
def test_a_damaged_answer_is_asked_for_again(damage: str) -> None:
    found = analysis_of("select n from items")
    for file in answers():
        content = file.read_bytes()
        file.write_bytes(
            {
                "cut": content[:-3],
                "altered": content.replace(b"BIGINT", b"DOUBLE").replace(b"items", b"sales"),
                "emptied": b"",
                "no text": b"\xff\xfe",
            }[damage]
        )
    assert analysis_of("select n from items") == found


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "inside"))
    assert analysis_of("select n from items").columns == {"n": "BIGINT"}


def test_many_at_once_leave_whole_answers_and_nothing_else() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: analysis_of("select n, label from items"), range(24)))
    assert found == [found[0]] * 24
    folder = answers()[0].parent
    assert [file for file in folder.iterdir() if file.suffix != ".json"] == []


def test_old_answers_are_forgotten() -> None:
    analysis_of("select n from items")
    (old, *_) = answers()
    os.utime(old, (0, 0))
    analysis_of("select label from items")
    assert old not in answers()
    assert not stat.S_ISDIR(answers()[0].stat().st_mode)


def test_a_quoted_name_with_odd_characters_is_a_name() -> None:
    tables = {"items": {"Größe (cm)": "DOUBLE", "select": "VARCHAR", 'a"b': "BIGINT"}}
    names = ", ".join(quote(name) for name in tables["items"])
    analysis = analysis_of(f"select {names} from items", tables)
    assert dict(analysis.columns or {}) == tables["items"]
    assert {one.column for found in analysis.origins.values() for one in found} == set(tables["items"])
