"""`flowforge contract`: tables as data contracts of the Open Data Contract Standard, and such contracts as tables."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations at runtime
from typing import Annotated

import typer

contract = typer.Typer(
    name="contract", no_args_is_help=True, help="Data contracts (Open Data Contract Standard 3.1): export and import."
)


@contract.command("export")
def export_contract(
    table: Annotated[str, typer.Argument(help="The table, e.g. `orders` or `retail.orders`.")],
    *,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", help="The workflow; not needed where there is only one.")
    ] = None,
) -> None:
    """Print a table's contract: columns, keys, rules, freshness, owners, checked by the official schema.

    Example: `flowforge contract export orders > orders.odcs.yaml`
    """
    from flowforge_assets.odcs.files import export_table
    from flowforge_resources.lake import Lake

    typer.echo(export_table(table, workflow, Lake().url), nl=False)


@contract.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="An ODCS file.", exists=True, dir_okay=False)],
    *,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write it there, e.g. defs/shop/defs.yaml; a file that is there gets it at its end."),
    ] = None,
) -> None:
    """Print a contract as tables of a workflow's YAML; what has no equivalent is listed on stderr."""
    from flowforge_assets.odcs.files import import_contract

    found = import_contract(file)
    if to is None:
        typer.echo(found.text, nl=False)
    else:
        before = to.read_text(encoding="utf-8").rstrip("\n") + "\n---\n" if to.exists() else ""
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(before + found.text, encoding="utf-8")
        typer.echo(f"wrote {', '.join(found.tables)} to {to}", err=True)
    for one in found.not_taken:
        typer.echo(f"not taken: {one}", err=True)
