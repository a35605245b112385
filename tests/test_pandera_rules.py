"""Pandera models in place of YAML rules: each check is a statement of the gate that says what pandera says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from flowforge_checks.contracts import Contract, ContractColumn
from flowforge_checks.contracts.model_parts import schema_of_model
from flowforge_checks.rules import Pandera
from flowforge_resources.layout import TableId
from scenario import checks, land, load, rows_of, run_well
from test_contracts_pandera import failures

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake

MODEL = """
import polars as pl
import pandera.polars as pa
from pandera.api.parsers import Parser


class Orders(pa.DataFrameModel):
    id: str = pa.Field(unique=True, nullable=True)
    n: int = pa.Field(ge=0, isin=[0, 1, 2, 3])
    share: float = pa.Field(nullable=True, lt=1.0, raise_warning=True)
    code: str = pa.Field(nullable=True)

    @pa.check("code", ignore_na=False)
    def short(cls, data):
        return data.lazyframe.select(pl.col(data.key).str.len_chars() < 3)

    @pa.check("n", element_wise=True)
    def odd(cls, value):
        return value % 2 == 1

    @pa.check("n")
    def low_on_average(cls, data):
        return data.lazyframe.select(pl.col(data.key).mean() < 2)

    @pa.dataframe_check
    def share_below_n(cls, data):
        return data.lazyframe.select(pl.col("share") < pl.col("n"))


Parsed = pa.DataFrameSchema({"n": pa.Column(int)}, parsers=Parser(lambda frame: frame))
Other = pa.DataFrameSchema({"n": pa.Column(str)})
Absent = pa.DataFrameSchema({"m": pa.Column(int)})
Strict = pa.DataFrameSchema({"n": pa.Column(int)}, strict=True)
Filter = pa.DataFrameSchema({"n": pa.Column(int)}, strict="filter")
Dropping = pa.DataFrameSchema({"n": pa.Column(int)}, drop_invalid_rows=True)
Default = pa.DataFrameSchema({"n": pa.Column(int, default=1)})
Nothing = pa.DataFrameSchema({"n": pa.Column(int, nullable=True)})
Pairs = pa.DataFrameSchema({"n": pa.Column(int, nullable=True)}, unique=["n", "code"])
not_a_model = 3


def function(frame):
    return frame
