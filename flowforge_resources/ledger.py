"""What was ingested, recorded on the lake beside the bronze data: the one moment at which a bronze run becomes true.

A run first puts its bronze file, then creates the next numbered ledger entry, exclusively. Before the entry exists the
file is an orphan that no reader counts; afterwards the file and its landing objects are taken, for ever. Two runs that
race for one number: one creates it, the other is told, reads what it says and starts again. So a file is ingested once
whatever is killed, on every store that can create exclusively.

An entry also says what a run looked at and left: a file that could not be read (and how often), one uploaded again with
the same content, one uploaded again that the table skips. So a file that always fails is known wherever it is asked for.

Entries have no gaps and are never removed: a number that could be created twice would not order anything. A reader
takes the newest checkpoint and asks for entry after entry behind it, until one is not there.

Losing the Dagster instance loses nothing of this.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flowforge_resources.bronze_parts import BronzePart, Compaction, Replaced, compacted_places, left_files
from flowforge_resources.errors import NewerLakeError
from flowforge_resources.frames import as_frame
from flowforge_resources.ledger_checkpoint import (
    ASCII_BLANKS,
    HASH,
    OLD_HASH,
    TAKEN,
    as_records,
    newest_checkpoint,
    write_checkpoint,
)
from flowforge_resources.side_by_side import AT_ONCE, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from flowforge_resources.bronze_parts import Span
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.layout import TableId
    from flowforge_resources.ledger_checkpoint import Checkpoint
    from flowforge_resources.left_out import Ranges

# What a reader parses one by one: some hundred milliseconds and megabytes at most.
ENTRIES_BETWEEN_CHECKPOINTS = 64
FILES_BETWEEN_CHECKPOINTS = 25_000
IDENTICAL, SKIPPED, FAILED = "identical", "skipped", "failed"
_Said = TypeVar("_Said")
_LISTS = ("fenced", "columns", "supersedes", "brought")
_OF_A_PART = ("version", "committed_at", "run_id", "bronze_file", "rows")


@dataclass(frozen=True)
class TakenFile:
    """One landing object as it was ingested. `content_hash` is of the bytes that landed (see `content_hash`)."""

    key: str
    etag: str
    size_bytes: int
    last_modified: str
    content_hash: str
    rows: int


class LandedRecord(NamedTuple):
    """What an entry says of a landing file it took."""

    version: int
    committed_at: str
    key: str
    last_modified: str
    rows: int


@dataclass(frozen=True)
class LeftFile:
    """One landing object that a run looked at and did not ingest, and why.

    `outcome`: `identical` (its key was ingested with this content), `skipped` (with other content, and the table says
    `on_change: skip`) or `failed` (for the `attempts`-th time, read the way `read_as` stands for).
    """

    key: str
    etag: str
    size_bytes: int
    last_modified: str
    outcome: str
    content_hash: str = ""
    reason: str = ""
    attempts: int = 0
    read_as: str = ""


@dataclass(frozen=True)
class LedgerEntry:
    """One commit: a bronze file with the landing objects it holds, or what was left, a fence around orphans, a compaction.

    `columns`: every column bronze has had up to and with this entry; empty where the entry adds no data, unless a run
    stopped for a new schema: then its columns too.
    `supersedes`: landing keys whose earlier content no longer counts from this entry on.
    `types`: of every column that ever had one in its source, the type that later files are compared with.
    `brought`: the columns of this entry's own files.
    `replaces`: of a compaction, the earlier entries whose rows its bronze file holds from now on, in order.
    `ascii_blanks`: it is proven that no blank stands in the text of its rows but ASCII's (no no-break space, say).
    """

    version: int
    committed_at: str
    run_id: str
    bronze_file: str | None
    rows: int
    files: tuple[TakenFile, ...] = ()
    fenced: tuple[str, ...] = ()
    left: tuple[LeftFile, ...] = ()
    columns: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    replaces: tuple[Replaced, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    brought: tuple[str, ...] = ()
    ascii_blanks: bool = False

    @classmethod
    def parse(cls, content: bytes, key: str) -> LedgerEntry:
        """Read an entry as `to_json` wrote it; `key`: where it lies.

        Raises:
            NewerLakeError: it says what only a later version knows of.
        """
        raw = json.loads(content)
        files = tuple(_read(TakenFile, _of_today(file), key) for file in raw.pop("files"))
        left = tuple(_read(LeftFile, _of_today(file), key) for file in raw.pop("left", ()))
        lists = {name: tuple(raw.get(name, ())) for name in _LISTS}
        replaces = tuple(_read(Replaced, one, key) for one in raw.get("replaces", ()))
        return _read(cls, {**raw, "files": files, "left": left, **lists, "replaces": replaces}, key)

    def to_json(self) -> bytes:
        """The entry as it stands on the lake."""
        return json.dumps(asdict(self), indent=1).encode()

    def own_facts(self) -> dict[str, Any]:
        """What it says besides its number, its moment and its files."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        replaces = [asdict(one) for one in self.replaces]
        return {
            "run_id": self.run_id,
            "bronze_file": self.bronze_file,
            "rows": self.rows,
            **lists,
            "replaces": replaces,
            "types": [{"column": column, "type": kind} for column, kind in self.types.items()],
            ASCII_BLANKS: self.ascii_blanks,
        }


