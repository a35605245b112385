"""Which workflows and tables are declared, read from the YAML alone: the command-line tool must start quickly."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flowforge_assets.bronze.landing_options import IGNORED, LandingOptions
from flowforge_resources.errors import FlowForgeError, did_you_mean
from flowforge_resources.layout import TableId
from flowforge_resources.settings import workflows_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where workflows lie if nothing else is said: the sample's among them.
OWN_FOLDER = Path(__file__).parent / "defs"


class UnknownNameError(FlowForgeError):
    """A workflow or table is named that is not declared."""


@dataclass(frozen=True)
class Declared:
    """One workflow: tables with the pattern of their files, models, `history` as written, by table; tables without landing.

    `landed`: which of its files a table ignores, by table.
    """

    name: str
    tables: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    history: dict[str, Any] = field(default_factory=dict)
    routed: tuple[str, ...] = ()
    landed: dict[str, LandingOptions] = field(default_factory=dict)


def workflows() -> Path:
    """The folder that has a folder for each workflow: `defs` of this package, or what `FLOWFORGE_WORKFLOWS` names.

    Raises:
        SettingError: it names no folder.
    """
    return workflows_folder(OWN_FOLDER)


def declared_workflows(defs: Path | None = None) -> dict[str, Declared]:
    """Every workflow folder, by name. Says nothing of whether the YAML is valid: `dg check defs` does."""
    found = (_read(file) for file in sorted((defs or workflows()).glob("*/defs.yaml")))
    return {one.name: one for one in found if one.tables or one.routed or one.models}


def documents(kind: str, defs: Path | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of each document of a kind, such as `Table`: its workflow, where it stands, and its attributes as written."""
    for file in sorted((defs or workflows()).glob("*/defs.yaml")):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if isinstance(document, dict) and str(document.get("type", "")).endswith(f".{kind}"):
                yield file.parent.name, f"defs/{file.parent.name}/{file.name}", document.get("attributes") or {}


def _read(file: Path) -> Declared:
    documents: list[Any] = [
        one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if isinstance(one, dict)
    ]
    declared = [one["attributes"] for one in documents if str(one.get("type", "")).endswith(".Table")]
    tables = [one for one in declared if not one.get("source_table") and not one.get("source")]
    routed = tuple(str(one["name"]) for one in declared if one.get("source_table") or one.get("source"))
    models = [one["attributes"] for one in documents if str(one.get("type", "")).endswith((".Model", ".DateDimension"))]
    patterns = {str(one["name"]): str(one.get("files", "*.csv")) for one in tables}
    landed = {str(one["name"]): LandingOptions(tuple(map(str, one.get("ignore", IGNORED)))) for one in tables}
    workflows = [one["attributes"] for one in documents if str(one.get("type", "")).endswith(".Workflow")]
    of_all = next((one.get("history") for one in workflows), None)
    history = {str(one["name"]): one.get("history") or of_all for one in declared}
    return Declared(file.parent.name, patterns, tuple(str(one["name"]) for one in models), history, routed, landed)


def find_workflow(name: str | None, known: dict[str, Declared]) -> Declared:
    """The workflow of that name, or the only one where none is named.

    Raises:
        UnknownNameError: there is none, or there are several to choose from.
    """
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise UnknownNameError(f"There are {len(known)} workflows; say which with --workflow.{did_you_mean('', known)}")
    if name not in known:
        raise UnknownNameError(
            f"'{name}' is not a workflow.{did_you_mean(name, known)} Workflows are the folders of {workflows()}."
        )
    return known[name]


def find_table(name: str, workflow: str | None, known: dict[str, Declared]) -> TableId:
    """The table of a name such as `customers` or `retail.customers`.

    Raises:
        UnknownNameError: there is none, or there are several workflows to choose from.
    """
    before, _, table = name.rpartition(".")
    declared = find_workflow(before or workflow, known)
    if table not in declared.tables and table not in declared.routed:
        models = f" '{table}' is a gold model, which has no history." if table in declared.models else ""
        raise UnknownNameError(
            f"'{table}' is not a table of {declared.name}.{models or did_you_mean(table, [*declared.tables, *declared.routed])}"
        )
    return TableId(declared.name, table)


def require_table(workflow: Declared, table: str) -> str:
    """The pattern of a table's files.

    Raises:
        UnknownNameError: the workflow has no such table.
    """
    if table in workflow.routed:
        raise UnknownNameError(
            f"'{table}' has no landing: its rows come from a database, or another table of {workflow.name} routes them to it. Nothing was uploaded."
        )
    if table not in workflow.tables:
        raise UnknownNameError(
            f"'{table}' is not a table of {workflow.name}. Nothing was uploaded.{did_you_mean(table, workflow.tables)}"
        )
    return workflow.tables[table]


def require_match(workflow: Declared, table: str, file_name: str) -> None:
    """The file's name is one the table takes.

    Raises:
        UnknownNameError: it is not, and would lie in landing unread.
    """
    pattern = require_table(workflow, table)
    if by := workflow.landed[table].ignored_by(file_name):
        raise UnknownNameError(
            f"'{file_name}' matches `{by}`, which {workflow.name}.{table} ignores. Nothing was uploaded. Rename it with --as, or change `ignore` in the YAML."
        )
    if not fnmatchcase(file_name, pattern):
        takers = [name for name, other in workflow.tables.items() if fnmatchcase(file_name, other)]
        hint = f" It fits {', '.join(takers)}." if takers else ""
        raise UnknownNameError(
            f"'{file_name}' does not match `{pattern}`, the files of {workflow.name}.{table}. Nothing was uploaded.{hint} Rename it with --as, or change `files` in the YAML."
        )
