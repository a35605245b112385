"""What a tick of the landing sensor costs with a long history: time, memory and requests.

    python -m benchmarks.discovery [known objects …]

The store is simulated where a real one would only add its own latency: a listing in pages of 1,000 names that carry a
content hash as ETag, over a ledger that lies on disk as it lies on S3 (one run per 1,000 files, a checkpoint, the entries
behind it). The sensor's code is the real one. Each case runs in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha256
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

from flowforge_assets.bronze.discovery import look
from flowforge_assets.bronze.landing_tick import Cursor, go_round, sort_out_tables
from flowforge_assets.bronze.named_files import NamedFiles
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_resources.lake import Lake, StoredObject
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.ledger import Ledger, LedgerEntry, TakenFile, commit, keep_short, read_ledger

KNOWN = (1_000, 100_000, 1_000_000)
NEW, FEW = 10_000, 20
FILES_A_RUN = 1_000
KEYS_A_REQUEST = 1_000
TABLE = TableId("bench", "orders")
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)


def found(number: int, kind: str) -> StoredObject:
    """New files lie among the known ones, so that every part of the ledger is asked."""
    etag = md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()
    return StoredObject(f"{TABLE.landing}2026/orders_{number:09d}{kind}.csv", etag, 10_000, MOMENT)


def taken(number: int) -> TakenFile:
    """The record of a known file."""
    one = found(number, "")
    digest = sha256(one.key.encode()).hexdigest()
    return TakenFile(one.key, one.etag, one.size_bytes, MOMENT.isoformat(), digest, 100)


@dataclass
class Requests:
    """What the store was asked for."""

    lists: int = 0
    gets: int = 0


@dataclass
class Simulated:
    """A lake whose landing is a list in memory, and which counts; everything else lies in a folder."""

    folder: str
    names: list[StoredObject] = field(default_factory=list)
    asked: Requests = field(default_factory=Requests)

    def open(self) -> Lake:
        """The lake as a remote store shows it: listed in order, read by range."""
        lake: Any = Lake(self.folder)
        lake.url, lake.local_root = self.folder, None
        lake.pages, read, objects = self.pages, lake.read, lake.objects
        lake.read = lambda key: self._count("gets") or read(key)
        lake.objects = lambda *args, **options: self._count("lists") or objects(*args, **options)
        opened: Lake = lake
        return opened

    def _count(self, kind: str) -> None:
        setattr(self.asked, kind, getattr(self.asked, kind) + 1)

    def pages(self, _: str, *, after: str | None = None, keys: int = 1000) -> Iterator[list[StoredObject]]:  # noqa: ARG002
        """A listing, one request a page, whatever number of keys is asked for at once."""
        start = 0 if after is None else next(n for n, one in enumerate(self.names) if one.key > after)
        for first in range(start, len(self.names), KEYS_A_REQUEST):
            self._count("lists")
            yield self.names[first : first + KEYS_A_REQUEST]


def fill_ledger(lake: Lake, known: int) -> None:
    """One run per 1,000 files, as `bronze` writes them."""
    ledger = read_ledger(lake, TABLE)
    for version, start in enumerate(range(0, known, FILES_A_RUN), 1):
        files = tuple(taken(number) for number in range(start, min(start + FILES_A_RUN, known)))
        name = f"{TABLE.bronze}run_{version}.parquet"
        entry = LedgerEntry(version, MOMENT.isoformat(), f"run-{version}", name, len(files), files)
        commit(lake, TABLE, entry)
        ledger = keep_short(lake, Ledger(TABLE, [*ledger.entries, entry], ledger.checkpoint))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: str, known: int) -> dict[str, Any]:
    """A whole round of ticks, and a bronze step's look, over a ledger that is there."""
    column = Column(name="order_id")
    spec = TableSpec(TABLE, "*.csv", None, (column,), ("order_id",), (), "orders_key")  # type: ignore[arg-type]
    store = Simulated(folder)
    every = max(known // NEW, 1)
    store.names = sorted(
        [found(number, "") for number in range(known)] + [found(number * every, "_new") for number in range(NEW)],
        key=lambda one: one.key,
    )
    lake = store.open()
    before_mb = peak_mb()
    cursor, ticks, new = Cursor(), [], set()
    while cursor.ended_at is None:
        began, asked = perf_counter(), Requests(store.asked.lists, store.asked.gets)
        listed, cursor = go_round(lake, "bench", cursor, max_keys=100_000, now=utc_now())
        new |= {one.key for one in sort_out_tables(lake, "bench", [spec], listed, utc_now()).new["orders"]}
        spent = perf_counter() - began
        ticks.append((spent, store.asked.lists - asked.lists, store.asked.gets - asked.gets))
    tick_mb = peak_mb()
    began = perf_counter()
    ledger = read_ledger(lake, TABLE)
    opened = perf_counter() - began
    began = perf_counter()
    landed = look(lake, spec, ledger, utc_now())
    if not len(new) == len(landed.new) == NEW:
        raise SystemExit(f"found {len(new)} and {len(landed.new)} of {NEW} new objects")
    looked = perf_counter() - began
    by_key = {one.key: one for one in store.names}
    lake.head = by_key.get  # type: ignore[method-assign,assignment]
    few = [found(number * every, "_new").key for number in range(FEW)]
    timed, lists = {}, {}
    for name, named in {"few": NamedFiles(tuple(few)), "span": NamedFiles((few[0], few[-1]), span=True)}.items():
        began, asked = perf_counter(), store.asked.lists
        if len(look(lake, spec, read_ledger(lake, TABLE), utc_now(), named).new) != FEW:
            raise SystemExit(f"{name}: not what was named")
        timed[name], lists[name] = perf_counter() - began, store.asked.lists - asked
    return {
        "known": known,
        "ticks a round": len(ticks),
        "slowest tick s": round(max(one[0] for one in ticks), 2),
        "lists a tick": max(one[1] for one in ticks),
        "gets a tick": max(one[2] for one in ticks),
        "ledger opens s": round(opened, 3),
        "tick adds MB": round(tick_mb - before_mb),
        "bronze looks s": round(looked, 2),
        f"bronze looks at {FEW} named s": round(timed["few"], 3),
        f"at a span of {FEW} s": round(timed["span"], 3),
        "lists for a span": lists["span"],
        "bronze adds MB": round(peak_mb() - before_mb),
    }


def main() -> None:
    known_ones = [int(text.replace("_", "")) for text in sys.argv[1:]] or list(KNOWN)
    with tempfile.TemporaryDirectory() as folder:
        for known in known_ones:
            inside = f"{folder}/{known}"
            fill_ledger(Lake(inside), known)
            command = [sys.executable, "-m", "benchmarks.discovery", "--measure", inside, str(known)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            said = json.loads(done.stdout)
            print(", ".join(f"{name} {value:,}" for name, value in said.items()), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