"""
TYPES = {"id": "VARCHAR", "n": "BIGINT", "share": "DOUBLE", "code": "VARCHAR"}
COLUMNS = tuple(ContractColumn(name, kind) for name, kind in TYPES.items())
PARTS = [
    "id_unique",
    "n_not_null",
    "n_greater_than_or_equal_to",
    "n_isin",
    "n_odd",
    "n_low_on_average",
    "share_less_than",
    "code_short",
    "share_below_n",
]
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "2", "3", "4", None]),
        "n": st.sampled_from([None, -1, 0, 1, 2, 3, 4]),
        "share": st.sampled_from([None, 0.5, 1.5]),
        "code": st.sampled_from([None, "", "ab", "abc"]),
    }
)
SCHEMA = {"id": pl.String, "n": pl.Int64, "share": pl.Float64, "code": pl.String}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("models")
    (found / "quality.py").write_text(MODEL, encoding="utf-8")
    return found


def taken_apart(folder: Path, model: str = "Orders", **more: Any) -> tuple[Pandera, ...]:
    rule = Pandera(rule="pandera", model=f"quality.py:{model}", **more).beside(folder)
    rules = rule.each(tuple(TYPES))
    for one in rules:
        one.require_types(TYPES)
    return rules


def test_a_model_is_taken_apart_into_checks_of_rows_and_of_the_table(folder: Path) -> None:
    rules = taken_apart(folder)
    assert [one.check for one in rules] == PARTS
    of_table = {one.check for one in rules if one.judges == "table"}
    assert of_table == {"id_unique", "n_low_on_average"}
    assert {one.effective_action for one in rules if one.judges == "table"} == {"keep"}
    assert {one.check: one.severity for one in rules if one.severity == "warn"} == {"share_less_than": "warn"}
    assert rules[1].check_name == "Orders_n_not_null"
    assert taken_apart(folder, name="q")[1].check_name == "q_n_not_null"
    (alone,) = taken_apart(folder, check="n_isin", action="drop")
    assert (alone.check_name, alone.effective_action) == ("Orders_n_isin", "drop")


PANDERA_SAYS = {
    "not_nullable": "n_not_null",
    "field_uniqueness": "id_unique",
    "greater_than_or_equal_to(0)": "n_greater_than_or_equal_to",
    "isin([0, 1, 2, 3])": "n_isin",
    "odd": "n_odd",
    "low_on_average": "n_low_on_average",
    "short": "code_short",
    "share_below_n": "share_below_n",
}


@settings(max_examples=12, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
def test_the_gate_says_of_every_row_what_pandera_says(folder: Path, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    rules = tuple(rule for rule in taken_apart(folder) if rule.check != "share_less_than")  # which only warns
    found = failures(Contract("w.t", COLUMNS, (), rules), frame)
    ours = {(check.removeprefix("Orders_"), row) for check, row in found}
    assert {one for one in ours if one[0] != "n_low_on_average"} == {
        one for one in pandera_says(folder, frame) if one[0] != "n_low_on_average"
    }
    average = frame["n"].mean()
    assert ("n_low_on_average" in {name for name, _ in ours}) == (average is not None and average >= 2)  # type: ignore[operator]


def pandera_says(folder: Path, frame: pl.DataFrame) -> set[tuple[str, int | None]]:
    schema = schema_of_model("quality.py:Orders", folder)
    schema.columns["share"].checks = []
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        return {(PANDERA_SAYS[check], row) for check, row in error.failure_cases.select("check", "index").rows()}
    return set()


REFUSED = [
    ("Parsed", "has parsers, which change values"),
    ("Other", "has `n` as String, and the table declares it as Int64"),
    ("Absent", "has the column 'm', which the table does not declare"),
    ("Strict", "is strict and has no 'id'"),
    ("Filter", "`strict: filter`"),
    ("Dropping", "`drop_invalid_rows`"),
    ("Default", "fills in columns or defaults"),
    ("Nothing", "checks nothing"),
    ("not_a_model", "is int, not a function"),
    ("function", "is no DataFrameModel or DataFrameSchema"),
    ("Order", "has no 'Order'"),
]


@pytest.mark.parametrize(("model", "said"), REFUSED)
def test_what_a_rule_cannot_say_is_refused(model: str, said: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=said):
        taken_apart(folder, model)


def test_a_part_that_is_not_there_or_has_no_row_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no part of `quality.py:Orders`. Did you mean 'n_isin'"):
        taken_apart(folder, check="n_is_in")
    with pytest.raises(ValueError, match="has no single row to take out"):
        taken_apart(folder, check="id_unique", action="drop")
    with pytest.raises(ValueError, match="goes with tables"):
        Pandera(rule="pandera", model="quality.py:Orders").named()


YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Orders.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns:
        - {name: id}
        - {name: n, type: integer}
        - {name: share, type: float}
        - {name: code}
      keys: [id]
      rules:
        - {rule: pandera, model: quality.py:Orders, check: n_isin, action: drop}
        - {rule: pandera, model: quality.py:Orders, name: all}
        - {rule: pandera, model: quality.py:Pairs, action: block}
"""
CSV = "id,n,share,code\n1,1,0.5,ab\n2,7,0.5,ab\n3,,0.5,ab\n4,3,1.5,ab\n5,1,0.5,abc\n6,1,2,\n"


def test_models_judge_the_rows_of_a_run_with_an_asset_check_each(tmp_path: Path, lake: Lake) -> None:
    defs = load(tmp_path, YAML, **{"quality.py": MODEL})
    land(lake, "shop", {"orders/1.csv": CSV})
    result = run_well(defs, "shop")
    found = {name: one for (asset, name), one in checks(result).items() if asset == "silver_orders"}
    assert {f"all_{part}" for part in PARTS} | {"Orders_n_isin"} <= set(found)
    broken = {name: one.metadata["rows_broken"].value for name, one in found.items() if "rows_broken" in one.metadata}
    assert {name: rows for name, rows in broken.items() if rows} == {
        "Orders_n_isin": 1,
        "all_n_isin": 1,
        "all_n_not_null": 1,
        "all_share_less_than": 2,
        "all_code_short": 2,
        "all_share_below_n": 1,
    }
    assert found["all_n_low_on_average"].passed
    assert found["Pairs_n_code_unique"].blocking
    silver = rows_of(lake, TableId("shop", "orders").current)
    assert [row["id"] for row in silver] == ["1"]
    held = rows_of(lake, TableId("shop", "orders").quarantine)
    assert sorted(row["id"] for row in held) == ["2", "3", "4", "5", "6"]
