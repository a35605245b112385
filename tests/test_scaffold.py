"""`flowforge scaffold`: the YAML it writes is valid, and the workflow it declares mirrors the source."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

import nasty_schema
from flowforge_assets.cli import connections
from flowforge_assets.cli.app import app
from flowforge_resources.lake import Lake
from scenario import load, rows_of, run_well
from sources import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sources import Server

ROOT = Path(__file__).parent.parent
DEFINITIONS = """from pathlib import Path

from flowforge_assets.loading import load_workflows
from nasty import defs as workflows

defs = load_workflows(workflows, Path(__file__).parent.parent)
"""


def scaffolded(folder: Path, document: str, monkeypatch: pytest.MonkeyPatch, tables: str = "") -> str:
    """What `flowforge scaffold` prints of a declared connection."""
    (folder / "connections").mkdir(parents=True)
    (folder / "connections" / "defs.yaml").write_text(document, encoding="utf-8")
    with monkeypatch.context() as patched:
        declared = connections.declared_connections
        patched.setattr(connections, "declared_connections", lambda: declared(folder))
        name = yaml.safe_load(document)["attributes"]["name"]
        asked = ["scaffold", name, "--print", *(["--tables", tables] if tables else [])]
        return CliRunner().invoke(app, asked, catch_exceptions=False).stdout


def declared_tables(text: str) -> dict[str, Mapping[str, Any]]:
    """The tables of a workflow's YAML by name."""
    documents = [one["attributes"] for one in yaml.safe_load_all(text)]
    return {one["name"]: one for one in documents if "name" in one}


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_constraints_become_rules_and_types_are_those_that_hold_every_value(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Server = request.getfixturevalue(kind)
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    postgres = kind == "postgres"
    mark = '"' if postgres else "`"
    server.run(
        "DROP TABLE IF EXISTS sc_parts",
        "DROP TABLE IF EXISTS sc_lines",
        f"DROP TABLE IF EXISTS {mark}Sc Items{mark}",
        "DROP TYPE IF EXISTS mood" if postgres else "SELECT 1",
        "CREATE TYPE mood AS ENUM ('ok', 'so so')" if postgres else "SELECT 1",
        f"CREATE TABLE {mark}Sc Items{mark} (id int PRIMARY KEY, {mark}Größe{mark} varchar(10) NOT NULL UNIQUE, "
        f"price decimal(9,2), CONSTRAINT positive CHECK (price >= 0), mood {'mood' if postgres else chr(101) + 'num(' + repr('ok') + ',' + repr('so so') + ')'}, "
        f"{'active boolean, tags text[]' if postgres else 'active bool, tags text'})",
        f"CREATE TABLE sc_lines (number int, item int NOT NULL REFERENCES {mark}Sc Items{mark} (id), seen date, PRIMARY KEY (number, item))",
        "CREATE TABLE sc_parts (id int PRIMARY KEY, line int, of_item int, FOREIGN KEY (line, of_item) REFERENCES sc_lines (number, item))",
        f"INSERT INTO {mark}Sc Items{mark} VALUES (1, 'XL', 2.50, 'so so', true, {'ARRAY[' + repr('a') + ']' if postgres else repr('[]')})",
        "INSERT INTO sc_lines VALUES (1, 1, '2026-01-01'), (2, 1, NULL)",
        "INSERT INTO sc_parts VALUES (1, 2, 1)",
    )
    tables = "Sc Items,sc_lines,sc_parts"
    text = scaffolded(tmp_path, server.yaml(), monkeypatch, tables)
    items = list(yaml.safe_load_all(text))[1]["attributes"]
    assert items["name"] == "sc_items"
    assert items["keys"] == ["id"]
    assert {"name": "grosse", "source": "Größe"} in items["columns"]
    assert {"name": "price", "type": "decimal(9,2)"} in items["columns"]
    kinds = [one["rule"] for one in items["rules"]]
    assert {"length", "unique", "allowed_values", "expression"} == set(kinds)  # not null: an empty text is, in silver
    lines = list(yaml.safe_load_all(text))[2]["attributes"]
    assert {
        "rule": "references",
        "column": "item",
        "table": "sc_items",
        "to": "id",
        "action": "keep",
        "severity": "warn",
    } in lines["rules"]
    parts = list(yaml.safe_load_all(text))[3]["attributes"]
    assert {
        "rule": "references",
        "columns": ["line", "of_item"],
        "table": "sc_lines",
        "to": ["number", "item"],
        "action": "keep",
        "severity": "warn",
    } in parts["rules"]


def test_workflows_of_nasty_schemas_are_valid_and_bring_every_row_to_silver(
    tmp_path: Path, postgres: Server, mariadb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    postgres.run("DROP DATABASE IF EXISTS nasty", "CREATE DATABASE nasty")
    with closing(postgres.session("nasty")) as session, session.cursor() as cursor:
        for statement in nasty_schema.POSTGRES:
            cursor.execute(statement)
    mariadb.run(*nasty_schema.MARIADB)
    documents = {"pg": postgres.yaml("pg").replace("database: shop", "database: nasty"), "my": mariadb.yaml("my")}
    in_maria = [
        "select",
        "Größe",
        "a`b",
        "CamelCase",
        "orders_of",
        "lines_of",
        "hen",
        "egg",
        "made",
        "nothing",
        "kinds",
    ]
    texts = {
        "pg": scaffolded(tmp_path / "pg", documents["pg"], monkeypatch),
        "my": scaffolded(tmp_path / "my", documents["my"], monkeypatch, ",".join(in_maria)),
    }
    for name, kind in (("pg", "postgres"), ("my", "mariadb")):
        tables = declared_tables(texts[name])
        assert set(tables) == set(nasty_schema.ROWS[kind])
        (rule,) = [one for one in tables["a_b"]["rules"] if one["rule"] == "references"]
        assert (rule["table"], rule["to"]) == ("grosse", "grosse")
        assert tables["made"]["rules"] == [{"rule": "not_null", "column": "w"}]
        circle = [one["rule"] for table in ("hen", "egg") for one in tables[table].get("rules", [])]
        assert circle == ["references"]
        checks = [
            one["sql"] for table in tables.values() for one in table.get("rules", []) if one["rule"] == "expression"
        ]
        assert len(checks) == 4, checks
        assert {"name": "row_number", "type": "integer", "source": "_row_number_2"} in tables["select"]["columns"]
        with_project(tmp_path / "project", name, texts[name], documents[name])
    lake = Lake(str(tmp_path / "lake"))
    _valid_and_run(tmp_path, "pg")
    assert {name: count(lake, "pg", name) for name in nasty_schema.ROWS["postgres"]} == nasty_schema.ROWS["postgres"]
    (row,) = rows_of(lake, "silver/pg/grosse/current.parquet")
    assert [
        row[name] for name in ("grosse", "grosse_2", "column", "column_2", "a_b", "a_b_2", "it_s_q_x", "s_x_y")
    ] == [*(1, 2, "и", "姓", 4, 5, "q", "t")]
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / "lake"))
    run_well(load(tmp_path / "mine", f"{texts['my']}---\n{documents['my']}", "my"), "my")
    assert {name: count(lake, "my", name) for name in nasty_schema.ROWS["mariadb"]} == nasty_schema.ROWS["mariadb"]


