"""Stands in for `flowforge_assets.definitions` where a test needs a deployed asset whose behaviour it chooses."""

import time

import dagster as dg


@dg.asset(group_name="deployed")
def quick() -> None:
    print("printed by a step")  # noqa: T201


@dg.asset(group_name="deployed")
def endless(context: dg.AssetExecutionContext) -> None:
    context.log.info("endless has begun")
    while True:
        time.sleep(0.1)


defs = dg.Definitions(
    assets=[quick, endless],
    jobs=[dg.define_asset_job("quick_job", [quick]), dg.define_asset_job("endless_job", [endless])],
    executor=dg.in_process_executor,
)
