"""ODCS files: written of a declared table, read into the YAML of a workflow; both checked by the official schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_table, workflows
from flowforge_assets.odcs.tables import from_contract, to_contract
from flowforge_assets.yaml_tables import attributes_of, require_table_yaml, spec_of
from flowforge_checks.contracts import ContractError
from flowforge_checks.odcs.official import require_valid

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_checks.odcs.metrics import Written
    from flowforge_resources.layout import TableId


@dataclass(frozen=True)
class Imported:
    """A workflow's YAML made of a contract, and what of the contract has no equivalent in it."""

    text: str
    tables: tuple[str, ...]
    not_taken: tuple[str, ...]


def export_table(table: str, workflow: str | None, lake_url: str, *, defs: Path | None = None) -> str:
    """A declared table as an ODCS document, in YAML. Its version changes when what is declared does.

    Raises:
        UnknownNameError: there is no such table.
        DefinitionError: its YAML is wrong.
    """
    defs = defs or workflows()
    named = find_table(table, workflow, declared_workflows(defs))
    folder = defs / named.workflow
    spec = spec_of(folder, named)
    version = f"1.0.0+{spec.fingerprint}"
    document = to_contract(_plain(attributes_of(folder, named.name)), named.workflow, _server(lake_url, named), version)
    require_valid(document, f"the contract of {named}")
    return _as_yaml(document)


def _server(lake_url: str, table: TableId) -> Written:
    where = f"{lake_url.removeprefix('file://')}/{table.current}"
    scheme = lake_url.partition("://")[0] if "://" in lake_url else "file"
    if scheme in ("s3", "az"):
        return {"server": "lake", "type": {"s3": "s3", "az": "azure"}[scheme], "location": where, "format": "parquet"}
    if scheme == "file":
        return {"server": "lake", "type": "local", "path": where, "format": "parquet"}
    return {"server": "lake", "type": "custom", "location": where, "format": "parquet"}


def import_contract(file: Path) -> Imported:
    """An ODCS file as the YAML of a workflow, every table of which was read as definitions are.

    Raises:
        ContractError: it is no contract of version 3, or says nothing of a table.
        DefinitionError: what it says cannot be a table.
    """
    import yaml

    try:
        given: Any = _plain(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ContractError(f"{file} is no YAML: {error}") from error
    if not isinstance(given, dict) or not str(given.get("apiVersion", "")).startswith("v3."):
        raise ContractError(f"{file} is no ODCS contract of version 3: `apiVersion` is missing or another.")
    require_valid(given, str(file))
    tables, not_taken = from_contract(given)
    if not tables:
        raise ContractError(f"{file} has no `schema`, so there is no table to declare.")
    for attributes in tables:
        require_table_yaml(attributes, str(file))
    documents = [{"type": "flowforge_assets.components.Table", "attributes": one} for one in tables]
    text = "---\n".join(_as_yaml(one) for one in documents)
    return Imported(text, tuple(one["name"] for one in tables), tuple(not_taken))


def _as_yaml(document: Written) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any) -> Any:
    """As JSON has it: YAML's own dates are the texts that were written."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value
