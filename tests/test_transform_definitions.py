"""What is wrong in a table's transforms is said when it is loaded: file, line, number of the transform, and the fix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from flowforge_assets.transforms.sql_expression import UNSTABLE
from scenario import load
from test_yaml import everything_said

GOOD = """
type: flowforge_assets.components.Workflow
attributes: {description: A shop.}
---
type: flowforge_assets.components.Table
attributes:
  name: items
  columns: [{name: item_id, type: integer}, {name: label}, {name: price, type: "decimal(10,2)"}]
  keys: [item_id]
---
type: flowforge_assets.components.Table
attributes:
  name: orders
  landed_columns: [item, full name]
  columns:
    - {name: order_id}
    - {name: first}
    - {name: last}
    - {name: quantity, type: integer}
    - {name: price, type: "decimal(10,2)"}
    - {name: total, type: "decimal(12,2)"}
  keys: [order_id]
  transforms:
    - {transform: trim, columns: [full name]}
    - {transform: split, column: full name, by: " ", into: [first, last]}
    - {transform: route, where: "order_id LIKE 'R%'", to: returns}
    - {transform: lookup, table: items, keys: {item: item_id}, take: [price]}
    - {transform: cast}
    - {transform: derive, column: total, sql: quantity * price}
    - {transform: filter, where: total > 0}
    - {transform: python, function: "own.py:f"}
---
type: flowforge_assets.components.Table
attributes:
  name: returns
  source_table: orders
  columns: [{name: order_id}, {name: who, source: full name}]
  keys: [order_id]
