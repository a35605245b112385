"""Rolling a silver table back: the content of an earlier version becomes the next version.

Nothing is removed: the version that is replaced goes to the archive, so that a second rollback undoes the first. Bronze
that was merged in between is accounted for as left out: later batches go on behind it, and a replay from all of bronze
leaves it out too. Rolling forward takes it in again. Quarantine stays as it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.silver.version_facts import BRONZE_TABLE, next_version
from flowforge_resources.decisions import who
from flowforge_resources.duck import connect, literal
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.history import ROLLED_BACK, Version, find_version, versions
from flowforge_resources.io_managers import object_metadata, published_silver
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from flowforge_resources.left_out import LEFT_OUT, Ranges, is_in, joined, left_out_of
from flowforge_resources.partitioned import find_manifest, publish_manifest, read_manifest
from flowforge_resources.published import copy_with_facts, read_published
from flowforge_resources.silver_io_manager import covered_bronze_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_resources.bronze_parts import BronzePart
    from flowforge_resources.lake import Lake
    from flowforge_resources.partitioned import Manifest

# What a version says of how it was made; everything else of the older version holds for the new one too.
_OF_THE_MAKING = ("cause", "because", "bronze", "books", "rolled_back_to", "reason", "by", "replaces", LEFT_OUT)


class RollbackError(FlowForgeError):
    """The table cannot be rolled back; it stays as it is."""


@dataclass(frozen=True)
class Rollback:
    """What a rollback would do. `left_out`: the ledger versions whose bronze the new version leaves out."""

    table: TableId
    current: Version
    target: Version
    covered: int
    left_out: Ranges

    @property
    def number(self) -> int:
        """The version it would make."""
        return self.current.number + 1

    @property
    def other_definition(self) -> bool:
        """Whether the two versions were made by different definitions of the table."""
        return self.current.facts.get("definition") != self.target.facts.get("definition")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "table": str(self.table),
            "from_version": self.current.number,
            "to_version": self.target.number,
            "makes_version": self.number,
            "rows_now": self.current.published.rows,
            "rows_then": self.target.published.rows,
            "left_out_bronze": [list(one) for one in self.left_out],
            "other_definition": self.other_definition,
        }


def plan_rollback(lake: Lake, table: TableId, wanted: str) -> Rollback:
    """What rolling back to a version (its number, or its snapshot's name) would do; changes nothing.

    Raises:
        RollbackError: there is no such version, or it is the published one.
    """
    found = versions(lake, table)
    current = next((one for one in found if one.current), None)
    if current is None:
        raise RollbackError(f"{table} was never published, so there is nothing to roll back.")
    target = find_version(found, wanted)
    if target is None:
        known = ", ".join(str(one.number) for one in found)
        raise RollbackError(
            f"{table} has no version '{wanted}'. Nothing was changed. There are: {known} (see `flowforge history {table}`); older ones were removed as its retention says."
        )
    if target.current:
        raise RollbackError(f"Version {target.number} of {table} is the published one. Nothing was changed.")
    covered = covered_bronze_version(lake, table, current.published)
    undone = (_held_in_the_end(found, target) + 1, covered)
    return Rollback(table, current, target, covered, joined([*left_out_of(target.facts), undone]))


def _held_in_the_end(found: Sequence[Version], version: Version) -> int:
    """Up to which ledger version a version held bronze when it was replaced: some batches change no row."""
    replaces = [one.facts["replaces"] for one in found if "replaces" in one.facts]
    noted = [int(one["bronze_version"]) for one in replaces if one["nonce"] == version.published.nonce]
    return max([version.merged_up_to, *noted])


def newly_left_out(lake: Lake, plan: Rollback) -> list[BronzePart]:
    """The bronze that the published version holds and the new one leaves out."""
    before = left_out_of(plan.current.facts)
    source = TableId(plan.table.workflow, plan.current.facts.get(BRONZE_TABLE, plan.table.name))
    return [
        entry
        for entry in read_ledger(lake, source).data_after(0)
        if entry.version <= plan.covered and is_in(entry.version, plan.left_out) and not is_in(entry.version, before)
    ]


def roll_back(lake: Lake, plan: Rollback, *, reason: str = "", by: str = "") -> Version:
    """Publish the content of the planned version as the next one.

    Raises:
        RollbackError: a run published the table since it was planned; nothing was changed.
    """
    made = {
        **{name: value for name, value in plan.target.facts.items() if name not in _OF_THE_MAKING},
        **next_version(plan.current.published, plan.covered),
        "run_id": "",
        "bronze_version": plan.covered,
        "cause": ROLLED_BACK,
        "rolled_back_to": plan.target.number,
        "by": by or who(),
        "reason": reason,
        **({LEFT_OUT: plan.left_out} if plan.left_out else {}),
    }
    if (now := read_manifest(lake, plan.table)) is not None:
        return _roll_back_partitions(lake, plan, now, made)
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        then, path = lake.stage_in(plan.target.key, scratch), scratch.path(".parquet")
        connection.execute(copy_with_facts(f"FROM read_parquet({literal(str(then))})", path, made))
        lake.copy_new(plan.table.current, plan.table.snapshot(plan.current.published_at))
        swapped = lake.swap(path, plan.table.current, expected=plan.current.published.object)
    published = read_published(lake, plan.table.current)
    if swapped is None or published is None:
        raise _overtaken(plan)
    return Version(published, current=True)


def _roll_back_partitions(lake: Lake, plan: Rollback, now: Manifest, made: dict[str, Any]) -> Version:
    """The same for a table in partitions: the objects are there, and the list of them is swapped."""
    then = find_manifest(lake, plan.table, plan.target.published.nonce)
    if then is None:
        raise RollbackError(
            f"Version {plan.target.number} of {plan.table} is from before the table was in partitions. Nothing was changed. Take `partition_by` out, run the job, and roll back then."
        )
    if now.nonce != plan.current.published.nonce or not publish_manifest(
        lake, plan.table, replace(then, facts=made), replaces=now
    ):
        raise _overtaken(plan)
    published = published_silver(lake, plan.table)
    if published is None:
        raise _overtaken(plan)
    return Version(published, current=True)


def _overtaken(plan: Rollback) -> RollbackError:
    return RollbackError(
        f"{plan.table}: a run published it while it was being rolled back, so nothing was changed. Look at `flowforge history {plan.table}` and roll back again."
    )


def record(lake: Lake, plan: Rollback, made: Version) -> bool:
    """Report the new version to the Dagster instance as a materialization; False where DAGSTER_HOME names none."""
    if not os.environ.get("DAGSTER_HOME"):
        return False
    import dagster as dg

    published = made.published
    described = object_metadata(
        lake.uri(plan.table.current), published.object.size_bytes, published.rows, published.columns, {}
    )
    said = {"version": made.number, "rolled_back_to": plan.target.number, "by": made.facts["by"]}
    said |= {"reason": made.facts["reason"]} if made.facts["reason"] else {}
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                dg.AssetKey(plan.table.silver_key), description=made.what, metadata={**described, **said}
            )
        )
    return True
