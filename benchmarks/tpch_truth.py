"""What the tables must hold after each day, counted from the plan of the flaws.

Here: the expected books (rows read, quarantined by reason, deduplicated, inserted, updated, unchanged), the expected
content of silver as counts and exact sums, and the expected gold. It reads the planned rows while they are still typed
and unspoilt; it never reads a landing file and shares no SQL with what it judges.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.tpch_data import DAYS, TABLES, Table

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

# Exact sums that any wrong, lost or repeated row changes: keys, and what updates and corrections touch.
SILVER_SUMS = {
    "region": {"r_regionkey": "r_regionkey"},
    "nation": {"n_nationkey": "n_nationkey", "n_regionkey": "n_regionkey"},
    "supplier": {"s_suppkey": "s_suppkey", "s_acctbal": "s_acctbal", "s_phone_length": "length(s_phone)"},
    "customer": {"c_custkey": "c_custkey", "c_acctbal": "c_acctbal", "c_address_length": "length(c_address)"},
    "part": {"p_partkey": "p_partkey", "p_retailprice": "p_retailprice", "p_size": "p_size"},
    "orders": {
        "o_orderkey": "o_orderkey",
        "o_custkey": "o_custkey",
        "o_totalprice": "o_totalprice",
        "o_orderdate_days": "o_orderdate - DATE '1970-01-01'",
        "o_comment_length": "length(o_comment)",
    },
    "lineitem": {
        "l_orderkey": "l_orderkey",
        "l_line": "l_orderkey % 1000 * l_linenumber",
        "l_partkey": "l_partkey",
        "l_quantity": "l_quantity",
        "l_extendedprice": "l_extendedprice",
        "l_shipdate_days": "l_shipdate - DATE '1970-01-01'",
        "l_shipmode_length": "length(l_shipmode)",
    },
}
CALENDAR = ("1992-01-01", "1998-12-31")


def is_current(path: Path, *, seed: int, version: int) -> bool:
    """Tell whether the truth (written last) is there and was made from this seed and this version of the plan."""
    if not path.exists():
        return False
    made = json.loads(path.read_text())
    return bool(made["seed"] == seed and made["format"] == version)


def load(path: Path) -> dict[str, Any]:
    """Read a truth file, or any other JSON object."""
    return dict(json.loads(path.read_text()))


def write_truth(con: duckdb.DuckDBPyConnection, path: Path, *, scale: float, seed: int, version: int) -> None:
    """Count everything from the plan in `con` and write it to `path`."""
    days = {}
    for day in DAYS:
        books = {table.name: _books(con, table, day) for table in TABLES}
        for table in TABLES:
            _make_state(con, table, day)
        silver = {table.name: _sums(con, table, day) for table in TABLES}
        days[str(day)] = {"books": books, "silver": silver, "gold": _gold(con, day)}
    document = {"format": version, "seed": seed, "scale": scale, "days": days}
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")


def _quarantined(table: Table) -> str:
    """SQL that is true for a planned row whose flaw breaks a rule."""
    names = [f"'{dirt.name}'" for dirt in table.dirt if dirt.reasons]
    return f"coalesce(dirt IN ({', '.join(names)}), false)" if names else "false"


def _books(con: duckdb.DuckDBPyConnection, table: Table, day: int) -> dict[str, Any]:
    plan, bad, keys = f"plan_{table.name}_{day}", _quarantined(table), ", ".join(table.keys)
    dirty = Counter(
        dict(con.execute(f"SELECT dirt, count(*) FROM {plan} WHERE dirt IS NOT NULL GROUP BY 1").fetchall())
    )
    reasons: Counter[str] = Counter()
    for dirt in table.dirt:
        reasons.update({reason: dirty[dirt.name] for reason in dirt.reasons if dirty[dirt.name]})
    known = f"({keys}) IN (SELECT ({keys}) FROM state_{table.name}_{day - 1})" if day > 1 else "false"
    rows, quarantined, inserted, updated = _row(
        con,
        f"SELECT count(*), coalesce(count_if({bad}), 0), count_if(NOT {bad} AND NOT known), "
        f"count_if(NOT {bad} AND known AND change = 'updated') FROM (SELECT *, {known} AS known FROM {plan})",
    )
    again = sum(dirty[dirt.name] for dirt in table.dirt if dirt.sent_again)
    return {
        "read": rows + again,
        "quarantined": quarantined,
        "reasons": dict(sorted(reasons.items())),
        "deduplicated": again,
        "inserted": inserted,
        "updated": updated,
        "unchanged": rows - quarantined - inserted - updated,
    }


def _make_state(con: duckdb.DuckDBPyConnection, table: Table, day: int) -> None:
    """Make `state_<table>_<day>`: the rows silver holds after that day, as they truly are."""
    keys = ", ".join(table.keys)
    fresh = f"SELECT * EXCLUDE (change, draw, dirt) FROM plan_{table.name}_{day} WHERE NOT {_quarantined(table)}"
    if day == 1:
        con.execute(f"CREATE VIEW state_{table.name}_1 AS {fresh}")
        return
    kept = f"SELECT * FROM state_{table.name}_{day - 1} ANTI JOIN ({fresh}) USING ({keys})"
    con.execute(f"CREATE VIEW state_{table.name}_{day} AS {kept} UNION ALL {fresh}")


def _sums(con: duckdb.DuckDBPyConnection, table: Table, day: int) -> dict[str, str]:
    return silver_sums(con, table.name, f"state_{table.name}_{day}")


def silver_sums(con: duckdb.DuckDBPyConnection, table: str, relation: str) -> dict[str, str]:
    """Return the row count and the exact sums of a silver table, as text (no float anywhere)."""
    sums = {"rows": "count(*)"} | {name: f"sum({sql})" for name, sql in SILVER_SUMS[table].items()}
    values = _row(con, f"SELECT {', '.join(sums.values())} FROM {relation}")
    return {name: str(value) for name, value in zip(sums, values, strict=True)}


def _gold(con: duckdb.DuckDBPyConnection, day: int) -> dict[str, Any]:
    """Count the star from the state: every dimension has one row more, its unknown member."""
    customers, parts, suppliers = (_count(con, f"state_{name}_{day}") for name in ("customer", "part", "supplier"))
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE sold AS
        SELECT l_extendedprice * (1 - l_discount) AS revenue, l_quantity, o_orderdate, p.p_mfgr,
               c.c_custkey, p.p_partkey, s.s_suppkey, n.n_regionkey
        FROM state_lineitem_{day} l
        LEFT JOIN state_orders_{day} o ON o.o_orderkey = l.l_orderkey
        LEFT JOIN state_customer_{day} c ON c.c_custkey = o.o_custkey
        LEFT JOIN state_nation_{day} n ON n.n_nationkey = c.c_nationkey
        LEFT JOIN state_part_{day} p ON p.p_partkey = l.l_partkey
        LEFT JOIN state_supplier_{day} s ON s.s_suppkey = l.l_suppkey
    """)
    calendar_days = _row(con, "SELECT ?::DATE - ?::DATE + 1", [CALENDAR[1], CALENDAR[0]])[0]
    facts = _row(
        con,
        "SELECT count(*), sum(revenue), sum(l_quantity), count_if(c_custkey IS NULL), count_if(p_partkey IS NULL), "
        "count_if(s_suppkey IS NULL), count_if(o_orderdate IS NULL) FROM sold",
    )
    months = _row(
        con, "SELECT count(*) FROM (SELECT DISTINCT date_trunc('month', o_orderdate), n_regionkey, p_mfgr FROM sold)"
    )
    names = ("rows", "revenue", "quantity", "unknown_customer", "unknown_part", "unknown_supplier", "unknown_date")
    return {
        "dim_region": {"rows": str(_count(con, f"state_region_{day}") + 1)},
        "dim_country": {"rows": str(_count(con, f"state_nation_{day}") + 1)},
        "dim_customer": {"rows": str(customers + 1)},
        "dim_supplier": {"rows": str(suppliers + 1)},
        "dim_part": {"rows": str(parts + 1)},
        "dim_date": {"rows": str(calendar_days + 1)},
        "fact_sales": {name: str(value) for name, value in zip(names, facts, strict=True)},
        "agg_monthly_sales": {"rows": str(months[0]), "revenue": str(facts[1]), "quantity": str(facts[2])},
    }


def _row(con: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
    row = con.execute(sql, parameters).fetchone()
    assert row is not None  # noqa: S101  an aggregate without GROUP BY has one row
    return tuple(row)


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(_row(con, f"SELECT count(*) FROM {relation}")[0])
