"""Strategies in real runs: what is published and remembered, replays, crashes, what reads such tables, and the YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_assets.formats.csv_options import BESIDE_THE_COLUMNS, OWN_COLUMNS
from flowforge_assets.silver.rollback import plan_rollback, roll_back
from flowforge_assets.transforms.place import POSITION, RID
from flowforge_checks.quarantine import WRITTEN_BY_FLOWFORGE
from flowforge_resources.layout import TableId
from flowforge_resources.silver_io_manager import SilverIOManager
from scenario import checks, land, load, metadata, objects, rows_of, run, run_well, state

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Strategies.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: users
      columns:
        - {name: id}
        - {name: name, description: What they are called.}
        - {name: city}
        - {name: op}
        - {name: at, type: date}
      keys: [id]
      sequence_by: [at]
      apply_as_delete_when: op = 'D'
      apply_as_truncate_when: op = 'T'
      except_columns: [op]
      rules:
        - {rule: not_null, column: name}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: history
      columns:
        - {name: id}
        - {name: name, description: What they are called.}
        - {name: city}
        - {name: op}
        - {name: at, type: date}
      keys: [id]
      sequence_by: [at]
      strategy: scd2
      apply_as_delete_when: op = 'D'
      except_columns: [op]
      track_history_except: [city]
      scd2_columns: {valid_from: since}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: log
      strategy: append
      columns: [{name: id}, {name: line}]
      rules:
        - {rule: references, column: id, table: history, action: keep, severity: warn}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: prices
      strategy: full_refresh
      columns: [{name: id}, {name: price, type: integer}]
      keys: [id]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: staff
      strategy: scd2
      delete_absent: invalidate
      columns: [{name: id}, {name: name}]
      keys: [id]
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: dim_user
      keys: [history_version_key]
      unknown_member: history_version_key
"""
SQL = "SELECT history_version_key, id, name, since, valid_to FROM history"
HEAD = "id,name,city,op,at\n"
DAY1 = HEAD + "1,Ann,Rome,I,2026-01-01\n2,Bob,Oslo,I,2026-01-02\n3,Cy,Bonn,I,2026-01-02\n"
DAY2 = HEAD + "2,,,D,2026-01-05\n1,Ann,Nice,U,2026-01-06\n3,Sy,Bonn,U,2026-01-06\n"
LATE = HEAD + "2,Rob,Oslo,U,2026-01-03\n3,Cyr,Bonn,U,2026-01-04\n"


def day(lake: Lake, number: int, text: str) -> None:
    land(lake, "shop", {f"users/{number}.csv": text, f"history/{number}.csv": text})


def silver(lake: Lake, table: str, *names: str) -> list[tuple[Any, ...]]:
    found = rows_of(lake, f"silver/shop/{table}/current.parquet")
    return sorted((tuple(None if row[name] is None else str(row[name]) for name in names) for row in found), key=str)


def three_days(lake: Lake, defs: dg.Definitions) -> None:
    for number, text in enumerate((DAY1, DAY2, LATE)):
        day(lake, number, text)
        run_well(defs, "shop")


EXPECTED = [
    ("1", "Ann", "Nice", "2026-01-01", None, "True"),
    ("2", "Bob", "Oslo", "2026-01-02", "2026-01-03", "False"),
    ("2", "Rob", "Oslo", "2026-01-03", "2026-01-05", "False"),
    ("3", "Cy", "Bonn", "2026-01-02", "2026-01-04", "False"),
    ("3", "Cyr", "Bonn", "2026-01-04", "2026-01-06", "False"),
    ("3", "Sy", "Bonn", "2026-01-06", None, "True"),
]
HISTORY = ("id", "name", "city", "since", "valid_to", "is_current")


def test_deletes_are_remembered_and_late_rows_find_their_place(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML, dim_user=SQL)
    three_days(lake, defs)
    assert silver(lake, "users", "id", "name", "at") == [("1", "Ann", "2026-01-06"), ("3", "Sy", "2026-01-06")]
    assert silver(lake, "history", *HISTORY) == EXPECTED
    assert not rows_of(lake, "quarantine/shop/users/current.parquet"), "a delete has no name, and needs none"
    assert len(rows_of(lake, "gold/shop/dim_user.parquet")) == 1 + len(EXPECTED)