@dataclass
class Ledger:
    """One table's ledger as read at one moment: a checkpoint, and the entries behind it in order."""

    table: TableId
    entries: list[LedgerEntry] = field(default_factory=list)
    checkpoint: Checkpoint | None = None

    @property
    def version(self) -> int:
        """Number of the newest entry; 0 for a table that was never ingested."""
        if self.entries:
            return self.entries[-1].version
        return self.checkpoint.version if self.checkpoint else 0

    @property
    def rows(self) -> int:
        """Rows of all bronze files."""
        earlier = int(self.checkpoint.entries["rows"].sum()) if self.checkpoint else 0
        return earlier + sum(entry.rows for entry in self.entries)

    @property
    def columns(self) -> frozenset[str]:
        """Every column bronze has had, or that a run which stopped for it recorded; empty for a table that never took a row."""
        return frozenset(self._newest("columns"))

    @property
    def types(self) -> dict[str, str]:
        """The type of every column that ever had one in its source, or in files that a run stopped for."""
        return self._types_of(self._newest("types"))

    @property
    def before_stops(self) -> tuple[frozenset[str], dict[str, str]]:
        """`columns` and `types` of the newest entry that took rows: without what only stopped runs recorded since."""
        return frozenset(self._newest("columns", of_data=True)), self._types_of(self._newest("types", of_data=True))

    @property
    def brought(self) -> frozenset[str]:
        """The columns of the files of the newest entry that took any."""
        return frozenset(self._newest("brought"))

    @staticmethod
    def _types_of(said: Any) -> dict[str, str]:
        """As an entry has them, or as a checkpoint does."""
        return dict(said) if hasattr(said, "keys") else {one["column"]: one["type"] for one in said}

    def _newest(self, name: str, *, of_data: bool = False) -> Any:
        """The newest list of this name that is not empty: of the entries behind the checkpoint, or of those in it."""
        later = (entry for entry in reversed(self.entries) if entry.bronze_file or not of_data)
        found = next((said for entry in later if (said := getattr(entry, name))), ())
        if found or self.checkpoint is None:
            return found
        entries = self.checkpoint.entries
        if of_data:
            entries = entries.drop_nulls("bronze_file")
        return next((said for said in reversed(entries[name].to_list()) if said), ())

    def superseded(self, left_out: Ranges = ()) -> frozenset[tuple[int, str]]:
        """The content that no longer counts: number of the entry that took it, and its landing key.

        An entry that is left out takes the place of nothing.
        """
        import polars as pl

        newer = self._supersedes.filter(~_is_one_of("since", left_out))
        if newer.is_empty():
            return frozenset()
        older = self.records(newer, ("outcome",)).filter(pl.col("outcome") == TAKEN).join(newer, on="key")
        return frozenset(older.filter(pl.col("version") < pl.col("since")).select("version", "key").iter_rows())

    def supersedes_after(self, version: int) -> bool:
        """Whether an entry later than `version` takes the place of earlier content."""
        return bool((self._supersedes["since"] > version).any())

    @cached_property
    def _supersedes(self) -> pl.DataFrame:
        """Keys whose earlier content no longer counts, and the entry since which."""
        import polars as pl

        said = self._entries.select(pl.col("version").alias("since"), pl.col("supersedes").alias("key"))
        return said.explode("key").drop_nulls("key")

    @property
    def fenced(self) -> set[str]:
        """Every name of a bronze file that may be removed and never used again."""
        earlier = self.checkpoint.entries["fenced"].explode(empty_as_null=False) if self.checkpoint else ()
        return {*earlier, *(name for entry in self.entries for name in entry.fenced)}

    @property
    def known_files(self) -> set[str]:
        """Every bronze file that is committed or fenced."""
        earlier = self.checkpoint.entries["bronze_file"].drop_nulls() if self.checkpoint else ()
        return self.fenced | {*earlier, *(entry.bronze_file for entry in self.entries if entry.bronze_file)}

    @cached_property
    def _later(self) -> pl.DataFrame:
        return as_records(self.entries)

    def records(self, keys: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """What was ever said of some keys (a frame with a column `key`), oldest first: `key`, `version` and `columns`."""
        import polars as pl

        wanted, read = keys.select("key").unique(), ("key", "version", *columns)
        parts = [self._later.select(read).join(wanted, on="key", how="semi")]
        parts += [self.checkpoint.about(wanted, read)] if self.checkpoint else []
        return pl.concat(parts).sort("version")

    def judge(self, found: pl.DataFrame) -> pl.DataFrame:
        """A listing with what the ledger says of each object, in its order.

        Adds `outcome` (null for an object that no entry names with this ETag and size), `attempts`, `reason`, `read_as`,
        `committed_at` and `version` of that record, `known`: whether the key was ever ingested or left, and, of one that
        failed, `uploaded_at`: its last modification then (ISO).
        """
        import polars as pl

        facts = ("outcome", "attempts", "reason", "read_as", "committed_at")
        records = self.records(found, ("etag", "size_bytes", *facts))
        newest = records.unique("key", keep="last", maintain_order=True)
        said = newest.rename({"etag": "its_etag", "size_bytes": "its_size_bytes"})
        said = said.join(self._upload_times(newest.filter(pl.col("outcome") == FAILED)), on="key", how="left")
        joined = found.join(said, on="key", how="left", maintain_order="left")
        same = (pl.col("etag") == pl.col("its_etag")) & (pl.col("size_bytes") == pl.col("its_size_bytes"))
        return joined.select(
            *found.columns,
            *(pl.when(same).then(pl.col(name)).alias(name) for name in (*facts, "uploaded_at", "version")),
            pl.col("its_etag").is_not_null().alias("known"),
        )

    def _upload_times(self, keys: pl.DataFrame) -> pl.DataFrame:
        """`key` and `uploaded_at` as last recorded; of few keys, because the column costs a listing of many."""
        import polars as pl

        if keys.is_empty():
            return pl.DataFrame(schema={"key": pl.String, "uploaded_at": pl.String})
        newest = self.records(keys, ("last_modified",)).unique("key", keep="last", maintain_order=True)
        return newest.select("key", uploaded_at="last_modified")

    def untaken(self, found: pl.DataFrame) -> pl.DataFrame:
        """The objects of a listing that were not ingested: no entry names them, or they could not be read."""
        import polars as pl

        judged = self.judge(found)
        return judged.filter(pl.col("outcome").is_null() | (pl.col("outcome") == FAILED)).select(found.columns)

    def is_taken(self, found: StoredObject) -> bool:
        """Whether this very object was ingested or left for good; the same key with another ETag or size is new."""
        return self.untaken(as_frame([found])).is_empty()

    def ingested_hashes(self, keys: pl.DataFrame) -> dict[str, str]:
        """The hash of the newest ingested content of some keys."""
        import polars as pl

        taken = self.records(keys, ("outcome", HASH)).filter(pl.col("outcome") == TAKEN)
        return dict(taken.unique("key", keep="last", maintain_order=True).select("key", HASH).iter_rows())

    def data_after(self, version: int) -> list[BronzePart]:
        """The rows that a reader who has seen `version` has not seen, entry by entry in order, and where they lie."""
        places = compacted_places(self._compactions)
        later = self._data.filter(self._data["version"] > version)
        found = [BronzePart(**row) for row in later.iter_rows(named=True)]
        return [replace(part, **_place(places.get(part.version))) for part in found] if places else found

    def landed_after(self, version: int) -> list[LandedRecord]:
        """The landing files that entries behind a version took, in order of arrival, with or without rows."""
        import polars as pl

        behind = (pl.col("version") > version) & (pl.col("outcome") == TAKEN)
        parts = [self._later.filter(behind).select(LandedRecord._fields)]
        if self.checkpoint and self.checkpoint.version > version:
            parts.insert(0, self.checkpoint.taken(behind, LandedRecord._fields))
        # As a run takes them: the oldest upload first.
        return [LandedRecord(*row) for row in pl.concat(parts).sort("version", "last_modified", "key").iter_rows()]

    @cached_property
    def left_files(self) -> dict[str, str]:
        """Bronze files whose rows were compacted, and the moment since when nobody is told to read them."""
        return left_files(dict(self._data.select("version", "bronze_file").iter_rows()), self._compactions)

    @property
    def spent(self) -> frozenset[str]:
        """Names of bronze files that someone may still remove: never to be used again."""
        return frozenset({*self.fenced, *self.left_files})

    @cached_property
    def _data(self) -> pl.DataFrame:
        """The entries that brought rows, each with the file it was committed with."""
        import polars as pl

        brought = pl.col("bronze_file").is_not_null() & (pl.col("replaces").list.len().fill_null(0) == 0)
        return self._entries.filter(brought).select(*_OF_A_PART, pl.col(ASCII_BLANKS).fill_null(value=False))

    @cached_property
    def _compactions(self) -> list[Compaction]:
        import polars as pl

        rows = self._entries.filter(pl.col("replaces").list.len() > 0).select("bronze_file", "committed_at", "replaces")
        return [
            Compaction(file, committed_at, [Replaced(**one) for one in replaces])
            for file, committed_at, replaces in rows.iter_rows()
        ]

    @cached_property
    def _entries(self) -> pl.DataFrame:
        """All entries, without their files, in order."""
        import polars as pl

        later = as_records([replace(entry, files=(), left=()) for entry in self.entries]).sort("version")
        return pl.concat([self.checkpoint.entries, later]) if self.checkpoint else later


def _place(found: tuple[str, Span] | None) -> dict[str, Any]:
    return {"bronze_file": found[0], "span": found[1]} if found else {}


def _read(kind: type[_Said], said: Mapping[str, Any], key: str) -> _Said:
    """A record as its class holds it."""
    if unknown := said.keys() - {one.name for one in fields(kind)}:  # type: ignore[arg-type]  # a dataclass
        raise NewerLakeError(key, unknown)
    return kind(**said)


def _of_today(file: dict[str, Any]) -> dict[str, Any]:
    """What an entry says of a file; one of an older version calls the hash by its kind."""
    return {HASH if name == OLD_HASH else name: value for name, value in file.items()}


def _is_one_of(column: str, ranges: Ranges) -> pl.Expr:
    import polars as pl

    return pl.any_horizontal(pl.lit(False), *(pl.col(column).is_between(first, last) for first, last in ranges))


def read_ledger(lake: Lake, table: TableId, *, after: int = 0) -> Ledger:
    """Read what is later than version `after`: a short listing, and one small read for each entry behind the checkpoint."""
    checkpoint = newest_checkpoint(lake, table)
    if checkpoint is not None and checkpoint.version <= after:
        checkpoint = None
    return Ledger(table, _entries_after(lake, table, checkpoint.version if checkpoint else after), checkpoint)


def _entries_after(lake: Lake, table: TableId, version: int) -> list[LedgerEntry]:
    """The entries behind a version, asked for by number: first one, then two, four, … at once, until one is missing."""
    found: list[LedgerEntry] = []
    ahead = 1
    while True:
        keys = [table.ledger_entry(version + len(found) + number + 1) for number in range(ahead)]
        contents = side_by_side(lake.read, keys)
        whole = contents.index(None) if None in contents else ahead
        said = zip(contents[:whole], keys[:whole], strict=True)
        found += [LedgerEntry.parse(content, key) for content, key in said if content is not None]
        if whole < ahead:
            return found
        ahead = min(ahead * 2, 4 * AT_ONCE)


def commit(lake: Lake, table: TableId, entry: LedgerEntry) -> bool:
    """Make an entry true; False (and nothing done) where its number is already another run's."""
    return lake.create(table.ledger_entry(entry.version), entry.to_json())


def keep_short(lake: Lake, ledger: Ledger) -> Ledger:
    """Write a checkpoint where many entries or files lie behind the last one; what the ledger says stays the same."""
    files = sum(len(entry.files) + len(entry.left) for entry in ledger.entries)
    if len(ledger.entries) < ENTRIES_BETWEEN_CHECKPOINTS and files < FILES_BETWEEN_CHECKPOINTS:
        return ledger
    return Ledger(ledger.table, [], write_checkpoint(lake, ledger.table, ledger.checkpoint, ledger.entries))
