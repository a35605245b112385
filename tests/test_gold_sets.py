"""Gold is published together: who reads through the pointer sees tables of one build, whatever happens to a run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_assets.cli.query import QueryError, run_query
from flowforge_assets.gold import published as gold_published
from flowforge_resources import gold_sets
from flowforge_resources.gold_sets import GoldSet, chosen_keys, read_pointer, read_set, swap_pointer
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId
from flowforge_resources.published import read_published
from forker import KILLED, Forker
from scenario import (
    SHOP_DAY1,
    SHOP_DAY2,
    SHOP_YAML,
    checks,
    land,
    load,
    metadata,
    objects,
    project,
    published_keys,
    run,
    run_well,
    shop,
)
from test_crash import EVERY, same_lake
from test_gold_dimensions import MASTER, USER

if TYPE_CHECKING:
    from pathlib import Path

# Everything of a build carries its number; the fact is made after its dimension.
BUILDS = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Builds that can be told apart.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: build, type: integer}]
      keys: [item_id]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_item, keys: [item_key]}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: fact_sales, keys: [item_key], foreign_keys: [{column: item_key, model: dim_item}]}
"""
BUILDS_SQL = {
    "dim_item": "SELECT items_key AS item_key, build FROM items",
    "fact_sales": "SELECT item_key, i.build FROM items AS i JOIN dim_item ON item_key = items_key",
}
JOINED = (
    "SELECT count(*), min(f.build), max(f.build), count(*) FILTER (f.build <> d.build) "
    "FROM shop.fact_sales AS f JOIN shop.dim_item AS d USING (item_key)"
)
# The last contacts of a run of `shop` with the lake or its disk: two models, the set, and their reports.
OF_GOLD = 24
DIM = dg.AssetKey(["shop", "dim_item"])


def builds(folder: Path, **sql: str) -> dg.Definitions:
    return load(folder, BUILDS, **BUILDS_SQL | sql)


def land_build(lake: Lake, number: int) -> None:
    """Two items, both of this build."""
    land(lake, "shop", {f"items/items_{number}.csv": f"item_id,build\n007,{number}\n008,{number}\n"})


def seen(lake: Lake) -> tuple[int, ...]:
    """What a reader sees: rows, lowest and highest build, and rows of a fact that meet another build's dimension."""
    (row,) = run_query(JOINED, lake).rows
    return row


def of_build(number: int) -> tuple[int, ...]:
    return 2, number, number, 0


def test_a_run_publishes_one_set_of_all_models_and_the_silver_they_were_built_from(
    any_lake: Lake, tmp_path: Path
) -> None:
    land_build(any_lake, 1)
    result = run_well(builds(tmp_path), "shop")

    document = json.loads(any_lake.read("gold/shop/_published.json") or b"")
    newest = {name: read_published(any_lake, f"gold/shop/{name}.parquet") for name in ("dim_item", "fact_sales")}
    assert {name: one["nonce"] for name, one in document["tables"].items()} == {
        f"shop.{name}": version.nonce for name, version in newest.items() if version
    }
    for name, one in document["tables"].items():
        assert any_lake.read(one["key"]) == any_lake.read(f"gold/shop/{name.removeprefix('shop.')}.parquet")
    silver = read_published(any_lake, "silver/shop/items/current.parquet")
    assert silver is not None
    assert document["silver"] == {"shop.items": silver.nonce}
    said = metadata(result, "gold_published")
    assert (said["changed"], said["tables"], said["set"]) == (True, 2, document["nonce"])
    assert seen(any_lake) == of_build(1)


def test_a_run_with_nothing_new_leaves_the_set_as_it_is(any_lake: Lake, tmp_path: Path) -> None:
    defs = builds(tmp_path)
    land_build(any_lake, 1)
    run_well(defs, "shop")
    before = objects(any_lake)

    result = run_well(defs, "shop")

    assert objects(any_lake) == before
    assert metadata(result, "gold_published")["changed"] is False


