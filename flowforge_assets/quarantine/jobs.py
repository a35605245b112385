"""The job `<workflow>_quarantine`: what `flowforge quarantine` decides, as a form in the launchpad.

Dagster wants the type itself, not its name, on an op's `context` and `config`: no postponed annotations in this module.
"""

from collections.abc import Sequence
from typing import Literal

import dagster as dg
from pydantic import Field

from flowforge_assets.quarantine import deciding
from flowforge_assets.quarantine.trail import told
from flowforge_assets.quarantine.waiting import Selection, Waiting, waiting
from flowforge_assets.running.executor import quick_executor
from flowforge_assets.running.forms import blank_form
from flowforge_assets.table_spec import TableSpec
from flowforge_resources.decisions import decide, require_person
from flowforge_resources.errors import DecisionError, did_you_mean
from flowforge_resources.lake import Lake
from flowforge_resources.layout import utc_now
from flowforge_resources.retries import clear_failure


class DecideRows(dg.Config):
    """What is decided, of which rows, by whom and why."""

    action: Literal["fix", "waive", "release", "discard", "restore"] = Field(
        description="`fix` corrects text, `waive` lets rows break rules; both wait for a `release`, which lets the next run judge and merge them. `discard` leaves them out; `restore` undoes that, for `ids`."
    )
    table: str = Field(description="The table, e.g. `orders`.")
    ids: list[str] = Field(default=[], description="Ids of rows, or their first letters.")
    rule: str = Field(default="", description="Rows that break this rule.")
    file: str = Field(default="", description="Rows that landed in this file.")
    where: str = Field(default="", description="Rows for which this SQL holds, over the columns that landed, as text.")
    everything: bool = Field(default=False, description="All rows of the table that wait.")
    set: dict[str, str] = Field(default={}, description="For `fix`: the right text by column.")
    waive_rules: list[str] = Field(
        default=[], description="For `waive`: the rules they may break. Default: all they break."
    )
    actor: str = Field(description="Who decides: a person's name.")
    reason: str = Field(description="Why, in a sentence; kept for ever.")
    until: str = Field(
        default="",
        description="What lands later is judged anew: a day, a moment or a span (30 days). Default: for ever.",
    )


def build_quarantine_job(workflow: str, tables: Sequence[TableSpec]) -> dg.JobDefinition:
    """The job; its op tells the trail of decisions what was decided."""
    by_name = {spec.id.name: spec for spec in tables}

    @dg.op(
        name=f"decide_{workflow}",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Records one decision about quarantined rows. Released rows are taken in by the next run.",
    )
    def decide_rows(context: dg.OpExecutionContext, config: DecideRows) -> None:
        with clear_failure(context.retry_number):
            if config.table not in by_name:
                raise DecisionError(
                    f"'{config.table}' is no table of {workflow}.", did_you_mean(config.table, by_name).strip()
                )
            done = _decide(context.resources.lake.open(), by_name[config.table], config)
        context.log.info("%s", done)
        context.log_event(told(done))

    @dg.job(
        name=f"{workflow}_quarantine",
        executor_def=quick_executor,
        config=blank_form(f"decide_{workflow}", DecideRows),
        description=f"Decides about quarantined rows of {workflow}: fix, waive, release, discard or restore; fill in the form.",
    )
    def decide_quarantine() -> None:
        decide_rows()

    return decide_quarantine


def _decide(lake: Lake, spec: TableSpec, config: DecideRows) -> deciding.Recorded:
    actor = require_person(config.actor, "actor")
    decision = decide(actor=actor, reason=config.reason, now=utc_now(), until=config.until or None)
    if config.action == "restore":
        if not config.ids:
            raise DecisionError("it says not which rows.", "Fill in `ids`: discarded rows are named by them.")
        return deciding.restore(lake, spec, config.ids, decision)
    chosen = Selection(tuple(config.ids), config.rule, config.file, config.where, everything=config.everything)
    if chosen.says_nothing:
        raise DecisionError("it says not which rows.", "Fill in `ids`, `rule`, `file` or `where`, or set `everything`.")
    rows: Waiting = waiting(lake, spec, chosen)
    if config.action == "fix":
        return deciding.fix(lake, rows, {name: value or None for name, value in config.set.items()}, decision)
    if config.action == "waive":
        return deciding.waive(lake, rows, config.waive_rules, decision)
    if config.action == "release":
        return deciding.release(lake, rows, decision)
    return deciding.discard(lake, rows, decision)
