"""From a folder of workflows to Dagster definitions, with the resources every code location needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.jobs import quick_executor
from flowforge_resources.io_managers import default_resources

if TYPE_CHECKING:
    from pathlib import Path


def load_workflows(project: Path) -> dg.Definitions:
    """Every workflow under the `defs` folder of the project a path lies in.

    Raises:
        flowforge_resources.errors.DefinitionError: naming file, line and fix.
    """
    found = dg.load_from_defs_folder(path_within_project=project)
    return dg.Definitions.merge(found, dg.Definitions(resources=default_resources(), executor=quick_executor))
