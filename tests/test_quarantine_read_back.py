"""A release reads back what its rows' keys need of bronze, and leaves what making the table anew would leave."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.quarantine import deciding
from flowforge_assets.quarantine.deciding import restore
from flowforge_assets.quarantine.waiting import Selection, waiting
from flowforge_assets.silver.batch import decided_upto
from flowforge_assets.strategies.spec import Strategy
from flowforge_checks.rules import Range, Unique
from flowforge_resources.compaction import Sizes, compact
from flowforge_resources.decisions import Decision
from flowforge_resources.errors import ConcurrentPublishError, DecisionError
from flowforge_resources.history import what_happened
from flowforge_resources.io_managers import published_silver
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import read_ledger
from flowforge_resources.partitioned import read_manifest
from flowforge_resources.quarantine_decisions import DecidedRow, read_decisions, record
from partitioned_table import DAILY, Driven, spec_of
from scenario import rows_of

if TYPE_CHECKING:
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake
    from flowforge_resources.quarantine_decisions import RowDecision

BY_SEQUENCE, BY_ARRIVAL = spec_of("t", None), spec_of("t", None, ordered=False)
SPLIT = spec_of("t", DAILY)


def row(key: str, n: int, day: str = "2026-01-01") -> dict[str, str | None]:
    return {"id": key, "day": day, "n": str(n)}


def decide(driven: Driven, action: Any, n: int, **said: Any) -> None:
    """Of the row that waits with this number."""
    (held,) = [one for one in rows_of(driven.lake, driven.spec.id.quarantine) if one["n"] == str(n)]
    entry = [DecidedRow(held["_quarantine_id"], **said)]
    record(driven.lake, driven.spec.id, lambda _: (action, entry, Decision("ann", "checked", utc_now())))


def release(driven: Driven, n: int, right: str) -> None:
    decide(driven, "fix", n, fixes={"n": right})
    decide(driven, "release", n)


def taken(driven: Driven) -> dict[str, int]:
    """The account of a run that reads back; without the table's own counts."""
    batch = driven.batch()
    assert batch.read_back is not None
    assert not batch.replay
    with driven.lake.scratch() as scratch:
        staged = driven.stage(batch, scratch)
        assert not staged.blocked, staged.outcomes
        driven.publish(staged)
    assert driven.batch().brings_nothing
    return {name: rows for name, rows in staged.books.as_dict().items() if rows and not name.startswith("rows_")}


def values(driven: Driven) -> dict[str, int]:
    return {one["id"]: one["n"] for one in driven.rows()}


def landed(lake: Lake, spec: TableSpec, *batches: list[dict[str, str | None]]) -> Driven:
    driven = Driven(lake, spec)
    for rows in batches:
        driven.land(rows)
        driven.take()
    return driven


@pytest.mark.parametrize("spec", [BY_SEQUENCE, BY_ARRIVAL, SPLIT], ids=["sequence", "arrival", "partitions"])
def test_only_the_released_row_is_in_the_account(lake: Lake, spec: TableSpec) -> None:
    driven = landed(lake, spec, [row("a", 1), row("b", -2), row("c", 3)], [row("d", 1), row("a", 2), row("e", -9)])
    release(driven, -2, "7")
    assert taken(driven) == {"released": 1, "inserted": 1}
    assert values(driven) == {"a": 2, "b": 7, "c": 3, "d": 1}
    assert driven.held() == [("2.csv", 3)], "what else waits, waits on"
    published = published_silver(lake, spec.id)
    assert published
    assert what_happened(published).startswith("rows released from quarantine")


@pytest.mark.parametrize(
    ("right", "account", "stays"), [("3", {"released": 1, "late": 1}, 5), ("8", {"released": 1, "updated": 1}, 8)]
)
def test_a_released_row_stands_where_its_sequence_puts_it(
    lake: Lake, right: str, account: dict[str, int], stays: int
) -> None:
    driven = landed(lake, BY_SEQUENCE, [row("a", -1), row("b", 1)], [row("a", 5)], [row("a", 4)])
    release(driven, -1, right)
    assert taken(driven) == account
    assert values(driven) == {"a": stays, "b": 1}