def test_a_new_definition_makes_the_same_table_from_all_of_bronze(lake: Lake, tmp_path: Path) -> None:
    three_days(lake, load(tmp_path / "a", YAML, dim_user=SQL))
    tables = state(lake)
    other = YAML.replace("- {rule: not_null, column: name}", "- {rule: not_null, column: id}")
    other = other.replace("apply_as_delete_when: op = 'D'", "apply_as_delete_when: op IN ('D', 'X')")
    result = run_well(load(tmp_path / "b", other, dim_user=SQL), "shop")
    assert "made_anew" in metadata(result, "silver_history")
    assert {key: text for key, text in state(lake).items() if "_state" not in key} == {
        key: text for key, text in tables.items() if "_state" not in key
    }


def test_memories_that_no_version_names_are_removed_and_lost_ones_made_anew(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = load(tmp_path, YAML, dim_user=SQL)
    day(lake, 0, DAY1)
    run_well(defs, "shop")
    day(lake, 1, DAY2)

    def die(*_: Any) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patched:
        patched.setattr(SilverIOManager, "_swap", die)
        assert not run(defs, "shop").success
    states = [key for key in objects(lake, "silver") if "/users/_state/" in key]
    assert len(states) == 2
    run_well(defs, "shop")
    day(lake, 2, LATE)
    run_well(defs, "shop")
    left = [key for key in objects(lake, "silver") if "/users/_state/" in key]
    archived = [key for key in objects(lake, "silver") if "/users/archive/" in key]
    assert len(left) == 1 + len(archived), "one of the table in place, one of every archived version"
    assert silver(lake, "history", *HISTORY) == EXPECTED

    for key in left:
        lake.delete(key)
    result = run_well(defs, "shop")
    assert metadata(result, "silver_users")["made_anew"].endswith("what was remembered of its keys is gone")
    assert silver(lake, "users", "id") == [("1",), ("3",)]


def test_tables_of_every_strategy_are_read_and_described(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML, dim_user=SQL)
    day(lake, 0, DAY1)
    land(lake, "shop", {"log/1.csv": "id,line\n1,a\n9,b\n1,a\n", "prices/1.csv": "id,price\nx,1\ny,2\n"})
    land(lake, "shop", {"staff/1.csv": "id,name\n1,Ann\n2,Bob\n"})
    first = run_well(defs, "shop")
    assert checks(first)["silver_log", "references_id"].metadata["rows_broken"].value == 1
    land(lake, "shop", {"log/2.csv": "id,line\n1,a\n", "prices/2.csv": "id,price\ny,3\n"})
    land(lake, "shop", {"staff/2.csv": "id,name\n1,Ann\n"})
    result = run_well(defs, "shop")
    assert len(rows_of(lake, "silver/shop/log/current.parquet")) == 4
    assert "log_key" not in rows_of(lake, "silver/shop/log/current.parquet")[0]
    assert silver(lake, "prices", "id", "price") == [("y", "3")]
    assert silver(lake, "staff", "id", "is_current") == [("1", "True"), ("2", "False")]
    said = metadata(first, "silver_history")
    columns = {column.name: column for column in said["dagster/column_schema"].columns}
    assert list(columns)[:4] == ["history_key", "history_version_key", "id", "name"]
    assert columns["since"].description is not None
    assert "`at`" in columns["since"].description
    assert "op" not in columns
    assert "since" in said["preview"]
    assert metadata(result, "silver_prices")["rows_removed"] == 1
    again = run_well(defs, "shop")
    assert metadata(again, "silver_staff")["changed"] is False
    declared = defs.resolve_assets_def(dg.AssetKey(["shop", "silver_history"]))
    shown = declared.metadata_by_key[dg.AssetKey(["shop", "silver_history"])]["dagster/column_schema"]
    assert [column.name for column in shown.columns] == list(columns)


WRONG = {
    "strategy: upsert, apply_as_truncate_when: a = 'T', keys: []": "has no `keys`",
    "strategy: scd2, keys: [a], apply_as_truncate_when: a = 'T'": "`apply_as_truncate_when`, which `strategy: scd2`",
    "strategy: append, delete_absent: delete": "`delete_absent`, which `strategy: append`",
    "keys: [a], delete_absent: invalidate": "no end to set",
    "keys: [a], track_history_on: [b]": "`track_history_on`, which `strategy: upsert`",
    "keys: [a], strategy: scd2, track_history_on: [c]": "names the column 'c'",
    "keys: [a], strategy: scd2, track_history_on: [b], track_history_except: [b]": "both `track_history_on`",
    "keys: [a], except_columns: [a]": "under `except_columns`",
    "keys: [a], strategy: scd2, version_key: b": "two columns 'b'",
    "keys: [a], strategy: scd2, scd2_columns: {valid_to: b}": "two columns 'b'",
    "keys: [a], strategy: scd2, sequence_by: [b], delete_absent: invalidate": "no next moment",
    "keys: [a], allow_empty_extract: true": "`allow_empty_extract`, and nothing goes",
    "keys: [a], delete_absent_within: b": "without `delete_absent`",
    "keys: [a], ignore_null_updates: [x]": "names the column 'x'",
    "keys: [a], apply_as_delete_when: a = = 'D'": "is no SQL condition",
    "keys: [a], apply_as_delete_when: opp = 'D'": "names the column 'opp'",
    "keys: [a], apply_as_delete_when: 'a = \"D\"'": "SQL writes texts in single quotes: 'D'",
    "keys: [a], apply_as_delete_when: b IN (SELECT 'x')": "holds a query",
    "keys: [a], apply_as_delete_when: b::DATE < today()": "which gives another result in every run",
    "keys: [a], apply_as_delete_when: ''": "is empty",
    "keys: [a], extract: run": "`extract: run`, and no file of it counts",
    "keys: [a], surrogate_key: B": "two columns 'B'",
    "keys: [a], strategy: scd2, except_columns: [b], scd2_columns: {valid_to: A}": "two columns 'A'",
    "keys: [a], strategy: merge": "strategy",
}


def two_columns(second: str, written: str) -> str:
    """A table with the columns `a` and another, and whatever else is written of it."""
    return f"""
        type: flowforge_assets.components.Workflow
        attributes: {{description: w}}
        ---
        type: flowforge_assets.components.Table
        attributes: {{name: t, columns: [{{name: a}}, {{name: {second}}}], {written}}}
    """


@pytest.mark.parametrize("written", WRONG)
def test_what_does_not_fit_together_is_said_when_it_is_loaded(tmp_path: Path, written: str) -> None:
    assert re.search(re.escape(WRONG[written]), refusal(tmp_path, two_columns("b", written)))


@pytest.mark.parametrize("name", ["A", "_ingested_at", "_rid", "_Landings", "_broken_a", "_ff_k", "_m0"])
def test_a_column_has_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    assert f"'{name}'" in refusal(tmp_path, two_columns(name, "keys: [a]"))


def test_files_may_call_their_columns_as_we_call_ours(lake: Lake, tmp_path: Path) -> None:
    assert set(WRITTEN_BY_FLOWFORGE) <= {*BESIDE_THE_COLUMNS, *OWN_COLUMNS}
    assert {RID, POSITION} <= set(BESIDE_THE_COLUMNS)
    yaml = """
        type: flowforge_assets.components.Workflow
        attributes: {description: w}
        ---
        type: flowforge_assets.components.Table
        attributes: {name: t, columns: [{name: a, type: integer}, {name: b, source: _rid_2}], keys: [a]}
    """
    ours = [*BESIDE_THE_COLUMNS, *OWN_COLUMNS]
    cells = "".join(f",c{place}" for place, _ in enumerate(ours))
    land(lake, "shop", {"t/t_1.csv": f"a,{','.join(ours)}\n1{cells}\nx{cells}\n"})
    run_well(load(tmp_path, yaml), "shop")
    assert [(row["a"], row["b"]) for row in rows_of(lake, "silver/shop/t/current.parquet")] == [
        (1, f"c{ours.index(RID)}")
    ]
    (held,) = rows_of(lake, "quarantine/shop/t/current.parquet")
    assert {held[f"{name}_2"] for name in ours} == {f"c{place}" for place, _ in enumerate(ours)}, "nothing is lost"


def refusal(folder: Path, yaml: str) -> str:
    """What is said of YAML that cannot be loaded."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # YAML errors are Dagster's, ours are DefinitionError
        load(folder, yaml)
    said, error = [], raised.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def test_a_rollback_takes_what_was_remembered_along(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML, dim_user=SQL)
    for number, text in enumerate((DAY1, DAY2)):
        day(lake, number, text)
        run_well(defs, "shop")
    day(lake, 2, HEAD + "2,Bo,Oslo,I,2026-01-09\n")
    run_well(defs, "shop")
    assert [one[0] for one in silver(lake, "users", "id")] == ["1", "2", "3"]
    roll_back(lake, plan_rollback(lake, TableId("shop", "users"), "2"))
    day(lake, 3, LATE)
    result = run_well(defs, "shop")
    assert "made_anew" not in metadata(result, "silver_users")
    assert metadata(result, "silver_users")["late"] == 2, "the delete of 2 is remembered, its return is not"
    assert [one[0] for one in silver(lake, "users", "id")] == ["1", "3"]
