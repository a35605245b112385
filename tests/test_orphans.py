"""Where the foreign keys of a table point: counted at once by Polars or one after the other by DuckDB, always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.gold import orphans
from flowforge_assets.gold.model_spec import ForeignKey, ModelSpec
from flowforge_assets.gold.orphans import count_orphans
from flowforge_resources.layout import ModelId

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.lists(st.one_of(st.none(), st.just(-1), st.integers(0, 6)), max_size=12)
FOREIGN = (ForeignKey(column="item_key", model="dim_item"), ForeignKey(column="shop", model="dim_shop", to="shop_key"))


def spec(unknown_member: str | None) -> ModelSpec:
    return ModelSpec(ModelId("shop", "fact"), "", "", (), unknown_member, FOREIGN, frozenset())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=KEYS,
    shops=KEYS,
    rows=st.lists(st.tuples(*[st.one_of(st.none(), st.integers(-1, 8))] * 3), max_size=12),
    unknown_member=st.sampled_from([None, "fact_key"]),
    shop_type=st.sampled_from([pl.Int64, pl.Int32, pl.String]),
    in_memory=st.sampled_from([0, 1000]),
)
def test_orphans_and_pointers_to_the_unknown_member_are_counted_whatever_the_keys_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    items: list[int | None],
    shops: list[int | None],
    rows: list[tuple[int | None, ...]],
    unknown_member: str | None,
    shop_type: type[pl.DataType],
    in_memory: int,
) -> None:
    monkeypatch.setattr(orphans, "_KEYS_IN_MEMORY", in_memory)
    files = {name: tmp_path / f"{name}.parquet" for name in ("dim_item", "dim_shop", "fact")}
    pl.DataFrame({"item_key": items}, {"item_key": pl.Int64}).write_parquet(files["dim_item"])
    pl.DataFrame({"shop_key": shops}, {"shop_key": pl.Int64}).cast(shop_type).write_parquet(files["dim_shop"])
    fact = pl.DataFrame(rows, dict.fromkeys(("fact_key", "item_key", "shop"), pl.Int64), orient="row")
    fact.with_columns(pl.col("shop").cast(shop_type)).write_parquet(files["fact"])
    with duckdb.connect() as connection:
        found = count_orphans(connection, spec(unknown_member), files["fact"], files)
    own = [row for row in rows if unknown_member is None or row[0] not in (-1, None)]
    for place, (one, known) in enumerate(zip(found, (items, shops), strict=True), start=1):
        pointed = [row[place] for row in own]
        assert one.rows == len(own)
        assert one.orphaned == sum(key is None or key not in known for key in pointed)
        assert one.unknown == sum(key == -1 for key in pointed)
