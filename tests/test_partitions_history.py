"""Versions of a partitioned table: listed, read as of then, gone back to, and let go of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flowforge_assets.cli.as_of import silver_as_of
from flowforge_assets.silver.rollback import plan_rollback, roll_back
from flowforge_resources.history import versions
from flowforge_resources.layout import utc_now
from flowforge_resources.partition_history import kept_manifests, let_go_of_versions
from flowforge_resources.retention import GRACE, Retention
from partitioned_table import DAILY, Driven, manifest_of, rows, spec_of

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake


def three_versions(lake: Lake) -> Driven:
    table = Driven(lake, spec_of("t", DAILY))
    for batch in (("a 2026-01-01 1", "b 2026-01-02 1"), ("a 2026-01-03 2",), ("c 2026-01-02 1",)):
        table.land(rows(*batch))
        table.take()
    return table


def ids(table: Driven, at: int) -> list[tuple[str, str]]:
    found = silver_as_of(table.lake, table.spec.id, at)().collect().to_dicts()
    return sorted((row["id"], str(row["day"])) for row in found)


def test_every_version_is_listed_and_can_be_read_as_it_was(any_lake: Lake) -> None:
    table = three_versions(any_lake)
    assert [(one.number, one.published.rows, one.current) for one in versions(any_lake, table.spec.id)] == [
        (3, 3, True),
        (2, 2, False),
        (1, 2, False),
    ]
    assert ids(table, 1) == [("a", "2026-01-01"), ("b", "2026-01-02")]
    assert ids(table, 2) == [("a", "2026-01-03"), ("b", "2026-01-02")]
    assert ids(table, 3) == [("a", "2026-01-03"), ("b", "2026-01-02"), ("c", "2026-01-02")]


def test_a_rollback_is_a_new_version_and_what_came_since_stays_out(any_lake: Lake) -> None:
    table = three_versions(any_lake)
    newest = table.rows()
    made = roll_back(any_lake, plan_rollback(any_lake, table.spec.id, "1"), reason="wrong", by="me")
    assert made.number == 4
    assert [row["id"] for row in table.rows()] == ["a", "b"]
    assert table.partitions() == {"2026-01-01": 1, "2026-01-02": 1}
    assert table.rows() == table.plain_rows()
    assert table.strangers() == []
    assert table.take() is None, "what was rolled back does not come again"

    table.land(rows("d 2026-01-04 1"))
    table.take()
    assert [row["id"] for row in table.rows()] == ["a", "b", "d"]
    table.take("2026-01-03", "2026-01-02")
    assert [row["id"] for row in table.rows()] == ["a", "b", "d"], "nor when partitions are made anew"
    roll_back(any_lake, plan_rollback(any_lake, table.spec.id, "3"))
    assert table.rows() == table.plain_rows() == newest


def test_old_versions_go_with_the_objects_that_no_other_version_names(lake: Lake) -> None:
    table = three_versions(lake)
    later = utc_now() + 2 * GRACE
    assert let_go_of_versions(lake, table.spec.id, Retention(keep_last=2), later) == []
    assert let_go_of_versions(lake, table.spec.id, Retention(keep_last=0), utc_now()) == [], "within the grace"
    assert let_go_of_versions(lake, table.spec.id, Retention(keep_last=0, keep_for="1 days"), later) == []

    gone = let_go_of_versions(lake, table.spec.id, Retention(keep_last=0), later + timedelta(days=1))
    assert [one.version for one in kept_manifests(lake, table.spec.id)] == [3]
    lost = [key for key in gone if key.endswith(".parquet")]
    assert [key.split("/")[3] for key in lost] == ["2026-01-01", "2026-01-02"], "the first version of each"
    assert {row["id"] for row in table.rows()} == {"a", "b", "c"}
    assert table.rows() == table.plain_rows()
    left = {one.key for one in lake.objects(table.spec.id.silver) if "/archive/" in one.key}
    assert left == {part.object for part in manifest_of(table).partitions.values()}
