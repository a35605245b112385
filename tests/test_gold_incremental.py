"""Models built partition by partition: always the table that a full rebuild would make, and less work."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.gold import inputs_now
from flowforge_assets.gold.incremental import EQUALS_FULL, FULL_TAG
from flowforge_assets.gold.incremental_spec import Incremental
from flowforge_assets.gold.input_prints import changed_keys, columns_used, prints_by_partition
from flowforge_assets.model_sql.partitionwise import require_partitionwise
from flowforge_resources.errors import DefinitionError
from flowforge_resources.io_managers import gold_table
from flowforge_resources.layout import ModelId
from scenario import checks, failures, land, load, metadata, rows_of, run, run_well
from test_yaml import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Sales by day.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id, type: integer}, {name: label}, {name: note}]
      keys: [item_id]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      columns: [{name: number, type: integer}, {name: day, type: date}, {name: item_id, type: integer}, {name: quantity, type: integer}, {name: shop}]
      keys: [number]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_item, keys: [item_key], unknown_member: item_key}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact
      keys: [number]
      foreign_keys: [{column: item_key, model: dim_item, on_orphan: ACTION}]
      incremental: {driving: sales, column: day, every: month, full_every: 0}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: full_fact
      keys: [number]
      foreign_keys: [{column: item_key, model: dim_item, on_orphan: ACTION}]
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: by_shop
      incremental: {driving: fact, column: shop, every: value, full_every: 2}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: full_by_shop}
"""
FACT = """
    WITH told AS (SELECT number, day, shop, item_id, quantity, quantity * 2 AS twice FROM sales WHERE quantity IS NULL OR quantity >= 0)
    SELECT number, day, shop, quantity, twice, item_id AS item_key,
        row_number() OVER (PARTITION BY date_trunc('month', day) ORDER BY number) AS place, i.label
    FROM told LEFT JOIN items AS i USING (item_id)
"""
BY_SHOP = "SELECT shop, count(*) AS n, sum(quantity) AS quantity, max(label) AS label FROM fact GROUP BY ALL"
SQL = {
    "dim_item": "SELECT item_id AS item_key, label FROM items",
    "fact": FACT,
    "full_fact": FACT,
    "by_shop": BY_SHOP,
    "full_by_shop": BY_SHOP,
}
ITEMS = "item_id,label,note\n1,Spade,a\n2,Rake,b\n"
DAY1 = "number,day,item_id,quantity,shop\n1,2026-01-05,1,2,n\n2,2026-01-06,2,3,s\n3,2026-02-01,1,1,n\n4,,9,1,\n5,2026-03-01,9,4,s\n"
IN_PARTITIONS = YAML.replace(
    "      keys: [number]\n    ---",
    "      keys: [number]\n      partition_by: {column: day, every: day, start: 2026-01-01}\n    ---",
    1,
)


def rows(lake: Lake, model: str) -> list[dict[str, Any]]:
    return sorted(rows_of(lake, f"gold/shop/{model}.parquet"), key=repr)


def assert_as_full(lake: Lake, result: dg.ExecuteInProcessResult) -> None:
    """Tables, and what the checks say of them, are those of the same models without `incremental`."""
    assert rows(lake, "fact") == rows(lake, "full_fact")
    assert rows(lake, "by_shop") == rows(lake, "full_by_shop")
    said = checks(result)
    mine, whole = (said.get((model, "foreign_key_item_key")) for model in ("fact", "full_fact"))
    if mine and whole:
        assert (mine.passed, mine.description, mine.severity) == (whole.passed, whole.description, whole.severity)
        assert mine.metadata == whole.metadata


def workflow(folder: Path, yaml: str = YAML, action: str = "keep", **sql: str) -> dg.Definitions:
    return load(folder, yaml.replace("ACTION", action), **SQL | sql)


