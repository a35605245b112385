"""The landing sensor asks for one run for all that is new, and not again while that is being done.

What it does after failures, and how it goes through large folders in bounded ticks, is in `test_discovery`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from flowforge_assets.catalog import Declared
from flowforge_assets.cli import status
from flowforge_resources.io_managers import LakeResource
from scenario import QUIET, SHOP_DAY1, land, shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagster._core.definitions.sensor_definition import SensorExecutionData

    from flowforge_resources.lake import Lake


class Watched:
    """A lake, the workflow's definitions and an instance: what the daemon brings together."""

    def __init__(self, lake: Lake, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.lake, self.instance = lake, instance
        self.repository = defs.get_repository_def()
        self.job = defs.resolve_job_def("shop")
        self.heard: logging.Handler | None = None

    def look(self) -> SensorExecutionData:
        context = dg.build_sensor_context(
            instance=self.instance, repository_def=self.repository, resources={"lake": LakeResource()}
        )
        with context:
            if self.heard is not None:
                context.log.addHandler(self.heard)
            return self.repository.get_sensor_def("shop_landing").evaluate_tick(context)

    def request(self) -> dg.RunRequest:
        found = self.look().run_requests or []
        assert len(found) == 1
        return found[0]

    def skipped(self) -> str:
        data = self.look()
        assert not data.run_requests
        return data.skip_message or ""

    def run(self, request: dg.RunRequest) -> bool:
        done = self.job.execute_in_process(
            instance=self.instance,
            asset_selection=list(request.asset_selection or []),
            tags=request.tags,
            run_config=QUIET,
            raise_on_error=False,
        )
        return done.success


@pytest.fixture
def watched(any_lake: Lake, tmp_path: Path) -> Iterator[Watched]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(any_lake, shop(tmp_path / "project"), instance)


def names(request: dg.RunRequest) -> set[str]:
    return {key.path[-1] for key in request.asset_selection or []}


def test_one_run_is_requested_for_all_new_files_and_none_once_they_are_taken(watched: Watched) -> None:
    assert "No new file among 0 under landing/shop/" in watched.skipped()
    land(watched.lake, "shop", SHOP_DAY1)

    request = watched.request()

    assert names(request) == {
        "bronze_items",
        "silver_items",
        "bronze_sales",
        "silver_sales",
        "dim_item",
        "fact_sales",
        "gold_published",
    }
    assert request.tags["flowforge/files"] == "2"
    assert watched.run(request)
    assert "No new file" in watched.skipped()


def test_only_the_tables_with_new_files_and_what_hangs_on_them_are_run(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(watched.lake, "shop", SHOP_DAY1)
    assert watched.run(watched.request())
    land(watched.lake, "shop", {"sales/sales_9.csv": "shop,number,item_id,quantity\neast,1,007,2\n"})
    request = watched.request()
    assert names(request) == {"bronze_sales", "silver_sales", "fact_sales", "gold_published"}
    assert watched.run(request)
    shop = Declared("shop", {"items": "*.csv", "sales": "*.csv"}, ("dim_item", "fact_sales"))
    monkeypatch.setattr(status, "declared_workflows", lambda: {"shop": shop})
    assert status.last_run(None).silent == (), "it was never to reach the others, and so it is done"


def test_the_same_request_has_the_same_key_so_that_the_daemon_starts_one_run(watched: Watched) -> None:
    land(watched.lake, "shop", SHOP_DAY1)
    assert watched.request().run_key == watched.request().run_key


def test_nothing_is_requested_again_while_a_run_for_these_files_is_under_way(watched: Watched) -> None:
    land(watched.lake, "shop", SHOP_DAY1)
    request = watched.request()
    watched.instance.create_run_for_job(watched.job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    assert watched.skipped() == "A run for new files is under way."


def test_a_file_that_lands_while_a_run_is_under_way_is_requested_when_that_run_has_ended(watched: Watched) -> None:
    land(watched.lake, "shop", SHOP_DAY1)
    first = watched.request()
    living = watched.instance.create_run_for_job(watched.job, tags=first.tags, status=dg.DagsterRunStatus.STARTED)
    land(watched.lake, "shop", {"items/items_9.csv": "item_id,label,price,seen_at\n1,x,1,2026-03-01\n"})
    assert watched.skipped() == "A run for new files is under way."
    assert watched.run(first)
    watched.instance.delete_run(living.run_id)
    second = watched.request()
    assert second.tags["flowforge/files"] == "1"
    assert second.run_key != first.run_key


def test_a_file_that_is_uploaded_again_with_other_content_is_new(watched: Watched) -> None:
    land(watched.lake, "shop", SHOP_DAY1)
    assert watched.run(watched.request())
    land(watched.lake, "shop", {"items/items_1.csv": "item_id,label,price,seen_at\n007,Better Spade,14,2026-03-01\n"})
    assert "bronze_items" in names(watched.request())


def test_strangers_are_left_alone_with_a_warning(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    land(
        watched.lake,
        "shop",
        {"unknown/a.csv": "a\n1\n", "sales/other.csv": "a\n1\n", "items/items.txt": "x", "stray.csv": "a\n1\n"},
    )
    watched.heard = caplog.handler
    said = watched.skipped()
    assert "4 file(s) belong to no table" in said
    for key in ("landing/shop/unknown/a.csv", "landing/shop/sales/other.csv", "landing/shop/stray.csv"):
        assert key in said
        assert f"{key} belongs to no table of shop" in caplog.text
