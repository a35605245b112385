"""Reconciliations: layers, tables and models that must agree, as checks with a history."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from flowforge_assets.catalog import UnknownNameError
from flowforge_assets.cli.query import run_query
from flowforge_assets.cli.reconcile import ASKED_BY, history_of, reconcile, render_history
from flowforge_checks.reconciliation.findings import Compared
from flowforge_checks.reconciliation.measures import compare_measures
from flowforge_checks.reconciliation.row_diff import compare_rows
from flowforge_checks.reconciliation.sides import DuckSide
from flowforge_checks.reconciliation.spec import Reconciliation, measures, pairs, tolerant
from scenario import SHOP_DAY1, SHOP_SQL, SHOP_YAML, checks, land, load, run, run_well
from test_yaml import everything_said

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake


def compared(left: str, right: str, **said: Any) -> Compared:
    """Two sides given as the rows of `VALUES`, columns `a`, `b` and `c`."""
    told: dict[str, Any] = {
        "measures": measures(said.pop("measures", ["row_count"])),
        "keys": pairs(said.pop("keys", [])),
        "compare": tolerant(said.pop("compare", [])),
        "group_by": pairs(said.pop("group_by", [])),
    }
    spec = Reconciliation("shop", "both", **(told | said))
    with duckdb.connect() as connection:
        sides = [DuckSide(connection, f"(VALUES {rows}) AS t(a, b, c)") for rows in (left, right)]
        return compare_measures(spec, *sides) + compare_rows(connection, spec, *sides)


def told(found: Compared) -> dict[str, tuple[str, str, bool]]:
    return {f"{one.measure} {one.group}".strip(): (one.left, one.right, one.agrees) for one in found.findings}


LEFT = "(1, 'x', 10.00), (2, 'y', 20.00), (NULL, 'y', 5.00)"


def test_what_sides_add_up_to() -> None:
    asked = ["row_count", *({"measure": one, "column": "c"} for one in ("sum", "distinct_count", "min", "max"))]
    found = told(compared(LEFT, "(1, 'x', 10.00), (2, 'y', 20.50)", measures=asked))
    assert found == {
        "row_count": ("3", "2", False),
        "sum(c)": ("35.00", "30.50", False),
        "distinct_count(c)": ("3", "2", False),
        "min(c)": ("5.00", "10.00", False),
        "max(c)": ("20.00", "20.50", False),
    }


@pytest.mark.parametrize(
    ("said", "agrees"),
    [
        ({}, False),
        ({"tolerance": 0.5}, True),
        ({"tolerance": 0.49}, False),
        ({"tolerance_percent": 2}, True),
        ({"tolerance_percent": 1}, False),
    ],
)
def test_a_difference_within_tolerance_passes(said: dict[str, float], agrees: bool) -> None:
    asked = [{"measure": "sum", "column": "c", **said}]
    assert compared(LEFT, "(1, 'x', 35.50)", measures=asked).agrees is agrees


def test_groups_are_compared_one_by_one_null_among_them() -> None:
    """The totals agree; the groups do not."""
    right = "(1, 'x', 12.00), (2, 'y', 18.00), (3, NULL, 5.00)"
    asked: list[Any] = ["row_count", {"measure": "sum", "column": "c"}]
    found = told(compared(LEFT, right, measures=asked, group_by=["b"]))
    assert found["sum(c) b x"] == ("10.00", "12.00", False)
    assert found["row_count b y"] == ("2", "1", False)
    assert found["row_count b (null)"] == ("0", "1", False)
    assert compared(LEFT, right, measures=asked).agrees


def test_other_names_and_expressions() -> None:
    asked = [{"measure": "sum", "left": "c * 2", "right": "c"}]
    assert compared("(1, 'x', 5)", "(1, 'x', 10)", measures=asked).agrees
    assert compared(
        "(1, 'x', 5)", "(9, '1', 5)", measures=["key_set"], keys=[{"left": "a", "right": "b::INTEGER"}]
    ).agrees


def test_conditions_on_each_side() -> None:
    assert compared(LEFT, "(1, 'x', 1), (1, 'z', 1)", wheres=("b = 'y'", "TRUE")).agrees


def test_rows_are_told_apart_by_their_key() -> None:
    right = "(1, 'x', 10.00), (2, 'Y', 20.01), (7, 'n', 1.00)"
    found = compared(LEFT, right, measures=["diff", "key_set"], keys=["a"])
    assert [one.difference for one in found.findings] == [
        "1 identical, 1 modified, 1 added, 1 removed",
        "2 identical, 1 added, 1 removed",
    ]
    assert found.columns == ({"column": "b", "rows_that_differ": 1}, {"column": "c", "rows_that_differ": 1})
    assert found.examples[:3] == (
        {"row": "modified", "a": "2", "what differs": "b: y → Y, c: 20.00 → 20.01"},
        {"row": "added", "a": "7", "what differs": ""},
        {"row": "removed", "a": "(null)", "what differs": ""},
    )


def test_null_is_a_value_in_keys_and_columns() -> None:
    rows = "(NULL, NULL, 1), (1, NULL, 2)"
    assert compared(rows, rows, measures=["diff", "key_set"], keys=["a"]).agrees
    assert not compared(rows, "(NULL, 'x', 1), (1, NULL, 2)", measures=["diff"], keys=["a"]).agrees


def test_a_row_may_differ_within_its_tolerance() -> None:
    right = LEFT.replace("20.00", "20.01")
    near = [{"column": "c", "tolerance": 0.02}, "b"]
    assert compared(LEFT, right, measures=["diff"], keys=["a"], compare=near).agrees
    assert not compared(LEFT, right, measures=["diff"], keys=["a"]).agrees


def test_a_number_and_a_text_are_compared_as_numbers_where_the_text_is_one() -> None:
    texts = "(1, 'x', '10'), (2, 'y', '20.005'), (NULL, 'y', '5.0')"
    found = compared(texts, LEFT, measures=["diff"], keys=["a"])
    assert found.examples == ({"row": "modified", "a": "2", "what differs": "c: 20.005 → 20.00"},)
    assert compared(texts, LEFT, measures=["diff"], keys=["a"], compare=[{"column": "c", "tolerance": 0.01}]).agrees
    assert not compared("(1, 'x', 'ten')", "(1, 'x', 10)", measures=["diff"], keys=["a"]).agrees


def test_personal_values_are_not_shown() -> None:
    right = LEFT.replace("'y'", "'secret'").replace("(1,", "(11,")
    asked: list[Any] = ["diff", {"measure": "max", "column": "b"}, "row_count"]
    found = compared(LEFT, right, measures=asked, keys=["a"], group_by=["b"], hidden=frozenset({"b", "a"}))
    assert "secret" not in str(found)
    assert "'11'" not in str(found)
    assert not found.agrees


_rows = st.lists(st.tuples(st.sampled_from([1, 2, None]), st.sampled_from(["x", "y", None])), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(left=_rows, right=_rows)
def test_a_diff_counts_what_pairing_by_hand_counts(left: list[Any], right: list[Any]) -> None:
    """Rows of one key are paired in order; what is left over is added or removed."""
    found = compared(_values(left), _values(right), measures=["diff"], keys=["a"], compare=["b"])
    expected: Counter[str] = Counter()
    for key in {key for key, _ in (*left, *right)}:
        sides = [sorted((value for k, value in rows if k == key), key=lambda one: (one is None, one)) for rows in (left, right)]  # fmt: skip
        for one, other in zip(*sides, strict=False):
            expected["identical" if one == other else "modified"] += 1
        expected["added"] += max(0, len(sides[1]) - len(sides[0]))
        expected["removed"] += max(0, len(sides[0]) - len(sides[1]))
    kinds = ("identical", "modified", "added", "removed")
    assert found.findings[0].difference == ", ".join(f"{expected[kind]} {kind}" for kind in kinds)


def _values(rows: list[tuple[int | None, str | None]]) -> str:
    texts = [(f"{key}" if key else "NULL::INTEGER", f"'{value}'" if value else "NULL::VARCHAR") for key, value in rows]
    return ", ".join(f"({key}, {value}, 0)" for key, value in texts)


# -- in a workflow ---------------------------------------------------------------------------------------------------


def with_reconciliations(*documents: str) -> str:
    blocks = [
        "---\ntype: flowforge_assets.components.Reconciliation\nattributes:\n" + textwrap.indent(textwrap.dedent(one).strip("\n"), "  ")
        for one in documents
    ]  # fmt: skip
    return textwrap.dedent(SHOP_YAML).strip("\n") + "\n" + "\n".join(blocks) + "\n"


LAYERS = (
    """
    name: landed
    left: landing.sales
    right: bronze.sales
    measures: [row_count, diff]
    keys: [shop, number]
    """,
    """
    name: typed
    description: Nothing is lost on the way.
    left_sql: SELECT shop, number FROM bronze.sales WHERE number <> 'x'
    right: sales
    measures: [row_count, key_set]
    keys: [shop, {column: number, left: number::INTEGER, right: number}]
    """,
    """
    name: revenue
    left: sales
    right: fact_sales
    measures: [row_count, {measure: sum, column: quantity}]
    """,
)


def test_layers_are_reconciled_in_every_run(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    defs = load(tmp_path, with_reconciliations(*LAYERS), **SHOP_SQL)
    found = checks(run_well(defs, "shop"))
    assert found["bronze_sales", "reconcile_landed"].passed
    assert found["silver_sales", "reconcile_typed"].passed, found["silver_sales", "reconcile_typed"].description
    assert found["fact_sales", "reconcile_revenue"].passed
    run_well(defs, "shop")
    kept = run_query("SELECT measure, agrees FROM shop_reconciliation.revenue ORDER BY evaluated_at, measure", lake)
    assert kept.rows == (("row_count", True), ("sum(quantity)", True)) * 2


def test_rows_lost_on_the_way_fail_with_what_is_missing(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    lost = {"fact_sales": SHOP_SQL["fact_sales"] + " WHERE i.item_key IS NOT NULL"}
    check = checks(run_well(load(tmp_path, with_reconciliations(LAYERS[2]), **(SHOP_SQL | lost)), "shop"))
    found = check["fact_sales", "reconcile_revenue"]
    assert not found.passed
    assert found.description == "row_count: 3 on the left, 2 on the right; 1 more disagrees."
    shown = [record.data for record in found.metadata["measures"].records]  # type: ignore[union-attr]
    assert {row["measure"]: row["difference"] for row in shown} == {"row_count": "-1", "sum(quantity)": "-5"}


BLOCKING = """
    name: complete
    left: sales
    right: fact_sales
    action: block
