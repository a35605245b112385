"""Partitions of a batch, in DuckDB: which ones its rows are in, which ones may hold its keys, and writing them.

Belongs here: SQL and local files. Does not: where a partition lies on the lake (`silver.partitions`).

Reads the views `typed` and the gate's `verdict`, as `merge` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.transforms.cast import OPERATION, table_columns
from flowforge_resources.duck import literal, one_row, quote, text_list
from flowforge_resources.layout import EMPTY_PARTITION
from flowforge_resources.partitioned import LocalPartition
from flowforge_resources.published import copy_with_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate
    from flowforge_resources.partitioned import Bounds, Partition

PARTITION = "_partition"


def partitions_of_batch(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate) -> dict[str, int]:
    """Partitions that rows of the batch which passed the gate are in, with their number."""
    held = one_row(connection, f"SELECT count(*) FROM verdict WHERE {gate.taken_out}")[0]
    passed = f"typed ANTI JOIN (FROM verdict WHERE {gate.taken_out}) USING (_rid)" if held else "typed"
    values = f" WHERE {OPERATION} = 0" if spec.strategy.marks_operations else ""
    found = connection.execute(f"SELECT {spec.partition_key} AS {PARTITION}, count(*) FROM {passed}{values} GROUP BY 1")
    return dict(found.fetchall())


def partitions_of_all(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> set[str]:
    """Partitions that rows of the batch are in, those the gate holds among them."""
    return partitions_of_rows(connection, spec, "FROM typed")


def partitions_of_rows(connection: duckdb.DuckDBPyConnection, spec: TableSpec, select: str) -> set[str]:
    """Partitions that the rows of a query are in."""
    found = connection.execute(f"SELECT DISTINCT {spec.partition_key} FROM ({select})")
    return {name for (name,) in found.fetchall()}


def truncates(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate) -> bool:
    """Whether a row of the batch that passed the gate clears the table."""
    if not spec.strategy.truncate_when:
        return False
    passed = f"typed ANTI JOIN (FROM verdict WHERE {gate.taken_out}) USING (_rid)"
    return bool(one_row(connection, f"SELECT count(*) FROM {passed} WHERE {OPERATION} = 2")[0])


def create_batch_keys(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate) -> None:
    """Leave a table `batch_keys` with the keys of the rows that passed the gate, each once."""
    keys = ", ".join(quote(key) for key in spec.keys)
    connection.execute(
        f"CREATE TABLE batch_keys AS SELECT DISTINCT {keys} FROM typed ANTI JOIN (FROM verdict WHERE {gate.taken_out}) USING (_rid)"
    )


def may_hold_keys(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, partitions: Mapping[str, Partition]
) -> set[str]:
    """Partitions whose least and greatest keys do not rule out that they hold a row of `batch_keys`."""
    candidates = {name for name, part in partitions.items() if part.rows}
    for column in spec.columns:
        if column.name in spec.keys and candidates:
            bounds = {name: partitions[name].bounds.get(column.name, (None, None)) for name in candidates}
            known = {name: both for name, both in bounds.items() if None not in both}
            within = _within(connection, quote(column.name), column.kind.sql_type, known)
            candidates = (candidates - known.keys()) | within
    return candidates


def _within(
    connection: duckdb.DuckDBPyConnection, key: str, sql_type: str, bounds: Mapping[str, tuple[str | None, str | None]]
) -> set[str]:
    """Those for which the first key of the batch that is not below their least one is not above their greatest."""
    if not bounds:
        return set()
    rows = ", ".join(f"({literal(name)}, {literal(least)}, {literal(most)})" for name, (least, most) in bounds.items())
    found = connection.execute(
        f"WITH known AS (SELECT name, TRY_CAST(least AS {sql_type}) AS least, TRY_CAST(most AS {sql_type}) AS most "
        f"FROM (VALUES {rows}) AS b(name, least, most)), keys AS (SELECT {key} AS k FROM batch_keys) "
        "SELECT name FROM known ASOF JOIN keys ON known.least <= keys.k WHERE keys.k <= known.most "
        "UNION ALL SELECT name FROM known WHERE least IS NULL OR most IS NULL"
    )
    return {name for (name,) in found.fetchall()}


def hold_keys(connection: duckdb.DuckDBPyConnection, spec: TableSpec, candidates: str) -> set[str]:
    """Of a relation of key columns and `_partition`: the partitions with a row of `batch_keys`."""
    keys = ", ".join(quote(key) for key in spec.keys)
    found = connection.execute(
        f"SELECT DISTINCT {PARTITION} FROM (SELECT {keys}, {PARTITION} FROM {candidates}) SEMI JOIN batch_keys USING ({keys})"
    )
    return {name for (name,) in found.fetchall()}


def narrow_to(connection: duckdb.DuckDBPyConnection, spec: TableSpec, chosen: Sequence[str]) -> None:
    """Narrow `typed` to rows in the chosen partitions, and rows of the same keys elsewhere: where they moved to or from.

    A row that clears the table is of all keys. A full extract is left whole: it says what is absent.
    """
    if spec.strategy.takes_extracts:
        return
    listed = ", ".join(literal(name) for name in chosen)
    keys = ", ".join(quote(key) for key in spec.keys)
    clears = f" UNION SELECT _rid FROM typed_everywhere WHERE {OPERATION} = 2" if spec.strategy.truncate_when else ""
    inside = f"{spec.partition_key} IN ({listed})"
    connection.execute("ALTER VIEW typed RENAME TO typed_everywhere")
    connection.execute(
        "CREATE TABLE wanted AS WITH inside AS MATERIALIZED "
        f"(SELECT _rid, {keys} FROM typed_everywhere WHERE {inside}) "
        f"SELECT _rid FROM inside UNION SELECT _rid FROM typed_everywhere SEMI JOIN inside USING ({keys}){clears}"
    )
    connection.execute("CREATE VIEW typed AS SELECT * FROM typed_everywhere SEMI JOIN wanted USING (_rid)")


def write_partitions(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    select: str,
    *,
    facts: Mapping[str, Any],
    folder: Path,
    only: Sequence[str] = (),
    always: Iterable[str] = (),
) -> dict[str, LocalPartition]:
    """Write a query's rows to a local Parquet file a partition, and what is known of each.

    Args:
        connection: where the query runs.
        spec: the table.
        select: the rows.
        facts: what goes into every footer.
        folder: does not exist yet.
        only: partitions that are written; all where none is named.
        always: partitions that get a file without a row where the query has none for them.
    """
    rows = f"SELECT *, {spec.partition_key} AS {PARTITION} FROM ({select})"
    if only:
        rows = f"FROM ({rows}) WHERE {PARTITION} IN ({', '.join(literal(name) for name in only)})"
    folder.mkdir()
    statement = copy_with_facts(rows, folder / "cut", facts)
    written = connection.execute(f"{statement.rstrip()[:-1]}, PARTITION_BY ({PARTITION}), RETURN_STATS)").fetchall()
    found: dict[str, LocalPartition] = {}
    for number, (file, count, _size, _footer, statistics, values, *_) in enumerate(written):
        name = values[PARTITION]
        if name in found:
            raise AssertionError(f"DuckDB wrote partition {name} in two files")
        found[name] = LocalPartition(_named(folder, number, file), int(count), _bounds(spec, statistics))
    missing = sorted(set(always) - set(found)) or ([] if found or always else [EMPTY_PARTITION])
    for number, name in enumerate(missing, start=len(written)):
        path = folder / f"{number:06d}.parquet"
        connection.execute(copy_with_facts(f"FROM ({select}) LIMIT 0", path, facts))
        found[name] = LocalPartition(path, 0, {})
    return found


def _named(folder: Path, number: int, written: str) -> Path:
    """DuckDB's file under a plain name: a partition's key may hold anything."""
    return (folder / written).rename(folder / f"{number:06d}.parquet")


def _bounds(spec: TableSpec, statistics: Mapping[str, Mapping[str, str]]) -> Bounds:
    """Least and greatest value of each key column, where the writer says them in full."""
    found: Bounds = {}
    for key in spec.keys:
        said = statistics.get(quote(key), {})
        exact = said.get("min_is_exact") == "true" and said.get("max_is_exact") == "true"
        found[key] = (said.get("min"), said.get("max")) if exact else (None, None)
    return found


def differing(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, pairs: Mapping[str, tuple[Path, Path]]
) -> set[str]:
    """Of partitions with an old and a new file: those whose rows are not the same."""
    if not pairs:
        return set()
    names = list(pairs)
    files = text_list([str(path) for side in (0, 1) for path in (pairs[name][side] for name in names)])
    columns = ", ".join(quote(name) for name in table_columns(spec))
    found = connection.execute(
        f"SELECT file_index::INTEGER, count(*), bit_xor(hash({columns})), sum(hash({columns}) >> 1) "
        f"FROM read_parquet({files}) GROUP BY 1"
    )
    said = {place: tuple(rest) for place, *rest in found.fetchall()}
    return {name for place, name in enumerate(names) if said.get(place) != said.get(place + len(names))}