"""
OWN = "NUMBER = 1\n\ndef f(frame):\n    return frame\n"


def refusal(folder: Path, yaml: str, own: str = OWN) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(folder, yaml, **{"own.py": own})
    return everything_said(caught.value)


def test_the_good_tables_load(tmp_path: Path) -> None:
    load(tmp_path, GOOD, **{"own.py": OWN})


# What is replaced in GOOD, by what, and what must be said. Lines are the transform's.
WRONG: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a transform that is none": ("transform: trim", "transform: trimm", ("defs.yaml:23", "There is no transform 'trimm'. Did you mean 'trim'?")),
    "a typo in a transform's field": ("{transform: trim, columns", "{transform: trim, colums", ("defs.yaml:23", "There is no field 'colums' here. Did you mean 'columns'?")),
    "an unknown column": (
        "columns: [full name]}",
        "columns: [fullname]}",
        ("defs/shop/defs.yaml:23", "transform 1 (trim) of table 'orders'", "no column 'fullname'", "Did you mean 'full name'?", "`landed_columns`"),
    ),
    "a column that is gone": (
        "columns: [full name]}",
        "columns: [full name]}\n    - {transform: rename, columns: {full name: name}}",
        ("defs.yaml:25", "transform 3 (split)", "no column 'full name'"),
    ),
    "text transforms behind cast": (
        "{transform: filter, where: total > 0}",
        "{transform: trim, columns: [quantity]}",
        ("defs.yaml:29", "transform 7 (trim)", "it works on text, and 'quantity' is BIGINT"),
    ),
    "a type clash": (
        "sql: quantity * price",
        "sql: quantity * price * 0.001",
        ("defs.yaml:10", "'total' is DECIMAL", "(made by transform 6)", "declared as decimal(12,2)", "`total::DECIMAL(12,2)` in a `derive`"),
    ),
    "a clash of text and number": (
        "    - {transform: cast}\n",
        "",
        ("defs.yaml:27", "transform 5 (derive)", "VARCHAR", "by `cast` before this transform"),
    ),
    "an unknown column in SQL": (
        "sql: quantity * price",
        "sql: quantty * price",
        ("defs.yaml:28", "transform 6 (derive)", "`quantty * price` cannot be computed", "There is no column 'quantty' at this place. Did you mean 'quantity'?"),
    ),
    "an unknown function": ("sql: quantity * price", "sql: quantitize(price)", ("defs.yaml:28", "quantitize")),
    "SQL that does not parse": ("sql: quantity * price", "sql: quantity * * price", ("defs.yaml:28", "it does not parse", "syntax error")),
    "more than an expression": ("sql: quantity * price", "sql: quantity) FROM items WHERE (TRUE", ("defs.yaml:28", "not one expression")),
    "two expressions": ("sql: quantity * price", 'sql: "quantity), (price"', ("defs.yaml:28", "not one expression")),
    "a query": ("sql: quantity * price", "sql: (SELECT max(price) FROM items)", ("defs.yaml:28", "it holds a query", "`lookup`")),
    "an aggregate": ("sql: quantity * price", "sql: sum(price)", ("defs.yaml:28", "it looks at other rows: no aggregates")),
    "a window": ("sql: quantity * price", "sql: row_number() OVER ()", ("defs.yaml:28", "it looks at other rows: no window functions")),
    "the moment": ("where: total > 0", "where: current_date > DATE '2026-01-01'", ("defs.yaml:29", "`current_date` gives another result in every run")),
    "chance": ("where: total > 0", "where: total > random()", ("defs.yaml:29", "`random` gives another result")),
    "a condition that is none": ("where: total > 0", "where: total + 1", ("defs.yaml:29", "neither true nor false")),
    "a text that is no number": ("where: total > 0", "where: quantity = 'x'", ("defs.yaml:29", "`quantity = 'x'` cannot be computed: 'x' is no BIGINT")),
    "a text that is no number in a rule": (
        "keys: [order_id]\n  transforms",
        "keys: [order_id]\n  rules: [{rule: expression, name: e, sql: \"quantity <> 'x'\"}]\n  transforms",
        ("defs.yaml:22", "rule e of table 'orders' cannot be asked: 'x' is no BIGINT"),
    ),
    "a condition of deletes that is none": (
        "keys: [order_id]\n  transforms",
        "keys: [order_id]\n  apply_as_delete_when: quantity\n  transforms",
        ("defs.yaml:10", "`apply_as_delete_when: quantity` of table 'orders' cannot be asked: it is neither true nor false"),
    ),
    "a condition of deletes that clashes": (
        "keys: [order_id]\n  transforms",
        "keys: [order_id]\n  apply_as_delete_when: first > 5\n  transforms",
        ("defs.yaml:10", "cannot be asked: Cannot compare values of type VARCHAR"),
    ),
    "a condition of deletes over several rows": (
        "keys: [order_id]\n  transforms",
        "keys: [order_id]\n  apply_as_delete_when: sum(quantity) > 5\n  transforms",
        ("defs.yaml:10", "`apply_as_delete_when: sum(quantity) > 5` of table 'orders' cannot be asked: "),
    ),
    "one column for two parts": ("into: [first, last]", "into: [first, first]", ("defs.yaml:24", "transform 2 (split)", "two columns get one name")),
    "a regular expression that is none": (
        "{transform: trim, columns: [full name]}",
        '{transform: replace, columns: [full name], find: "(", regex: true}',
        ("defs.yaml:23", "`find: (` is not a regular expression: missing )"),
    ),
    "yes and no": (
        "{transform: trim, columns: [full name]}",
        "{transform: map_values, columns: [full name], values: {yes: no}}",
        ("defs.yaml", "Write such values in quotes"),
    ),
    "a column that differs by case": ("into: [first, last]", "into: [First, order_ID]", ("defs.yaml:24", "'First' and 'first' differ by upper and lower case")),
    "one of our names": ("into: [first, last]", "into: [first, _rid]", ("defs.yaml:24", "'_rid' starts with an underscore")),
    "a declared column that goes away": (
        "{transform: filter, where: total > 0}",
        "{transform: unpivot, columns: [first, last], names_to: part, values_to: name}",
        ("defs.yaml:10", "'first' is not there behind the transforms"),
    ),
    "cast twice": ("{transform: filter, where: total > 0}", "{transform: cast}", ("defs.yaml:29", "transform 7 (cast)", "Keep one.")),
    "an unknown table to look up": ("table: items, keys", "table: item, keys", ("defs.yaml:26", "transform 4 (lookup)", "no table 'item'", "Did you mean 'items'?")),
    "an unknown column to take": ("take: [price]", "take: {price: prise}", ("defs.yaml:26", "table 'items' has no column 'prise'", "Did you mean 'price'?")),
    "a lookup not by key": ("keys: {item: item_id}", "keys: {item: label}", ("defs.yaml:26", "the keys of 'items' are item_id", "several rows could match")),
    "a lookup of versions there are none of": ("take: [price]", "take: [price], as_of: last", ("defs.yaml:26", "'items' keeps no versions (`strategy: upsert`)")),
    "a lookup over a column": ("take: [price]", "take: {full name: price}", ("defs.yaml:26", "there is a column 'full name' already")),
    "a lookup that clashes": ("take: [price]", "take: {quantity: price}", ("defs.yaml:27", "'quantity' is DECIMAL(10,2) (made by transform 4), and declared as integer")),
    "a lookup in a circle": (
        "  keys: [item_id]\n",
        "  keys: [item_id]\n  transforms: [{transform: lookup, table: orders, keys: [order_id], take: [total]}]\n  landed_columns: [order_id]\n",
        ("the references and lookups of", "go in a circle"),
    ),
    "a route to nowhere": ("to: returns}", "to: retuns}", ("defs.yaml:32", "which routes none to it, but to 'retuns'")),
    "a routed table without a route": (
        "    - {transform: route, where: \"order_id LIKE 'R%'\", to: returns}\n",
        "",
        ("defs.yaml:31", "takes its rows from 'orders', which routes none to it", "Add `- {transform: route"),
    ),
    "an unknown source table": ("source_table: orders", "source_table: order", ("defs.yaml:32", "takes its rows from 'order', which", "Did you mean 'orders'?")),
    "a routed table with files": ("  source_table: orders", "  source_table: orders\n  files: x.csv", ("defs.yaml:32", "`files` says nothing")),
    "an unknown column of a routed table": ("source: full name", "source: fullname", ("defs.yaml:32", "column 'who' is 'fullname' in the rows that come from 'orders'", "Did you mean 'full name'?")),
    "a route to a table with files": ("to: returns}", 'to: returns}\n    - {transform: route, where: "TRUE", to: items}', ("defs.yaml:26", "no table 'items' takes its rows from here")),
    "landed columns that are declared": ("landed_columns: [item,", "landed_columns: [item, quantity,", ("defs.yaml:10", "names 'quantity', which is declared")),
    "landed columns for nothing": ("  keys: [item_id]\n", "  keys: [item_id]\n  landed_columns: [x]\n", ("defs.yaml:4", "there are none")),
    "no such file": ("own.py:f", "one.py:f", ("defs.yaml:30", "transform 8 (python)", "no file 'one.py' beside the YAML", "Did you mean 'own.py'?")),
    "no such function": ("own.py:f", "own.py:g", ("defs.yaml:30", "the module has no 'g'")),
    "no function": ("own.py:f", "own.py:NUMBER", ("defs.yaml:30", "is int, not a function")),
    "no such module": ("own.py:f", "no_such_module:f", ("defs.yaml:30", "'no_such_module' cannot be imported", "ModuleNotFoundError")),
    "a function not written so": ("own.py:f", "own.py", ("defs.yaml", "`package.module:function`")),
    "a type to add that is none": ('"own.py:f"', '"own.py:f", adds: {score: floot}', ("defs.yaml", "'floot' is not a type")),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_a_transform_is_named_with_its_place_and_the_fix(tmp_path: Path, case: str) -> None:
    old, new, wanted = WRONG[case]
    assert old in GOOD
    said = refusal(tmp_path, GOOD.replace(old, new, 1))
    for part in wanted:
        assert part in said, said


def test_a_function_that_does_not_import_says_why(tmp_path: Path) -> None:
    said = refusal(tmp_path, GOOD, own="import no_such_thing\n")
    assert "defs/shop/defs.yaml:30" in said
    assert "'own.py' cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'" in said


def test_every_function_of_duckdb_that_is_not_the_same_in_every_run_is_known() -> None:
    with duckdb.connect() as connection:
        found = connection.execute("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
        assert {row[0] for row in found.fetchall()} <= UNSTABLE


def test_the_examples_of_the_manual_load(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "transforms.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    functions = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert (len(examples), len(functions)) == (2, 1)
    good = GOOD.split("---")
    load(tmp_path, "---".join([*good[:2], *(f"\n{one}" for one in examples)]), **{"own.py": functions[0]})


def test_engines_are_imported_for_tables_with_transforms_only() -> None:
    """By the second start: the first one asks what the models' SQL says of itself, and remembers."""
    code = "import sys, flowforge_assets.definitions as d; d.defs.get_repository_def(); print(sorted({'duckdb', 'polars', 'pyarrow'} & set(sys.modules)))"
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert said[1] == "[]"
