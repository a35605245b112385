"""Which partitions depend on rows of other tables that changed: never one too few."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from flowforge_assets.gold.input_prints import (
    changed_keys,
    in_partitions,
    partition_key,
    prints_by_partition,
    used_names,
)
from flowforge_assets.gold.met_prints import Others
from flowforge_assets.model_sql.met_rows import Step, ways_to
from flowforge_assets.model_sql.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flowforge_assets.model_sql.met_rows import Way

TABLES = {"d": ("c", "k", "m", "x"), "o": ("k", "m", "n", "x"), "p": ("n", "c", "x")}


def ways(sql: str, *beside: Step) -> dict[str, list[Way]]:
    tables = {name: dict.fromkeys(columns, "INTEGER") for name, columns in TABLES.items()}
    return ways_to(Query(sql, "f.sql", "shop", tables), ["d", "shop.d"], beside)


def told(sql: str, *beside: Step) -> dict[str, list[str]]:
    """Each way as text, such as `o(k=k, m=m) p(n=n)`."""
    return {
        name: [
            " ".join(f"{step.table}({', '.join(f'{a}={b}' for a, b in step.equal)})" for step in way) for way in found
        ]
        for name, found in ways(sql, *beside).items()
    }


KNOWN = {
    "SELECT d.c, o.x FROM d LEFT JOIN o USING (k)": {"o": ["o(k=k)"], "p": []},
    "SELECT d.c, o.x FROM d JOIN o ON o.k = d.k AND d.m = o.m AND o.x > d.x": {"o": ["o(k=k, m=m)"], "p": []},
    "SELECT d.c, p.x FROM d JOIN o ON o.k = d.k LEFT JOIN p ON p.n = o.n": {"o": ["o(k=k)"], "p": ["o(k=k) p(n=n)"]},
    "SELECT d.c, a.x, b.x AS y FROM d LEFT JOIN o AS a ON a.k = d.k LEFT JOIN o AS b ON b.k = d.m": {
        "o": ["o(k=k)", "o(k=m)"],
        "p": [],
    },
    "SELECT d.c, o.x FROM o, d WHERE o.k = d.k": {"o": ["o(k=k)"], "p": []},
    "WITH a AS (SELECT c, k AS kk, sum(x) AS x FROM d GROUP BY ALL), b AS (SELECT k AS other, x FROM o WHERE x > 0) SELECT a.c, a.x, b.x AS y FROM a ASOF LEFT JOIN b ON a.kk = b.other AND a.x >= b.x": {
        "o": ["o(k=k)"],
        "p": [],
    },
    "SELECT c FROM d ANTI JOIN o USING (k) SEMI JOIN p ON d.x = p.x": {"o": ["o(k=k)"], "p": ["p(x=x)"]},
    "SELECT c, k AS found FROM d": {"o": ["o(k=k)"], "p": []},
}
UNKNOWN = [
    "SELECT c FROM d WHERE k IN (SELECT k FROM o)",
    "SELECT c, (SELECT max(x) FROM o WHERE o.k = d.k) AS m FROM d",
    "SELECT d.c, o.x FROM d JOIN o ON o.k = d.k + 1",
    "SELECT d.c, o.x FROM d JOIN o ON o.k = d.k OR o.m = d.m",
    "SELECT d.c, o.x FROM d CROSS JOIN o",
    "WITH a AS (SELECT k, max(x) AS x FROM o GROUP BY k) SELECT d.c, a.x FROM d JOIN a USING (k)",
    "WITH a AS (SELECT k, row_number() OVER () AS x FROM o) SELECT d.c, a.x FROM d JOIN a USING (k)",
    "WITH a AS (FROM o) SELECT d.c, a.x FROM d JOIN a ON a.k = d.k JOIN a AS b ON b.k = d.m",
    "SELECT d.c, a.x FROM d JOIN (SELECT k, x FROM o LIMIT 3) AS a USING (k)",
    "SELECT d.c, o.x FROM d JOIN o ON o.k = d.k JOIN o AS b ON b.m > d.m",
    "SELECT d.c, t.x FROM d JOIN o AS t(x, k) ON t.x = d.k",
    "WITH a AS (FROM o) SELECT d.c, a.x FROM d JOIN a ON a.k = d.k SEMI JOIN a AS b ON b.m > d.m",
    "WITH a AS (FROM o) SELECT d.c, a.x FROM d JOIN a ON a.k = d.k WHERE d.m IN (SELECT m FROM a)",
    "SELECT d.c, o.x FROM d JOIN o TABLESAMPLE 10% ON o.k = d.k",
    "WITH a AS (SELECT c, max(k) AS k FROM d GROUP BY c) SELECT a.c, o.x FROM a JOIN o USING (k)",
    "SELECT c, k + 1 AS found FROM d",
]


@pytest.mark.parametrize("sql", KNOWN)
def test_the_columns_are_known_by_which_rows_meet(sql: str) -> None:
    beside = [Step("o", (("k", "found"), ("x", "c + 1")))] if "found" in sql else []
    assert told(sql, *beside) == KNOWN[sql]


@pytest.mark.parametrize("sql", UNKNOWN)
def test_of_any_other_use_nothing_is_said(sql: str) -> None:
    beside = [Step("o", (("k", "found"),))] if "found" in sql else []
    assert "o" not in told(sql, *beside)


def written(folder: Path, tables: dict[str, list[tuple[Any, ...]]]) -> dict[str, Path]:
    found = {}
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            found[name] = folder / f"{name}-{len(list(folder.iterdir()))}.parquet"
            columns = ", ".join(f"{column} INTEGER" for column in TABLES[name])
            connection.execute(f"CREATE TABLE {name} ({columns})")
            for row in rows:
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
            connection.execute(f"COPY {name} TO '{found[name]}'")
    return found


def rows_of(files: dict[str, Path]) -> Callable[[Sequence[str | None] | None], str]:
    """The driving rows of some partitions."""
    source = f"read_parquet('{files['d']}')"
    return lambda keys: (
        source if keys is None else f"(FROM {source} WHERE {in_partitions('c', 'value', 'INTEGER', keys)})"
    )


def by_partition(connection: duckdb.DuckDBPyConnection, sql: str, files: dict[str, Path]) -> dict[Any, list[Any]]:
    for name, file in files.items():
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet('{file}')")
    found: dict[Any, list[Any]] = {}
    for row in connection.execute(f"SELECT CAST(c AS VARCHAR), q::VARCHAR FROM ({sql}) AS q ORDER BY ALL").fetchall():
        found.setdefault(row[0], []).append(row)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_partition_that_comes_out_differently_is_always_named(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # a test

    def rows(name: str, number: int) -> list[tuple[Any, ...]]:
        return [tuple(chance.choice([0, 1, 2, 3, None]) for _ in TABLES[name]) for _ in range(number)]

    before = {"d": rows("d", 8), "o": rows("o", 5), "p": rows("p", 4)}
    after = {name: list(found) for name, found in before.items()}
    for name in chance.sample(["d", "o", "p", "o", "p"], 2):
        after[name] = [*after[name][chance.randrange(2) :], *rows(name, chance.randrange(2))]
    old, new = written(tmp_path, before), written(tmp_path, after)
    key, spared = partition_key("c", "value"), 0
    with duckdb.connect() as connection:
        for sql in [one for one in KNOWN if "found" not in one and "ASOF" not in one]:
            found, used = ways(sql), used_names(sql, ["c"])
            own = changed_keys(
                *(prints_by_partition(connection, {"": one["d"]}, TABLES["d"], key)[""] for one in (old, new))
            )
            changed = [name for name in ("o", "p") if before[name] != after[name]]
            _, memory = Others(old, found, used=used).look(connection, rows_of(old), key, [])
            met, memory = Others(new, found, changed, used, memory).look(connection, rows_of(new), key, own)
            assert memory == Others(new, found, used=used).look(connection, rows_of(new), key, [])[1]
            tables = [by_partition(connection, sql, one) for one in (old, new)]
            differing = {one for one in {*tables[0], *tables[1]} if tables[0].get(one) != tables[1].get(one)}
            assert differing <= {*own, *met}, sql
            spared += len({*tables[1]} - {*own, *met})
    assert spared, "something is spared"
