"""A batch of a partitioned table: which partitions it touches, their files, and what is published of them.

Belongs here: choosing partitions and fetching them. Does not: the SQL (`transforms.partition`), how they are published
(`flowforge_resources.partitioned`), how Dagster lists them (`partitions.definitions`).

Touched are the partitions that rows of the batch are in, and those that hold rows of the batch's keys: a row may have
moved. The latter are looked for by the least and greatest keys in the manifest, then in the key columns alone of what
is left; not at all where the partition is decided by the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.transforms.cast import table_columns
from flowforge_assets.transforms.partition import (
    PARTITION,
    create_batch_keys,
    differing,
    hold_keys,
    may_hold_keys,
    partitions_of_all,
    partitions_of_batch,
    partitions_of_rows,
    truncates,
    write_partitions,
)
from flowforge_checks.books import GROWTH
from flowforge_resources.duck import literal, quote, text_list
from flowforge_resources.frames import scan_all, uri_of
from flowforge_resources.layout import EMPTY_PARTITION
from flowforge_resources.partitioned import Manifest, StagedPartitions, objects_of, stage_in_partitions
from flowforge_resources.published import read_footer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate
    from flowforge_resources.lake import Lake
    from flowforge_resources.partitioned import LocalPartition
    from flowforge_resources.scratch import Scratch


@dataclass
class PartitionedBatch:
    """The partitions of one batch, from the first look to what is published.

    `anew`: the whole table is made anew. `chosen`: only these partitions are, by a person's choice.
    `decided`: rows were released.
    """

    lake: Lake
    spec: TableSpec
    manifest: Manifest | None
    scratch: Scratch
    anew: bool = False
    chosen: tuple[str, ...] = ()
    decided: bool = False
    current: dict[str, Path] = field(default_factory=dict)
    staged: StagedPartitions | None = None
    read: dict[str, int] = field(default_factory=dict)
    searched: int = 0
    opened: int = 0

    def fetch_touched(self, connection: duckdb.DuckDBPyConnection, gate: Gate) -> list[Path]:
        """Local files of the touched partitions as they are published; none where they are made anew."""
        self.read = partitions_of_batch(connection, self.spec, gate)
        if self.anew or self.chosen or self.manifest is None:
            return []
        objects = objects_of(self.manifest, self._touched(connection, gate))
        if objects:
            pattern = stage_in_partitions(self.lake, objects, self.scratch)
            self.current = dict(zip(objects, sorted(pattern.parent.iterdir()), strict=True))
        return list(self.current.values())

    def _touched(self, connection: duckdb.DuckDBPyConnection, gate: Gate) -> set[str] | None:
        """The partitions that may change; None for all of them."""
        strategy, by = self.spec.strategy, self.spec.partition_by
        if strategy.kind == "full_refresh" or truncates(connection, self.spec, gate):
            return None
        if strategy.delete_absent == "ignore":
            return set(self.read) | self._hold_keys_of(connection, gate)
        if by is None or by.column is None or by.column != strategy.within:
            return None
        # A row that the gate holds is in the extract all the same, and so is its scope.
        return partitions_of_all(connection, self.spec) | self._hold_keys_of(connection, gate)

    def _hold_keys_of(self, connection: duckdb.DuckDBPyConnection, gate: Gate) -> set[str]:
        by = self.spec.partition_by
        if self.manifest is None or by is None or by.column in self.spec.keys:
            return set()
        others = {name: part for name, part in self.manifest.partitions.items() if name not in self.read}
        if not others:
            return set()
        create_batch_keys(connection, self.spec, gate)
        candidates = may_hold_keys(connection, self.spec, others)
        self.searched = len(candidates)
        if not candidates:
            return set()
        return hold_keys(connection, self.spec, self._open(connection, candidates))

    def _open(self, connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> str:
        """SQL of published partitions on the store itself, with `_partition`; only what is used of them is read."""
        if self.manifest is None:
            raise AssertionError("only published partitions are opened")
        objects = objects_of(self.manifest, names)
        if self.lake.local_root is not None:
            files = text_list([uri_of(self.lake, key) for key in objects.values()])
            place = "(file_index + 1)::BIGINT"
            return f"(SELECT *, {text_list(list(objects))}[{place}] AS {PARTITION} FROM read_parquet({files}))"
        import polars as pl

        partition_of = {uri_of(self.lake, key): name for name, key in objects.items()}
        rows = scan_all(self.lake, list(objects.values()), path_as=PARTITION)
        named = rows.with_columns(pl.col(PARTITION).replace_strict(partition_of))
        connection.execute("SELECT 1").fetchall()  # a statement whose result nobody took forbids `register`
        # Each has a name of its own: what was opened before may still be read.
        self.opened += 1
        connection.register(f"_other_partitions_{self.opened}", named)
        return f"_other_partitions_{self.opened}"

    def write(
        self, connection: duckdb.DuckDBPyConnection, select: str, facts: Mapping[str, Any], *, changed: bool
    ) -> Path | None:
        """Write the partitions that changed; a pattern that stands for their files, None where none did."""
        files: dict[str, LocalPartition] = {}
        if changed and self.spec.replays_events and not self.anew:
            select = self._with_unread(connection, select)
        if changed or self.anew or self.chosen:
            folder = self.scratch.path("")
            always = self.chosen or tuple(self.current)
            files = write_partitions(
                connection, self.spec, select, facts=facts, folder=folder, only=self.chosen, always=always
            )
            both = {name: (path, files[name].path) for name, path in self.current.items()}
            same = both.keys() - differing(connection, self.spec, both)
            for name in same | self._stands_for_nothing(files):
                files.pop(name).path.unlink()
        columns = self._columns(files)
        self.staged = StagedPartitions(
            self.manifest,
            files,
            facts,
            columns,
            anew=self.anew and not self.chosen,
            chosen=bool(self.chosen),
            decided=self.decided,
        )
        return next(iter(files.values())).path.parent / "*.parquet" if files else None

    def _with_unread(self, connection: duckdb.DuckDBPyConnection, select: str) -> str:
        """The rows to write, with those of published partitions that nobody took for touched and a row comes to.

        Such a row is made of what was remembered, not of a row of the batch or of the table.
        """
        if self.manifest is None or self.chosen:
            return select
        objects = objects_of(self.manifest, partitions_of_rows(connection, self.spec, select) - self.current.keys())
        if not objects:
            return select
        unread = stage_in_partitions(self.lake, objects, self.scratch)
        columns = ", ".join(quote(name) for name in table_columns(self.spec))
        return f"{select} UNION ALL SELECT {columns} FROM read_parquet({literal(str(unread))})"

    def _stands_for_nothing(self, files: Mapping[str, LocalPartition]) -> set[str]:
        """The partition that stands for a table without a row, where the table has others already."""
        return {EMPTY_PARTITION} & files.keys() if self.manifest is not None and not self.anew else set()

    def _columns(self, files: Mapping[str, LocalPartition]) -> tuple[tuple[str, str], ...]:
        if files:
            return read_footer(next(iter(files.values())).path)[2]
        return self.manifest.columns if self.manifest else ()

    def audited(self, books: Books) -> Books:
        """The books with the counts of the whole table: partitions that were not touched count before and after.

        Of chosen partitions only their own rows: what was read of a key that lives elsewhere now is `deduplicated`.
        """
        if self.staged is None:
            raise AssertionError("the books are closed after writing")
        if self.chosen:
            rows = sum(part.rows for part in self.staged.files.values())
            if self.spec.replays_events or self.spec.strategy.takes_extracts:
                return replace(books, rows_removed=books.rows_removed + _length(books) - rows, rows_after=rows)
            elsewhere = books.inserted - rows
            return replace(
                books,
                inserted=rows,
                deduplicated=books.deduplicated + elsewhere,
                duplicates_conflicting=books.duplicates_conflicting + elsewhere,
                rows_after=rows,
            )
        touched_before = sum(self.manifest.partitions[name].rows for name in self.current) if self.manifest else 0
        everything_before = 0 if self.anew or self.manifest is None else self.manifest.rows
        rest = everything_before - touched_before
        return replace(books, rows_before=books.rows_before + rest, rows_after=self.staged.rows)

    def whole_table(self, connection: duckdb.DuckDBPyConnection) -> str:
        """SQL of the whole table as it is about to be published."""
        if self.staged is None:
            raise AssertionError("the table is judged after writing")
        parts = []
        if self.staged.files:
            new = text_list([str(part.path) for part in self.staged.files.values()])
            parts.append(f"SELECT * FROM read_parquet({new})")
        if self.staged.kept:
            kept = self._open(connection, self.staged.kept)
            parts.append(f"SELECT * EXCLUDE ({PARTITION}) FROM {kept}")
        return f"({' UNION ALL BY NAME '.join(parts)})"

    def published_table(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """SQL of the whole table as it is published."""
        if self.manifest is None or not self.manifest.partitions:
            return None
        return f"(SELECT * EXCLUDE ({PARTITION}) FROM {self._open(connection, self.manifest.partitions)})"

    def sample(self) -> Path:
        """A file of the table, old or new, to show rows of."""
        files = self.staged.files if self.staged else {}
        largest = max(files.values(), key=lambda part: part.rows, default=None)
        if largest is not None:
            return largest.path
        if self.current:
            return next(iter(self.current.values()))
        if self.manifest is None:
            raise AssertionError("a table that was never published is always written")
        first = objects_of(self.manifest, list(self.manifest.partitions)[:1])
        return self.lake.stage_in(next(iter(first.values())), self.scratch)

    def touched(self) -> dict[str, dict[str, Any]]:
        """What is said of each partition that changed."""
        if self.staged is None:
            return {}
        return {
            name: {
                "dagster/row_count": part.rows,
                "rows_read": self.read.get(name, 0),
                "size_bytes": part.path.stat().st_size,
                "dagster/uri": self.lake.uri(self.spec.id.partition_current(name)),
            }
            for name, part in self.staged.files.items()
            if name != EMPTY_PARTITION
        }


def _length(books: Books) -> int:
    """How many rows a table made anew has, by its account."""
    return sum(sign * int(getattr(books, name)) for name, sign in GROWTH.items())
