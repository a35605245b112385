"""From which folder the definitions are loaded, and what that does to the process besides."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flowforge_assets.catalog import workflows
from flowforge_assets.cli.app import app, main
from flowforge_assets.loading import load_workflows, package_of
from flowforge_resources.errors import SettingError
from scenario import land, rows_of, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

ENDING = """
import gc
import flowforge_assets.definitions
print(gc.get_freeze_count() > 10_000)
import duckdb, polars
from pathlib import Path
from flowforge_resources.duck import connect
with connect(Path()) as connection:
    print(connection.sql("SELECT 1").fetchall())
"""


def test_no_look_for_cycles_walks_definitions_again_and_a_process_ends_in_silence(tmp_path):
    for _ in range(2):  # the first may have to ask DuckDB about the models' SQL
        ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert ended.stderr == ""
    assert ended.stdout.splitlines()[-2:] == ["True", "[(1,)]"]


SHOP = """
type: flowforge_assets.components.Workflow
attributes: {description: A shop.}
---
type: flowforge_assets.components.Table
attributes: {name: items, columns: [{name: id}, {name: price, type: "decimal(8,2)"}], keys: [id]}
---
type: flowforge_assets.components.Model
attributes: {name: prices, keys: [id]}
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of workflows in a repository of the team's own: YAML, SQL, and Python that imports its neighbour."""
    folder = tmp_path / "ours" / "workflows"
    for name, text in (
        ("shop/defs.yaml", SHOP),
        ("shop/prices.sql", "SELECT id, price * 2 AS twice FROM items"),
        ("notes/words.py", "WORD = 'noted'"),
        (
            "notes/note.py",
            (
                "import dagster as dg\nfrom flowforge_workflows.notes.words import WORD\n\n\n"
                "@dg.asset(deps=[['shop', 'prices']])\ndef note():\n    return WORD\n"
            ),
        ),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("FLOWFORGE_WORKFLOWS", str(folder))
    monkeypatch.delitem(sys.modules, "flowforge_assets.definitions", raising=False)
    return folder


def test_workflows_may_lie_in_a_folder_of_their_own(
    lake: Lake, elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lake, "shop", {"items/a.csv": "id,price\n1,2.50\n"})
    defs = load_workflows(package_of(workflows()), elsewhere.parent)
    run_well(defs, "shop")
    assert str(rows_of(lake, "gold/shop/prices.parquet")[0]["twice"]) == "5.00"
    assert {key.to_user_string() for key in defs.resolve_all_asset_keys()} >= {"note", "shop/prices"}
    told = CliRunner().invoke(app, ["history", "items", "--json"], catch_exceptions=False)
    assert [version["rows"] for version in json.loads(told.output)] == [1]

    # What is wrong there is one sentence on the command line too, where Dagster wraps it in errors of its own.
    (elsewhere / "shop" / "prices.sql").write_text("SELECT id, prize FROM items", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["flowforge", "lineage", "prices"])
    with pytest.raises(SystemExit, match="1"):
        main()
    said = capsys.readouterr().err
    assert "Did you mean 'price'?" in said
    assert "Traceback" not in said


def test_a_folder_of_workflows_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_WORKFLOWS", str(tmp_path / "nowhere"))
    with pytest.raises(SettingError, match=r"FLOWFORGE_WORKFLOWS is '.+nowhere': not a folder"):
        workflows()
