"""What is wrong in a workflow's YAML or SQL is said when it is loaded: file, line, what, and the fix."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

import flowforge_assets.cli.app as commands
from flowforge_assets.components import DateDimension, Model, Reconciliation, Sink, Table, Workflow
from scenario import load, project

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.components.part import Part

GOOD = """
type: flowforge_assets.components.Workflow
attributes:
  schedule: "0 6 * * *"
---
type: flowforge_assets.components.Table
attributes:
  name: items
  columns:
    - {name: item_id}
    - {name: price, type: "decimal(10,2)"}
  keys: [item_id]
  rules:
    - {rule: range, column: price, min: 0}
---
type: flowforge_assets.components.Table
attributes:
  name: sales
  columns:
    - {name: number, type: integer}
    - {name: item_id}
  keys: [number]
  rules:
    - {rule: references, column: item_id, table: items, action: keep}
---
type: flowforge_assets.components.Model
attributes:
  name: dim_item
  keys: [item_key]
"""
SQL = "SELECT items_key AS item_key, item_id FROM items"


def everything_said(error: BaseException) -> str:
    said, one = [], error
    while one is not None:
        said.append(str(one))
        one = one.__cause__ or one.__context__
    return "\n".join(said)


def refusal(folder: Path, yaml: str, **files: str) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(folder, yaml, **files)
    return everything_said(caught.value)


def test_the_good_workflow_loads(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, dim_item=SQL).resolve_job_def("shop").name == "shop"


def test_a_template_may_give_a_bounded_number(tmp_path: Path) -> None:
    bounded = GOOD.replace("  schedule:", "  max_attempts: '{{ 1 + 1 }}'\n  schedule:")
    assert load(tmp_path, bounded, dim_item=SQL).resolve_job_def("shop").name == "shop"


# What is replaced in GOOD, by what, and what must be said. The line is the document's, or the value's where known.
WRONG: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a typo in a table's field": ("  keys: [number]", "  keyz: [number]", ("defs.yaml:21", "keyz")),
    "a typo in the workflow's field": ("  schedule:", "  shedule:", ("defs.yaml:3", "shedule")),
    "a component that is none": (
        "components.Model",
        "components.Modell",
        ("`flowforge_assets.components` has no attribute `Modell`",),  # Dagster's own words, before we are asked
    ),
    "a typo in a column": (
        "{name: item_id}\n    - {name: price",
        "{nam: item_id}\n    - {name: price",
        ("attributes.columns.0.nam at", "defs.yaml:9", "There is no field 'nam' here. Did you mean 'name'?"),
    ),
    "a name that YAML takes for no text": (
        "{name: item_id}\n    - {name: price",
        "{name: no}\n    - {name: price",
        ("attributes.columns.0.name at", "defs.yaml:9", "In quotes it is a text"),
    ),
    "a typo in a rule's field": (
        "column: price, min: 0",
        "column: price, minn: 0",
        ("attributes.rules.0.minn at", "defs.yaml:13", "There is no field 'minn' here. Did you mean 'min'?"),
    ),
    "a field that a rule needs": (
        "table: items, action",
        "action",
        ("attributes.rules.0.table at", "defs.yaml:23", "Field required"),
    ),
    "a rule that is none": (
        "rule: range",
        "rule: rang",
        ("attributes.rules.0 at", "defs.yaml:13", "There is no rule 'rang'. Did you mean 'range'?"),
    ),
    "an entry that says not what it is": (
        "{rule: range, column: price, min: 0}",
        "{column: price, min: 0}",
        ("attributes.rules.0 at", "defs.yaml:13", "`rule` is missing"),
    ),
    "a rule named like one of its fields": (
        "{rule: range, column: price, min: 0}",
        "{rule: sql, name: none, sql: FROM items, tabels: []}",
        ("attributes.rules.0.tabels at", "Did you mean 'tables'?"),
    ),
    "one step where a list belongs": (
        "  rules:\n    - {rule: range, column: price, min: 0}",
        "  transforms: {transform: cast}",
        ("attributes.transforms at", "defs.yaml:12", "Input should be a valid list"),
    ),
    "a range without bounds": (", min: 0}", "}", ("defs.yaml:13", "needs `min`, `max` or both")),
    "an unknown column in keys": (
        "  keys: [number]",
        "  keys: [numbr]",
        ("defs/shop/defs.yaml:15", "names the column 'numbr'", "Did you mean 'number'?"),
    ),
    "an unknown column in a rule": (
        "column: price, min",
        "column: prise, min",
        ("defs/shop/defs.yaml:13", "rule range_prise of table 'items'", "Did you mean 'price'?"),
    ),
    "an unknown column in sequence_by": (
        "  keys: [number]",
        "  keys: [number]\n  sequence_by: [updated]",
        ("defs/shop/defs.yaml:15", "sequence_by of table 'sales'", "'updated'"),
    ),
    "an unknown table in references": (
        "table: items, action",
        "table: item, action",
        ("defs/shop/defs.yaml:23", "refers to the table 'item'", "Did you mean 'items'?"),
    ),
    "an unknown column in references": (
        "table: items, action",
        "table: items, to: id, action",
        ("defs/shop/defs.yaml:23", "column 'id' of 'items'", "Say which column with `to:`."),
    ),
    "a circle of references": (
        "    - {rule: range, column: price, min: 0}",
        "    - {rule: references, column: item_id, table: sales}",
        ("defs/shop/defs.yaml", "items → sales → items", "Take one of these references out."),
    ),
    "a table twice": ("  name: sales", "  name: items", ("defs/shop/defs.yaml:15", "'items' is declared twice")),
    "a model named like a table": (
        "  name: dim_item",
        "  name: items\n  sql: dim_item.sql",
        ("defs/shop/defs.yaml", "'items' is declared twice"),
    ),
    "a column twice": (
        "{name: price, type:",
        "{name: item_id, type:",
        ("defs/shop/defs.yaml:5", "two columns named 'item_id'"),
    ),
    "a rule twice": (
        "    - {rule: range, column: price, min: 0}",
        "    - {rule: range, column: price, min: 0}\n    - {rule: range, column: price, max: 9}",
        ("defs/shop/defs.yaml:5", "two rules named 'range_price'", "`name:`"),
    ),
    "a type that is none": (
        "decimal(10,2)",
        "decimel(10,2)",
        ("defs.yaml", "'decimel(10,2)' is not a type", "Did you mean 'decimal(10,2)'?"),
    ),
    "a decimal that cannot be": ("decimal(10,2)", "decimal(2,10)", ("defs.yaml", "decimal(2,10) cannot be")),
    "a bad cron": ('"0 6 * * *"', '"0 25 * * *"', ("defs/shop/defs.yaml:1", "0 25 * * *", "five cron fields")),
    "a bad time zone": (
        'schedule: "0 6 * * *"',
        'schedule: "0 6 * * *"\n  timezone: Europe/Berlinn',
        ("defs/shop/defs.yaml:1", "Europe/Berlinn", "such as Europe/Berlin"),
    ),
    "a text where a bounded number belongs": (
        "  keys: [number]",
        "  keys: [number]\n  max_files_per_run: many",
        ("defs/shop/defs.yaml:22", "`max_files_per_run` was not taken: Input should be a valid integer"),
    ),
    "a bounded number out of its bounds": (
        "  keys: [number]",
        "  keys: [number]\n  max_files_per_run: 0",
        ("defs.yaml:22", "greater than or equal to 1"),
    ),
    "a template that renders a number out of its bounds": (
        "  keys: [number]",
        "  keys: [number]\n  max_files_per_run: '{{ 3 - 4 }}'",
        ("defs/shop/defs.yaml:22", "`max_files_per_run` was not taken: Input should be greater than or equal to 1"),
    ),
    "a name with a capital": ("  name: sales", "  name: Sales", ("defs.yaml", "name")),
    "no column": (
        "  columns:\n    - {name: number, type: integer}\n    - {name: item_id}",
        "  columns: []",
        ("defs.yaml", "columns"),
    ),
    "no key": ("  keys: [number]", "  keys: []", ("defs.yaml", "keys")),
    "an action that is none": ("action: keep", "action: dropp", ("defs.yaml", "action")),
    "two workflows": (
        "---\ntype: flowforge_assets.components.Model",
        "---\ntype: flowforge_assets.components.Workflow\n---\ntype: flowforge_assets.components.Model",
        ("defs/shop/defs.yaml", "two Workflow documents"),
    ),
    "no such sql file": (
        "  name: dim_item",
        "  name: dim_itm",
        ("defs/shop/defs.yaml", "no file 'dim_itm.sql'", "Did you mean 'dim_item.sql'?"),
    ),
    "a bare yes among allowed values": (
        "{rule: range, column: price, min: 0}",
        "{rule: allowed_values, column: item_id, values: [yes, no]}",
        ("defs.yaml", "Write such values in quotes"),
    ),
    "an unknown model in a foreign key": (
        "  keys: [item_key]",
        "  keys: [item_key]\n  foreign_keys: [{column: item_key, model: dim_itm}]",
        ("defs/shop/defs.yaml", "'dim_itm'", "no document makes"),
    ),
    "text that is not YAML": ("  name: items\n", "  name: [items\n", ("defs.yaml",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_the_yaml_is_named_with_its_place_and_the_fix(tmp_path: Path, case: str) -> None:
    old, new, wanted = WRONG[case]
    assert old in GOOD
    said = refusal(tmp_path, GOOD.replace(old, new, 1), dim_item=SQL)
    for part in wanted:
        assert part in said, said


# By `dg check yaml`: it asks the JSON schema, whose messages name neither file nor fix; what counts is where they point.
UNFIT: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "a rule that is none": ({"rules": [{"rule": "rang"}]}, ["rules", 0, "rule"], "'rang' is not one of"),
    "a step's field": ({"transforms": [{"transform": "cast", "to": "x"}]}, ["transforms", 0], "'to' was unexpected"),
    "a step without a field": ({"transforms": [{"transform": "trim"}]}, ["transforms", 0], "'columns' is a required"),
    "an action": (
        {"rules": [{"rule": "not_null", "column": "n", "action": "dropp"}]},
        ["rules", 0, "action"],
        "'dropp'",
    ),
    "a column's field": ({"columns": [{"nam": "n"}]}, ["columns", 0], "'nam' was unexpected"),
    "a number for a list": ({"keys": 5}, ["keys"], "5 is not of type 'array', 'string'"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_the_schema_points_at_what_is_wrong(case: str) -> None:
    attributes, place, words = UNFIT[case]
    schema = Table.get_model_cls().model_json_schema()
    said = [
        (list(one.path), one.message) for one in Draft202012Validator(schema).iter_errors({"name": "t", **attributes})
    ]
    assert any(path == place and words in message for path, message in said), said


@pytest.mark.parametrize("kind", [Table, Model, Workflow, Reconciliation, Sink, DateDimension])
def test_a_schema_that_points_allows_what_the_plain_one_does(kind: type[Part]) -> None:
    made = kind.get_model_cls()
    plain = BaseModel.model_json_schema.__func__(made)
    pointing = made.model_json_schema()
    assert plain["properties"].keys() == pointing["properties"].keys()
    values: list[Any] = [
        None,
        "x",
        5,
        1.5,
        True,
        [],
        ["x"],
        {},
        {"x": 1},
        [{"rule": "not_null", "column": "n"}],
        [{"rule": "n"}],
    ]
    for name, value in itertools.product(plain["properties"], values):
        asked = [
            Draft202012Validator({**one["properties"][name], "$defs": one.get("$defs", {})}).is_valid(value)
            for one in (plain, pointing)
        ]
        assert asked[0] == asked[1], (name, value)


WRONG_SQL: dict[str, tuple[str, tuple[str, ...]]] = {
    "does not parse": (
        "SELECT items_key AS item_key\nFROM items WHERE WHERE",
        ("defs/shop/dim_item.sql:2", "does not parse"),
    ),
    "an unknown table": ("SELECT 1 AS item_key FROM itms", ("reads 'itms'", "dim_item.sql", "Did you mean 'items'?")),
    "reads itself": ("SELECT item_key FROM dim_item", ("reads itself",)),
    "two statements": ("SELECT 1 AS item_key; SELECT 2 AS item_key", ("dim_item.sql", "one SELECT statement")),
    "no SELECT": ("DROP TABLE items", ("dim_item.sql", "one SELECT statement")),
    "nothing": ("-- nothing here", ("dim_item.sql", "one SELECT statement")),
    "an unfinished text": ("SELECT 'a AS item_key FROM items", ("defs/shop/dim_item.sql: ", "Missing ' from 1:7")),
}


@pytest.mark.parametrize("case", WRONG_SQL)
def test_a_mistake_in_the_sql_is_named_with_its_place(tmp_path: Path, case: str) -> None:
    sql, wanted = WRONG_SQL[case]
    said = refusal(tmp_path, GOOD, dim_item=sql)
    assert "DefinitionError" in said or "defs/shop/" in said
    for part in wanted:
        assert part in said, said


def test_models_that_read_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    yaml = GOOD + "---\ntype: flowforge_assets.components.Model\nattributes:\n  name: dim_other\n"
    said = refusal(
        tmp_path, yaml, dim_item="SELECT 1 AS item_key FROM dim_other", dim_other="SELECT item_key FROM dim_item"
    )
    assert "defs/shop/defs.yaml" in said, said
    assert re.search(r"dim_(item|other) → dim_(item|other) → dim_(item|other)", said), said


def test_a_folder_without_a_workflow_document_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, GOOD.split("---", 1)[1], dim_item=SQL)
    assert "no Workflow document" in said
    assert "Add a document" in said


def test_a_model_may_read_a_table_of_another_workflow_by_its_full_name(tmp_path: Path) -> None:
    other = GOOD.split("---\ntype: flowforge_assets.components.Model", maxsplit=1)[0]
    yaml = """
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes: {name: own, columns: [{name: a}], keys: [a]}
        ---
        type: flowforge_assets.components.Model
        attributes: {name: both}
    """
    sql = "SELECT a, item_id FROM own, shop.items WITH_CTE"
    with project(tmp_path, {"shop": other, "report": yaml}, both=sql, dim_item=SQL) as defs:
        graph = defs.resolve_asset_graph()
    parents = graph.get(dg.AssetKey(["report", "both"])).parent_keys
    assert parents == {dg.AssetKey(["report", "silver_own"]), dg.AssetKey(["shop", "silver_items"])}


def test_the_command_line_tells_an_error_in_a_document_in_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = """
    type: flowforge_assets.components.Workflow
    attributes: {descriptoin: A typo.}
    """
    monkeypatch.setattr(commands, "app", lambda: load(tmp_path, document))
    with pytest.raises(SystemExit, match="1"):
        commands.main()
    said = capsys.readouterr().err
    assert "flowforge: the workflows cannot be loaded" in said
    assert "defs.yaml:2" in said
    assert "descriptoin" in said
    assert len(said.splitlines()) < 6, said