@pytest.mark.parametrize("yaml", [YAML, IN_PARTITIONS])
@pytest.mark.parametrize("action", ["keep", "unknown", "drop"])
def test_only_the_partitions_whose_rows_changed_are_built(lake: Lake, tmp_path: Path, yaml: str, action: str) -> None:
    defs = workflow(tmp_path, yaml, action)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    first = run_well(defs, "shop")
    assert metadata(first, "fact")["built"] == "whole"
    assert metadata(first, "fact")["built_because"] == "it was never built."
    assert_as_full(lake, first)

    # 2 moves from January to April, 4 leaves the partition without a day, 3 comes again as it is.
    land(
        lake,
        "shop",
        {
            "sales/2.csv": "number,day,item_id,quantity,shop\n2,2026-04-01,2,3,s\n4,2026-01-31,9,1,w\n3,2026-02-01,1,1,n\n"
        },
    )
    second = run_well(defs, "shop")

    said = metadata(second, "fact")
    assert (said["built"], said["partitions_rebuilt"]) == ("partitions", 3)
    assert said["partitions"] == "(null), 2026-01-01, 2026-04-01"
    assert said["built_because"] == "only rows of sales changed."
    # `by_shop` is driven by a model, and does not read its dates: sale 2 changed nothing for it, nor does a dropped 4.
    assert metadata(second, "by_shop")["built"] == "partitions"
    assert metadata(second, "by_shop")["partitions"] == ("" if action == "drop" else "(null), w")
    assert_as_full(lake, second)


def test_orphans_of_partitions_that_stay_are_counted_on(lake: Lake, tmp_path: Path) -> None:
    defs = workflow(tmp_path, action="drop")
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(defs, "shop")
    land(lake, "shop", {"sales/2.csv": "number,day,item_id,quantity,shop\n6,2026-02-02,8,3,s\n"})
    second = run_well(defs, "shop")
    land(lake, "shop", {"sales/3.csv": "number,day,item_id,quantity,shop\n6,2026-02-02,2,3,s\n"})
    third = run_well(defs, "shop")

    for result, orphans in ((second, 3), (third, 2)):
        assert metadata(result, "fact")["partitions"] == "2026-02-01"
        assert checks(result)["fact", "foreign_key_item_key"].metadata["rows_orphaned"].value == orphans
        assert_as_full(lake, result)


def test_of_another_input_those_rows_count_that_are_met(lake: Lake, tmp_path: Path) -> None:
    by_shop = f"{BY_SHOP[: BY_SHOP.index(' GROUP')]} WHERE (SELECT count(*) FROM items) < 9 GROUP BY ALL"
    defs = workflow(tmp_path, action="unknown", by_shop=by_shop, full_by_shop=by_shop)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(defs, "shop")

    def after(number: int, **said: str) -> tuple[dict[str, Any], str]:
        heads = {"items": "item_id,label,note", "sales": "number,day,item_id,quantity,shop"}
        land(lake, "shop", {f"{table}/{number}.csv": f"{heads[table]}\n{row}\n" for table, row in said.items()})
        result = run_well(defs, "shop")
        assert_as_full(lake, result)
        return metadata(result, "fact"), metadata(result, "by_shop")["built_because"]

    unread, _ = after(2, items="1,Spade,changed")
    assert (unread["built"], unread["partitions_rebuilt"]) == ("partitions", 0)
    # A new item that new sales alone are of, one with another label, and one that earlier orphans name.
    new, counted = after(3, items="7,Hoe,c\n2,Rakes,b", sales="7,2026-05-01,7,1,n")
    assert new["partitions"] == "2026-01-01, 2026-05-01"
    assert counted == "items changed, which every partition may depend on.", "a subquery reads all of it"
    late, _ = after(4, items="9,Axe,d")
    assert late["partitions"] == "(null), 2026-03-01"
    assert (
        late["built_because"]
        == "only rows of sales changed, and of dim_item, items, of which those count that they meet."
    )
    every, _ = after(5, items="1,Shovel,a\n2,Rake,b\n7,Hoes,c\n9,Axes,d")
    assert every["built_because"] == "rows of every partition meet what changed in dim_item, items."


def test_nothing_new_builds_nothing_and_a_tag_builds_all(lake: Lake, tmp_path: Path) -> None:
    defs = workflow(tmp_path)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(defs, "shop")

    assert metadata(run_well(defs, "shop"), "fact")["changed"] is False
    asked = run_well(defs, "shop", tags={FULL_TAG: "true"})
    assert metadata(asked, "fact")["built_because"] == "a full rebuild was asked for."
    assert checks(asked)["fact", EQUALS_FULL].passed
    assert checks(asked)["fact", EQUALS_FULL].metadata["partitions_compared"].value == 4


