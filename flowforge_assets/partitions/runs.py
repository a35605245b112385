"""Runs that choose no partition, of jobs with partitioned tables: what Dagster 1.13 stops short of.

The normal run of a workflow takes whatever is new and writes whichever partitions that touches; partitions are chosen
only to make them anew. Dagster runs a partitioned asset without a partition gladly, with two exceptions, and this module
holds both remedies. They lean on private parts of Dagster, whose shape `tests/test_partitioned_runs.py` pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster._core.definitions.assets.job.asset_job import build_asset_job, get_asset_graph_for_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution.context.system import StepExecutionContext

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph


class MixedPartitionsJob(UnresolvedAssetJobDefinition):
    """An asset job over tables that are partitioned in different ways, which `define_asset_job` refuses.

    Dagster's own implicit job of all assets is made like this.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Any = None,
    ) -> dg.JobDefinition:
        """The job; whoever chooses partitions chooses the tables of one way of partitioning, too."""
        graph = get_asset_graph_for_job(asset_graph, self.selection, allow_different_partitions_defs=True)
        return build_asset_job(
            self.name,
            asset_graph=graph,
            config=self.config,
            description=self.description,
            tags=self.tags,
            executor_def=self.executor_def or default_executor_def,
            resource_defs=resource_defs,
            allow_different_partitions_defs=True,
        )


_as_dagster_has_it = StepExecutionContext.asset_partitions_subset_for_input


def _subset_for_input(self: StepExecutionContext, input_name: str, **options: Any) -> Any:
    """Which partitions of an input a step reads; in a run that chose none, none is chosen of the input either."""
    if self.has_partitions or self.entity_partitions_def is None:
        return _as_dagster_has_it(self, input_name, **options)
    upstream = self.job_def.asset_layer.get_asset_key_for_node_input(self.node_handle, input_name)
    listed = self.job_def.asset_layer.get(upstream).partitions_def if upstream else None
    if listed is None:
        return _as_dagster_has_it(self, input_name, **options)
    return listed.empty_subset()


def let_partitioned_tables_read_each_other() -> None:
    """Let a partitioned asset that depends on another run without a partition; harmless to repeat.

    Dagster asks which partitions of the input the step's partition maps to, only to note the input's data version, and
    fails where the run has none.
    """
    StepExecutionContext.asset_partitions_subset_for_input = _subset_for_input  # type: ignore[method-assign]
