"""The store answers with errors, late, half or not at all: a run ends well or says clearly that it did not.

Whatever happened, no table is half changed, and a clean run afterwards leaves what an undisturbed one leaves. The worst
fault is a write that was done and whose answer was lost: the client asks again, and is told that the object exists.
"""

from __future__ import annotations

import os
import random
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from fault_proxy import CLIENT_TIMEOUT_S, KINDS, FaultProxy
from flowforge_resources import lake as lake_module
from flowforge_resources.errors import FlowForgeError, LakeUnreachableError
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import Ledger, LedgerEntry, TakenFile, commit, read_ledger
from flowforge_resources.ledger_checkpoint import write_checkpoint
from forker import Forker, Pool, client_settings
from remote import DAYS, Remote, remote
from scenario import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEED = 20261121
# `FLOWFORGE_TEST_EVERY=1` disturbs every call in every way; the quick suite a spread of them. Several processes share
# the work with `FLOWFORGE_TEST_EVERY=16` and `FLOWFORGE_TEST_FROM=0` to 15.
EVERY = int(os.environ.get("FLOWFORGE_TEST_EVERY", "1201"))
FIRST = int(os.environ.get("FLOWFORGE_TEST_FROM", "0"))
MIXES = 40 if EVERY == 1 else 2
CLEAR = ("did not answer when asked to", "refused to", "another run published")
# The store's own client asks again, or leaves it to the step: the second shows every fault to the product.
STORES = {
    "client retries": {"timeout_s": CLIENT_TIMEOUT_S, "max_retries": 4},
    "step retries": {"timeout_s": CLIENT_TIMEOUT_S, "max_retries": 0},
}
names = count(1)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Forker() as one, Forker() as two:
        yield Pool([one, two])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with remote(tmp_path_factory.mktemp("scratch")) as started:
        yield started


class Day:
    """The lake before a day's run, its tables before and after, and the requests of an undisturbed run."""

    def __init__(self, server: Remote, forker: Forker, day: str) -> None:
        self.server, self.day = server, day
        self.objects = server.start(forker, day)
        name = f"undisturbed/{next(names)}"
        self.before = state(server.same(name, self.objects))
        with FaultProxy(server.url, lambda n, call: None) as proxy:
            done = server.run(forker, name, proxy.url)
        assert done["status"] == 0, done["said"]
        self.expected, self.calls = state(server.lake(name)), proxy.calls

    def disturbed(self, forker: Forker, store: dict[str, Any], plan: Callable[[int, str], str | None]) -> str | None:
        """Run with faults, then without; say what is wrong then."""
        name = f"case/{next(names)}"
        lake = self.server.same(name, self.objects)
        with FaultProxy(self.server.url, plan) as proxy:
            done = self.server.run(forker, name, proxy.url, store=store)
        said = self.wrong_at_once(lake, done) or self.server.wrong(name, self.server.run(forker, name), self.expected)
        return f"{self.day}, {proxy.disturbed}: {said}" if said else None

    def wrong_at_once(self, lake: Lake, done: dict[str, Any]) -> str | None:
        """A run that ended well has done everything; one that failed says why, and each table is the old or the new."""
        found = state(lake)
        if done["status"] == 0:
            return next((f"{key} differs" for key in self.expected if found.get(key) != self.expected[key]), None)
        if not any(sign in done.get("said", "") for sign in CLEAR):
            return f"ended with {done['status']} and unclear words: {done.get('said')}"
        half = [key for key, text in found.items() if text not in (self.before.get(key), self.expected.get(key))]
        return f"half changed: {half}" if half else None


@pytest.fixture(scope="module")
def days(server: Remote) -> dict[str, Day]:
    with Forker() as forker:
        return {day: Day(server, forker, day) for day in DAYS}


def test_a_run_with_one_disturbed_call_ends_well_or_clearly_and_a_clean_one_makes_it_whole(
    pool: Pool, days: dict[str, Day]
) -> None:
    cases = [
        (day, at, kind, store)
        for day, found in days.items()
        for at in range(len(found.calls))
        for store in STORES
        for kind in KINDS
    ]

    def one(forker: Forker, case: tuple[str, int, str, str]) -> str | None:
        day, at, kind, store = case
        return days[day].disturbed(forker, STORES[store], lambda n, call: kind if n == at else None)

    chosen = cases[FIRST::EVERY]
    print(f"{len(chosen)} of {len(cases)} faults, of {[len(found.calls) for found in days.values()]} requests")  # noqa: T201
    assert len(cases) > 1000
    assert pool.each(one, chosen) == []


def test_a_run_with_faults_at_random_ends_well_or_clearly_and_a_clean_one_makes_it_whole(
    pool: Pool, days: dict[str, Day]
) -> None:
    def mix(forker: Forker, number: int) -> str | None:
        draw = random.Random(SEED + number)
        share = draw.choice((0.02, 0.05, 0.15))
        kinds = [kind for kind in KINDS if not kind.startswith("late") or number % 4 == 0]
        day, store = draw.choice(list(days)), draw.choice(list(STORES))
        return days[day].disturbed(
            forker, STORES[store], lambda n, call: draw.choice(kinds) if draw.random() < share else None
        )

    assert pool.each(mix, range(MIXES)) == []


