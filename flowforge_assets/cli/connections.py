"""What `flowforge connections` says: which there are, whether they work, what they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowforge_assets.catalog import UnknownNameError, documents
from flowforge_resources.errors import DefinitionError, FlowForgeError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.connection import ConnectionFields

connections = typer.Typer(
    name="connections", no_args_is_help=True, help="The declared databases: list, test, look into them."
)
HIDDEN = "(personal data)"
NameArgument = Annotated[str, typer.Argument(help="The connection's name.")]
TableArgument = Annotated[str, typer.Argument(help="The table, e.g. `orders` or `public.orders`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def declared_connections(defs: Path | None = None) -> dict[str, ConnectionFields]:
    """Every connection of the defs folder by name, read from the YAML alone.

    Raises:
        DefinitionError: one is declared wrongly; no value of it is in the message.
    """
    from pydantic import ValidationError

    from flowforge_resources.databases.connection import ConnectionFields

    found: dict[str, ConnectionFields] = {}
    for _, where, attributes in documents("Connection", defs):
        try:
            one = ConnectionFields(**_port_as_text(attributes))
        except ValidationError as error:
            said = error.errors(include_input=False, include_url=False)[0]
            raise DefinitionError(where, f"`{said['loc'][0]}`: {said['msg']}.", "Correct it.") from None
        for _, problem, fix in one.problems():
            raise DefinitionError(where, problem, fix)
        found[one.name] = one
    return found


def declared_personal(connection: str, table: TableName, defs: Path | None = None) -> frozenset[str]:
    """Columns of a database's table that some workflow declares `pii`, in small letters.

    A source that is a query counts for every table that its text names.
    """
    found: set[str] = set()
    for *_, attributes in documents("Table", defs):
        source = attributes.get("source")
        if isinstance(source, dict) and source.get("connection") == connection and _reads(source, table):
            personal = [one for one in attributes.get("columns") or () if isinstance(one, dict) and one.get("pii")]
            found |= {str(one.get(name)).lower() for one in personal for name in ("name", "source") if one.get(name)}
    return frozenset(found)


def _reads(source: dict[str, Any], table: TableName) -> bool:
    from flowforge_resources.databases.catalog import TableName

    if "query" in source:
        return table.name.lower() in str(source["query"]).lower()
    own = TableName.parse(str(source.get("table", "")))
    same = own.name.lower() == table.name.lower()
    return same and (None in (own.schema, table.schema) or str(own.schema).lower() == str(table.schema).lower())


def _port_as_text(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if name == "port" else value for name, value in attributes.items()}


def connection_of(name: str) -> ConnectionFields:
    """The connection of a name.

    Raises:
        UnknownNameError: there is none.
    """
    known = declared_connections()
    if name not in known:
        hint = did_you_mean(name, known) if known else " None is declared yet: see docs/databases.md."
        raise UnknownNameError(f"'{name}' is not a connection.{hint}")
    return known[name]


@connections.command("list")
def list_them(*, as_json: JsonOption = False) -> None:
    """List the declared connections. Secrets are shown as they are written: by reference."""
    said = [
        {
            "name": one.name,
            "kind": one.kind,
            "where": one.url or ":".join(str(part) for part in (one.host, one.port) if part) or "",
            "database": one.database or "",
            "user": one.user or "",
            "password": one.password or "",
            "read_only": one.read_only,
        }
        for one in declared_connections().values()
    ]
    _show(said, as_json=as_json, title="connections")


@connections.command("test")
def try_them(
    name: Annotated[str | None, typer.Argument(help="The connection's name; all of them where it is left out.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Connect, and say in words what is wrong. Exit code 1 where something is."""
    from flowforge_resources.databases.catalog import server_version

    chosen = [connection_of(name)] if name else list(declared_connections().values())
    said: list[dict[str, Any]] = []
    for one in chosen:
        try:
            version = server_version(one)
            said.append({"name": one.name, "works": True, "says": f"{one.its_kind.title} {version}"})
        except FlowForgeError as error:
            said.append({"name": one.name, "works": False, "says": str(error)})
    if as_json:
        typer.echo(json.dumps(said, indent=1))
    for one_said in [] if as_json else said:
        typer.echo(f"{one_said['name']}: {'works, ' if one_said['works'] else ''}{one_said['says']}")
    if not all(one["works"] for one in said):
        raise typer.Exit(1)


@connections.command()
def tables(name: NameArgument, *, as_json: JsonOption = False) -> None:
    """List the tables and views that the connection's user sees."""
    from flowforge_resources.databases.catalog import tables as tables_of

    found = [
        {"table": one.written, "kind": "view" if one.is_view else "table"} for one in tables_of(connection_of(name))
    ]
    _show(found, as_json=as_json, title=name)


@connections.command()
def columns(name: NameArgument, table: TableArgument, *, as_json: JsonOption = False) -> None:
    """List the columns of a table with their types."""
    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.catalog import columns as columns_of

    found = [
        {"column": one.name, "type": one.type, "null": "yes" if one.nullable else "no", "key": "key" if one.key else ""}
        for one in columns_of(connection_of(name), TableName.parse(table))
    ]
    _show(found, as_json=as_json, title=table)


@connections.command()
def preview(
    name: NameArgument,
    table: TableArgument,
    *,
    limit: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 10,
    show_pii: Annotated[bool, typer.Option("--show-pii", help="Show columns that a table declares personal.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the first rows of a table. They are real; what a workflow declares `pii` of them is hidden."""
    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.catalog import preview as preview_of

    wanted = TableName.parse(table)
    hidden = frozenset[str]() if show_pii else declared_personal(name, wanted)
    found = preview_of(connection_of(name), wanted, limit)
    rows = [
        {
            column: HIDDEN if column.lower() in hidden and value is not None else value
            for column, value in zip(found.columns, row, strict=True)
        }
        for row in found.rows
    ]
    _show(rows, as_json=as_json, title=table)


def _show(rows: list[dict[str, Any]], *, as_json: bool, title: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in rows[0] if rows else ():
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    Console(highlight=False).print(shown if rows else f"{title}: none")
