"""Tables as ODCS contracts and back: valid by the official schema, nothing lost on the way, nothing dropped in silence."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from flowforge_assets.catalog import OWN_FOLDER
from flowforge_assets.cli.app import app
from flowforge_assets.odcs.files import export_table, import_contract
from flowforge_assets.odcs.tables import from_contract, to_contract
from flowforge_assets.yaml_tables import spec_of
from flowforge_checks.contracts import ContractError
from flowforge_checks.odcs.official import require_valid
from flowforge_checks.odcs.quality import to_quality
from flowforge_checks.rules import RULE_KINDS
from flowforge_resources.layout import TableId
from test_contracts_pandera import ROW_RULES

SERVER = {"server": "lake", "type": "local", "path": "/lake/silver/w/t/current.parquet", "format": "parquet"}
TABLE_RULES: list[dict[str, Any]] = [
    {"rule": "unique", "columns": ["a"]},
    {"rule": "unique", "columns": ["a", "b"], "action": "block", "error_above": "1%"},
    {"rule": "no_pair", "name": "falls", "columns": ["a"], "sql": "a.n > b.n", "action": "drop", "keep_row": "none"},
    {"rule": "one_spelling", "columns": ["a"], "times": 5},
    {"rule": "unique", "columns_sql": ["lower(a)"]},
    {"rule": "determines", "columns_sql": ["left(a, 1)"], "determines_each": ["b", "n"]},
    {"rule": "near_median", "columns": ["n"], "per": ["a"], "max_difference": "15m"},
    {"rule": "row_count", "min": 1, "max": 10},
    {"rule": "row_count", "name": "some", "min": 1, "severity": "warn"},
    {"rule": "row_count", "name": "exact", "min": 2, "max": 2},
    {"rule": "row_count_change", "max_decrease": "10%"},
    {"rule": "null_rate", "column": "a", "max": "5%"},
    {"rule": "null_rate", "column": "b", "max": 0.05},
    {"rule": "distinct_count", "column": "a", "max": 3},
    {"rule": "mean_between", "column": "n", "min": 1},
    {"rule": "sum_between", "column": "n", "min": 1},
    {"rule": "quantile_between", "column": "n", "q": 0.5, "max": 9},
    {"rule": "fresh_within", "column": "d", "max_age": "2d"},
    {"rule": "schema_is", "columns": {"a": "VARCHAR"}, "allow_more": True},
    {"rule": "no_gaps", "column": "d", "every": "day"},
    {"rule": "distribution_like", "column": "a"},
    {"rule": "sql", "name": "no_x", "sql": "SELECT * FROM {table} WHERE a = 'x'", "owner": "ada"},
    {"rule": "sql", "name": "known", "sql": "FROM {table} ANTI JOIN o USING (a)", "tables": ["o"]},
]
MORE: list[dict[str, Any]] = [
    {"rule": "not_null", "column": "a", "error_above": "5%", "warn_above": 3, "action": "keep"},
    {"rule": "not_null", "column": "a", "warn_above": 3, "description": "Why."},
    {"rule": "not_null", "column": "a", "where": "b = 'x'", "name": "when_x"},
    {"rule": "not_null", "for_each_column": ["*_id", "a"]},
    {"rule": "allowed_values", "column": "a", "values": ["x", "y"], "severity": "warn", "action": "keep"},
    {"rule": "matches", "column": "a", "pattern": "x|y"},
    {"rule": "determines", "columns": ["a"], "determines": ["b"]},
]
EVERY = [*ROW_RULES, *TABLE_RULES, *MORE]
COLUMNS: list[dict[str, Any]] = [
    {"name": "a", "description": "The first."},
    {"name": "b", "pii": True, "null_markers": ["-"]},
    {"name": "n", "type": "decimal(10,2)", "source": "Amount"},
    {"name": "i", "type": "integer"},
    {"name": "f", "type": "float"},
    {"name": "d", "type": "date", "formats": ["%d.%m.%Y"]},
    {"name": "t", "type": "timestamp"},
    {"name": "c", "type": "time"},
    {"name": "p", "type": "boolean"},
    {"name": "j", "type": "json"},
    {"name": "text"},
    {"name": "other"},
    {"name": "price", "type": "decimal(10,2)"},
    {"name": "share", "type": "float"},
    {"name": "day", "type": "date"},
]


def table(**more: Any) -> dict[str, Any]:
    return {"name": "t", "columns": COLUMNS, "keys": ["i", "a"], **more}


def there_and_back(attributes: dict[str, Any]) -> dict[str, Any]:
    contract = yaml.safe_load(yaml.safe_dump(to_contract(attributes, "w", SERVER, "1.0.0")))
    require_valid(contract, "it")
    (back,), not_taken = from_contract(contract)
    assert not_taken == []
    return back


def test_every_kind_of_rule_is_tried() -> None:
    assert {kind.word() for kind in RULE_KINDS} - {"pandera"} <= {rule["rule"] for rule in EVERY}


@pytest.mark.parametrize("rule", EVERY, ids=lambda one: one.get("name") or f"{one['rule']}-{one.get('column', '')}")
def test_a_rule_comes_back_as_it_was(rule: dict[str, Any]) -> None:
    assert there_and_back(table(rules=[rule]))["rules"] == [rule]


def test_a_table_comes_back_as_it_was_in_the_order_of_its_rules() -> None:
    whole = table(
        rules=EVERY[::-1],
        description="A table.",
        owners=["team:sales", "ada@example.org"],
        tags={"tier": "gold"},
        freshness={"warn_after_hours": 12, "fail_after_hours": 24},
        files="t_*.csv",
        sequence_by=["t"],
        strategy="scd2",
    )
    assert there_and_back(whole) == whole
    late = {"deadline_cron": "0 6 * * *", "lower_bound_hours": 2, "timezone": "Europe/Berlin"}
    assert there_and_back(table(freshness=late)) == table(freshness=late)


LIBRARY = {
    "not_null": {"metric": "nullValues", "mustBe": 0},
    "allowed_values": {"metric": "invalidValues", "arguments": {"validValues": ["a", "B"]}, "mustBe": 0},
    "unique": {"metric": "duplicateValues", "mustBe": 0},
}


def test_what_the_standard_has_a_metric_for_is_said_by_it() -> None:
    rules = {"not_null": MORE[1], "allowed_values": {**ROW_RULES[5], "case_sensitive": True}, "unique": TABLE_RULES[0]}
    for kind, expected in LIBRARY.items():
        rule = {name: value for name, value in rules[kind].items() if name != "warn_above"}
        entry = to_quality(rule)[1]
        assert {name: entry[name] for name in expected} == expected
        assert "type" not in entry
    kinds = {rule["rule"]: to_quality(rule)[1].get("type", "library") for rule in EVERY[: len(ROW_RULES)]}
    assert {name for name, kind in kinds.items() if kind == "custom"} == {
        *("type", "format", "python", "unique", "determines", "no_pair", "one_spelling", "near_median")
    }
    range_entry = to_quality({"rule": "range", "column": "n", "min": 0})[1]
    assert range_entry["query"] == 'SELECT count(*) FROM {object} WHERE ("n" >= 0) IS FALSE'


@pytest.mark.parametrize("name", ["countries", "products", "customers", "orders", "order_items"])
def test_the_sample_tables_round_trip_through_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.odcs.yaml"
    file.write_text(export_table(name, "retail", "s3://bucket/lake"), encoding="utf-8")
    found = import_contract(file)
    assert found.not_taken == ()
    attributes = yaml.safe_load(found.text)["attributes"]
    before = spec_of(OWN_FOLDER / "retail", TableId("retail", name))
    again = spec_of(OWN_FOLDER / "retail", TableId("retail", name), [attributes])
    assert (again.columns, again.keys, again.rules) == (before.columns, before.keys, before.rules)
    assert again.fingerprint == before.fingerprint


FOREIGN = """
    apiVersion: v3.0.2
    kind: DataContract
    id: 53581432-6c55-4ba2-a65f-72344a91553a
    version: 1.1.0
    status: active
    name: payments
    price: {priceAmount: 9.95, priceCurrency: USD, priceUnit: megabyte}
    description: {purpose: Views of payments., limitations: None known}
    servers: [{server: prod, type: postgresql, host: h, port: 5432, database: d, schema: s}]
    team:
      members: [{username: ada@example.org, role: Owner}, {username: bob, role: steward}]
    slaProperties:
      - {property: latency, value: 2, unit: d}
      - {property: retention, value: 3, unit: y}
    schema:
      - name: Payments
        physicalType: table
        tags: [finance]
        properties:
          - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true}
          - name: amount
            logicalType: number
            physicalType: NUMERIC(12, 3)
            logicalTypeOptions: {exclusiveMinimum: 0, multipleOf: 5}
            required: true
          - name: code
            logicalType: string
            logicalTypeOptions: {minLength: 2, pattern: "^[A-Z]+$", format: email}
            quality:
              - {metric: invalidValues, arguments: {validValues: [A, B]}, mustBeLessThan: 5}
              - {type: custom, engine: soda, implementation: "x"}
              - {type: text, description: Codes are nice.}
              - {name: few codes, type: sql, query: "SELECT count(DISTINCT {property}) FROM {object}", mustBeBetween: [1, 9]}
              - {metric: nullValues, mustBeLessThan: 1, unit: percent}
          - {name: extra, logicalType: object, properties: [{name: x, logicalType: string}]}
        quality:
          - {metric: rowCount, mustBeGreaterThan: 9, schedule: 0 20 * * *}
          - {metric: duplicateValues, mustBe: 0, arguments: {properties: [id, code]}}
