"""`flowforge history` and `flowforge rollback`, as a person and as a program call them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flowforge_assets.catalog import Declared, UnknownNameError
from flowforge_assets.cli import history as commands
from flowforge_assets.cli import status
from flowforge_assets.cli.app import app
from flowforge_assets.cli.history import NoHistoryError
from flowforge_assets.silver.rollback import RollbackError, plan_rollback, roll_back
from flowforge_assets.yaml_tables import tables_of
from flowforge_resources.errors import DefinitionError
from flowforge_resources.layout import TableId
from flowforge_resources.retention import Retention
from flowforge_resources.sweep import Swept
from scenario import objects
from test_history import DAY2, DAY3, ITEMS, labels, shop, three_days

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

REASON = "wrong prices"


@pytest.fixture
def three(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with three versions of `shop.items`, and `shop` as the only workflow the commands know."""
    monkeypatch.setattr(
        commands, "declared_workflows", lambda: {"shop": Declared("shop", {"items": "*"}, ("dim_item",))}
    )
    monkeypatch.setenv("COLUMNS", "160")
    three_days(lake, shop(tmp_path))
    return lake


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def ask(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json"))


def test_history_in_json_says_everything_of_every_version(three: Lake) -> None:
    newest, _, oldest = ask("history", "items")
    assert (newest["version"], newest["current"], newest["rows"], newest["cause"]) == (3, True, 4, "batch")
    assert newest["books"] == {"inserted": 1, "updated": 1, "quarantined": 1}
    assert (oldest["cause"], oldest["bronze_version"], oldest["replaced_at"] is not None) == ("first load", 1, True)
    assert three.head(oldest["key"]) is not None


def test_history_in_text_shows_which_version_counts_and_what_happened(three: Lake) -> None:
    call("rollback", "shop.items", "--to", "2", "--reason", REASON)
    lines = call("history", "shop.items").splitlines()
    assert "→ 4" in lines[2]
    assert f"{REASON}" in call("history", "items")
    assert "batch of bronze 3: 1 inserted, 1 updated, 1 quarantined" in lines[3]


def test_a_rollback_says_what_it_did_and_how_to_undo_it(three: Lake) -> None:
    said = call("rollback", "items", "--to", "2", "--reason", REASON)
    assert "shop.items rolled back from version 3 to 2, as version 4: 4 rows → 3 rows." in said
    assert "Left out from now on: bronze/shop/items/run_" in said
    assert "Undo: flowforge rollback shop.items --to 3" in said
    assert labels(three) == DAY2
    assert ask("history", "items")[0]["left_out_bronze"] == [[3, 3]]
    call("rollback", "items", "--to", "3")
    assert labels(three) == DAY3


def test_status_says_which_tables_were_rolled_back(three: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"shop": Declared("shop", {"items": "*"})}
    monkeypatch.setattr(status, "declared_workflows", lambda: known)
    assert status.last_run("shop").rollbacks == ()
    roll_back(three, plan_rollback(three, ITEMS, "2"), reason=REASON, by="ada@desk")
    (said,) = status.last_run("shop").rollbacks
    assert said.startswith("silver_items was rolled back to version 2 by ada@desk: wrong prices, at 20")
    assert said.endswith("it leaves out bronze 3")
    assert status.last_run("shop").as_dict()["rollbacks"] == [said]


def test_a_dry_run_says_the_same_and_changes_nothing(three: Lake) -> None:
    before = objects(three)
    assert "would be rolled back from version 3 to 1, as version 4: 4 rows → 2 rows." in call(
        "rollback", "items", "--to", "1", "--dry-run"
    )
    said = ask("rollback", "items", "--to", "1", "--dry-run")
    assert (said["rows_now"], said["rows_then"], said["makes_version"], said["left_out_bronze"]) == (4, 2, 4, [[2, 3]])
    assert (len(said["files"]), said["dry_run"], said["recorded"]) == (2, True, False)
    assert objects(three) == before


def test_a_name_that_is_none_is_refused_with_the_nearest(three: Lake) -> None:
    for name, said in (("item", "Did you mean 'items'"), ("dim_item", "gold model, which has no history")):
        with pytest.raises(UnknownNameError, match=said):
            call("history", name)
    with pytest.raises(RollbackError, match="no version '12'"):
        call("rollback", "items", "--to", "12")


def test_a_table_that_was_never_published_has_no_history(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "declared_workflows", lambda: {"shop": Declared("shop", {"items": "*"})})
    with pytest.raises(NoHistoryError, match="never published on"):
        call("history", str(ITEMS))


def test_query_takes_a_version_or_a_moment(three: Lake) -> None:
    sql = "SELECT count(*) AS n FROM shop.items"
    assert ask("query", sql, "--as-of", "1") == [{"n": 2}]
    moment = ask("history", "items")[1]["published_at"]
    assert ask("query", sql, "--as-of", moment) == [{"n": 3}]
    assert ask("query", sql) == [{"n": 4}]


WRITTEN = "{keep_last: '{{ env.SHOP_KEEP_LAST }}', keep_for: '{{ env.SHOP_KEEP_FOR }}'}"


def test_what_is_kept_may_come_from_the_environment_for_runs_and_for_a_sweep(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = "\n---\n".join(
        f"type: flowforge_assets.components.{one}"
        for one in (
            "Workflow\nattributes: {description: A shop., history: {keep_last: 4}}",
            f"Table\nattributes: {{name: items, columns: [{{name: id}}], keys: [id], history: {WRITTEN}}}",
            "Table\nattributes: {name: sales, columns: [{name: id}], keys: [id]}",
        )
    )
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "defs.yaml").write_text(yaml, encoding="utf-8")
    monkeypatch.setenv("FLOWFORGE_WORKFLOWS", str(tmp_path))
    swept: list[dict[TableId, Retention]] = []

    def swept_once(_lake: Lake, tables: dict[TableId, Retention], **_options: Any) -> Swept:
        swept.append(tables)
        return Swept(dry_run=False)

    monkeypatch.setattr(commands, "sweep", swept_once)
    monkeypatch.setenv("SHOP_KEEP_LAST", "2")
    monkeypatch.setenv("SHOP_KEEP_FOR", "8 weeks")

    call("sweep")
    asked = {"items": Retention(keep_last=2, keep_for="8 weeks"), "sales": Retention(keep_last=4)}
    assert swept == [{TableId("shop", name): kept for name, kept in asked.items()}]
    assert tables_of(tmp_path / "shop")["items"].history == asked["items"]

    monkeypatch.delenv("SHOP_KEEP_FOR")
    with pytest.raises(DefinitionError, match=r"keep_for: .+ renders to nothing"):
        call("sweep")
    with pytest.raises(DefinitionError, match="renders to nothing"):
        tables_of(tmp_path / "shop")
