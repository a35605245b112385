"""Partitioned tables in real Dagster runs: with no partition chosen, with some, from sensor, job and backfill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.job.asset_job import build_asset_job, get_asset_graph_for_job
from dagster._core.execution.context.system import StepExecutionContext

from flowforge_assets.cli.query import run_query
from flowforge_resources.io_managers import LakeResource
from scenario import QUIET, checks, failures, land, load, rows_of
from test_yaml import everything_said, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

# Four ways of cutting in one workflow; a partitioned table that refers to a partitioned one; a model over both.
YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns:
        - {name: id}
        - {name: day, type: date}
        - {name: total, type: integer}
      keys: [id]
      rules:
        - {rule: range, column: total, min: 0}
        - {rule: unique, columns: [id], action: keep}
        - {rule: unique, columns: [total], name: totals_differ, action: keep, severity: warn}
      partition_by: {column: day, every: day, start: 2026-01-01, end_offset: 1}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: lines
      columns:
        - {name: id}
        - {name: order_id}
        - {name: country}
      keys: [id]
      rules:
        - {rule: references, column: order_id, table: orders, to: id}
      partition_by: {column: country}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: regions
      columns: [{name: id}, {name: side}]
      keys: [id]
      partition_by: {column: side, values: [east, west], backfill: multi_run, max_partitions_per_run: 7}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      columns: [{name: id}]
      keys: [id]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: fact, keys: [id], automation: eager}
"""
SQL = {"fact": "SELECT l.id, o.day, o.total FROM lines AS l JOIN orders AS o ON o.id = l.order_id"}
DAY1 = {
    "orders/1.csv": "id,day,total\no1,2026-01-01,10\no2,2026-01-02,20\no3,2026-01-02,-1\n",
    "lines/1.csv": "id,order_id,country\nl1,o1,DE\nl2,o2,FR\nl3,o9,DE\n",
    "regions/1.csv": "id,side\nr1,east\nr2,north\n",
    "people/1.csv": "id\np1\n",
}
DAY2 = {
    "orders/2.csv": "id,day,total\no1,2026-01-03,11\n",
    "lines/2.csv": "id,order_id,country\nl4,o1,IT\n",
}
ORDERS, LINES = dg.AssetKey(["shop", "silver_orders"]), dg.AssetKey(["shop", "silver_lines"])
FACT = dg.AssetKey(["shop", "fact"])


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return load(tmp_path_factory.mktemp("project"), YAML, **SQL)


def run_job(defs: dg.Definitions, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    """The workflow's job, which must succeed."""
    job = defs.resolve_job_def("shop")
    result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET, **options)
    assert result.success, failures(result)
    return result