"""


def test_a_contract_of_others_becomes_a_table_and_what_has_no_equivalent_is_listed(tmp_path: Path) -> None:
    file, target = tmp_path / "x.odcs.yaml", tmp_path / "defs" / "defs.yaml"
    file.write_text(dedent(FOREIGN), encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "import", str(file), "--to", str(target)])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(target.read_text(encoding="utf-8"))["attributes"] == {
        "name": "payments",
        "description": "Views of payments.",
        "owners": ["ada@example.org"],
        "freshness": {"fail_after_hours": 48.0},
        "columns": [
            {"name": "id"},
            {"name": "amount", "type": "decimal(12,3)"},
            {"name": "code"},
            {"name": "extra", "type": "json"},
        ],
        "keys": ["id"],
        "rules": [
            {"rule": "allowed_values", "column": "code", "values": ["A", "B"], "error_above": 4},
            {
                "rule": "sql",
                "name": "few_codes",
                "sql": 'SELECT * FROM (SELECT count(DISTINCT "code") FROM {table}) AS asked(answer) WHERE (answer BETWEEN 1 AND 9) IS NOT TRUE',
            },
            {"rule": "null_rate", "column": "code", "max": "1%"},
            {"rule": "row_count", "min": 10},
            {"rule": "unique", "columns": ["id", "code"]},
            {"rule": "range", "column": "amount", "min": 0, "exclusive_min": True},
            {"rule": "length", "column": "code", "min": 2},
            {"rule": "matches", "column": "code", "pattern": "[A-Z]+"},
            {"rule": "format", "column": "code", "is_a": "email"},
            {"rule": "not_null", "column": "amount"},
        ],
    }
    not_taken = "\n".join(import_contract(file).not_taken)
    for one in (
        "`price`",
        "server 'prod'",
        "`description.limitations`",
        "team member 'bob'",
        "SLA `retention`",
        "tag `finance`",
        "multipleOf: 5` of property amount",
        "engine 'soda'",
        "text for people",
        "`properties` of property extra",
        "inner structure of property extra",
        "`schedule` of quality 'rowCount'",
        "the name 'Payments', which became 'payments'",
    ):
        assert one in not_taken, (one, not_taken)
        assert one in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is no YAML"),
        ("apiVersion: v2.2.2", "no ODCS contract of version 3"),
        ("{apiVersion: v3.1.0, kind: DataContract, id: x, version: 1.0.0}", "'status' is a required property"),
        ("{apiVersion: v3.1.0, kind: DataContract, id: x, version: 1.0.0, status: active}", "has no `schema`"),
    ],
)
def test_what_is_no_contract_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=said):
        import_contract(file)
