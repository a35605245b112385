"""The commands of `flowforge quarantine` and their options; what they do is in the modules they call."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations at runtime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from flowforge_assets.quarantine.deciding import Recorded
    from flowforge_assets.quarantine.waiting import Selection, Waiting
    from flowforge_resources.decisions import Decision
    from flowforge_resources.lake import Lake

quarantine_app = typer.Typer(
    name="quarantine",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Rows that broke a rule: see them, fix them, let them back in, leave them out. Every decision is kept, with who and why.",
)
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Ids, or their first letters.")]
TableOption = Annotated[
    str | None, typer.Option("--table", "-t", help="The table; not needed where ids say which rows.")
]
WorkflowOption = Annotated[str | None, typer.Option("--workflow", "-w", help="Look only there.")]
RuleOption = Annotated[str, typer.Option("--rule", help="Rows that break this rule.")]
FileOption = Annotated[str, typer.Option("--file", help="Rows that landed in this file.")]
WhereOption = Annotated[
    str, typer.Option("--where", help="Rows for which this SQL holds, over the columns that landed, as text.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All rows of the table that wait.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence; kept for ever.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides. Default: the user of this machine.")]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="What lands later is judged anew: a day (2026-12-01), a moment or a span (30 days). Default: for ever.",
    ),
]
RunOption = Annotated[bool, typer.Option("--run", help="Run silver and what is made from it now, in this process.")]
PiiOption = Annotated[bool, typer.Option("--show-pii", help="Show personal data too.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _chosen(
    ids: list[str] | None, rule: str = "", file: str = "", where: str = "", *, everything: bool = False
) -> Selection:
    from flowforge_assets.quarantine.waiting import Selection

    chosen = Selection(tuple(ids or ()), rule, file, where, everything=everything)
    if chosen.says_nothing:
        raise typer.BadParameter("say which rows: ids, --rule, --file, --where, or --all")
    return chosen


def _found(workflow: str | None, table: str | None, chosen: Selection) -> tuple[Lake, Waiting]:
    """The lake, and the chosen rows that wait on it."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_resources.lake import Lake

    lake = Lake()
    return lake, shown.choose(lake, shown.specs_of(shown.declared(), workflow), table, chosen)


def _done(recorded: Recorded, *, as_json: bool) -> None:
    from flowforge_assets.quarantine.trail import tell

    tell(recorded)
    typer.echo(json.dumps(recorded.as_dict(), indent=1) if as_json else str(recorded))


def _release_again(lake: Lake, chosen: Waiting, decision: Decision, *, as_json: bool) -> None:
    """Release what was just prepared: it is looked up again, as it waits now."""
    from flowforge_assets.cli.quarantine import waiting_again
    from flowforge_assets.quarantine.deciding import release

    _done(release(lake, waiting_again(lake, chosen), decision), as_json=as_json)


def _run(recorded: Recorded) -> None:
    from flowforge_assets.cli.quarantine import declared
    from flowforge_assets.quarantine.taking_in import take_in

    typer.echo(f"Taken in by run {take_in(declared(), recorded.spec.id)}.")


@quarantine_app.command("list")
def list_rows(
    table: Annotated[str | None, typer.Argument(help="The table. Default: how many wait in each.")] = None,
    *,
    workflow: WorkflowOption = None,
    rule: RuleOption = "",
    file: FileOption = "",
    where: WhereOption = "",
    limit: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 40,
    show_pii: PiiOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show which rows wait, and why.

    Example: `flowforge quarantine list orders --rule quantity_in_range`
    """
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine.waiting import Selection, waiting
    from flowforge_resources.lake import Lake

    specs, lake = shown.specs_of(shown.declared(), workflow), Lake()
    if table is None:
        found = shown.overview(lake, specs)
        Console().print(shown.render_overview(found)) if not as_json else typer.echo(json.dumps(found, indent=1))
        return
    chosen = Selection((), rule, file, where, everything=True)
    listed = shown.Listed(waiting(lake, shown.spec_of(specs, table), chosen), show_pii)
    if as_json:
        typer.echo(json.dumps(listed.as_dicts(), indent=1))
        return
    Console().print(listed.render(limit))


@quarantine_app.command()
def show(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids, or their first letters.")],
    *,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    show_pii: PiiOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything of some rows: text, reasons, where they landed, what was decided."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_resources.lake import Lake

    found = shown.choose(Lake(), shown.specs_of(shown.declared(), workflow), table, _chosen(ids))
    listed = shown.Listed(found, show_pii)
    if as_json:
        typer.echo(json.dumps(listed.as_dicts(), indent=1))
        return
    Console(highlight=False).print(listed.render_rows())


@quarantine_app.command()
def fix(
    ids: Ids = None,
    *,
    values: Annotated[list[str], typer.Option("--set", metavar="COLUMN=VALUE", help="The right text; again for more.")],
    reason: ReasonOption,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    rule: RuleOption = "",
    file: FileOption = "",
    where: WhereOption = "",
    everything: AllOption = False,
    by: ByOption = None,
    release: Annotated[bool, typer.Option("--release", help="And release them.")] = False,
    run: RunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Correct the text of rows. They wait on, until they are released.

    Example: `flowforge quarantine fix 3f2a91 --set quantity=12 --reason "typo, confirmed by the shop" --release`
    """
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding

    lake, chosen = _found(workflow, table, _chosen(ids, rule, file, where, everything=everything))
    done = deciding.fix(lake, chosen, shown.parse_set(values), shown.decision(by, reason))
    _done(done, as_json=as_json)
    if release or run:
        _release_again(lake, chosen, shown.decision(by, reason), as_json=as_json)
    if run:
        _run(done)


@quarantine_app.command()
def waive(
    ids: Ids = None,
    *,
    reason: ReasonOption,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="The rule they may break, and the rows that do. Default: all they break."),
    ] = None,
    file: FileOption = "",
    where: WhereOption = "",
    everything: AllOption = False,
    until: UntilOption = None,
    by: ByOption = None,
    release: Annotated[bool, typer.Option("--release", help="And release them.")] = False,
    run: RunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let rows break rules. They wait on, until they are released.

    Example: `flowforge quarantine waive --table orders --rule quantity_in_range --file orders_7.csv --reason "bulk order" --release`
    """
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding

    rules = rule or []
    first = rules[0] if rules else ""
    lake, chosen = _found(workflow, table, _chosen(ids, first, file, where, everything=everything))
    done = deciding.waive(lake, chosen, rules, shown.decision(by, reason, until))
    _done(done, as_json=as_json)
    if release or run:
        _release_again(lake, chosen, shown.decision(by, reason), as_json=as_json)
    if run:
        _run(done)


@quarantine_app.command()
def release(
    ids: Ids = None,
    *,
    reason: ReasonOption,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    rule: RuleOption = "",
    file: FileOption = "",
    where: WhereOption = "",
    everything: AllOption = False,
    prepared: Annotated[bool, typer.Option("--prepared", help="Only those that were fixed or waived.")] = False,
    until: UntilOption = None,
    by: ByOption = None,
    run: RunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let rows back in: the next run judges them again, as fixed and waived, and merges those that pass.

    Example: `flowforge quarantine release --table orders --all --prepared --reason "checked" --run`
    """
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding

    lake, chosen = _found(workflow, table, _chosen(ids, rule, file, where, everything=everything or prepared))
    chosen = deciding.prepared(chosen) if prepared else chosen
    done = deciding.release(lake, chosen, shown.decision(by, reason, until))
    _done(done, as_json=as_json)
    if run:
        _run(done)