def test_without_a_sequence_what_landed_later_stays(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1)], [row("a", 5)])
    release(driven, -1, "9")
    assert taken(driven) == {"released": 1, "late": 1}
    assert values(driven) == {"a": 5}


def test_new_rows_are_taken_in_the_same_run(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", 1), row("b", -1)])
    release(driven, -1, "2")
    driven.land([row("b", 3), row("a", 4), row("x", -5)])
    account = taken(driven)
    assert (account["read"], account["released"], account["quarantined"]) == (3, 1, 1)
    assert values(driven) == {"a": 4, "b": 3}


def test_a_row_that_still_breaks_a_rule_waits_on(lake: Lake) -> None:
    driven = landed(lake, BY_SEQUENCE, [row("a", -1), row("b", 1)])
    release(driven, -1, "-3")
    assert taken(driven) == {"released": 1, "quarantined": 1}
    assert values(driven) == {"b": 1}
    assert driven.held() == [("1.csv", 1)]


def test_only_the_partition_of_a_released_row_is_written(lake: Lake) -> None:
    driven = landed(lake, SPLIT, [row("a", 1), row("b", 1, "2026-01-02"), row("c", -1, "2026-01-02")])
    before = read_manifest(lake, SPLIT.id)
    release(driven, -1, "4")
    taken(driven)
    after = read_manifest(lake, SPLIT.id)
    assert before
    assert after
    assert {name for name, part in after.partitions.items() if part != before.partitions.get(name)} == {"2026-01-02"}


def test_a_release_that_changes_no_partition_is_done(lake: Lake) -> None:
    driven = landed(lake, SPLIT, [row("a", -1)], [row("a", 5)])
    release(driven, -1, "2")
    assert taken(driven) == {"released": 1, "late": 1}
    assert decided_upto(published_silver(lake, SPLIT.id)) == 2


def test_rows_are_read_back_out_of_compacted_bronze(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1), row("b", 1)], [row("a", 5)], [row("c", -2)], [row("d", 1)])
    compact(lake, [BY_ARRIVAL.id], run_id="sweep", sizes=Sizes(fewest=2))
    assert len({entry.bronze_file for entry in read_ledger(lake, BY_ARRIVAL.id).data_after(0)}) == 1
    release(driven, -2, "6")
    assert taken(driven) == {"released": 1, "inserted": 1}
    release(driven, -1, "3")
    assert taken(driven) == {"released": 1, "late": 1}
    assert values(driven) == {"a": 5, "b": 1, "c": 6, "d": 1}


def test_an_append_gets_the_released_row_alone(lake: Lake) -> None:
    spec = replace(BY_ARRIVAL, keys=(), strategy=Strategy("append"))
    driven = landed(lake, spec, [row("a", 1), row("a", -1)], [row("a", 1)])
    release(driven, -1, "2")
    assert taken(driven) == {"released": 1, "inserted": 1}
    assert sorted(one["n"] for one in rows_of(lake, spec.id.current)) == [1, 1, 2]


