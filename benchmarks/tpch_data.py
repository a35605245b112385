"""TPC-H as a messy landing zone: what the two days' CSV files hold, and the plan of every flaw in them.

Here: which rows each day brings, which of them are spoilt and how, and the writing of the files. Everything is drawn
from md5 of a seed and the row's key, so the same scale and seed give the same bytes on any machine; all of it is set
SQL in DuckDB. What the tables must look like afterwards is counted from the *plan* (`tpch_truth`), never by reading
the spoilt files back.

    benchmarks/data/sf0.01/day1/<table>/<table>_day1.csv
    benchmarks/data/sf0.01/day2/<table>/<table>_day2.csv
    benchmarks/data/sf0.01/truth.json
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

DATA_DIR = Path(__file__).parent / "data"
SEED = 20261121
DAYS = (1, 2)
# Raised when the plan or the truth's format changes: older caches are made again.
FORMAT = 3

UPDATED_SHARE, RESENT_SHARE, NEW_SHARE = 10_000, 1_000, 5_000  # rows in a million, of day 1
ORPHAN_SHARE = 800  # orders in a million whose customer does not exist
ONE_IN_N_NEW = 10  # every tenth new order is a new customer's, every tenth new line a new part's


@dataclass(frozen=True)
class Dirt:
    """One kind of flaw: how many rows in a million get it, what the file then shows, which rules it breaks.

    `shown` maps a column to the SQL text expression that stands in the file instead of the row's value. With
    `sent_again`, the true row follows at the end of the file: an exact duplicate, or the correction of what was shown.
    """

    name: str
    per_million: int
    shown: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    sent_again: bool = False


@dataclass(frozen=True)
class Table:
    """A landed table: its key, what an update changes, what its flaws are. `updates` and `orphan` are SQL."""

    name: str
    keys: tuple[str, ...]
    updates: dict[str, str] = field(default_factory=dict)
    dirt: tuple[Dirt, ...] = ()


def _one_of(*values: str) -> str:
    return f"{list(values)}[1 + draw % {len(values)}]"


def _bad_number(column: str, share: int) -> Dirt:
    return Dirt("bad_number", share, {column: _one_of("12,50", "N/A", "1.2.3", "abc")}, (f"type:{column}",))


def _bad_date(column: str, share: int) -> Dirt:
    return Dirt("bad_date", share, {column: _one_of("1996-02-30", "31/12/1996", "soon")}, (f"type:{column}",))


def _empty_key(column: str, share: int) -> Dirt:
    return Dirt("empty_key", share, {column: "''"}, (f"not_null:{column}",))


def _out_of_range(column: str, share: int) -> Dirt:
    return Dirt("out_of_range", share, {column: _one_of("0", "-3", "1000")}, (f"range:{column}",))


def _twice(exact: int, corrected: int, wrong: dict[str, str]) -> tuple[Dirt, ...]:
    return Dirt("duplicate", exact, sent_again=True), Dirt("correction", corrected, wrong, sent_again=True)


def _two_reasons(share: int, *parts: Dirt) -> Dirt:
    shown = {column: text for part in parts for column, text in part.shown.items()}
    return Dirt("two_reasons", share, shown, tuple(reason for part in parts for reason in part.reasons))


_STATUS = Dirt("unknown_status", 800, {"o_orderstatus": _one_of("X", "Q", "?")}, ("allowed_values:o_orderstatus",))

# Each table's shares add up to 5,000 in a million: half a per cent of its rows.
TABLES = (
    Table("region", ("r_regionkey",)),
    Table("nation", ("n_nationkey",)),
    Table(
        "supplier",
        ("s_suppkey",),
        {"s_acctbal": "s_acctbal + 10", "s_phone": "'00-' || s_phone"},
        (_bad_number("s_acctbal", 1500), _empty_key("s_suppkey", 1000), *_twice(1500, 1000, {"s_acctbal": "'0.01'"})),
    ),
    Table(
        "customer",
        ("c_custkey",),
        {"c_acctbal": "c_acctbal + 10", "c_address": "'c/o ' || c_address"},
        (_bad_number("c_acctbal", 1200), _empty_key("c_custkey", 800), *_twice(1500, 1500, {"c_acctbal": "'0.01'"})),
    ),
    Table(
        "part",
        ("p_partkey",),
        {"p_retailprice": "p_retailprice + 1"},
        (
            _bad_number("p_retailprice", 1200),
            _out_of_range("p_size", 800),
            _empty_key("p_partkey", 500),
            *_twice(1200, 1300, {"p_retailprice": "'0.01'"}),
        ),
    ),
    Table(
        "orders",
        ("o_orderkey",),
        {"o_totalprice": "o_totalprice + 5", "o_orderpriority": "'1-URGENT'"},
        (
            _bad_date("o_orderdate", 700),
            _bad_number("o_totalprice", 600),
            _empty_key("o_orderkey", 400),
            _STATUS,
            _two_reasons(200, _bad_date("o_orderdate", 0), _STATUS),
            *_twice(1200, 1100, {"o_totalprice": "'0.01'"}),
        ),
    ),
    Table(
        "lineitem",
        ("l_orderkey", "l_linenumber"),
        {"l_extendedprice": "l_extendedprice + 1", "l_shipmode": "'RAIL'"},
        (
            _bad_date("l_shipdate", 700),
            _bad_number("l_extendedprice", 700),
            _empty_key("l_orderkey", 500),
            _out_of_range("l_quantity", 700),
            _two_reasons(200, _bad_date("l_shipdate", 0), _out_of_range("l_quantity", 0)),
            *_twice(1200, 1000, {"l_extendedprice": "'0.01'"}),
        ),
    ),
)


def scale_dir(scale: float) -> Path:
    """Where the files and the truth of one scale factor lie."""
    return DATA_DIR / f"sf{scale:g}"


def prepare(scale: float, *, seed: int = SEED) -> Path:
    """Return the folder of `scale`, making its files and its truth first where they are not there yet."""
    import duckdb

    from benchmarks.tpch_truth import is_current, write_truth

    folder = scale_dir(scale)
    if is_current(folder / "truth.json", seed=seed, version=FORMAT):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "work"
    work.mkdir(parents=True)
    _generate(scale, work)
    with duckdb.connect(work / "plan.duckdb") as con:
        con.execute(f"SET memory_limit = '4GB'; SET temp_directory = '{work}/spill'")
        _plan(con, work, seed)
        for day in DAYS:
            for table in TABLES:
                _write_csv(con, table, day, folder / f"day{day}" / table.name)
        write_truth(con, folder / "truth.json", scale=scale, seed=seed, version=FORMAT)
    shutil.rmtree(work)
    return folder


def _generate(scale: float, target: Path) -> None:
    tool = Path(sys.executable).with_name("tpchgen-cli")
    names = ",".join(table.name for table in TABLES)
    command = [str(tool), "parquet", "--scale-factor", f"{scale:g}", "--tables", names]
    command += ["--output-dir", str(target), "--quiet"]
    subprocess.run(command, check=True)


def _draw(seed: int, salt: str, *columns: str) -> str:
    """A number below a million drawn from the seed and the key, the same on every machine and version."""
    return f"(md5_number_lower(concat_ws('|', {seed}, '{salt}', {', '.join(columns)})) % 1000000)::INTEGER"


def _plan(con: duckdb.DuckDBPyConnection, work: Path, seed: int) -> None:
    """Make `plan_<table>_<day>`: the rows as they truly are, with `change`, `draw` and `dirt` (null for most)."""
    for table in TABLES:
        select = _with_orphans(seed) if table.name == "orders" else "SELECT *"
        con.execute(f"CREATE VIEW base_{table.name} AS {select} FROM '{work}/{table.name}.parquet'")
    for table in TABLES:
        pick = _draw(seed, f"pick {table.name}", *table.keys)
        con.execute(f"CREATE VIEW picked_{table.name} AS SELECT *, {pick} AS pick FROM base_{table.name}")
        _planned(con, table, 1, f"SELECT *, 'first' AS change FROM base_{table.name}", seed)
        _planned(con, table, 2, _second_day(table, seed), seed)


def _with_orphans(seed: int) -> str:
    """Orders of customers who do not exist: valid rows, whose facts point at the unknown member."""
    orphan = f"{_draw(seed, 'orphan', 'o_orderkey')} < {ORPHAN_SHARE}"
    return f"SELECT * REPLACE (CASE WHEN {orphan} THEN 900000000 + o_orderkey ELSE o_custkey END AS o_custkey)"


def _planned(con: duckdb.DuckDBPyConnection, table: Table, day: int, rows: str, seed: int) -> None:
    draw = _draw(seed, f"dirt {table.name} {day}", *table.keys)
    con.execute(f"""
        CREATE TABLE plan_{table.name}_{day} AS
        SELECT *, {_dirt_of("draw", table)} AS dirt FROM (SELECT *, {draw} AS draw FROM ({rows}))
    """)


def _dirt_of(draw: str, table: Table) -> str:
    """The SQL that names the flaw of a row: the draw falls into one flaw's interval, or into none."""
    bounds, upper = [], 0
    for dirt in table.dirt:
        upper += dirt.per_million
        bounds.append(f"WHEN {draw} < {upper} THEN '{dirt.name}'")
    return f"CASE {' '.join(bounds)} END" if bounds else "NULL::VARCHAR"