def with_project(folder: Path, workflow: str, *documents: str) -> None:
    """A workflow in a project folder such as users have."""
    beside = folder / "nasty" / "defs" / workflow
    beside.mkdir(parents=True)
    (beside / "defs.yaml").write_text("---\n".join(documents), encoding="utf-8")
    for inside in (folder / "nasty", folder / "nasty" / "defs"):
        (inside / "__init__.py").touch()
    (folder / "nasty" / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    said = 'root_module = "nasty"\nregistry_modules = ["flowforge_assets.components"]\n'
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "nasty"\nversion = "1"\n[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\n{said}',
        encoding="utf-8",
    )


def _valid_and_run(folder: Path, job: str) -> None:
    """`dg check defs`, and then `dagster job execute`, in processes of their own."""
    (folder / "home").mkdir()
    there = {"DAGSTER_HOME": folder / "home", "FLOWFORGE_LAKE_URL": folder / "lake", "PYTHONPATH": folder / "project"}
    environment = {**os.environ, **{name: str(value) for name, value in there.items()}}
    programs = Path(sys.executable).parent
    run = ["job", "execute", "-m", "nasty.definitions", "-j", job]
    for command in ([programs / "dg", "check", "defs"], [programs / "dagster", *run]):
        done = subprocess.run(
            command, cwd=folder / "project", env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def count(lake: Lake, workflow: str, table: str) -> int:
    return len(rows_of(lake, f"silver/{workflow}/{table}/current.parquet"))