def test_a_run_of_some_models_leaves_readers_the_old_set_until_the_rest_is_built(lake: Lake, tmp_path: Path) -> None:
    defs = builds(tmp_path)
    land_build(lake, 1)
    run_well(defs, "shop")
    land_build(lake, 2)
    published = dg.AssetKey(["shop", "gold_published"])
    some = [dg.AssetKey(["shop", "bronze_items"]), dg.AssetKey(["shop", "silver_items"]), DIM, published]

    result = run_well(defs, "shop", asset_selection=some)

    assert (
        "shop.fact_sales was built from another version of shop.dim_item"
        in metadata(result, "gold_published")["waits_for"]
    )
    assert seen(lake) == of_build(1)
    singly = "SELECT count(*) FROM read_parquet('{0}/fact_sales.parquet') f JOIN read_parquet('{0}/dim_item.parquet') d USING (item_key) WHERE f.build <> d.build"
    assert run_query(singly.format(f"{lake.local_root}/gold/shop"), lake).rows == ((2,),)  # what the set is there for
    run_well(defs, "shop")
    assert seen(lake) == of_build(2)


def test_a_blocked_model_leaves_the_old_set(lake: Lake, tmp_path: Path) -> None:
    sql = "SELECT CASE WHEN build = 2 THEN NULL ELSE items_key END AS item_key, build FROM items"
    blocked = "SELECT i.items_key AS item_key, build FROM items AS i"
    defs = builds(tmp_path, dim_item="SELECT items_key AS item_key, build FROM items", fact_sales=sql)
    land_build(lake, 1)
    run_well(defs, "shop")
    before = lake.read("gold/shop/_published.json")
    land_build(lake, 2)

    result = run(defs, "shop")

    assert not checks(result)["fact_sales", "key"].passed
    assert lake.read("gold/shop/_published.json") == before
    assert seen(lake) == of_build(1)
    (tmp_path / "mended").mkdir()
    run_well(builds(tmp_path / "mended", fact_sales=blocked), "shop")
    assert seen(lake) == of_build(2)


