"""Many small bronze files made into few: a file an ingesting run is right for runs, and slow for readers after a year.

Files next to each other in order of arrival, with the same columns, are copied into one, row by row and in order. The
copy is compared with what it was made from; then a ledger entry, which only one run can create under its number, says
that the rows lie there from now on. Killed before, it leaves a file that no entry knows, as a killed run does. The old
files stay for readers who were told of them earlier; the sweep removes them when no run can be as old as that.

Memory: a row group. Scratch: one group of files twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from flowforge_resources.bronze_parts import BronzeFile, Replaced, files_of
from flowforge_resources.duck import connect, one_row, quote, text_list
from flowforge_resources.errors import ConcurrentPublishError, DamagedCopyError
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import LedgerEntry, commit, read_ledger
from flowforge_resources.published import read_published
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId
    from flowforge_resources.ledger import Ledger

MIB = 1 << 20
ROWS_IN_A_GROUP, ROWS_AT_ONCE = 131_072, 16_384
# Bronze is committed all the time; a compaction that comes second only looks again and takes the next number.
ATTEMPTS = 20


@dataclass(frozen=True)
class Sizes:
    """What is compacted: at least `fewest` neighbours below `small`, into files of about `target` bytes."""

    small: int = 32 * MIB
    target: int = 128 * MIB
    fewest: int = 8


@dataclass(frozen=True)
class Group:
    """Neighbours that become one file. `key` is empty where they were only looked at."""

    table: TableId
    files: tuple[BronzeFile, ...]
    size_bytes: int
    key: str = ""
    size_bytes_after: int = 0


@dataclass
class Compacted:
    """What was compacted, or would be, and what has to wait."""

    dry_run: bool
    groups: list[Group] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compact(
    lake: Lake, tables: Iterable[TableId], *, run_id: str, sizes: Sizes | None = None, dry_run: bool = False
) -> Compacted:
    """Compact the bronze of some tables.

    Args:
        lake: the lake.
        tables: those with bronze of their own.
        run_id: who, as the ledgers remember it.
        sizes: which files, and how large they become.
        dry_run: only say what would be done.

    Raises:
        DamagedCopyError: a copy differs from what it was made from; nothing changed.
    """
    done = Compacted(dry_run)
    for table in tables:
        for group in groups_of(lake, read_ledger(lake, table), sizes or Sizes()):
            made = group if dry_run else _compact(lake, group, run_id)
            if made is None:
                done.notes.append(f"Bronze of {table} was being committed all the while; compacted next time.")
                break
            done.groups.append(made)
    return done


def groups_of(lake: Lake, ledger: Ledger, sizes: Sizes) -> list[Group]:
    """The neighbours worth compacting, in order of arrival."""
    files = files_of(ledger.data_after(0))
    if len(files) < sizes.fewest:
        return []
    stored = {found.key: found.size_bytes for found in lake.files(ledger.table.bronze)}
    found = []
    for small, neighbours in groupby(files, key=lambda file: stored.get(file.key, sizes.small) < sizes.small):
        members = list(neighbours)
        if small and len(members) >= sizes.fewest:
            for chosen in _up_to(_alike(lake, members), stored, sizes.target):
                if len(chosen) >= sizes.fewest:
                    size_bytes = sum(stored[file.key] for file in chosen)
                    found.append(Group(ledger.table, tuple(chosen), size_bytes))
    return found


def _alike(lake: Lake, files: Sequence[BronzeFile]) -> Iterator[list[BronzeFile]]:
    """Neighbours with the same columns: what a reader sees of a file must not depend on its neighbours."""
    columns = side_by_side(lambda file: _columns(lake, file.key), files)
    for _, group in groupby(zip(files, columns, strict=True), key=lambda pair: pair[1]):
        yield [file for file, _ in group]


def _columns(lake: Lake, key: str) -> tuple[tuple[str, str], ...]:
    published = read_published(lake, key)
    return published.columns if published else ()


def _up_to(groups: Iterable[list[BronzeFile]], stored: dict[str, int], target: int) -> Iterator[list[BronzeFile]]:
    """Groups cut where they would grow beyond the target."""
    for group in groups:
        chosen: list[BronzeFile] = []
        size_bytes = 0
        for file in group:
            if chosen and size_bytes + stored[file.key] > target:
                yield chosen
                chosen, size_bytes = [], 0
            chosen.append(file)
            size_bytes += stored[file.key]
        yield chosen


def _compact(lake: Lake, group: Group, run_id: str) -> Group | None:
    """Copy, compare, put, commit; None where others committed all the while, or took the file for a dead run's."""
    with lake.scratch() as scratch:
        sources = [lake.stage_in(file.key, scratch) for file in group.files]
        path = scratch.path(".parquet")
        rows = _copy(sources, path)
        firsts = [sum(rows[:number]) for number in range(len(rows))]
        with connect(scratch.root) as connection:
            if _print(connection, sources, firsts) != _print(connection, [path], [0]):
                raise DamagedCopyError(str(group.table), len(sources))
        size_bytes = path.stat().st_size
        key = _put(lake, group.table, path)
    replaces = tuple(part for file, count in zip(group.files, rows, strict=True) for part in _replaced(file, count))
    if _commit(lake, group, key, replaces, run_id):
        return Group(group.table, group.files, group.size_bytes, key, size_bytes)
    lake.delete(key)
    return None


def _replaced(file: BronzeFile, rows: int) -> list[Replaced]:
    """The entries whose rows a file holds, each with how many they are."""
    spans = [(part.version, part.span) for part in file.parts]
    return [Replaced(version, span.end - span.first if span else rows) for version, span in spans]


def _copy(sources: Sequence[Path], target: Path) -> list[int]:
    """Write the rows of all files, in order, into one; returns how many each has."""
    from pyarrow import parquet

    rows = []
    schema = parquet.read_schema(sources[0]).remove_metadata()
    with parquet.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for source in sources:
            with parquet.ParquetFile(source) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    writer.write_batch(batch.cast(schema), row_group_size=ROWS_IN_A_GROUP)
                rows.append(file.metadata.num_rows)
    return rows


def _print(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], firsts: Sequence[int]) -> tuple[Any, ...]:
    """How many rows there are, and what they say at which place; `firsts`: the place of each file's first row."""
    scan = f"read_parquet({text_list([str(path) for path in files])})"
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()]
    place = f"file_row_number + {list(firsts)}[(file_index + 1)::BIGINT]"
    said = f"hash({place}, {', '.join(quote(name) for name in names)})"
    return one_row(connection, f"SELECT count(*), bit_xor({said}), sum({said} >> 32) FROM {scan}")


def _put(lake: Lake, table: TableId, path: Path) -> str:
    """Put the file under a name of its own."""
    at, spent = utc_now(), read_ledger(lake, table).spent
    for clash in range(ATTEMPTS):
        key = table.compacted_file(at, clash)
        if key not in spent and lake.put_new(path, key):
            return key
    raise ConcurrentPublishError(f"bronze of {table}")


def _commit(lake: Lake, group: Group, key: str, replaces: tuple[Replaced, ...], run_id: str) -> bool:
    """Make the compacted file true; False where it cannot be any more."""
    for _ in range(ATTEMPTS):
        ledger = read_ledger(lake, group.table)
        still = {part.version: part.bronze_file for part in ledger.data_after(0)}
        moved = any(still[part.version] != file.key for file in group.files for part in file.parts)
        if moved or key in ledger.fenced:
            return False
        at = utc_now().isoformat()
        if commit(lake, group.table, LedgerEntry(ledger.version + 1, at, run_id, key, 0, replaces=replaces)):
            return True
    return False
