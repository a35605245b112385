"""The commands and their options; what they do is in the modules they call."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003  # typer reads the annotations at runtime
from typing import Annotated

import typer
from rich.console import Console

from flowforge_assets.cli.connections import connections
from flowforge_assets.cli.contract import contract
from flowforge_assets.cli.quarantine_app import quarantine_app
from flowforge_assets.cli.rules import rules
from flowforge_resources.errors import FlowForgeError

app = typer.Typer(
    name="flowforge",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Land files, query tables, see how the last run went, where a column comes from, go back to an earlier version. Runs themselves are Dagster's: `dagster job execute`, `dg launch`, the web UI.",
)
app.add_typer(quarantine_app)
app.add_typer(connections)
app.add_typer(rules)
app.add_typer(contract)
WorkflowOption = Annotated[
    str | None, typer.Option("--workflow", "-w", help="The workflow; not needed where there is only one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def land(
    files: Annotated[list[Path], typer.Argument(help="Files to upload.", exists=True, dir_okay=False, readable=True)],
    *,
    table: Annotated[str, typer.Option("--table", "-t", help="The table they belong to.")],
    workflow: WorkflowOption = None,
    rename: Annotated[str | None, typer.Option("--as", help="Name in landing, for a single file.")] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Upload also where the name is taken, by other content or, of a file that was set aside, the same.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Upload files to a table's landing folder, where the sensor or the next run finds them."""
    from flowforge_assets.cli.land import land_files

    landed = land_files(files, workflow=workflow, table=table, rename=rename, replace=replace)
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in landed], indent=1))
        return
    for one in landed:
        typer.echo(str(one))


@app.command()
def query(
    sql: Annotated[
        str,
        typer.Argument(
            help="One statement in DuckDB's SQL. Tables: `workflow.table`, silver and gold by name; also `workflow_bronze.table` and `workflow_quarantine.table`."
        ),
    ],
    *,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Rows to show as a table.", min=1)] = 40,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="Silver and bronze as they were at a moment, e.g. `2026-11-01T12:00` (UTC unless it says otherwise); or a version's number, where the statement reads one silver table.",
        ),
    ] = None,
) -> None:
    """Ask the lake's tables a question, on whatever kind of lake.

    Example: `flowforge query "SELECT * FROM retail.dim_region"`
    """
    from flowforge_assets.cli.query import run_query

    answer = run_query(sql, as_of=as_of)
    if csv:
        typer.echo(answer.to_csv(), nl=False)
    elif as_json:
        typer.echo(json.dumps(answer.as_dicts(), indent=1, default=str))
    else:
        console = Console()
        console.print(answer.to_table(limit, console.width))


@app.command()
def status(*, workflow: WorkflowOption = None, as_json: JsonOption = False) -> None:
    """Show the last run of a workflow: rows, checks, quarantine, tables."""
    from flowforge_assets.cli.status import last_run

    found = last_run(workflow)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1, default=str))
        return
    Console().print(found.render())


