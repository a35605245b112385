"""From a folder of workflows to Dagster definitions, with the resources every code location needs."""

from __future__ import annotations

import gc
import sys
import warnings
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PydanticDeprecatedSince20

from flowforge_assets.backtest.job import build_backtest_job
from flowforge_assets.gates.decisions import DeclaredGates
from flowforge_assets.gates.jobs import build_gate_jobs
from flowforge_assets.running.executor import quick_executor
from flowforge_resources.default_resources import default_resources

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


def load_workflows(defs: ModuleType, project: Path) -> dg.Definitions:
    """Every workflow under a `defs` package, as it lies in a project's folder.

    Builds from the defs folder itself: `load_from_defs_folder` also imports every installed package that offers
    components, to describe them, and with dagster-aws among them that takes ten times as long as all the rest.

    Raises:
        flowforge_resources.errors.DefinitionError: naming file, line and fix.
    """
    collect_garbage_seldom()
    tree = dg.ComponentTree.from_module(defs_module=defs, project_root=project)
    with warnings.catch_warnings():
        # What Dagster says of its own use of its own parts.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", PydanticDeprecatedSince20)
        found = tree.build_defs_at_path(tree.defs_module_path)
    jobs = [*build_gate_jobs(lambda: DeclaredGates.of(tree)), build_backtest_job(tree.defs_module_path)]
    ours = dg.Definitions(resources=default_resources(), executor=quick_executor, component_tree=tree, jobs=jobs)
    merged = dg.Definitions.merge(found, ours)
    _keep_for_good()
    return merged


def package_of(folder: Path) -> ModuleType:
    """A folder of workflows as the package that Dagster asks for, wherever it lies and without an `__init__.py`.

    Python files of a workflow, such as assets of your own, can be imported as `flowforge_workflows.<workflow>.<file>`.
    """
    spec = ModuleSpec("flowforge_workflows", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    package = sys.modules[spec.name] = module_from_spec(spec)
    return package


def collect_garbage_seldom() -> None:
    """Look for cycles after 50,000 new objects, not 700: a run makes many, that all live to its end."""
    if gc.get_threshold()[0] < ALLOCATIONS_BETWEEN_COLLECTIONS:
        gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS, 20, 100)


@cache
def _keep_for_good() -> None:
    """What is there after a first load lives to the end of the process: no look for cycles walks it again.

    The last one, when the interpreter ends, cost a run a second. Engines are imported later, and are cleared up then:
    DuckDB complains on stderr of what is not.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()