@pytest.mark.parametrize("written", ["/_ledger/", "bronze/", "silver/", "quarantine/", "gold/"])
def test_a_run_whose_own_writes_are_reported_to_it_as_anothers_changes_the_tables_once(
    days: dict[str, Day], pool: Pool, written: str
) -> None:
    """The first answer to every write in a layer is lost, and the client's second attempt meets the first one's object."""

    def plan_of() -> Callable[[int, str], str | None]:
        met: set[str] = set()

        def plan(n: int, call: str) -> str | None:
            if not call.startswith("PUT") or written not in call or call in met:
                return None
            met.add(call)
            return "done, then 500"

        return plan

    store = STORES["client retries"]
    some = list(days)[0 if EVERY == 1 else -1 :]  # the last day meets all that the first one leaves
    assert pool.each(lambda forker, day: days[day].disturbed(forker, store, plan_of()), some) == []


# -- one call of the lake each ----------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Lake, Path], Any]] = {
    "read": lambda lake, path: lake.read("there"),
    "range": lambda lake, path: lake.read_range("there", 1, 3),
    "list": lambda lake, path: [found.key for found in lake.objects("")],
    "head": lambda lake, path: lake.head("absent"),
    "create": lambda lake, path: lake.create("new", b"mine"),
    "create what another has": lambda lake, path: lake.create("there", b"mine"),
    "write": lambda lake, path: lake.write("there", b"mine"),
    "delete": lambda lake, path: lake.delete("there"),
    "copy": lambda lake, path: lake.copy("there", "copied"),
    "copy new": lambda lake, path: lake.copy_new("there", "copied"),
    "publish": lambda lake, path: lake.publish(path, "there") is not None,
    "publish new": lambda lake, path: lake.publish_new(path, "new") is not None,
    "publish new what another has": lambda lake, path: lake.publish_new(path, "there") is not None,
    "swap": lambda lake, path: lake.swap(path, "there", expected=lake.head("there")) is not None,
}


def outcome(server: Remote, call: str, kind: str | None, at: int, monkeypatch: pytest.MonkeyPatch, path: Path) -> Any:
    """What one call returned or raised, and what the store holds then; None where it made no such request."""
    name = f"one/{next(names)}"
    plain = server.same(name, {"there": b"theirs"})
    path.write_bytes(b"mine")
    with FaultProxy(server.url, lambda n, said: kind if n == at else None) as proxy:
        for variable, value in server.env(name, proxy.url).items():
            monkeypatch.setenv(variable, value)
        client, asks_again = client_settings(**STORES["client retries"])
        monkeypatch.setattr(lake_module, "CLIENT", lake_module.CLIENT | client)
        monkeypatch.setattr(lake_module, "RETRIES", lake_module.RETRIES | asks_again)
        try:
            result = CALLS[call](Lake(), path)
        except FlowForgeError as error:
            result = error
    if kind and not proxy.disturbed:
        return None
    return result, {found.key: plain.read(found.key) for found in plain.objects("")}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_whose_answer_was_lost_says_the_truth_of_what_it_did(
    call: str, server: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Or raises: then it is the step that is tried again, and finds what was done."""
    right = outcome(server, call, None, 0, monkeypatch, tmp_path / "file")
    for kind in ("500", "503", "done, then 500", "done, then closed", "truncated"):
        for at in range(4):
            found = outcome(server, call, kind, at, monkeypatch, tmp_path / "file")
            if found is None:
                break
            if not isinstance(found[0], FlowForgeError):
                assert found == right, f"{kind} at {at}"


QUESTIONS: dict[str, Callable[[Ledger], Any]] = {
    "one object": lambda ledger: ledger.records(pl.DataFrame({"key": ["landing/1"]}), ("content_hash",)),
    "the data": lambda ledger: ledger.data_after(0),
    "a new checkpoint": lambda ledger: write_checkpoint(
        Lake(), ledger.table, ledger.checkpoint, [entry_of(ledger.version + 1)]
    ),
}


def entry_of(version: int) -> LedgerEntry:
    taken = TakenFile(f"landing/{version}", "etag", 1, "2026-01-01", "xxh3_128:1", 1)
    return LedgerEntry(version, "2026-01-01T00:00:00+00:00", "run", f"bronze/{version}.parquet", 1, files=(taken,))


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_ledger_whose_checkpoint_cannot_be_read_for_now_is_a_transient_error(
    question: str, server: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polars reads checkpoints, and its errors are not the lake's; 412 is one that it does not try again for 8 s."""
    name, table = f"ledger/{next(names)}", TableId("shop", "items")
    for variable, value in server.env(name).items():
        monkeypatch.setenv(variable, value)
    entries = [entry_of(1), entry_of(2)]
    assert all(commit(Lake(), table, entry) for entry in entries)
    write_checkpoint(Lake(), table, None, entries)
    down = Event()
    with FaultProxy(server.url, lambda n, call: "412" if down.is_set() and "checkpoints/0" in call else None) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        ledger = read_ledger(Lake(), table)
        assert QUESTIONS[question](ledger) is not None
        ledger = read_ledger(Lake(), table)
        down.set()
        with pytest.raises(LakeUnreachableError, match="did not answer when asked to"):
            QUESTIONS[question](ledger)