@app.command()
def lineage(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE[.COLUMN]]",
            help="`retail.dim_customer`, `silver_orders.status`, `fact_sales.revenue`: the workflow where the name is not unique.",
        ),
    ] = None,
    *,
    upstream: Annotated[bool, typer.Option("--upstream", "-u", help="Only what it comes from.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", "-d", help="Only what it goes to.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the graph of the whole workflow.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a column comes from and what is made from it, from the landed files to gold.

    Example: `flowforge lineage fact_sales.revenue`
    """
    from flowforge_assets.cli.lineage import ask

    asked = ask(table, upstream=upstream, downstream=downstream)
    if html is not None:
        asked.write_page(html)
        typer.echo(f"wrote {html}")
    elif as_json:
        typer.echo(json.dumps(asked.as_dict(), indent=1))
    else:
        Console(highlight=False).print(asked.render())


@app.command()
def history(
    table: Annotated[str, typer.Argument(help="The table, e.g. `customers` or `retail.customers`.")],
    *,
    workflow: WorkflowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the versions of a table, newest first: when each was published, by which run, and what happened."""
    from flowforge_assets.cli.history import history_of

    found = history_of(table, workflow)
    if as_json:
        typer.echo(json.dumps(found.as_dicts(), indent=1, default=str))
        return
    Console().print(found.render())


@app.command()
def rollback(
    table: Annotated[str, typer.Argument(help="The table, e.g. `customers` or `retail.customers`.")],
    *,
    to: Annotated[str, typer.Option("--to", help="The version's number, or its snapshot's name in the archive.")],
    workflow: WorkflowOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish an earlier version of a silver table again, as its next version. Another rollback undoes it.

    Example: `flowforge rollback customers --to 12 --reason "price list of the wrong year"`
    """
    from flowforge_assets.cli.history import roll_table_back

    done = roll_table_back(table, workflow, to, reason=reason, dry_run=dry_run)
    typer.echo(json.dumps(done.as_dict(), indent=1) if as_json else str(done))


@app.command()
def scaffold(
    connection: Annotated[str, typer.Argument(help="The connection's name.")],
    *,
    tables: Annotated[
        str, typer.Option("--tables", help="Tables, with commas between; all that are no views where it is left out.")
    ] = "",
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", help="The new workflow. Default: the connection's name.")
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the YAML, write nothing.")] = False,
) -> None:
    """Write a workflow's YAML from a database's tables: types, keys, references, rules from constraints.

    Example: `flowforge scaffold shop --tables public.orders,public.customers`
    """
    from flowforge_assets.cli.scaffold import scaffold as text_of
    from flowforge_assets.cli.scaffold import write_workflow

    text = text_of(connection, [one.strip() for one in tables.split(",") if one.strip()])
    typer.echo(text if only_print else f"wrote {write_workflow(workflow or connection, text)}")


@app.command()
def compact(
    table: Annotated[str | None, typer.Argument(help="One table, e.g. `customers`. Default: all.")] = None,
    *,
    workflow: WorkflowOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be compacted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make few bronze files of many small ones. The small ones go with a sweep, a day later."""
    from flowforge_assets.cli.compact import compact_tables

    done = compact_tables(table, workflow, dry_run=dry_run)
    typer.echo(json.dumps(done.as_dict(), indent=1) if as_json else str(done))


@app.command()
def reconcile(
    name: Annotated[str, typer.Argument(help="A declared reconciliation, e.g. `revenue` or `retail.revenue`.")],
    *,
    workflow: WorkflowOption = None,
    history: Annotated[
        int, typer.Option("--history", metavar="N", help="Show what its last N evaluations found, and ask nothing.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare two layers or tables that are declared to agree; exit code 1 where they do not.

    Example: `flowforge reconcile revenue`
    """
    from flowforge_assets.cli import reconcile as asked

    if history:
        rows = asked.history_of(name, workflow, history)
        typer.echo(json.dumps(rows, indent=1, default=str)) if as_json else Console().print(asked.render_history(rows))
        return
    answer = asked.reconcile(name, workflow)
    typer.echo(json.dumps(answer.as_dict(), indent=1)) if as_json else Console().print(answer.render())
    if answer.failed:
        raise typer.Exit(code=1)


@app.command()
def profile(
    table: Annotated[
        str, typer.Argument(help="A table or model, e.g. `customers`, `retail.fact_sales`, `bronze.orders`.")
    ],
    *,
    workflow: WorkflowOption = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")] = None,
    most_rows: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Look at about so many rows, chosen at random. Default: 5,000,000."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in each column of a table, and what changed since it was profiled before.

    Example: `flowforge profile customers --html customers.html`
    """
    from flowforge_assets.cli.profile import profile_now

    found = profile_now(table, workflow, most_rows)
    if html is not None:
        html.write_text(found.page(), encoding="utf-8")
        typer.echo(f"wrote {html}")
    elif as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        Console().print(found.render())


@app.command()
def books(
    table: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="Only this table, run by run.")] = None,
    *,
    workflow: WorkflowOption = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Only the run whose id begins so.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="KEY", help="Landed files whose key contains this, one by one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of every row read: by table over all runs, by run, or by landed file.

    Example: `flowforge books orders`
    """
    from flowforge_assets.cli import books as asked

    found = asked.books(table, workflow, run=run, file=file)
    if as_json:
        typer.echo(json.dumps(found.as_dicts(), indent=1))
        return
    Console().print(found.render())


@app.command()
def sweep(
    *,
    workflow: WorkflowOption = None,
    older_than_hours: Annotated[
        float, typer.Option(help="Leave alone what is younger: a run may be about to commit it.", min=0)
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what no table needs: bronze of killed runs, bronze that was compacted, old snapshots, folders of dead tasks, unfinished uploads."""
    from flowforge_assets.cli.history import sweep_workflow

    swept = sweep_workflow(workflow, older_than_hours=older_than_hours, dry_run=dry_run)
    typer.echo(json.dumps(swept.as_dict(), indent=1) if as_json else str(swept))


@app.command()
def webhook(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything wider belongs behind a TLS proxy.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 3001,
) -> None:
    """Take signed files over HTTP into the landing of tables that declare `webhook`, until ended."""
    from flowforge_assets.cli.webhook import serve

    serve(host, port)


gate_app = typer.Typer(
    name="gate",
    no_args_is_help=True,
    help="Failed checks that hold tables: see them, waive them until a moment, take that back.",
)
app.add_typer(gate_app)
EdgeOption = Annotated[
    str | None,
    typer.Option("--for", help="Only for this table made from it; the failed table itself stays as it is."),
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides. Default: the user of this machine.")]
CheckedTable = Annotated[
    str, typer.Argument(metavar="TABLE", help="The table whose check fails, e.g. `retail/silver_orders`.")
]
Check = Annotated[str, typer.Argument(metavar="CHECK", help="Name of the check, as the UI shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence; kept for ever.")]


@gate_app.command("list")
def list_gates(*, workflow: WorkflowOption = None, as_json: JsonOption = False) -> None:
    """Show which checks fail and hold tables, which tables are held, and what is waived."""
    from flowforge_assets.cli.gate import shown

    found = shown(workflow)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
        return
    Console().print(found.render())


@gate_app.command()
def waive(
    table: CheckedTable,
    check: Check,
    *,
    reason: Reason,
    until: Annotated[
        str,
        typer.Option(
            "--until", help="A day (2026-12-01: to its end, UTC), a moment (2026-12-01T12:00) or a span (30 days)."
        ),
    ],
    edge: EdgeOption = None,
    by: ByOption = None,
) -> None:
    """Let a failed check not count until a moment: its table is published, and what is made from it goes on.

    Example: `flowforge gate waive retail/silver_orders unique_order_id --reason "known, ticket 7" --until 2026-12-01`
    """
    from flowforge_assets.cli.gate import waive as waive_it
    from flowforge_assets.gates.decisions import said

    typer.echo(f"From now on {said(waive_it(table, check, edge=edge, reason=reason, until=until, by=by))}")


@gate_app.command()
def revoke(table: CheckedTable, check: Check, *, reason: Reason, edge: EdgeOption = None, by: ByOption = None) -> None:
    """Take a waiver back: the check counts again from now on. What was published meanwhile stays."""
    from flowforge_assets.cli.gate import take_back
    from flowforge_assets.gates.decisions import said

    typer.echo(f"Taken back: {said(take_back(table, check, edge=edge, reason=reason, by=by))}")


@gate_app.command("history")
def gate_history(*, workflow: WorkflowOption = None, as_json: JsonOption = False) -> None:
    """Show when gates were shut and opened, and every waiver with who, why and until when; oldest first."""
    from flowforge_assets.cli.gate import as_line, history

    events = history(workflow)
    typer.echo(json.dumps(events, indent=1) if as_json else "\n".join(map(as_line, events)))


def main() -> None:
    """Run the tool; an error of ours, or in a workflow's YAML, is told on stderr, and exit code 1."""
    try:
        app()
    except Exception as error:
        if (said := _in_words(error)) is None:
            raise
        Console(stderr=True, soft_wrap=True).print(f"[bold red]flowforge:[/] {_escape(said)}", highlight=False)
        sys.exit(1)


def _in_words(error: BaseException | None) -> str | None:
    """What is wrong, of an error of ours and of one in a document, without what Dagster wraps around it; None of others."""
    if isinstance(error, FlowForgeError):
        return str(error)
    from dagster.components.core.component_tree import ComponentTreeException
    from pydantic import ValidationError

    in_document = isinstance(error, ComponentTreeException)
    while error is not None and not isinstance(error, FlowForgeError):
        if in_document and isinstance(error, ValidationError):
            lines = [line for line in str(error).splitlines() if "errors.pydantic.dev" not in line]
            return "\n".join(["the workflows cannot be loaded.", *lines])
        error = error.__cause__
    return None if error is None else str(error)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