"""


def test_a_model_that_disagrees_is_not_published(lake: Lake, tmp_path: Path) -> None:
    """Stage, audit, publish: the staged table is compared with the inputs it was built from."""
    land(lake, "shop", SHOP_DAY1)
    lost = {"fact_sales": SHOP_SQL["fact_sales"].replace("LEFT JOIN", "JOIN")}
    result = run(load(tmp_path, with_reconciliations(BLOCKING), **(SHOP_SQL | lost)), "shop")
    assert not result.success
    assert not checks(result)["fact_sales", "reconcile_complete"].passed
    assert lake.head("gold/shop/fact_sales.parquet") is None
    assert len(run_query("FROM shop_reconciliation.complete", lake).rows) == 1


def test_and_published_once_it_agrees(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    defs = load(tmp_path, with_reconciliations(BLOCKING), **SHOP_SQL)
    assert checks(run_well(defs, "shop"))["fact_sales", "reconcile_complete"].passed
    # A run that leaves the model as it is asks again.
    assert checks(run_well(defs, "shop"))["fact_sales", "reconcile_complete"].passed
    assert len(run_query("FROM shop_reconciliation.complete", lake).rows) == 2


def test_the_command_line_asks_again_and_shows_what_was_found(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", SHOP_DAY1)
    lost = {"fact_sales": SHOP_SQL["fact_sales"] + " WHERE i.item_key IS NOT NULL"}
    defs = load(tmp_path, with_reconciliations(LAYERS[2]), **(SHOP_SQL | lost))
    run_well(defs, "shop")
    answer = reconcile("revenue", "shop", defs)
    assert answer.failed
    assert [one["agrees"] for one in answer.as_dict()["measures"]] == [False, False]
    (kept, *_) = history_of("shop.revenue", None, 1, defs)
    assert (kept["run_id"], kept["this_agrees"]) == (ASKED_BY, False)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(answer.render(), render_history(history_of("revenue", None, 5, defs)))
    assert "row_count: 3 on the left, 2 on the right" in shown.get()
    with pytest.raises(UnknownNameError, match=r"Did you mean 'shop.revenue'"):
        reconcile("shop.revenu", None, defs)


WRONG = {
    "a side nobody makes": ("name: a\nleft: sale\nright: fact_sales", "names 'sale', which no document makes. Did you mean 'sales'?"),
    "a layer there is not": ("name: a\nleft: bronze.fact_sales\nright: fact_sales", "names 'bronze.fact_sales'"),
    "landing on the right": ("name: a\nleft: sales\nright: landing.sales", "landing has no checks"),
    "two left sides": ("name: a\nleft: sales\nleft_sql: SELECT 1\nright: sales", "needs `left`, `left_sql` or `left_source`"),
    "rows without a key": ("name: a\nleft: sales\nright: fact_sales\nmeasures: [diff]", "find rows by `keys`; declare them"),
    "a sum of nothing": ("name: a\nleft: sales\nright: fact_sales\nmeasures: [sum]", "Name a `column`, or say `left` and `right`"),
    "a column that one side lacks": (
        "name: a\nleft: sales\nright: fact_sales\nmeasures: [{measure: sum, column: revenue}]",
        "names the column 'revenue', which its left side, 'sales', does not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(WRONG))
def test_what_is_declared_wrongly_is_refused(tmp_path: Path, case: str) -> None:
    document, said = WRONG[case]
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path, with_reconciliations(document), **SHOP_SQL)
    assert said in everything_said(caught.value)
