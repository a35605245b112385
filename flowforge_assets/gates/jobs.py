"""The jobs `flowforge_waive_check` and `flowforge_revoke_waiver`: what `flowforge gate` does, as forms in the launchpad.

Dagster wants the type itself, not its name, on an op's `context` and `config`: no postponed annotations in this module.
"""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from flowforge_assets.gates.decisions import Asked, DeclaredGates, revoke_waiver, said, waive_check
from flowforge_assets.running.executor import quick_executor
from flowforge_assets.running.forms import blank_form
from flowforge_resources.decisions import require_person
from flowforge_resources.layout import utc_now


class RevokeWaiver(dg.Config):
    """Which waiver to take back, who does it and why."""

    table: str = Field(description="The table whose check was waived, e.g. `retail/silver_orders`.")
    check: str = Field(description="The check, e.g. `unique_order_id`.")
    only_for: str = Field(
        default="", description="The one table made from it that the decision is about. Default: all of them."
    )
    by: str = Field(description="Who decides: a person's name.")
    reason: str = Field(description="Why, in a sentence; kept for ever.")


class WaiveCheck(RevokeWaiver):
    """Which failed check does not count, until when, who decides so and why."""

    until: str = Field(
        description="A day (2026-12-01: to its end, UTC), a moment (2026-12-01T12:00) or a span (12 hours, 30 days, 8 weeks)."
    )


def build_gate_jobs(declared: Callable[[], DeclaredGates]) -> list[dg.JobDefinition]:
    """Both jobs; `declared` is asked only when one runs."""

    @dg.op(
        name="waive_check",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Lets a failed check not count until a moment: its table is published, and tables made from it go on.",
    )
    def waive(context: dg.OpExecutionContext, config: WaiveCheck) -> None:
        lake, asked = context.resources.lake.open(), Asked(config.table, config.check, config.only_for or None)
        waiver = waive_check(
            lake,
            declared(),
            asked,
            by=require_person(config.by, "by"),
            reason=config.reason,
            until=config.until,
            now=utc_now(),
        )
        context.add_output_metadata({"decision": said(waiver)})

    @dg.op(
        name="revoke_waiver",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Takes a waiver back: the check counts again from now on.",
    )
    def revoke(context: dg.OpExecutionContext, config: RevokeWaiver) -> None:
        lake, asked = context.resources.lake.open(), Asked(config.table, config.check, config.only_for or None)
        waiver = revoke_waiver(
            lake, declared(), asked, by=require_person(config.by, "by"), reason=config.reason, now=utc_now()
        )
        context.add_output_metadata({"taken_back": said(waiver)})

    @dg.job(
        name="flowforge_waive_check",
        executor_def=quick_executor,
        config=blank_form("waive_check", WaiveCheck),
        description="Who lets which failed check not count, why, and until when: fill in the form.",
    )
    def waiving() -> None:
        waive()

    @dg.job(
        name="flowforge_revoke_waiver",
        executor_def=quick_executor,
        config=blank_form("revoke_waiver", RevokeWaiver),
        description="Takes a waiver of a failed check back: fill in the form.",
    )
    def revoking() -> None:
        revoke()

    return [waiving, revoking]