def test_every_so_many_builds_the_whole_table_is_built_and_a_difference_healed(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = workflow(tmp_path)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(defs, "shop")
    built = []
    for day in range(2, 5):
        land(lake, "shop", {f"sales/{day}.csv": f"number,day,item_id,quantity,shop\n{10 + day},2026-05-01,1,3,n\n"})
        with monkeypatch.context() as patch:
            if day == 2:  # the first build of `by_shop` forgets what it has to do
                patch.setattr(inputs_now, "changed_keys", lambda a, b: [] if "n" in b else changed_keys(a, b))
            result = run_well(defs, "shop")
        built.append(metadata(result, "by_shop")["built"])
        assert (rows(lake, "by_shop") == rows(lake, "full_by_shop")) == (day > 2)  # the third day
    assert built == ["partitions", "whole", "partitions"]


def test_a_difference_fails_the_check(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defs = workflow(tmp_path)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(defs, "shop")
    land(lake, "shop", {"sales/2.csv": "number,day,item_id,quantity,shop\n6,2026-05-01,1,3,n\n"})
    with monkeypatch.context() as patch:
        patch.setattr(inputs_now, "changed_keys", lambda _before, _now: [])
        run_well(defs, "shop")
    assert rows(lake, "fact") != rows(lake, "full_fact")

    result = run(defs, "shop", tags={FULL_TAG: "true"})

    assert result.success, failures(result)
    said = checks(result)["fact", EQUALS_FULL]
    assert (said.passed, said.metadata["partitions_differing"].value) == (False, 1)
    assert "1 partitions differed from a full rebuild" in (said.description or "")
    assert_as_full(lake, result)


@pytest.mark.parametrize(
    ("forget", "why"),
    [("engine", "DuckDB is of another version"), ("columns", "the columns of the driving table changed")],
)
def test_what_is_not_known_is_built_whole(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: str, why: str
) -> None:
    defs = workflow(tmp_path)
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    with monkeypatch.context() as patch:
        if forget == "engine":
            patch.setattr(inputs_now, "_version", lambda: "another")
        else:
            patch.setattr(inputs_now, "columns_used", lambda *asked: columns_used(*asked)[1:])
        run_well(defs, "shop")
    land(lake, "shop", {"sales/2.csv": "number,day,item_id,quantity,shop\n6,2026-05-01,1,3,n\n"})

    result = run_well(defs, "shop")

    assert why in metadata(result, "fact")["built_because"]
    assert_as_full(lake, result)


def test_too_many_partitions_are_built_whole_and_not_remembered(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_now, "MOST_PARTITIONS", 3)
    defs = workflow(tmp_path, action="unknown")
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    for _ in range(2):
        result = run_well(defs, "shop", tags={FULL_TAG: "true"})
        assert "more than 3 are not remembered" in metadata(result, "fact")["built_because"]
        assert_as_full(lake, result)
    published = gold_table(lake, ModelId("shop", "fact")).published()
    assert published is not None
    assert published.facts["incremental"] == {}


def test_a_personal_partition_is_not_named(lake: Lake, tmp_path: Path) -> None:
    yaml = YAML.replace("      name: by_shop\n", "      name: by_shop\n      pii: [shop]\n")
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    defs = workflow(tmp_path, yaml)
    run_well(defs, "shop")
    land(lake, "shop", {"sales/2.csv": "number,day,item_id,quantity,shop\n6,2026-05-01,1,3,n\n"})
    said = metadata(run_well(defs, "shop"), "by_shop")
    assert said["partitions_rebuilt"] == 1
    assert "partitions" not in said


# -- the law ------------------------------------------------------------------------------------------------------

sale = st.tuples(
    st.integers(1, 8),
    st.sampled_from(["", "2026-01-01", "2026-01-31", "2026-02-01", "2027-01-01"]),
    st.integers(1, 3),
    st.integers(-1, 2),
    st.sampled_from(["n", "s", ""]),
)
batch = st.fixed_dictionaries(
    {
        "sales": st.lists(sale, max_size=5),
        "items": st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab")), max_size=1),
    }
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(batch, min_size=2, max_size=4),
    action=st.sampled_from(["keep", "unknown", "drop"]),
    cut=st.booleans(),
)
def test_any_batches_make_the_table_of_a_full_rebuild(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    batches: list[Any],
    action: str,
    *,
    cut: bool,
) -> None:
    from flowforge_resources.lake import Lake

    folder = tmp_path_factory.mktemp("law")
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", f"file://{folder / 'lake'}")
    lake = Lake()
    defs = workflow(folder, IN_PARTITIONS if cut else YAML, action)
    land(lake, "shop", {"items/0.csv": ITEMS, "sales/0.csv": DAY1})
    assert_as_full(lake, run_well(defs, "shop"))
    for number, one in enumerate(batches, 1):
        for table, head in (("sales", "number,day,item_id,quantity,shop"), ("items", "item_id,label")):
            text = "\n".join([head, *(",".join(map(str, row)) for row in one[table])])
            if one[table]:
                land(lake, "shop", {f"{table}/{number}.csv": text + "\n"})
        assert_as_full(lake, run_well(defs, "shop"))


@pytest.mark.parametrize("seed", range(30))
def test_rows_that_swap_values_change_the_fingerprint(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # a test
    a, b, c, d = (chance.randrange(1000) for _ in range(4))
    with duckdb.connect() as connection:
        found = []
        for name, pairs in (("x", [(a, b), (c, d)]), ("y", [(a, d), (c, b)])):
            path = tmp_path / f"{name}.parquet"
            values = ", ".join(f"(1, {one}, {two})" for one, two in pairs)
            connection.execute(f"COPY (SELECT * FROM (VALUES {values}) AS t(k, v, w)) TO '{path}'")
            found.append(prints_by_partition(connection, {"p": path}, ["v", "w"], "k::VARCHAR")["p"])
    assert changed_keys(*found) == (["1"] if a != c and b != d else [])


# -- what can be built in part --------------------------------------------------------------------------------------

FITS = [
    "FROM d",
    "SELECT c, x FROM d LEFT JOIN o USING (k)",
    "SELECT d.c, sum(x) AS s FROM d JOIN o ON d.k = o.k GROUP BY d.c",
    "WITH a AS (SELECT *, x * 2 AS y FROM d WHERE x > 1) SELECT c, y, row_number() OVER (PARTITION BY c ORDER BY y) AS n FROM a QUALIFY n = 1",
    "SELECT c, count(*) AS n FROM d GROUP BY ALL",
    "SELECT c, count(*) AS n FROM d GROUP BY 1 ORDER BY 1",
    "SELECT DISTINCT c, x FROM d",
    "SELECT c, sum(x) OVER w AS s FROM d WINDOW w AS (PARTITION BY c)",
    "FROM d ASOF LEFT JOIN o ON d.x >= o.x",
    "FROM d ANTI JOIN o USING (k)",
    "SELECT c, (SELECT max(z) FROM o WHERE o.k = d.k) AS m FROM d WHERE k IN (SELECT k FROM o)",
    "SELECT a.* FROM (SELECT c, x FROM shop.d) AS a, o",
    "SELECT o.k, d.c FROM o JOIN d USING (k)",
    "SELECT c, unnest(l) AS u FROM d",
    "SELECT c::DATE AS c, sum(x) AS s FROM d GROUP BY c",
]
DOES_NOT_FIT = {
    "SELECT c, x FROM d LIMIT 3": "LIMIT",
    "SELECT c, sum(x) FROM d GROUP BY x, c + 1": "GROUP BY does not name `c`",
    "SELECT max(c) AS c FROM d": "an aggregate needs `c` in a GROUP BY",
    "SELECT c, json_group_array(x) FROM d": "an aggregate needs `c`",
    "SELECT c FROM d UNION ALL SELECT c FROM o": "not in a FROM",
    "SELECT a.c FROM d AS a JOIN d AS b USING (k)": "must read 'd' once",
    "WITH a AS (SELECT c FROM d) SELECT x.c FROM a AS x JOIN a AS y USING (c)": "used 2 times",
    "SELECT c, x FROM d WHERE x = (SELECT max(x) FROM d)": "must read 'd' once",
    "SELECT d.c FROM o LEFT JOIN d USING (k)": "to the left of a LEFT",
    "SELECT c FROM (o LEFT JOIN d USING (k))": "to the left of a LEFT",
    "FROM d FULL JOIN o USING (k)": "RIGHT, FULL",
    "FROM d RIGHT JOIN o USING (k)": "RIGHT, FULL",
    "SELECT c, row_number() OVER (ORDER BY x) FROM d": "PARTITION BY",
    "SELECT c, sum(x) OVER w FROM d WINDOW w AS (PARTITION BY x)": "PARTITION BY",
    "SELECT c FROM d QUALIFY sum(x) OVER () > 3": "PARTITION BY",
    "SELECT c, count(*) FROM d GROUP BY ROLLUP (c)": "ROLLUP",
    "SELECT DISTINCT x FROM d": "DISTINCT without",
    "SELECT DISTINCT ON (c) c FROM d": "DISTINCT ON",
    "SELECT c FROM d TABLESAMPLE 10%": "a sample",
    "SELECT c FROM d USING SAMPLE 3": "SAMPLE",
    "SELECT c + 1 AS c FROM d": "not plainly `c`",
    "SELECT * REPLACE (c + 1 AS c) FROM d": "not plainly `c`",
    "SELECT * EXCLUDE (c), x AS c FROM d": "not plainly `c`",
    "SELECT * FROM o JOIN d USING (k)": "not plainly `c`",
    "SELECT o.c FROM o JOIN d USING (k)": "not plainly `c`",
    "SELECT x AS c, count(*) FROM d GROUP BY c": "GROUP BY does not name `c`",
    "SELECT t.c FROM d AS t(c, x)": "renamed in an alias",
    "WITH a(c) AS (SELECT x FROM d) SELECT c FROM a": "renamed in a WITH",
    "SELECT c, now() AS t FROM d": "another result at every build",
    "SELECT c, random() AS r FROM d": "another result at every build",
    "SELECT c FROM o WHERE EXISTS (FROM d)": "not in a FROM",
    "SELECT date_trunc('month', c) AS c, count(*) FROM d GROUP BY ALL": "GROUP BY does not name `c`",
}


def judged(sql: str, every: str = "day", output: str | None = None) -> None:
    declared = Incremental(driving="d", column="c", every=every, partition_by=output)  # type: ignore[arg-type]
    require_partitionwise(sql, "defs/shop/f.sql", declared, ["d", "shop.d"])


@pytest.mark.parametrize("sql", FITS)
def test_a_query_that_fits_is_taken(sql: str) -> None:
    judged(sql)


@pytest.mark.parametrize(("sql", "said"), DOES_NOT_FIT.items())
def test_a_query_that_looks_across_partitions_is_refused(sql: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        judged(sql)
    assert said in str(caught.value)
    assert "leave `incremental` out" in str(caught.value)


def test_a_month_may_be_cut_by_month_and_by_year_but_not_by_day() -> None:
    sql = "SELECT date_trunc('month', c) AS month, sum(x) AS s FROM d GROUP BY month"
    judged(sql, "month", "month")
    judged(sql, "year", "month")
    with pytest.raises(DefinitionError):
        judged(sql, "day", "month")


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("driving: sales", "driving: sale", "Did you mean 'sales'?"),
        ("every: month", "every: week", "every"),
        (
            "attributes:\n      name: by_shop",
            "attributes:\n      name: by_shop\n      unknown_member: shop",
            "belongs to no partition",
        ),
        (
            "{driving: sales, column: day",
            "{driving: sales, column: number, partition_by: day",
            "needs `number` in its PARTITION BY",
        ),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(tmp_path: Path, was: str, now: str, said: str) -> None:
    assert said in refusal(tmp_path, YAML.replace("ACTION", "keep").replace(was, now), **SQL)


def test_a_column_that_makes_no_partitions_is_named(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    yaml = YAML.replace("column: shop, every: value", "column: shop, every: day")
    result = run(workflow(tmp_path, yaml), "shop")
    assert "cuts 'fact' by day of `shop`, which is VARCHAR" in failures(result)


def test_what_is_remembered_is_json_of_modest_size(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"items/1.csv": ITEMS, "sales/1.csv": DAY1})
    run_well(workflow(tmp_path), "shop")
    published = gold_table(lake, ModelId("shop", "fact")).published()
    assert published is not None
    memory: Mapping[str, Any] = published.facts["incremental"]
    assert [key for part in memory["parts"].values() for key, *_ in part].count(None) == 1
    assert len(json.dumps(memory)) < 2_000
