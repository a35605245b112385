"""`flowforge quarantine`: what waits, decisions about it, corrections by file; as a person and as a program call it."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from flowforge_assets.bronze import landed
from flowforge_assets.catalog import Declared
from flowforge_assets.cli import quarantine as commands
from flowforge_assets.cli import status
from flowforge_assets.cli.app import app
from flowforge_assets.cli.query import run_query
from flowforge_assets.quarantine.waiting import require_single
from flowforge_resources.errors import DecisionError
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.quarantine_decisions import read_decisions
from scenario import QUIET, failures, land, load, metadata, rows_of, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {name: item_id}
        - {name: price, type: integer, source: Price}
        - {name: owner, pii: true}
      keys: [item_id]
      rules:
        - {rule: range, column: price, min: 0}
        - {rule: matches, column: owner, pattern: "[a-z@.]*"}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: prices}
"""
TABLE = TableId("shop", "items")
FILE = "item_id,Price,owner\n1,5,a@x.org\n2,-1,b@x.org\n3,-2,C@X.ORG\n4,=1+1,d@x.org\n"


@pytest.fixture
def defs(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """A lake on which three of four rows wait, and `shop` as what the commands know."""
    found = load(tmp_path, YAML, prices="SELECT item_id, price FROM items")
    land(lake, "shop", {"items/one.csv": FILE})
    run_well(found, "shop")
    monkeypatch.setattr(commands, "declared", lambda: found)
    monkeypatch.setenv("COLUMNS", "200")
    return found


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["quarantine", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def ask(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json"))


def ids() -> dict[str, str]:
    return {row["raw"]["item_id"]: row["id"] for row in ask("list", "items")}


def prices(lake: Lake) -> dict[str, int]:
    return {row["item_id"]: row["price"] for row in rows_of(lake, TABLE.current)}


@pytest.mark.usefixtures("defs")
def test_what_waits_is_listed_by_table_rule_file_and_query() -> None:
    (one,) = ask("list")
    assert (one["table"], one["rows"], one["rules"]) == (
        "shop.items",
        3,
        {"range_price": 2, "matches_owner": 1, "type": 1},
    )
    assert [row["raw"]["item_id"] for row in ask("list", "items", "--rule", "range_price")] == ["2", "3"]
    assert len(ask("list", "items", "--file", "one.csv")) == 3
    assert ask("list", "items", "--file", "two.csv") == []
    assert [row["raw"]["item_id"] for row in ask("list", "items", "--where", "Price = '-2'")] == ["3"]
    said = call("list", "items")
    assert "price is not" in said
    assert "one.csv" in said
    assert "3 rows wait: 2 range_price" in said


@pytest.mark.usefixtures("defs")
def test_personal_data_is_shown_only_when_asked_for() -> None:
    row = ids()["3"]
    for said in (call("show", row), call("list", "items"), call("list", "items", "--json")):
        assert "X.ORG" not in said
    assert "C@X.ORG" in call("show", row, "--show-pii")
    with pytest.raises(DecisionError, match="a value is not of the type") as error:
        call("list", "items", "--where", "owner::INTEGER = 1")
    assert "x.org" not in str(error.value).lower()


def test_a_row_is_fixed_released_and_taken_in_by_one_command(defs: dg.Definitions, lake: Lake) -> None:
    del defs
    row = ids()["2"]
    said = call("fix", row[:8], "--set", "price=7", "--reason", "typo", "--by", "ann", "--run")
    assert "1 row fixed by ann: typo" in said
    assert "Taken in by run" in said
    assert prices(lake) == {"1": 5, "2": 7}
    assert run_query("SELECT price FROM shop.prices ORDER BY 1", lake).rows == ((5,), (7,)), "downstream too"
    assert set(ids()) == {"3", "4"}


def test_rows_are_waived_until_a_day_and_released_together(
    defs: dg.Definitions, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("waive", "--table", "items", "--rule", "range_price", "--reason", "refunds", "--until", "30 days", "--release")
    assert {row["status"] for row in ask("list", "items", "--rule", "range_price")} == {"released"}
    run_well(defs, "shop")
    assert prices(lake) == {"1": 5, "2": -1}, "the third breaks another rule too"
    assert set(ids()) == {"3", "4"}
    call("waive", ids()["3"], "--reason", "capitals are fine", "--release")
    run_well(defs, "shop")
    assert prices(lake) == {"1": 5, "2": -1, "3": -2}
    again = FILE.splitlines()
    for landed_at, held in ((timedelta(days=29), 0), (timedelta(days=31), 1)):
        monkeypatch.setattr(landed, "utc_now", lambda by=landed_at: utc_now() + by)
        land(
            lake,
            "shop",
            {f"items/{landed_at.days}.csv": "\n".join([again[0], again[2], f"5,{landed_at.days},e@x.org"])},
        )
        account = metadata(run_well(defs, "shop"), "silver_items")
        assert account["quarantined"] == held, "what lands after the waiver's end is held"
    assert prices(lake) == {"1": 5, "2": -1, "3": -2, "5": 31}


def test_a_row_whose_value_is_no_number_cannot_be_waived(defs: dg.Definitions) -> None:
    del defs
    with pytest.raises(DecisionError, match="breaks 'type', without which a row cannot be in silver"):
        call("waive", ids()["4"], "--reason", "so what")


def test_a_discarded_row_waits_no_more_and_stays_in_the_trail(defs: dg.Definitions, lake: Lake) -> None:
    row = ids()["4"]
    call("discard", row, "--reason", "a test of the shop", "--by", "bob")
    assert set(ids()) == {"2", "3"}, "at once"
    run_well(defs, "shop")
    assert row not in {one["_quarantine_id"] for one in rows_of(lake, TABLE.quarantine)}
    trail = "SELECT action, actor, reason, quarantine_id, source_file FROM shop_decisions.items"
    assert run_query(trail, lake).rows == (("discard", "bob", "a test of the shop", row, "landing/shop/items/one.csv"),)
    with pytest.raises(DecisionError, match="waits: it was released or discarded"):
        call("release", row, "--table", "items", "--reason", "again")


@pytest.mark.usefixtures("defs")
def test_mistakes_are_told_before_anything_is_recorded(lake: Lake) -> None:
    row = ids()["2"]
    wrong = {
        ("fix", row, "--set", "prize=1", "--reason", "x"): "Did you mean 'price'",
        ("fix", row, "--set", "price", "--reason", "x"): "says no value",
        ("fix", row, "--set", "price=1", "--reason", " "): "it gives no reason",
        ("release", row[:3], "--reason", "x"): "too short for an id",
        ("release", "ffffffff", "--reason", "x"): "waits in no table",
        ("release", "-t", "items", "--where", "no_such = 1", "--reason", "x"): "no_such",
        ("release", "-t", "items", "--file", "no.csv", "--reason", "x"): "no row of shop.items that waits was chosen",
        ("waive", row, "--rule", "range_prise", "--reason", "x"): "no rule of shop.items.*Did you mean 'range_price'",
        ("discard", row, "--until", "yesterday", "--reason", "x"): "is no moment",
    }
    for arguments, said in wrong.items():
        with pytest.raises(DecisionError, match=said):
            call(*arguments)
    assert CliRunner().invoke(app, ["quarantine", "release", "-t", "items", "--reason", "x"]).exit_code == 2
    assert read_decisions(lake, TABLE) == []


def test_nobody_releases_twice_or_decides_past_another(defs: dg.Definitions, lake: Lake) -> None:
    row = ids()["2"]
    call("release", row, "--reason", "x")
    with pytest.raises(DecisionError, match="released already"):
        call("release", row, "--reason", "y")
    run_well(defs, "shop")
    assert ask("list", "items", "--where", "item_id = '2'")[0]["status"] == "waits", "it is still bad"
    call("fix", row, "--set", "price=1", "--reason", "y", "--release")
    run_well(defs, "shop")
    assert prices(lake) == {"1": 5, "2": 1}


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_corrections_made_in_a_file_come_back(defs: dg.Definitions, lake: Lake, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows.{suffix}"
    assert "3 rows written" in call("export", "items", "--to", str(file))
    rows = edit(file, {"2": "20", "4": "40"})
    assert "owner" not in rows[0], "personal data is left out"
    assert rows[2]["Price"] == "=1+1", "text, not a formula"
    said = call("import", str(file), "--table", "items", "--reason", "asked the shop", "--release")
    assert "2 rows fixed" in said
    run_well(defs, "shop")
    assert prices(lake) == {"1": 5, "2": 20, "4": 40}
    with pytest.raises(DecisionError, match=r"line 2: no row .* waits"):
        call("import", str(file), "--table", "items", "--reason", "again")


def test_a_file_that_is_stale_or_was_tampered_with_is_refused(defs: dg.Definitions, lake: Lake, tmp_path: Path) -> None:
    del defs
    file = tmp_path / "rows.csv"
    call("export", "items", "--to", str(file))
    text = file.read_text()
    assert "no column" not in text
    cases = {
        text.replace("_decisions", "decided"): "has no column `_decisions`",
        text.replace("one.csv", "two.csv"): "line 2: `_source_file` was changed",
        text.replace(ids()["3"], "f" * 32): "line 3: no row 'ffff",
        text + text.splitlines()[1] + "\n": "occurs twice",
        text.replace("Price", "prize"): "a column `prize` that did not land",
        text + "\r\n" + "," * text.splitlines()[0].count(",") + "\r\n": "no cell of .* differs",
        text.replace(",-1", ",-1,,more"): "line 2: it has more cells",
        "": "has no columns",
    }
    for changed, said in cases.items():
        file.write_text(changed)
        with pytest.raises(DecisionError, match=said):
            call("import", str(file), "--table", "items", "--reason", "x")
    call("fix", ids()["2"], "--set", "price=3", "--reason", "x")
    file.write_text(text.replace("-1", "9"))
    with pytest.raises(DecisionError, match=r"line 2: the row .* was decided since the file was written"):
        call("import", str(file), "--table", "items", "--reason", "x")
    assert len(read_decisions(lake, TABLE)) == 1


def edit(file: Path, prices_of: dict[str, str]) -> list[dict[str, Any]]:
    """Change the prices of some items in an exported file, as a person would; the rows before."""
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8-sig") as source:
            rows = list(csv.DictReader(source))
        changed = [{**row, "Price": prices_of.get(row["item_id"], row["Price"])} for row in rows]
        with file.open("w", newline="") as target:
            writer = csv.DictWriter(target, list(rows[0]))
            writer.writeheader()
            writer.writerows(changed)
        return rows
    from python_calamine import CalamineWorkbook

    names, *cells = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    typed = [{**row, "Price": int(prices_of[row["item_id"]])} if row["item_id"] in prices_of else row for row in rows]
    pl.DataFrame([{name: str(value) for name, value in row.items()} for row in typed]).write_excel(file)
    return rows


def decide(defs: dg.Definitions, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    said = {"table": "items", "actor": "ann", "reason": "by form", **config}
    job = defs.resolve_job_def("shop_quarantine")
    return job.execute_in_process(
        instance=instance, raise_on_error=False, run_config={**QUIET, "ops": {"decide_shop": {"config": said}}}
    )


def test_the_form_in_the_launchpad_decides_as_the_commands_do(defs: dg.Definitions, lake: Lake) -> None:
    job = defs.resolve_job_def("shop_quarantine")
    assert job.run_config is not None
    blank = job.run_config["ops"]["decide_shop"]["config"]
    assert {"action", "table", "ids", "actor", "reason"} <= blank.keys(), "every field is there to be filled in"
    with dg.DagsterInstance.ephemeral() as instance:
        unfilled = job.execute_in_process(
            instance=instance, raise_on_error=False, run_config={**QUIET, **job.run_config}
        )
        assert "'' is no table of shop" in failures(unfilled)
        assert decide(defs, instance, action="fix", where="item_id = '2'", set={"price": "7"}).success
        done = decide(defs, instance, action="release", where="item_id = '2'")
        assert done.success
        (event,) = done.get_asset_materialization_events()
        assert event.asset_key == dg.AssetKey(["shop", "quarantine_decisions"])
        said = {name: value.value for name, value in event.materialization.metadata.items()}
        assert (said["action"], said["rows"], said["actor"], said["reason"]) == ("release", 1, "ann", "by form")
        run_well(defs, "shop")
        assert prices(lake) == {"1": 5, "2": 7}
        for wrong, said_of in (
            ({"action": "release"}, "it says not which rows"),
            ({"action": "release", "everything": True, "actor": " "}, "`actor` is empty"),
            ({"action": "release", "everything": True, "table": "item"}, "Did you mean 'items'"),
        ):
            assert said_of in failures(decide(defs, instance, **wrong))
    assert len(read_decisions(lake, TABLE)) == 2


def test_releases_are_booked_on_the_run_they_came_from(defs: dg.Definitions, lake: Lake) -> None:
    held = rows_of(lake, TABLE.quarantine)[0]["_held_by_run"]
    call("discard", ids()["4"], "--reason", "x")
    call("fix", ids()["2"], "--set", "price=7", "--reason", "x", "--release")
    call("waive", ids()["3"], "--rule", "range_price", "--reason", "one rule of two", "--release")
    land(lake, "shop", {"items/two.csv": "item_id,Price,owner\n9,-9,a@x.org\n"})
    second = run_well(defs, "shop").run_id
    (said,) = ask("books", held[:13], "--workflow", "shop")
    assert said == {
        "table": "shop.items",
        "quarantined": 3,
        "released": {second: 1},
        "discarded": 1,
        "waiting": 1,
        "otherwise": 0,
    }
    assert f"of 3 quarantined, 1 released in run {second[:8]}, 1 discarded, 1 waiting" in call(
        "books", held, "--workflow", "shop"
    )
    (later,) = ask("books", second, "--workflow", "shop")
    assert (later["quarantined"], later["waiting"]) == (2, 1), "what it held again is of the first run"


def test_a_discard_is_undone_and_the_status_says_what_became_of_the_rows(
    defs: dg.Definitions, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ids()
    call("discard", rows["2"], rows["3"], "--reason", "a test")
    run_well(defs, "shop")
    assert set(ids()) == {"4"}
    done = ask("restore", rows["2"][:8], "--reason", "it was none", "--by", "bob")
    assert (done["action"], done["rows"], done["actor"]) == ("restore", 1, "bob")
    call("fix", rows["4"], "--set", "price=2", "--reason", "a typo", "--release")
    run_well(defs, "shop")
    assert set(ids()) == {"2"}
    assert prices(lake) == {"1": 5, "4": 2}
    monkeypatch.setattr(status, "declared_workflows", dict)
    monkeypatch.setattr(status, "find_workflow", lambda *_: Declared("shop", {"items": "*.csv"}, ("prices",)))
    (said,) = status.last_run("shop").decided
    assert "of 3 quarantined, 1 released in run" in said
    assert said.endswith("1 discarded, 1 waiting")


def test_parts_of_a_landed_row_are_told_apart_by_their_whole_ids() -> None:
    parts = [f"{'a1b2c3d4' * 4}-{number}" for number in (1, 2)]
    assert [commands._shown(one) for one in (*parts, "a1b2c3d4" * 4)] == [*parts, "a1b2c3d4a1b2"]
    with pytest.raises(DecisionError, match=", ".join(parts)):
        require_single(["a1b2c3"], parts, DecisionError)
