"""`flowforge rules backtest`: what a rule would have done over history, without touching anything."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flowforge_assets.backtest.over_history import backtest
from flowforge_assets.backtest.wanted import BacktestError, wanted_rules
from flowforge_assets.cli.app import app
from flowforge_resources.errors import DefinitionError
from flowforge_resources.layout import TableId
from scenario import QUIET, checks, failures, land, load, objects, rows_of, run_well

if TYPE_CHECKING:
    import dagster as dg

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      columns:
        - {name: id}
        - {name: price, type: "decimal(10,2)"}
        - {name: email, pii: true}
      keys: [id]
      rules:
        - {rule: range, column: price, min: 0}
        - {rule: distribution_like, column: id, method: cramers_v, max: 0.4, over: 2}
"""
DAYS = [
    "id,price,email\n1,5,a@b.co\n2,-1,none\n3,x,none\n",
    "id,price,email\n1,7,a@b.co\n4,120,secret\n5,130,secret\n",
    "id,price,email\n6,3,a@b.co\n",
]
HIGH = "{rule: range, column: price, max: 100, name: not_too_dear}"


@pytest.fixture(scope="module")
def spreads() -> list[tuple[Any, Any]]:
    """What each run that makes the history says of the spread."""
    return []


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, spreads: list[tuple[Any, Any]]
) -> tuple[dg.Definitions, Lake, Path]:
    """The definitions of one table, a lake with three runs of it, and the folder of its workflows."""
    from flowforge_resources.lake import Lake

    root = tmp_path_factory.mktemp("history")
    lake = Lake(str(root / "lake"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWFORGE_LAKE_URL", str(root / "lake"))
        defs = load(root, YAML)
        for number, day in enumerate(DAYS):
            land(lake, "shop", {f"sales/{number}.csv": day})
            spreads.append(spread_in(run_well(defs, "shop")))
    return defs, lake, next(root.glob("project_*/defs"))


@pytest.fixture(scope="module")
def history(deployed: tuple[dg.Definitions, Lake, Path]) -> tuple[Lake, Path]:
    """A lake with three runs of one table, and the folder of its workflows."""
    return deployed[1:]


def tried(history: tuple[Lake, Path], rule: str | None = None, file: Path | None = None, **limits: Any) -> Any:
    lake, defs = history
    before = objects(lake, "landing", "bronze", "silver", "quarantine", "gold")
    found = backtest(lake, wanted_rules("sales", None, rule=rule, file=file, defs=defs), **limits)
    assert objects(lake, "landing", "bronze", "silver", "quarantine", "gold") == before
    return found


def test_a_new_rule_is_tried_over_every_run(history: tuple[Lake, Path]) -> None:
    found = tried(history, HIGH)
    assert found.sentences() == ["not_too_dear would have held 2 of 7 rows in the last 3 runs."]
    assert [(one.rows, one.tried[0].broken) for one in found.runs] == [(3, 0), (3, 2), (1, 0)]
    assert {row["id"] for row in found.examples("not_too_dear")} == {"4", "5"}
    assert "secret" not in json.dumps(found.as_dict(), default=str)


def test_a_rule_that_is_declared_says_what_it_held(history: tuple[Lake, Path]) -> None:
    lake, _ = history
    found = tried(history, "range_price")
    held = [row for row in rows_of(lake, TableId("shop", "sales").quarantine) if row["id"] == "2"]
    assert found.sentences() == ["range_price would have held 1 of 7 rows in the last 3 runs."]
    assert len(held) == 1


def test_rows_that_another_rule_holds_are_told_apart(history: tuple[Lake, Path]) -> None:
    found = tried(history, "{rule: not_null, column: price}")
    assert found.sentences() == [
        "not_null_price would have held 1 of 7 rows in the last 3 runs, 0 of them not held so far."
    ]


def test_only_the_newest_runs_or_those_since_a_moment_count(history: tuple[Lake, Path]) -> None:
    assert [one.rows for one in tried(history, HIGH, runs=2).runs] == [3, 1]
    now = datetime.now(UTC)
    assert len(tried(history, HIGH, since=now - timedelta(days=1)).runs) == 3
    with pytest.raises(BacktestError, match="no history since"):
        tried(history, HIGH, since=now + timedelta(days=1))


def test_a_changed_file_tries_what_is_new_in_it(history: tuple[Lake, Path], tmp_path: Path) -> None:
    file = tmp_path / "changed.yaml"
    file.write_text("rules:\n  - {rule: range, column: price, min: 4, action: block}\n", encoding="utf-8")
    found = tried(history, file=file)
    assert found.rules == ("range_price",)
    assert found.sentences() == [
        "range_price would have found 2 of 7 rows in the last 3 runs. It would have stopped 2 of them from being published."
    ]
    changed = dedent(YAML).split("---")[1].replace("min: 0", "min: 6")
    file.write_text(changed, encoding="utf-8")
    assert [one.tried[0].broken for one in tried(history, file=file).runs] == [2, 0, 1]
    file.write_text(dedent(YAML).split("---")[1], encoding="utf-8")
    with pytest.raises(BacktestError, match="changes no rule"):
        tried(history, file=file)


def test_table_rules_are_asked_of_each_version(history: tuple[Lake, Path]) -> None:
    found = tried(history, "{rule: row_count, max: 3, action: block}")
    assert [(one.version, one.rows, one.tried[0].status) for one in found.versions] == [
        (1, 1, "passed"),
        (2, 3, "passed"),
        (3, 4, "blocked"),
    ]
    assert found.sentences() == [
        "row_count would not have held in 1 of the last 3 versions. It would have stopped 1 of them from being published."
    ]
    grew = tried(history, "{rule: row_count_change, max_increase: 1}", runs=2)
    assert [(one.tried[0].broken, one.tried[0].said) for one in grew.versions] == [
        (1, "The number of rows went from 1 to 3."),
        (0, ""),
    ]


SPREAD = "distribution_like_id"


def spread_in(result: dg.ExecuteInProcessResult) -> tuple[Any, Any]:
    """What a run's check says of the spread: the distance, and to how many versions."""
    found = checks(result)["silver_sales", SPREAD].metadata
    return found["measured"].value, found["versions"].value if "versions" in found else 0


# The versions are {1}, {1, 4, 5} and {1, 4, 5, 6}. To the third, the two before are 4/3, 1/3, 1/3 and 0 of two rows:
# a chi-square of 1.178571 over 6 rows.
SPREADS = [("none", 0), (0.57735, 1), (0.443203, 2)]


def test_a_spread_is_compared_with_several_versions_as_the_runs_did(
    history: tuple[Lake, Path], spreads: list[tuple[Any, Any]]
) -> None:
    assert spreads == SPREADS
    said = [one.tried[0].said for one in tried(history, SPREAD).versions]
    assert said == [
        "",
        "id is spread otherwise than in the version before: cramers_v is 0.5774, above 0.4.",
        "id is spread otherwise than in the 2 versions before: cramers_v is 0.4432, above 0.4.",
    ]


def test_a_rule_that_is_wrong_is_refused_as_at_definition_time(history: tuple[Lake, Path]) -> None:
    with pytest.raises(DefinitionError, match=r"names the column 'prize', which is not declared. Did you mean 'price'"):
        tried(history, "{rule: range, column: prize, min: 0}")
    with pytest.raises(BacktestError, match=r"no rule 'range_prize'. Did you mean 'range_price'"):
        tried(history, "range_prize")


def test_the_command_says_it_in_a_sentence_and_a_line_a_run(
    history: tuple[Lake, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, defs = history
    monkeypatch.setenv("FLOWFORGE_WORKFLOWS", str(defs))
    environment = {"COLUMNS": "200", "FLOWFORGE_LAKE_URL": lake.url}
    done = CliRunner().invoke(app, ["rules", "backtest", "sales", "--rule", HIGH], env=environment)
    assert done.exit_code == 0, done.output
    assert "not_too_dear would have held 2 of 7 rows in the last 3 runs." in done.output
    assert done.output.count(" passed") == 2
    assert "2 warned" in done.output
    asked = ["rules", "backtest", "sales", "--rule", HIGH, "--since", "2020-01-01", "--json"]
    told = json.loads(CliRunner().invoke(app, asked, env=environment).output)
    assert [run["rows"] for run in told["runs"]] == [3, 3, 1]


def launch(deployed: tuple[dg.Definitions, Lake, Path], **asked: Any) -> tuple[dg.ExecuteInProcessResult, Any]:
    """A run of the job with its form filled in, and what its step says."""
    defs, lake, _ = deployed
    before = objects(lake, "landing", "bronze", "silver", "quarantine", "gold")
    job = defs.resolve_job_def("flowforge_backtest_rules")
    form = {"ops": {"backtest_rules": {"config": {"table": "shop.sales", **asked}}}}
    done = job.execute_in_process(raise_on_error=False, run_config=QUIET | form)
    assert objects(lake, "landing", "bronze", "silver", "quarantine", "gold") == before
    (output,) = [event.event_specific_data for event in done.all_events if event.is_successful_output] or [None]
    return done, output and output.metadata


def records(table: Any) -> list[dict[str, Any]]:
    return [record.data for record in table.records]


def test_the_launchpad_offers_the_same_as_a_form(
    deployed: tuple[dg.Definitions, Lake, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", deployed[1].url)
    (form,) = deployed[0].resolve_job_def("flowforge_backtest_rules").run_config["ops"].values()
    assert form == {"config": {"table": "", "rule": "", "runs": 30, "since": ""}}
    read = {"rule": "range", "column": "price", "max": 100, "name": "not_too_dear"}
    _, told = launch(deployed, rule=[read, {"rule": "row_count", "max": 3}])
    assert told["found"].value.split("\n\n") == [
        "not_too_dear would have held 2 of 7 rows in the last 3 runs.",
        "row_count would not have held in 1 of the last 3 versions.",
    ]
    assert [(one["rows"], one["not_too_dear"]) for one in records(told["by_run"])] == [
        (3, "0 passed"),
        (3, "2 warned"),
        (1, "0 passed"),
    ]
    assert [one["row_count"] for one in records(told["by_version"])] == ["0 passed", "0 passed", "1 failed"]
    assert {one["id"] for one in records(told["examples_not_too_dear"])} == {"4", "5"}
    assert "secret" not in str(told)
    _, as_json = launch(deployed, rule=json.dumps(read), runs=1)
    assert [one["rows"] for one in records(as_json["by_run"])] == [1]
    refused, _ = launch(deployed, rule="{rule: range, column: price")
    assert "the rule cannot be read" in failures(refused)
    assert "asks of no run" in failures(launch(deployed, runs=0)[0])


def test_a_table_in_partitions_is_tried_version_by_version(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = YAML.replace("      keys: [id]\n", "      keys: [id]\n      partition_by: {column: email}\n")
    defs = load(tmp_path, yaml)
    spreads = []
    for number, day in enumerate(DAYS):
        land(lake, "shop", {f"sales/{number}.csv": day})
        spreads.append(spread_in(run_well(defs, "shop")))
    assert spreads == SPREADS
    past = lake, next(tmp_path.glob("project_*/defs"))
    assert [one.tried[0].broken for one in tried(past, HIGH).runs] == [0, 2, 0]
    assert [one.rows for one in tried(past, "{rule: row_count, min: 1}").versions] == [1, 3, 4]