def test_a_released_row_with_another_key_meets_the_rows_of_that_key(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", 1), row("b", -1)], [row("b", 2)], [row("a", 7)])
    decide(driven, "fix", -1, fixes={"id": "a", "n": "3"})
    decide(driven, "release", -1)
    assert taken(driven) == {"released": 1, "late": 1}
    assert values(driven) == {"a": 7, "b": 2}


BESIDE = (Unique(rule="unique", columns=("day",), action="quarantine", keep_row="first"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": Strategy("append")},
        {"strategy": Strategy("full_refresh")},
        {"strategy": Strategy("scd2", version_key="v_key")},
        {"rules": (*BY_ARRIVAL.rules, *BESIDE)},
    ],
    ids=["append with keys", "full refresh", "scd2", "rules about rows beside each other"],
)
def test_where_more_than_its_key_decides_the_table_is_made_anew(lake: Lake, changes: dict[str, Any]) -> None:
    driven = landed(lake, replace(BY_ARRIVAL, **changes), [row("a", -1)])
    release(driven, -1, "2")
    assert driven.batch().replay
    assert driven.batch().read_back is None


def test_without_the_quarantine_file_nothing_is_lost(lake: Lake) -> None:
    driven = landed(lake, BY_SEQUENCE, [row("a", -1), row("b", -2)])
    release(driven, -1, "2")
    lake.delete(BY_SEQUENCE.id.quarantine)
    assert driven.batch().replay
    driven.take()
    assert values(driven) == {"a": 2}
    assert driven.held() == [("1.csv", 2)]


def test_a_waived_row_stays_when_another_row_of_its_key_is_released(lake: Lake) -> None:
    """A row that was read back keeps the verdict it had."""
    rule = Range(rule="range", column="n", min=0)
    driven = landed(lake, replace(BY_ARRIVAL, rules=(rule,)), [row("a", -1), row("a", -2)])
    (reason,) = rows_of(lake, driven.spec.id.quarantine)[0]["_reasons"]
    decide(driven, "waive", -2, waives={reason["rule"]: reason["fingerprint"]})
    decide(driven, "release", -2)
    assert taken(driven) == {"released": 1, "inserted": 1}
    release(driven, -1, "4")
    assert taken(driven) == {"released": 1, "late": 1}
    assert values(driven) == {"a": -2}


def test_a_restored_row_waits_again_with_its_reasons(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1), row("b", 1)])
    decide(driven, "discard", -1)
    driven.publish_next()
    assert driven.held() == []
    done = restore(lake, BY_ARRIVAL, [trail(lake)[-1].rows[0].id[:8]], Decision("bob", "it was right", utc_now()))
    assert "1 row restored by bob" in str(done)
    driven.publish_next()
    assert driven.held() == [("1.csv", 1)]
    release(driven, -1, "5")
    assert taken(driven) == {"released": 1, "inserted": 1}


def test_only_a_discarded_row_can_be_restored(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1)])
    (held,) = rows_of(lake, driven.spec.id.quarantine)
    with pytest.raises(DecisionError, match="is discarded"):
        restore(lake, BY_ARRIVAL, [held["_quarantine_id"]], Decision("bob", "why", utc_now()))
    assert trail(lake) == []


def test_of_two_people_who_release_a_row_at_once_one_is_told(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1), row("b", 1)])
    seen = waiting(lake, BY_ARRIVAL, Selection(everything=True))
    both = threading.Barrier(2)

    def decide_as(name: str) -> str:
        both.wait()
        try:
            return str(deciding.release(lake, seen, Decision(name, "checked", utc_now())))
        except DecisionError as error:
            return str(error)

    with ThreadPoolExecutor(2) as people:
        said = sorted(people.map(decide_as, ["ann", "bob"]), key=len)
    assert [one.action for one in trail(lake)] == ["release"]
    assert "1 row released by" in said[0]
    assert "was decided meanwhile: release by" in said[1]
    assert taken(driven) == {"released": 1, "quarantined": 1}


def test_a_release_while_a_run_is_under_way_is_taken_in_by_the_next(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1), row("b", -2)])
    release(driven, -1, "1")
    batch = driven.batch()
    release(driven, -2, "2")
    with lake.scratch() as scratch:
        driven.publish(driven.stage(batch, scratch))
    assert values(driven) == {"a": 1}
    assert taken(driven) == {"released": 1, "inserted": 1}
    assert values(driven) == {"a": 1, "b": 2}


def test_two_runs_that_take_the_same_release_in_do_it_once(lake: Lake) -> None:
    driven = landed(lake, BY_ARRIVAL, [row("a", -1), row("b", 1)])
    release(driven, -1, "1")
    first, second = driven.batch(), driven.batch()
    with lake.scratch() as scratch, lake.scratch() as other:
        staged = [driven.stage(first, scratch), driven.stage(second, other)]
        driven.publish(staged[0])
        with pytest.raises(ConcurrentPublishError):
            driven.publish(staged[1])
    assert driven.batch().brings_nothing
    assert values(driven) == {"a": 1, "b": 1}


def trail(lake: Lake) -> list[RowDecision]:
    return read_decisions(lake, BY_ARRIVAL.id)
