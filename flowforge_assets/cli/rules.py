"""`flowforge rules`: what is asked about rules before they are turned on."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations at runtime
from typing import Annotated

import typer
from rich.console import Console

rules = typer.Typer(name="rules", no_args_is_help=True, help="Rules before they are turned on.")


@rules.callback()
def _rules() -> None:
    """One command is still a command of its own."""


@rules.command()
def backtest(
    table: Annotated[str, typer.Argument(help="The table, e.g. `orders` or `retail.orders`.")],
    *,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help="Name of one rule, or a rule (or a list) as YAML or JSON: `{rule: range, column: price, min: 0}`.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="YAML that is not deployed: the changed table document, or a list of rules. Its new and changed rules are tried.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", help="How many of the newest runs (and versions).", min=1)] = 30,
    since: Annotated[
        str | None, typer.Option("--since", help="In place of --runs: a day or moment, e.g. `2026-11-01`, in UTC.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", help="The workflow; not needed where there is only one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Try rules over history: what each would have held, run by run. Nothing is published.

    Example: `flowforge rules backtest orders --rule "{rule: range, column: total, max: 10000}"`
    """
    from flowforge_assets.backtest.over_history import backtest as try_rules
    from flowforge_assets.backtest.wanted import moment, wanted_rules
    from flowforge_resources.lake import Lake

    wanted = wanted_rules(table, workflow, rule=rule, file=file)
    found = try_rules(Lake(), wanted, runs=runs, since=moment(since) if since else None)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1, default=str))
        return
    Console().print(found.render())
