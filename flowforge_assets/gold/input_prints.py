"""Fingerprints of what a model reads: of the driving table by part and partition, of every other table as a whole.

A fingerprint is the number of rows, the XOR and the sum of a 64-bit hash of each row. Rows are hashed twice, because
DuckDB combines the hashes of columns by XOR: two rows that swap a value would otherwise cancel out. That two different
versions have one fingerprint takes a collision of that hash: 1 in 2^64 for a changed row. Hashes are compared within one
version of DuckDB only.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.incremental_spec import Every

# Key of a partition as text; None where the column is null.
Key = str | None
# Rows, XOR and sum of the hashes of the rows.
Print = tuple[int, int, int]

# SQL of a fingerprint, of rows with the hash `h`.
SUMS = "count(*), coalesce(bit_xor(h), 0), coalesce(sum(h), 0)"
_FILE = "_flowforge_file"


def used_names(sql: str, more: Iterable[str]) -> frozenset[str] | None:
    """Every name in a query, in small letters, with `more`; None where it may read columns it does not name."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, dialect="duckdb")
    stars = any(not isinstance(one.parent, exp.Count) for one in tree.find_all(exp.Star))
    natural = any(join.method == "NATURAL" for join in tree.find_all(exp.Join))
    tables = {table.alias_or_name.lower() for table in tree.find_all(exp.Table)}
    tables |= {one.alias_or_name.lower() for one in tree.find_all(exp.Subquery)}
    whole_rows = any(not column.table and column.name.lower() in tables for column in tree.find_all(exp.Column))
    if stars or natural or whole_rows or any(tree.find_all(exp.Columns)):
        return None
    return frozenset(one.name.lower() for one in tree.find_all(exp.Identifier)) | {one.lower() for one in more}


def columns_used(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], used: frozenset[str] | None
) -> list[tuple[str, str]]:
    """Columns (name, type) of a table that a model may read."""
    found = connection.execute(f"DESCRIBE FROM {_source(files[:1])}").fetchall()
    return [(name, kind) for name, kind, *_ in found if used is None or name.lower() in used]


def print_of(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[str]) -> Print:
    """Fingerprint of a whole table."""
    sql = f"SELECT {SUMS} FROM (SELECT {hash_of(columns)} AS h FROM {_source(files)})"
    rows, xor, total = connection.execute(sql).fetchall()[0]
    return int(rows), int(xor), int(total)


def prints_by_partition(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path], columns: Sequence[str], key: str
) -> dict[str, dict[Key, Print]]:
    """Fingerprints of parts of a table, by part and partition; `key`: SQL of the partition."""
    if not files:
        return {}
    named = {str(path): name for name, path in files.items()}
    source = _source(list(files.values()), f", filename = {literal(_FILE)}")
    rows = connection.execute(
        f"SELECT file, key, {SUMS} FROM (SELECT {quote(_FILE)} AS file, {key} AS key, {hash_of(columns)} AS h FROM {source}) "
        f"GROUP BY file, key"
    ).fetchall()
    found: dict[str, dict[Key, Print]] = {name: {} for name in files}
    for file, value, count, xor, total in rows:
        found[named[file]][value] = (int(count), int(xor), int(total))
    return found


def together(parts: Iterable[Mapping[Key, Print]]) -> dict[Key, Print]:
    """Fingerprints by partition of the rows of all parts."""
    return reduce(_add, parts, {})


def _add(one: dict[Key, Print], other: Mapping[Key, Print]) -> dict[Key, Print]:
    for key, (rows, xor, total) in other.items():
        mine = one.get(key, (0, 0, 0))
        one[key] = (mine[0] + rows, mine[1] ^ xor, mine[2] + total)
    return one


def changed_keys(before: Mapping[Key, Print], now: Mapping[Key, Print]) -> list[Key]:
    """Partitions whose rows differ, in order, null first."""
    return in_order(key for key in {*before, *now} if before.get(key) != now.get(key))


def in_order(keys: Iterable[Key]) -> list[Key]:
    """Keys of partitions sorted, null first."""
    return sorted(keys, key=lambda key: (key is not None, key or ""))


def as_json(prints: Mapping[Key, Print]) -> list[list[Any]]:
    """Fingerprints as a footer remembers them."""
    return [[key, *told] for key, told in prints.items()]


def of_json(said: Iterable[Sequence[Any]]) -> dict[Key, Print]:
    """Fingerprints as `as_json` wrote them."""
    return {key: (rows, xor, total) for key, rows, xor, total in said}


def partition_key(column: str, every: Every) -> str:
    """SQL of the key, as text, of the partition a row belongs to."""
    if every == "value":
        return f"CAST({quote(column)} AS VARCHAR)"
    return f"CAST(CAST(date_trunc({literal(every)}, {quote(column)}) AS DATE) AS VARCHAR)"


def in_partitions(column: str, every: Every, kind: str, keys: Sequence[Key]) -> str:
    """SQL condition, never null, that a row belongs to one of some partitions; `kind`: the column's type."""
    known = [key for key in keys if key is not None]
    absent = f"{quote(column)} IS NULL" if len(known) < len(keys) else "FALSE"
    if not known:
        return f"({absent})"
    if every == "value":
        # The column itself, so that a reader can skip what its statistics rule out.
        there = f"{quote(column)} IN ({', '.join(f'CAST({literal(key)} AS {kind})' for key in known)})"
    else:
        there = f"{partition_key(column, every)} IN ({', '.join(map(literal, known))}){_within(column, every, known)}"
    return f"(coalesce({there}, FALSE) OR {absent})"


def _within(column: str, every: Every, keys: Sequence[str]) -> str:
    """The span of time around the partitions, for the same purpose; nothing where one is no common date."""
    common = all(len(key) == len("2026-01-31") and key[:4].isdigit() and key < "9000" for key in keys)
    if not common:
        return ""
    after = f"DATE {literal(max(keys))} + INTERVAL 1 {every}"
    return f" AND {quote(column)} >= DATE {literal(min(keys))} AND {quote(column)} < {after}"


def hash_of(columns: Sequence[str]) -> str:
    """SQL of a row's hash."""
    return f"hash(hash({', '.join(map(quote, columns)) or '1'}))"


def _source(files: Sequence[Path], options: str = "") -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in files)}]{options})"