def events(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str | None, dict[str, Any]]:
    """Metadata of each materialization event of an asset, by partition."""
    found = [event.materialization for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {one.partition: {name: value.value for name, value in one.metadata.items()} for one in found}


def rows(sql: str) -> list[tuple[Any, ...]]:
    return list(run_query(sql).rows)


def test_the_job_takes_what_is_new_and_notes_every_partition_it_touched(lake: Lake, defs: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        land(lake, "shop", DAY1)
        first = run_job(defs, instance)
        assert set(events(first, ORDERS)) == {None, "2026-01-01", "2026-01-02"}
        assert set(events(first, LINES)) == {None, "DE", "FR"}
        assert instance.get_dynamic_partitions("shop_lines") == ["DE", "FR"]
        assert rows("SELECT id FROM shop.lines ORDER BY id") == [("l1",), ("l2",)], "o9 is in no partition of orders"
        assert rows("SELECT id FROM shop.regions") == [("r1",)]
        assert [row["_row_number"] for row in rows_of(lake, "quarantine/shop/regions/current.parquet")] == [2]

        land(lake, "shop", DAY2)
        second = run_job(defs, instance)
        noted = events(second, ORDERS)
        assert {key: said.get("dagster/row_count") for key, said in noted.items()} == {
            None: 2,
            "2026-01-01": 0,
            "2026-01-03": 1,
        }
        assert noted[None]["partitions_searched"] == 1
        assert instance.get_materialized_partitions(ORDERS) == {"2026-01-01", "2026-01-02", "2026-01-03"}
        assert instance.get_materialized_partitions(LINES) == {"DE", "FR", "IT"}
        assert len(rows("FROM shop.fact")) == 3

        third = run_job(defs, instance)
        assert set(events(third, ORDERS)) == {None}
        assert events(third, ORDERS)[None]["changed"] is False


def test_a_check_says_in_which_partitions_the_broken_rows_are(lake: Lake, defs: dg.Definitions) -> None:
    land(lake, "shop", DAY1 | {"orders/9.csv": "id,day,total\no9,2026-01-02,10\n"})
    with dg.DagsterInstance.ephemeral() as instance:
        found = checks(run_job(defs, instance))
    table = found["silver_orders", "range_total"].metadata["partitions"]
    said = [record.data for record in table.value.records]
    assert said == [{"partition": "2026-01-02", "rows_broken": 1}]
    assert found["silver_regions", "partition"].metadata["rows_broken"].value == 1
    assert found["silver_orders", "unique_id"].passed
    alike = found["silver_orders", "totals_differ"].metadata["partitions"]
    assert [record.data for record in alike.value.records] == [
        {"partition": "2026-01-01", "rows_broken": 1},
        {"partition": "2026-01-02", "rows_broken": 1},
    ], "also of a rule about rows beside each other"


def test_chosen_partitions_are_made_anew_alone_one_or_a_range(lake: Lake, defs: dg.Definitions) -> None:
    land(lake, "shop", DAY1)
    with dg.DagsterInstance.ephemeral() as instance:
        run_job(defs, instance)
        land(lake, "shop", DAY2)
        run_job(defs, instance)
        everything = rows("SELECT id, day, total FROM shop.orders ORDER BY ALL")
        versions = {one.key for one in lake.objects("silver/shop/orders/") if "/archive/" in one.key}

        def chosen(**how: Any) -> dict[str | None, dict[str, Any]]:
            result = dg.materialize(
                list(defs.assets or ()),
                selection=[ORDERS],
                instance=instance,
                resources=defs.resources,
                run_config=QUIET,
                raise_on_error=False,
                **how,
            )
            assert result.success, failures(result)
            return events(result, ORDERS)

        one = chosen(partition_key="2026-01-02")
        assert {key: said["dagster/row_count"] for key, said in one.items()} == {"2026-01-02": 1}
        window = {
            "dagster/asset_partition_range_start": "2026-01-01",
            "dagster/asset_partition_range_end": "2026-01-04",
        }
        several = chosen(tags=window)
        assert {key: said["dagster/row_count"] for key, said in several.items()} == {
            "2026-01-01": 0,
            "2026-01-02": 1,
            "2026-01-03": 1,
            "2026-01-04": 0,
        }
        assert rows("SELECT id, day, total FROM shop.orders ORDER BY ALL") == everything
        written = {one.key for one in lake.objects("silver/shop/orders/") if "/archive/" in one.key} - versions
        assert len([key for key in written if "/2026-01-02/" in key]) == 2


def test_the_sensor_asks_for_a_run_without_partitions_and_that_run_works(lake: Lake, defs: dg.Definitions) -> None:
    land(lake, "shop", DAY1)
    with dg.DagsterInstance.ephemeral() as instance:
        repository = defs.get_repository_def()
        sensor = repository.get_sensor_def("shop_landing")
        resources = {"lake": LakeResource()}
        with dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources) as context:
            (request,) = sensor.evaluate_tick(context).run_requests or ()
        assert request.partition_key is None
        result = run_job(defs, instance, asset_selection=list(request.asset_selection or ()), tags=request.tags)
    assert set(events(result, LINES)) == {None, "DE", "FR"}


def test_an_eager_model_is_rebuilt_although_no_row_came_for_some_days(lake: Lake, defs: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        cursor: object = None

        def tick() -> bool:
            nonlocal cursor
            said = dg.evaluate_automation_conditions(
                defs=defs, instance=instance, cursor=cursor, asset_selection=dg.AssetSelection.assets(FACT)
            )
            cursor = said.cursor
            return said.get_num_requested(FACT) > 0

        tick()
        land(lake, "shop", DAY1)
        chosen = [key for key in defs.resolve_job_def("shop").asset_layer.executable_asset_keys if key != FACT]
        run_job(defs, instance, asset_selection=chosen)
        assert tick()


def test_how_dagster_lists_and_backfills_is_as_declared(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    regions = graph.get(dg.AssetKey(["shop", "silver_regions"]))
    assert regions.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=7)
    assert regions.partitions_def == dg.StaticPartitionsDefinition(["east", "west"])
    assert graph.get(ORDERS).backfill_policy == dg.BackfillPolicy.single_run()
    assert graph.get(dg.AssetKey(["shop", "silver_people"])).partitions_def is None
    assert isinstance(graph.get(LINES).partitions_def, dg.DynamicPartitionsDefinition)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("column: day, every", "column: dya, every", "names the column 'dya', which is not declared"),
        ("column: day, every", "column: total, every", "'total' is integer, not a date or timestamp"),
        ("every: day", "every: hour", "cuts by hour, and 'day' is a date"),
        ("start: 2026-01-01", "start: soon", "'soon', which is no date"),
        ("every: day, start", "evry: day, start", "evry"),
        ("keys: [id]\n      rules:", "strategy: append\n      rules:", "`strategy: append` without `keys`"),
        ("keys: [id]\n      rules:", "keys: [id]\n      automation: eager\n      rules:", "and `automation: eager`"),
    ],
)
def test_a_wrong_partitioning_is_found_when_the_workflow_is_loaded(
    tmp_path: Path, old: str, new: str, wrong: str
) -> None:
    assert old in YAML
    assert wrong in refusal(tmp_path, YAML.replace(old, new, 1), **SQL)


def test_what_this_leans_on_in_dagster_is_as_it_was() -> None:
    """Private parts of Dagster 1.13 that `partitioned_runs` uses; if this fails, look at that module first."""
    assert get_asset_graph_for_job.__code__.co_varnames[:3] == (
        "parent_asset_graph",
        "selection",
        "allow_different_partitions_defs",
    )
    assert "allow_different_partitions_defs" in build_asset_job.__code__.co_varnames
    assert isinstance(StepExecutionContext.has_partitions, property)
    assert hasattr(StepExecutionContext, "entity_partitions_def")

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a"]))
    def one() -> None: ...

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["b"]))
    def other() -> None: ...

    refused = dg.Definitions(assets=[one, other], jobs=[dg.define_asset_job("both", "*")])
    with pytest.raises(dg.DagsterInvalidDefinitionError) as caught:
        refused.resolve_job_def("both")
    assert "must have the same partitions definitions" in everything_said(caught.value)
