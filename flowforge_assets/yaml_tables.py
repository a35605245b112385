"""Tables as some YAML declares them, also YAML that no code location has loaded: a folder elsewhere, a file not deployed yet.

Belongs here: documents to specs. Does not: what a code location serves (`loading`), names alone (`catalog`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import UnknownNameError, declared_workflows, find_table, workflows
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flowforge_assets.components.table import Table
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.layout import TableId

_FILE = "defs.yaml"


def find_spec(name: str, workflow: str | None = None, defs: Path | None = None) -> TableSpec:
    """The table of a name such as `orders` or `retail.orders`, under a folder of workflows, or in a workflow's own.

    Raises:
        UnknownNameError: there is none, or there are several.
        DefinitionError: its YAML is wrong.
    """
    folder = defs or workflows()
    if (folder / _FILE).exists():
        folder, workflow = folder.parent, folder.name
    table = find_table(name, workflow, declared_workflows(folder))
    return spec_of(folder / table.workflow, table)


def spec_of(folder: Path, table: TableId, changed: Iterable[dict[str, Any]] = ()) -> TableSpec:
    """A table of a workflow's folder, with documents that stand in place of those of the same name.

    Raises:
        DefinitionError: the YAML is wrong.
        UnknownNameError: there is no such table.
    """
    tables = tables_of(folder, changed)
    if table.name not in tables:
        raise UnknownNameError(f"'{table.name}' is not a table of {table.workflow}.")
    return validated(tables[table.name], tables)


def validated(part: Table, tables: dict[str, Table]) -> TableSpec:
    """The spec of a table whose rules were checked as at definition time.

    Raises:
        DefinitionError: a rule is wrong.
    """
    part.validate_against(tables)
    spec = part.spec(tables)
    part.validate_rules(spec, tables)
    return spec


def tables_of(folder: Path, changed: Iterable[dict[str, Any]] = ()) -> dict[str, Table]:
    """The tables of a workflow's folder by name; `changed`: attributes of tables that replace or join them."""
    by_name = {str(one["name"]): one for one in [*_declared(folder), *changed]}
    return {name: _table(folder, attributes) for name, attributes in by_name.items()}


def require_table_yaml(attributes: dict[str, Any], where: str) -> None:
    """Check the attributes of a table that is in no workflow yet, as far as it needs no other.

    Raises:
        DefinitionError: they are wrong.
    """
    from pathlib import Path

    _table(Path(where), attributes)


def attributes_of(folder: Path, table: str) -> dict[str, Any]:
    """A table's attributes as written in a workflow's folder; there is one of that name."""
    return next(one for one in _declared(folder) if one["name"] == table)


def _declared(folder: Path) -> list[dict[str, Any]]:
    import yaml

    text = (folder / _FILE).read_text(encoding="utf-8")
    documents = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    return [one["attributes"] for one in documents if str(one.get("type", "")).endswith(".Table")]


def _table(folder: Path, attributes: dict[str, Any]) -> Table:
    from flowforge_assets.components.table import Table

    try:
        part: Table = Table.resolve_from_dict(attributes)
    except Exception as error:
        name = attributes.get("name", "?")
        raise DefinitionError(
            f"defs/{folder.name}/{_FILE}",
            f"table '{name}' cannot be read: {error}",
            "Correct it; `dg check yaml` says where it stands.",
        ) from error
    part.at_folder(folder)
    return part