def test_a_changed_declaration_is_in_the_set_only_once_it_was_built(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    land_build(lake, 1)
    run_well(builds(tmp_path / "before"), "shop")
    changed = "SELECT item_key, i.build + 100 AS build FROM items AS i JOIN dim_item ON item_key = items_key"
    defs = builds(tmp_path, fact_sales=changed)

    result = run_well(defs, "shop", asset_selection=[DIM, dg.AssetKey(["shop", "gold_published"])])

    assert "shop.fact_sales was built as it was declared before" in metadata(result, "gold_published")["waits_for"]
    assert seen(lake) == of_build(1)
    run_well(defs, "shop")
    assert seen(lake) == (2, 101, 101, 2)


def test_a_run_killed_anywhere_leaves_readers_a_whole_set(tmp_path: Path) -> None:
    """At every contact with the lake while gold is made: the set is the first day's, or the second's."""
    start = tmp_path / "start"
    lake = Lake(str(start))
    land(lake, "shop", SHOP_DAY1)
    question = "SELECT * FROM shop.fact_sales AS f JOIN shop.dim_item AS d USING (item_key) ORDER BY ALL"
    with Forker() as forker:
        assert forker.run(start, "shop")["status"] == 0
        first = run_query(question, lake).rows
        land(lake, "shop", SHOP_DAY2)
        undisturbed = forker.run(same_lake(start, tmp_path / "undisturbed"), "shop")
        second = run_query(question, Lake(str(tmp_path / "undisturbed"))).rows
        assert undisturbed["status"] == 0
        assert first != second
        contacts = len(undisturbed["contacts"])
        assert contacts > OF_GOLD
        seen_after = []
        for at in sorted({*range(contacts - OF_GOLD, contacts, EVERY), contacts - 1}):
            root = same_lake(start, tmp_path / f"kill-{at}")
            assert forker.run(root, "shop", at=at)["status"] == KILLED
            seen_after.append(run_query(question, Lake(str(root))).rows)
    assert all(rows in (first, second) for rows in seen_after)
    assert seen_after[0] == first
    assert seen_after[-1] == second


READER = """
import pathlib, sys
from flowforge_assets.cli.query import QueryError, run_query
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId
lake, seen = Lake(), set()
print("ready", flush=True)
while True:
    last = pathlib.Path(sys.argv[1]).exists()
    seen.add(run_query(sys.argv[2], lake).rows[0])
    if last:
        break
print(sorted(seen))
"""


def test_a_reader_never_sees_a_mixed_set_while_runs_publish(lake: Lake, tmp_path: Path) -> None:
    defs = builds(tmp_path)
    land_build(lake, 1)
    run_well(defs, "shop")
    stop = tmp_path / "stop"
    arguments = [sys.executable, "-c", READER, str(stop), JOINED]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for number in range(2, 8):
            land_build(lake, number)
            run_well(defs, "shop")
        stop.touch()
        said, trouble = reader.communicate()
    assert reader.returncode == 0, trouble
    found = {tuple(one) for one in json.loads(said.replace("(", "[").replace(")", "]"))}
    assert found <= {of_build(number) for number in range(1, 8)}
    assert of_build(7) in found
    assert len(found) > 2


def versions(lake: Lake) -> set[str]:
    return {found.key for found in lake.objects("gold/shop/_versions/")}


def test_versions_go_when_no_kept_set_names_them(
    any_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = builds(tmp_path)
    for number in range(1, 5):
        land_build(any_lake, number)
        run_well(defs, "shop")
    assert len(versions(any_lake)) == 8  # all within the time of grace

    monkeypatch.setattr(gold_sets, "GRACE", timedelta(0))
    land_build(any_lake, 5)
    run_well(defs, "shop")

    pointer = read_pointer(any_lake, "shop")
    assert pointer is not None
    assert len(pointer.earlier) == gold_sets.SETS_KEPT
    assert versions(any_lake) == pointer.kept("shop")
    assert len(versions(any_lake)) == 6


def test_what_a_killed_step_left_long_ago_goes_with_the_next_set(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = builds(tmp_path)
    land_build(lake, 1)
    run_well(defs, "shop")
    lake.write("gold/shop/_versions/dim_item/0123.parquet", b"left by a killed step")
    land_build(lake, 2)
    run_well(defs, "shop")
    assert "gold/shop/_versions/dim_item/0123.parquet" in versions(lake)  # it may be a set in the making

    monkeypatch.setattr(gold_sets, "ORPHAN_AGE", timedelta(0))
    land_build(lake, 3)
    run_well(defs, "shop")

    assert versions(lake) >= set(published_keys(lake).values())
    assert "gold/shop/_versions/dim_item/0123.parquet" not in versions(lake)


def test_of_two_runs_that_swap_the_pointer_at_once_the_second_is_refused(any_lake: Lake) -> None:
    def made(nonce: str) -> GoldSet:
        return GoldSet({"shop.dim_item": nonce}, {}, nonce=nonce)

    assert swap_pointer(any_lake, "shop", made("a"), None)
    assert not swap_pointer(any_lake, "shop", made("b"), None)
    pointer = read_pointer(any_lake, "shop")
    assert swap_pointer(any_lake, "shop", made("c"), pointer)
    assert not swap_pointer(any_lake, "shop", made("d"), pointer)
    current = read_set(any_lake, "shop")
    assert current is not None
    assert current.nonce == "c"


def test_a_workflow_without_models_has_no_set(lake: Lake, tmp_path: Path) -> None:
    tables_only = "---".join(part for part in SHOP_YAML.split("---") if "components.Model" not in part)
    defs = load(tmp_path, tables_only)
    assert {key.path[-1] for key in defs.get_repository_def().asset_graph.get_all_asset_keys()} == {
        "bronze_items", "silver_items", "bronze_sales", "silver_sales", "quarantine_decisions",
    }  # fmt: skip


def test_an_eager_model_makes_the_set_eager(tmp_path: Path) -> None:
    graph = (
        load(tmp_path, BUILDS.replace("name: dim_item, keys", "name: dim_item, automation: eager, keys"), **BUILDS_SQL)
        .get_repository_def()
        .asset_graph
    )
    assert graph.get(dg.AssetKey(["shop", "gold_published"])).automation_condition is not None


def test_a_shared_dimension_is_read_as_the_fact_beside_it_was_built_from(lake: Lake, tmp_path: Path) -> None:
    sql = {
        "dim_item": "SELECT items_key AS item_key, item_id, label FROM items",
        "fact_orders": "SELECT number, item_id FROM orders",
    }
    land(lake, "master", {"items/i.csv": "item_id,label\n7,Spade\n"})
    land(lake, "user", {"orders/o.csv": "number,item_id\n1,7\n"})
    together = "SELECT label FROM user.fact_orders JOIN master.dim_item USING (item_key)".replace("user.", '"user".')
    alone = "SELECT label FROM master.dim_item WHERE item_key <> -1"
    with project(tmp_path, {"master": MASTER, "user": USER}, **sql) as defs:
        run_well(defs, "master")
        run_well(defs, "user")
        land(lake, "master", {"items/j.csv": "item_id,label\n7,Shovel\n"})
        run_well(defs, "master")

        assert run_query(alone, lake).rows == (("Shovel",),)
        assert run_query(together, lake).rows == (("Spade",),)

        run_well(defs, "user")
    assert run_query(together, lake).rows == (("Shovel",),)
    kept = read_set(lake, "user")
    assert kept is not None
    assert set(kept.tables) == {"user.fact_orders", "master.dim_item"}


def test_a_shared_dimension_in_two_versions_or_with_more_of_its_workflow_is_read_from_its_own_set() -> None:
    def a_set(**tables: str) -> GoldSet:
        return GoldSet({name.replace("_", ".", 1): nonce for name, nonce in tables.items()}, {})

    own = "gold/m/_versions/dim/new.parquet"
    sets = {
        "m": a_set(m_dim="new", m_fact="f"),
        "u": a_set(u_fact="1", m_dim="old"),
        "v": a_set(v_fact="1", m_dim="other"),
    }

    assert chosen_keys(sets, ["m.dim"]) == {"m.dim": own}
    assert chosen_keys(sets, ["u.fact", "m.dim"])["m.dim"] == "gold/u/_versions/m.dim/old.parquet"
    assert chosen_keys(sets, ["u.fact", "v.fact", "m.dim"])["m.dim"] == own
    assert chosen_keys(sets, ["u.fact", "m.fact", "m.dim"])["m.dim"] == own
    assert chosen_keys(sets, ["x.dim"]) == {}


def test_user_assets_still_read_the_newest_tables(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    result: Any = run_well(shop(tmp_path), "shop")
    assert {event.asset_key.path[-1] for event in result.get_asset_materialization_events()} >= {
        "dim_item", "fact_sales", "gold_published",
    }  # fmt: skip


def test_a_table_that_is_not_there_is_named_with_the_nearest_that_is(lake: Lake, tmp_path: Path) -> None:
    land_build(lake, 1)
    run_well(builds(tmp_path), "shop")
    for wrong in ("shop.dim_itm", "shp.dim_item"):
        with pytest.raises(
            QueryError, match=rf"There is no table '{wrong}' on the lake .*Did you mean 'shop.dim_item'\?"
        ):
            run_query(f"SELECT * FROM shop.fact_sales AS f JOIN {wrong} AS d USING (item_key)", lake)


def test_a_slow_run_does_not_spoil_versions_that_another_run_kept_meanwhile(any_lake: Lake, tmp_path: Path) -> None:
    """It looked at tables and pointer, another run published its set and a third one new tables, and then it copies."""
    defs = builds(tmp_path)
    land_build(any_lake, 1)
    run_well(defs, "shop")
    pointer = read_pointer(any_lake, "shop")
    land_build(any_lake, 2)
    run_well(defs, "shop")
    made = read_set(any_lake, "shop")
    assert made is not None
    models = [ModelId("shop", name) for name in ("dim_item", "fact_sales")]
    found = {model: read_published(any_lake, model.object) for model in models}
    kept = {key: any_lake.read(key) for key in made.keys("shop").values()}
    land_build(any_lake, 3)
    tables = ("bronze_items", "silver_items", "dim_item", "fact_sales")
    run_well(defs, "shop", asset_selection=[dg.AssetKey(["shop", name]) for name in tables])

    with pytest.raises(gold_published._MovedError):
        gold_published._keep_versions(any_lake, "shop", made, found, pointer)

    assert {key: any_lake.read(key) for key in kept} == kept
    assert seen(any_lake) == of_build(2)
