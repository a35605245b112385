"""Profiling tables: on demand, and as the check `profile_drift`, which the job `<workflow>_profile` runs on a schedule.

A check is not part of the workflow's own job: a profile costs passes over the table, and a run is to be quick.

Dagster wants the type itself, not its name, on a check's `context`: no postponed annotations in this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from flowforge_assets.reconciliation.sides import Place, Sides, SideSpec
from flowforge_checks.profile.columns import Profile
from flowforge_checks.profile.drift import Drift, DriftLimits, drift_between
from flowforge_checks.profile.kept import keep_profile, last_profile
from flowforge_checks.profile.measure import MOST_ROWS, profile_of
from flowforge_checks.profile.shown import headline, row_of
from flowforge_checks.results import Outcome, as_markdown, as_table
from flowforge_resources.duck import connect, quote
from flowforge_resources.io_managers import gold_table, silver_table
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.retries import clear_failure

PROFILE_DRIFT = "profile_drift"


def profile_table(lake: Lake, place: Place, personal: frozenset[str], most_rows: int = MOST_ROWS) -> Profile:
    """Profile the published version of a table.

    Raises:
        MissingTableError: there is none.
    """
    table = place.table
    name = str(table) if place.layer in ("silver", "gold") else f"{place.layer} of {table}"
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        side = Sides(lake, connection, scratch).open(SideSpec({"profiled": place}, name="profiled"))
        source = side.columns([(column, quote(column)) for column in side.names()], "TRUE")
        return profile_of(
            connection,
            source,
            table=name,
            version=_version(lake, place),
            personal=personal | _derived(personal),
            most_rows=most_rows,
        )


def _derived(personal: frozenset[str]) -> frozenset[str]:
    """What could not be parsed may hold anything."""
    return frozenset({"_rescued", "_reasons"}) if personal else frozenset()


def _version(lake: Lake, place: Place) -> str:
    if place.layer not in ("silver", "gold"):
        return ""
    stored = gold_table(lake, place.table) if isinstance(place.table, ModelId) else silver_table(lake, place.table)
    return stored.require().nonce


def kept_name(place: Place) -> str:
    """The folder of a place's profiles."""
    return place.asset[1] if place.layer in ("silver", "gold", "bronze") else f"{place.layer}_{place.table.name}"


def profile_and_compare(
    lake: Lake, place: Place, personal: frozenset[str], limits: DriftLimits, most_rows: int = MOST_ROWS
) -> tuple[Profile, Profile | None, list[Drift]]:
    """Profile a table, keep that, and say what changed since the last profile of another version."""
    workflow, name = place.table.workflow, kept_name(place)
    found = profile_table(lake, place, personal, most_rows)
    before = last_profile(lake, workflow, name, not_of=found.version)
    keep_profile(lake, workflow, name, found)
    return found, before, drift_between(before, found, limits) if before else []


def drift_outcome(found: Profile, before: Profile | None, drifted: Sequence[Drift]) -> Outcome:
    """The check: it warns."""
    metadata: dict[str, Any] = {
        "profile": dg.MetadataValue.md(as_markdown([row_of(column) for column in found.columns])),
        "rows": found.rows,
        "rows_looked_at": found.looked_at,
        "seconds": found.seconds,
    }
    if before is not None:
        metadata["compared_with"] = before.profiled_at
    if drifted:
        metadata["drift"] = as_table([one.row() for one in drifted])
    columns = list(dict.fromkeys(one.column for one in drifted))
    said = f"{headline(found)}. Since {before.profiled_at[:16] if before else ''} changed: {', '.join(columns)}."
    return Outcome(
        PROFILE_DRIFT,
        passed=not drifted,
        warns=True,
        rows_broken=len(drifted),
        description=said if drifted else None,
        metadata=metadata,
    )


def build_profile_checks(
    workflow: str, places: Sequence[Place], personal: Mapping[TableId | ModelId, frozenset[str]], limits: DriftLimits
) -> dg.AssetChecksDefinition:
    """`profile_drift` of every table of a workflow, as one step of which any part can be run."""
    of_key = {dg.AssetKey(place.asset): place for place in places}
    specs = [
        dg.AssetCheckSpec(
            PROFILE_DRIFT,
            asset=key,
            description="What is in each column, and that it did not change much since the profile before.",
        )
        for key in of_key
    ]

    @dg.multi_asset_check(name=f"{workflow}__profile", specs=specs, can_subset=True, required_resource_keys={"lake"})
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        lake = context.resources.lake.open()
        with clear_failure(context.retry_number):
            for one in sorted(context.selected_asset_check_keys):
                place = of_key[one.asset_key]
                told = profile_and_compare(lake, place, personal[place.table], limits)
                yield drift_outcome(*told).result(one.asset_key)

    return check


def build_profile_job(workflow: str, checks: dg.AssetChecksDefinition) -> Any:
    """The job that profiles a workflow's tables."""
    return dg.define_asset_job(
        f"{workflow}_profile",
        selection=dg.AssetSelection.checks(*checks.check_keys),
        description=f"Profiles every table of {workflow} and says what changed; `flowforge profile TABLE` shows one.",
    )
