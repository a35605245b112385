"""`flowforge scaffold`: the YAML it writes is valid, and the workflow it declares mirrors the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from flowforge_assets.cli import connections
from flowforge_assets.cli.app import app
from scenario import checks, load, rows_of, run_well
from sources import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake
    from sources import Server


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_scaffolded_workflow_loads_runs_and_mirrors_the_source(
    kind: str, tmp_path: Path, lake: Lake, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Server = request.getfixturevalue(kind)
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    postgres = kind == "postgres"
    mark = '"' if postgres else "`"
    server.run(
        "DROP TABLE IF EXISTS sc_lines",
        f"DROP TABLE IF EXISTS {mark}Sc Items{mark}",
        "DROP TYPE IF EXISTS mood" if postgres else "SELECT 1",
        "CREATE TYPE mood AS ENUM ('ok', 'so so')" if postgres else "SELECT 1",
        f"CREATE TABLE {mark}Sc Items{mark} (id int PRIMARY KEY, {mark}Größe{mark} varchar(10) NOT NULL UNIQUE, "
        f"price decimal(9,2), CONSTRAINT positive CHECK (price >= 0), mood {'mood' if postgres else chr(101) + 'num(' + repr('ok') + ',' + repr('so so') + ')'}, "
        f"{'active boolean, tags text[]' if postgres else 'active bool, tags text'})",
        f"CREATE TABLE sc_lines (number int, item int NOT NULL REFERENCES {mark}Sc Items{mark} (id), seen date, PRIMARY KEY (number, item))",
        f"INSERT INTO {mark}Sc Items{mark} VALUES (1, 'XL', 2.50, 'so so', true, {'ARRAY[' + repr('a') + ']' if postgres else repr('[]')})",
        "INSERT INTO sc_lines VALUES (1, 1, '2026-01-01'), (2, 1, NULL)",
    )
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "defs.yaml").write_text(server.yaml(), encoding="utf-8")
    declared = connections.declared_connections
    monkeypatch.setattr(connections, "declared_connections", lambda: declared(tmp_path))
    asked = ["scaffold", "shop", "--tables", "Sc Items,sc_lines", "--print"]
    text = CliRunner().invoke(app, asked, catch_exceptions=False).stdout
    items = list(yaml.safe_load_all(text))[1]["attributes"]
    assert items["name"] == "sc_items"
    assert items["keys"] == ["id"]
    assert {"name": "gr_e", "source": "Größe"} in items["columns"]
    assert {"name": "price", "type": "decimal(9,2)"} in items["columns"]
    kinds = [one["rule"] for one in items["rules"]]
    assert {"not_null", "length", "unique", "allowed_values", "expression"} <= set(kinds)
    lines = list(yaml.safe_load_all(text))[2]["attributes"]
    assert {
        "rule": "references",
        "column": "item",
        "table": "sc_items",
        "to": "id",
        "action": "keep",
        "severity": "warn",
    } in lines["rules"]
    defs = load(tmp_path / "project", f"{text}---\n{server.yaml()}")
    result = run_well(defs, "shop")
    assert all(one.passed for one in checks(result).values()), {
        name: one.description for name, one in checks(result).items() if not one.passed
    }
    assert len(rows_of(lake, "silver/shop/sc_lines/current.parquet")) == 2
    (row,) = rows_of(lake, "silver/shop/sc_items/current.parquet")
    assert (str(row["price"]), row["mood"], row["gr_e"]) == ("2.50", "so so", "XL")
