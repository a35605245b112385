"""The job `flowforge_backtest_rules`: what `flowforge rules backtest` does, as a form in the launchpad.

Dagster wants the type itself, not its name, on an op's `context` and `config`: no postponed annotations in this module.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from flowforge_assets.running.executor import quick_executor
from flowforge_assets.running.forms import blank_form
from flowforge_checks.results import as_table
from flowforge_resources.retries import clear_failure

if TYPE_CHECKING:
    from flowforge_assets.backtest.told import BackTest


class TryRules(dg.Config):
    """Which rules are tried, and over how much history."""

    table: str = Field(description="The table, e.g. `retail.orders`; `orders` where there is one workflow.")
    rule: Any = Field(
        default="",
        description="A rule or a list of rules as in the workflow's YAML, or as JSON; or the name of a declared one. Default: all that are declared.",
    )
    runs: int = Field(default=30, description="Over how many of the newest runs, and versions of the table.")
    since: str = Field(default="", description="In place of `runs`: a day or moment, e.g. `2026-11-01`, in UTC.")


def build_backtest_job(defs: Path) -> dg.JobDefinition:
    """The job; `defs`: the folder of workflows, read only when it runs."""

    @dg.op(
        name="backtest_rules",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Tries rules over history: what each would have held, run by run. Nothing is published.",
    )
    def try_rules(context: dg.OpExecutionContext, config: TryRules) -> None:
        from flowforge_assets.backtest.over_history import backtest
        from flowforge_assets.backtest.wanted import moment, wanted_rules

        with clear_failure(context.retry_number):
            wanted = wanted_rules(config.table, None, rule=config.rule, defs=defs)
            since = moment(config.since) if config.since else None
            found = backtest(context.resources.lake.open(), wanted, runs=config.runs, since=since)
        context.log.info("%s", " ".join(found.sentences()))
        context.add_output_metadata(_shown(found))

    @dg.job(
        name="flowforge_backtest_rules",
        executor_def=quick_executor,
        config=blank_form("backtest_rules", TryRules),
        description="What a rule would have held, had it been there: asked of history before it is turned on. Fill in the form.",
    )
    def trying() -> None:
        try_rules()

    return trying


def _shown(found: "BackTest") -> dict[str, Any]:
    """The sentences, a line a run and a version, and examples of each rule; none of it shows personal data."""
    shown: dict[str, Any] = {"found": dg.MetadataValue.md("\n\n".join([*found.sentences(), *found.notes]))}
    moments = {"by_run": found.runs, "by_version": found.versions}
    shown |= {name: as_table([one.row() for one in lines]) for name, lines in moments.items() if lines}
    examples = {f"examples_{rule}": found.examples(rule) for rule in found.rules}
    return shown | {name: as_table(rows) for name, rows in examples.items() if rows}
