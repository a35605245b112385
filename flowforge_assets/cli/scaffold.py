"""What `flowforge scaffold` does: a connection's tables as the YAML of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.catalog import workflows
from flowforge_assets.cli.connections import connection_of
from flowforge_resources.errors import FlowForgeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ScaffoldError(FlowForgeError):
    """The workflow is there already."""


def scaffold(connection: str, tables: Sequence[str]) -> str:
    """The YAML of a workflow that extracts tables of a connection."""
    from flowforge_assets.extraction.reflected import reflect
    from flowforge_assets.extraction.scaffold import workflow_yaml

    declared = connection_of(connection)
    dialect, found = reflect(declared, tables)
    return workflow_yaml(declared, dialect, found)


def write_workflow(workflow: str, text: str, defs: Path | None = None) -> Path:
    """Write a new workflow's `defs.yaml`; an existing one is never touched.

    Raises:
        ScaffoldError: there is one.
    """
    file = (defs or workflows()) / workflow / "defs.yaml"
    if file.exists():
        raise ScaffoldError(
            f"{file} is there already and was left alone. Name another with --workflow, or use --print."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
