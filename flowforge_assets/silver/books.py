"""Counting a silver batch by landed file and by partition, for the books.

What became of rows is told of the exceptions alone: those the gate took out and those that were not simply inserted
(`strategies.fates`). The files' column is a dictionary in bronze, so that counting by it reads little.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.silver.read_back import KNOWN
from flowforge_assets.transforms.cast import OPERATION
from flowforge_assets.transforms.picked import picked_rows
from flowforge_checks.books import Books
from flowforge_checks.books_by import Accounts, FileAccount, PartitionAccount
from flowforge_checks.quarantine import DISCARDED
from flowforge_resources.duck import literal, one_row

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.silver.partitions import PartitionedBatch
    from flowforge_assets.strategies import Merge
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.prepare import Prepared
    from flowforge_checks.gate import Gate

_TOLD = "told_row"
# A row that was only read back is booked already.
_BOOKED = "booked"
_TAKEN_OUT = ("quarantined", "discarded", "dropped")


@dataclass(frozen=True)
class Counting:
    """A batch whose rows have all found their place, and the books that say so; `parts`: of a table in partitions."""

    connection: duckdb.DuckDBPyConnection
    spec: TableSpec
    batch: Batch
    gate: Gate
    prepared: Prepared
    merged: Merge
    books: Books
    parts: PartitionedBatch | None

    def accounts(self) -> Accounts:
        """The books with the same by file and partition."""
        landed = self._counted("SELECT _source_file, count(*) FROM landed GROUP BY ALL ORDER BY ALL")
        several = len(landed) > 1
        told = self._tell() if several or self.parts is not None else 0
        of_partitions = None if self.parts is None else self._by_partition(self.parts, told)
        files = self._by_file(landed, told) if several else [FileAccount(file, self.books) for file in landed]
        return Accounts(self.books, files, of_partitions)

    def _tell(self) -> int:
        """Create a table of the rows (`_rid`) that were not simply inserted, with their `fate`; return their number."""
        gate, known = self.gate, f" UNION ALL SELECT _rid, '{_BOOKED}' FROM {KNOWN}" if self.batch.read_back else ""
        out = f"WHEN {gate.breaks_check(DISCARDED)} THEN 'discarded' " if self.prepared.laid_over.discards else ""
        fate = f"CASE {out}WHEN {gate.held} THEN 'quarantined' ELSE 'dropped' END"
        self.connection.execute(
            f"CREATE TABLE {_TOLD} AS SELECT _rid, {fate} AS fate FROM verdict WHERE {gate.taken_out} "
            f"UNION ALL SELECT _rid, fate FROM {self.merged.fates} WHERE fate <> 'inserted'{known}{self._elsewhere()}"
        )
        return int(one_row(self.connection, f"SELECT count(*) FROM {_TOLD}")[0])

    def _elsewhere(self) -> str:
        """Where partitions were chosen: rows that lie in other ones count as duplicates, as in the table's books."""
        by_removal = self.spec.replays_events or self.spec.strategy.takes_extracts
        if self.parts is None or not self.batch.chosen or by_removal:
            return ""
        chosen = ", ".join(map(literal, self.batch.chosen))
        rows = f"typed ANTI JOIN loser USING (_rid) WHERE {self.spec.partition_key} NOT IN ({chosen})"
        return f" UNION ALL SELECT _rid, 'deduplicated' FROM {rows}"

    # -- by file ----------------------------------------------------------------------------------------------------

    def _judged_by_file(self, landed: Counter[str]) -> Counter[str]:
        """Rows at the gate, by landed file."""
        if not (self.spec.transformed or self.batch.chosen or self.batch.read_back):
            return landed
        rows = f"landed JOIN (SELECT {self._landed} AS _rid FROM verdict) USING (_rid)"
        return self._counted(f"SELECT _source_file, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL")

    def _by_file(self, landed: Counter[str], told: int) -> list[FileAccount]:
        """The account of every file of which a row was read."""
        judged, tally = self._judged_by_file(landed), self.prepared.tally
        of_transforms = tally.by_file(self.connection, judged) if tally.changes else {}
        released, fates = self._released_by_file(), self._fates_by_file(told)
        found = []
        for file in dict.fromkeys([*judged, *of_transforms.get("read", ())]):
            counts = {name: by_file[file] for name, by_file in of_transforms.items()}
            rows = judged[file] - fates[file].pop(_BOOKED, 0)
            counts["read"] = counts.get("read", rows) - released[file]
            counts |= {"released": released[file], "inserted": rows - fates[file].total()}
            found.append(FileAccount(file, Books(**fates[file], **counts)))
        return found

    def _released_by_file(self) -> Counter[str]:
        if not self.prepared.laid_over.released:
            return Counter()
        return self._counted("SELECT _source_file, count(DISTINCT _rid) FROM released_row GROUP BY ALL")

    def _fates_by_file(self, told: int) -> defaultdict[str, Counter[str]]:
        rows = f"(SELECT {self._landed} AS _rid, fate AS _ff_fate FROM {_TOLD})"
        query = f"SELECT _source_file, _ff_fate, count(*) FROM landed JOIN {rows} USING (_rid) GROUP BY ALL"
        with picked_rows(self.connection):
            found = self._fates(query) if told else defaultdict[str, Counter[str]](Counter)
        # Rows that merging did not look at twice are not among those it picked.
        return found if sum(counts.total() for counts in found.values()) == told else self._fates(query)

    @property
    def _landed(self) -> str:
        return self.prepared.landed_of or "_rid"

    # -- by partition -----------------------------------------------------------------------------------------------

    def _by_partition(self, parts: PartitionedBatch, told: int) -> list[PartitionAccount]:
        """Every partition that rows came to, or that changed."""
        read, fates = self._fates_by_partition(parts, told)
        fresh = parts.anew or bool(parts.chosen) or parts.manifest is None
        before = (
            {} if fresh or not parts.manifest else {name: one.rows for name, one in parts.manifest.partitions.items()}
        )
        staged = parts.staged.files if parts.staged else {}
        found = []
        for name in sorted({*read, *staged}):
            judged, was = read[name] - fates[name].pop(_BOOKED, 0), before.get(name, 0)
            rows = {"rows_before": was, "rows_after": staged[name].rows if name in staged else was}
            account = Books(**fates[name], read=judged, inserted=judged - fates[name].total(), **rows)
            found.append(PartitionAccount(name, account))
        return found

    def _fates_by_partition(
        self, parts: PartitionedBatch, told: int
    ) -> tuple[Counter[str], defaultdict[str, Counter[str]]]:
        """Rows at the gate by partition, and what became of those that were not simply inserted."""
        read, fates = Counter(parts.read), defaultdict[str, Counter[str]](Counter)
        if not told:
            return read, fates
        marked = f"{OPERATION} > 0" if self.spec.strategy.marks_operations else "FALSE"
        found = self.connection.execute(
            f"SELECT {self.spec.partition_key}, _ff_fate, {marked}, count(*) "
            f"FROM typed JOIN (SELECT _rid, fate AS _ff_fate FROM {_TOLD}) USING (_rid) GROUP BY ALL"
        ).fetchall()
        for name, fate, is_marked, rows in found:
            fates[name][fate] += int(rows)
            # `parts.read` has the rows with values that passed the gate.
            read[name] += int(rows) if is_marked or fate in _TAKEN_OUT else 0
        return read, fates

    # -- counting ---------------------------------------------------------------------------------------------------

    def _counted(self, query: str) -> Counter[str]:
        return Counter({name: int(rows) for name, rows in self.connection.execute(query).fetchall()})

    def _fates(self, query: str) -> defaultdict[str, Counter[str]]:
        fates = defaultdict[str, Counter[str]](Counter)
        for name, fate, rows in self.connection.execute(query).fetchall():
            fates[name][fate] += int(rows)
        return fates