@quarantine_app.command()
def discard(
    ids: Ids = None,
    *,
    reason: ReasonOption,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    rule: RuleOption = "",
    file: FileOption = "",
    where: WhereOption = "",
    everything: AllOption = False,
    until: UntilOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave rows out. They stay in bronze, and the decision in the trail."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding

    lake, chosen = _found(workflow, table, _chosen(ids, rule, file, where, everything=everything))
    _done(deciding.discard(lake, chosen, shown.decision(by, reason, until)), as_json=as_json)


@quarantine_app.command()
def restore(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids, or their first letters.")],
    *,
    reason: ReasonOption,
    table: TableOption = None,
    workflow: WorkflowOption = None,
    by: ByOption = None,
    run: RunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Undo a discard: the next run judges the rows again, and those it holds wait."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding
    from flowforge_resources.lake import Lake

    lake, specs = Lake(), shown.specs_of(shown.declared(), workflow)
    spec = shown.spec_of_discarded(lake, specs, table, ids)
    done = deciding.restore(lake, spec, ids, shown.decision(by, reason))
    _done(done, as_json=as_json)
    if run:
        _run(done)


@quarantine_app.command()
def books(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its first letters.")],
    *,
    workflow: WorkflowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of the rows a run put into quarantine: released by which run, discarded, or waiting."""
    from flowforge_assets.catalog import declared_workflows, find_workflow
    from flowforge_assets.quarantine.books import held_by
    from flowforge_resources.lake import Lake

    name = workflow or find_workflow(None, declared_workflows()).name
    found = held_by(Lake(), name, run)
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=1))
        return
    typer.echo("\n".join(map(str, found)) or "It put no row into quarantine.")


@quarantine_app.command("export")
def export_rows(
    table: Annotated[str, typer.Argument(help="The table.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="`….csv` or `….xlsx`.")],
    workflow: WorkflowOption = None,
    rule: RuleOption = "",
    file: FileOption = "",
    where: WhereOption = "",
    show_pii: PiiOption = False,
) -> None:
    """Write rows that wait to a file, to be corrected there and imported."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine.corrections import export
    from flowforge_assets.quarantine.waiting import Selection, waiting
    from flowforge_resources.lake import Lake

    spec = shown.spec_of(shown.specs_of(shown.declared(), workflow), table)
    rows = export(waiting(Lake(), spec, Selection((), rule, file, where, everything=True)), to, show_pii=show_pii)
    typer.echo(f"{spec.id}: {rows:,} rows written to {to}.")


@quarantine_app.command("import")
def import_rows(
    file: Annotated[Path, typer.Argument(help="A file that `export` wrote.", exists=True, dir_okay=False)],
    *,
    table: Annotated[str, typer.Option("--table", "-t", help="The table.")],
    reason: ReasonOption,
    workflow: WorkflowOption = None,
    by: ByOption = None,
    release: Annotated[bool, typer.Option("--release", help="And release the corrected rows.")] = False,
    run: RunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the corrections in an exported file as fixes: every cell that differs. All of them, or none."""
    from flowforge_assets.cli import quarantine as shown
    from flowforge_assets.quarantine import deciding
    from flowforge_assets.quarantine.corrections import read_corrections
    from flowforge_resources.lake import Lake

    lake, spec = Lake(), shown.spec_of(shown.specs_of(shown.declared(), workflow), table)
    chosen, fixes = read_corrections(lake, spec, file)
    done = deciding.fix_each(lake, chosen, fixes, shown.decision(by, reason))
    _done(done, as_json=as_json)
    if release or run:
        _release_again(lake, chosen, shown.decision(by, reason), as_json=as_json)
    if run:
        _run(done)