def _second_day(table: Table, seed: int) -> str:
    """The rows of day 2: 1 % updates, 0.1 % sent again unchanged, 0.5 % new; reference tables are sent again whole."""
    if not table.updates:
        return f"SELECT *, 'resent' AS change FROM base_{table.name}"
    replaced = ", ".join(f"{sql} AS {column}" for column, sql in table.updates.items())
    updated = f"SELECT * EXCLUDE pick REPLACE ({replaced}), 'updated' AS change FROM picked_{table.name} WHERE pick < {UPDATED_SHARE}"
    resent_to = UPDATED_SHARE + RESENT_SHARE
    resent = (
        f"SELECT * EXCLUDE pick, 'resent' AS change FROM picked_{table.name} "
        f"WHERE pick >= {UPDATED_SHARE} AND (pick < {resent_to} OR {table.keys[0]} = 1)"  # no file is ever without rows
    )
    return " UNION ALL ".join([updated, resent, *_new_rows(table, resent_to, seed)])


def _new_rows(table: Table, low: int, seed: int) -> list[str]:
    """New rows are copies of picked ones under unused keys; new orders bring their lines."""
    chosen = f"pick >= {low} AND pick < {low + NEW_SHARE}"
    key = table.keys[0]
    if table.name in {"customer", "part"}:
        unused = f"{key} + (SELECT max({key}) FROM base_{table.name}) AS {key}"
        return [f"SELECT * EXCLUDE pick REPLACE ({unused}), 'new' AS change FROM picked_{table.name} WHERE {chosen}"]
    order_key_offset = "(SELECT max(o_orderkey) FROM base_orders)"
    if table.name == "orders":
        return [
            f"""SELECT * EXCLUDE pick REPLACE (o_orderkey + {order_key_offset} AS o_orderkey,
                {_new_reference("o_custkey", "c_custkey", "customer", "o_orderkey", chosen)} AS o_custkey,
                DATE '1998-08-03' + (o_orderkey % 90)::INTEGER AS o_orderdate), 'new' AS change
            FROM picked_orders WHERE {chosen}"""
        ]
    if table.name == "lineitem":
        return [
            f"""SELECT * REPLACE (l_orderkey + {order_key_offset} AS l_orderkey,
                {_new_reference("l_partkey", "p_partkey", "part", "(l_orderkey + l_linenumber)", chosen)} AS l_partkey,
                DATE '1998-09-03' + (l_orderkey % 90)::INTEGER AS l_shipdate), 'new' AS change
            FROM base_lineitem WHERE {_draw(seed, "pick orders", "l_orderkey")} BETWEEN {low} AND {low + NEW_SHARE - 1}"""
        ]
    return []


