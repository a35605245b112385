"""A table's contract as a pandera schema says of every row what FlowForge's gate says, nulls included."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors
from pydantic import TypeAdapter

from flowforge_checks import schema_of
from flowforge_checks.contracts import Contract, ContractColumn, ContractError
from flowforge_checks.gate import Gate
from flowforge_checks.rules import RULE_KINDS, AnyRule, Rows, Rule
from flowforge_checks.statements import statements
from flowforge_resources.duck import connect, literal
from scenario import SHOP_YAML

RULES: TypeAdapter[Rule] = TypeAdapter(AnyRule)
COLUMNS = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "other": "VARCHAR",
    "n": "BIGINT",
    "price": "DECIMAL(10,2)",
    "share": "DOUBLE",
    "paid": "BOOLEAN",
    "day": "DATE",
    "until": "DATE",
    "at": "TIMESTAMP",
    "clock": "TIME",
}
OWN_PY = "import polars as pl\n\ndef even(rows):\n    return pl.col('n') % 2 == 0\n"
ROW_RULES: list[dict[str, Any]] = [
    {"rule": "not_null", "column": "text"},
    {"rule": "not_blank", "column": "text", "markers": ["n/a"], "action": "keep"},
    {"rule": "range", "column": "n", "min": 0, "max": 5, "exclusive_max": True},
    {"rule": "range", "column": "day", "min": "2026-01-02", "max_sql": "until", "name": "range_day", "action": "drop"},
    {"rule": "length", "column": "text", "min": 2, "max": 3, "action": "keep"},
    {"rule": "allowed_values", "column": "other", "values": ["a", "B"], "case_sensitive": False},
    {"rule": "forbidden_values", "column": "price", "values": [1, 2.5]},
    {"rule": "matches", "column": "other", "pattern": "[a-z]+", "negate": True, "action": "drop"},
    {"rule": "type", "column": "text", "is_a": "decimal(3,1)"},
    {"rule": "format", "column": "text", "is_a": "email", "action": "keep", "severity": "warn"},
    {"rule": "compare", "column": "day", "operator": "<=", "other": "until"},
    {"rule": "compare", "column": "share", "operator": "==", "other": "n", "tolerance": 0.5, "nulls": "fail"},
    {"rule": "at_least_one_not_null", "columns": ["text", "other"]},
    {"rule": "exactly_one_not_null", "columns": ["n", "share"], "action": "keep"},
    {"rule": "references", "column": "other", "table": "places", "to": "code", "where": "paid"},
    {"rule": "expression", "name": "paid_has_price", "sql": "NOT paid OR price > 0"},
    {"rule": "expression", "name": "text_is_small", "sql": "text::DOUBLE > 1 AND text::DOUBLE < 100"},
    {"rule": "python", "name": "even", "function": "own.py:even", "columns": ["n"]},
    {"rule": "unique", "columns": ["text"], "action": "drop", "keep_row": "first"},
    {"rule": "unique", "columns_sql": ["lower(other)"], "columns": ["day"], "action": "drop", "keep_row": "first"},
    {"rule": "determines", "columns": ["text"], "determines": ["other"], "action": "quarantine", "keep_row": "none"},
    {"rule": "determines", "columns": ["day"], "determines": ["n"], "action": "drop", "keep_row": "majority"},
    {
        "rule": "no_pair",
        "name": "falls",
        "sql": "a.n < b.n AND a.price > b.price",
        "action": "drop",
        "keep_row": "most_common",
    },
    {
        "rule": "one_spelling",
        "columns": ["other"],
        "min_length": 1,
        "times": 2,
        "action": "drop",
        "keep_row": "most_common",
    },
    {
        "rule": "near_median",
        "columns": ["n"],
        "per": ["paid"],
        "max_difference": 2,
        "min_rows": 3,
        "action": "quarantine",
        "keep_row": "most_common",
    },
]
TEXTS = st.sampled_from([None, "", " ", "a", "B", "abc", "a@b.co", "N/A", "12.5", "1234", "x y", "ä"])
DAYS = st.one_of(st.none(), st.dates(date(2026, 1, 1), date(2026, 1, 4)))
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "2", "3", "", None]),
        "text": TEXTS,
        "other": TEXTS,
        "n": st.one_of(st.none(), st.integers(-2, 7)),
        "price": st.one_of(st.none(), st.sampled_from([Decimal("1.00"), Decimal("2.50"), Decimal("-3.00")])),
        "share": st.one_of(st.none(), st.sampled_from([0.0, 1.5, 2.2])),
        "paid": st.one_of(st.none(), st.booleans()),
        "day": DAYS,
        "until": DAYS,
        "at": st.one_of(st.none(), st.just(datetime(2026, 1, 1, 12))),  # noqa: DTZ001
        "clock": st.one_of(st.none(), st.just(time(12))),
    }
)
SCHEMA = {
    "id": pl.String,
    "text": pl.String,
    "other": pl.String,
    "n": pl.Int64,
    "price": pl.Decimal(10, 2),
    "share": pl.Float64,
    "paid": pl.Boolean,
    "day": pl.Date,
    "until": pl.Date,
    "at": pl.Datetime("us"),
    "clock": pl.Time,
}
PLACES = pl.DataFrame({"code": ["a", "abc", None]})


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN_PY, encoding="utf-8")
    rules = tuple(RULES.validate_python(one).beside(folder) for one in ROW_RULES)
    columns = tuple(ContractColumn(name, kind, nullable=name != "id") for name, kind in COLUMNS.items())
    return Contract("w.t", columns, ("id",), rules, ("n",))


def failures(contract: Contract, frame: pl.DataFrame, **given: Any) -> set[tuple[str, int | None]]:
    """What pandera finds: check and row."""
    try:
        schema_of(contract, **given).validate(frame, lazy=True)
    except SchemaErrors as error:
        return set(error.failure_cases.select("check", "index").rows())
    return set()


def gate_says(contract: Contract, frame: pl.DataFrame, folder: Path) -> set[tuple[str, int]]:
    """What the gate finds of the same rows, with every one of its statements."""
    places = folder / "places.parquet"
    PLACES.write_parquet(places)
    frame.with_row_index("_rid").cast({"_rid": pl.Int64}).write_parquet(folder / "rows.parquet")
    with connect(folder) as connection:
        connection.execute(
            f"CREATE VIEW typed AS SELECT *, _rid AS _position FROM read_parquet({literal(str(folder / 'rows.parquet'))})"
        )
        told = statements(contract.keys, {}, contract.rules, {"places": str(places)})
        gate = Gate(connection, told, contract.keys, Rows("", '"n" ASC NULLS FIRST, _rid', contract.keys))
        found = set()
        for index, one in enumerate(told):
            rows = connection.execute(f"SELECT _rid FROM verdict WHERE {gate._breaks(index)}").fetchall()
            found |= {(one.check, row[0]) for row in rows}
    return found


def test_every_kind_of_row_rule_is_compared() -> None:
    kinds = {kind.word() for kind in RULE_KINDS if kind.judges_by_kind == "row"} - {"pandera"}
    assert kinds <= {one["rule"] for one in ROW_RULES}


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(ROWS, max_size=7))
def test_pandera_and_the_gate_say_the_same_of_every_row(contract: Contract, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    with TemporaryDirectory() as folder:
        expected = gate_says(contract, frame, Path(folder))
    found = failures(contract, frame, reads={"places": PLACES})
    # A null key breaks the column's own nullability, an empty one the check.
    renamed = {("keys_present" if check == "not_nullable" else check, row) for check, row in found}
    assert renamed == expected


def test_types_and_missing_columns_are_told(contract: Contract) -> None:
    frame = pl.DataFrame({"id": ["1"]}).with_columns(n=pl.lit("1"))
    checks = {check for check, _ in failures(contract, frame, reads={"places": PLACES}, actions=["block"])}
    assert checks == {"column_in_dataframe", "dtype('Int64')"}


TABLE_RULES: list[tuple[dict[str, Any], set[tuple[str, int | None]]]] = [
    ({"rule": "unique", "columns": ["text"]}, {("unique_text", 0), ("unique_text", 2)}),
    ({"rule": "determines", "columns": ["text"], "determines": ["n"]}, {("determines_text_n", 2)}),
    ({"rule": "unique", "columns": ["text"], "error_above": 2}, set()),
    ({"rule": "not_null", "column": "n", "action": "keep", "warn_above": "50%"}, set()),
    ({"rule": "not_null", "column": "n", "action": "keep", "warn_above": "10%"}, {("not_null_n", 1)}),
    ({"rule": "not_null", "column": "n", "warn_above": "50%"}, {("not_null_n", 1)}),
    ({"rule": "row_count", "max": 2}, {("row_count", None)}),
    ({"rule": "row_count", "min": 3}, set()),
    ({"rule": "null_rate", "column": "n", "max": "10%"}, {("null_rate_n", None)}),
    ({"rule": "row_count_change", "max_increase": "10%"}, {("row_count_change", None)}),
    ({"rule": "sql", "name": "none_b", "sql": "FROM {table} WHERE text = 'b'"}, {("none_b", None)}),
    ({"rule": "schema_is", "columns": {"text": "VARCHAR", "n": "BIGINT"}}, set()),
]


@pytest.mark.parametrize(("rule", "expected"), TABLE_RULES, ids=[str(rule)[:60] for rule, _ in TABLE_RULES])
def test_rules_of_the_table_name_rows_where_they_can(
    rule: dict[str, Any], expected: set[tuple[str, int | None]]
) -> None:
    columns = (ContractColumn("text", "VARCHAR"), ContractColumn("n", "BIGINT"))
    told = Contract("w.t", columns, (), (RULES.validate_python(rule),))
    frame = pl.DataFrame({"text": ["a", "b", "a"], "n": [1, None, 2]})
    assert failures(told, frame, previous=frame.head(1)) == expected


def test_several_kinds_of_failures_come_in_one_report(contract: Contract) -> None:
    rules = [{"rule": "row_count", "min": 9}, {"rule": "not_null", "column": "text"}]
    told = Contract("w.t", contract.columns, ("id",), tuple(RULES.validate_python(one) for one in rules))
    frame = pl.DataFrame([{"id": None, "text": None}], schema=SCHEMA)
    assert failures(told, frame) == {("row_count", None), ("not_null_text", 0), ("not_nullable", 0)}


def test_a_declared_table_is_found_by_name_and_says_what_its_rules_do(tmp_path: Path) -> None:
    folder = tmp_path / "defs"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "defs.yaml").write_text(dedent(SHOP_YAML), encoding="utf-8")
    schema = schema_of("shop.items", defs=folder)
    assert schema_of("items", defs=folder / "shop").columns.keys() == schema.columns.keys()
    with pytest.raises(ContractError, match="looks into the table 'items'"):
        schema_of("sales", defs=folder)
    assert schema_of("sales", defs=folder, leave_out=["references_item_id"]).checks == []
    assert schema.metadata is not None
    assert schema.metadata["rules"]["range_price"] == {
        "rule": "range",
        "action": "quarantine",
        "severity": "error",
        "judges": "row",
        "columns": ["price"],
        "demand": "price is at least 0",
    }
    rows = pl.DataFrame(
        {"item_id": ["1", "2"], "label": ["a", None], "price": ["1.00", "-1.00"], "seen_at": [date(2026, 1, 1)] * 2},
    ).cast({"price": pl.Decimal(10, 2)})
    with pytest.raises(SchemaErrors) as error:
        schema.validate(rows, lazy=True)
    assert error.value.failure_cases.rows() == [("-1.00", "Column", "price", "range_price", 0, 1)]
    assert schema.validate(rows.head(1)).equals(rows.head(1))


def test_nobody_knows_what_is_no_table() -> None:
    with pytest.raises(ContractError, match="is no table"):
        schema_of(42)