def _new_reference(column: str, key: str, table: str, spread: str, chosen: str) -> str:
    new = f"(SELECT list({key} + (SELECT max({key}) FROM base_{table}) ORDER BY {key}) FROM picked_{table} WHERE {chosen})"
    return f"CASE WHEN {spread} % {ONE_IN_N_NEW} = 0 THEN {new}[1 + ({spread} // {ONE_IN_N_NEW}) % len({new})] ELSE {column} END"


def _write_csv(con: duckdb.DuckDBPyConnection, table: Table, day: int, folder: Path) -> None:
    """Write what landing gets: each row as it is shown, then the true row of all that are sent again."""
    folder.mkdir(parents=True)
    columns = [row[0] for row in con.execute(f"DESCRIBE base_{table.name}").fetchall()]
    plan = f"plan_{table.name}_{day}"
    again = [f"'{dirt.name}'" for dirt in table.dirt if dirt.sent_again]
    select = f"SELECT {', '.join(_shown(column, table) for column in columns)} FROM {plan}"
    if again:
        select += f" UNION ALL SELECT {', '.join(f'{c}::VARCHAR' for c in columns)} FROM {plan} WHERE dirt IN ({', '.join(again)})"
    con.execute(f"COPY ({select}) TO '{folder}/{table.name}_day{day}.csv' (FORMAT csv, HEADER)")


def _shown(column: str, table: Table) -> str:
    cases = [f"WHEN '{dirt.name}' THEN {dirt.shown[column]}" for dirt in table.dirt if column in dirt.shown]
    value = f"{column}::VARCHAR"
    return f"CASE dirt {' '.join(cases)} ELSE {value} END AS {column}" if cases else f"{value} AS {column}"


def link_day(scale: float, day: int, landing: Path) -> None:
    """Land one day's files in `landing/<table>/` by hard link, which costs no time and no space."""
    for source in sorted((scale_dir(scale) / f"day{day}").glob("*/*.csv")):
        target = landing / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the benchmark's landing files and their truth.")
    parser.add_argument("--scale", type=float, nargs="+", default=[0.01, 0.1])
    for scale in parser.parse_args().scale:
        print(prepare(scale))


if __name__ == "__main__":
    main()
