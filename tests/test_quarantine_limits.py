"""Too much, or too old, in quarantine: a check, an alert, and rows that are given up by a recorded decision."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_assets.quarantine import limits, waiting
from flowforge_checks.quarantine_limits import QuarantineLimits
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.quarantine_decisions import read_decisions
from scenario import QUIET, checks, land, load, rows_of, run_well

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop., maintenance: "0 3 * * 0"}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: price, type: integer}]
      keys: [item_id]
      quarantine: {max_rows: 1, max_age: 7 days, alert_url_env: SHOP_ALERTS, keep_for: 90 days}
"""
TABLE = TableId("shop", "items")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook on loopback was told."""
    said: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        monkeypatch.setenv("SHOP_ALERTS", f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield said
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("declared", "rows", "hours", "said"),
    [
        ({"max_rows": 2}, 2, 9999, None),
        ({"max_rows": 2}, 3, 0, "3 rows wait, more than 2"),
        ({"max_rows": 0}, 0, 0, None),
        ({"max_rows": 0}, 1, 0, "1 rows wait, and none should"),
        ({"max_age": "2 days"}, 5, 47, None),
        ({"max_age": "2 days"}, 5, 49, "the oldest waits for 2 days and 1 hours, longer than 2 days"),
    ],
)
def test_the_limits_are_what_they_say(declared: dict[str, Any], rows: int, hours: int, said: str | None) -> None:
    outcome = QuarantineLimits(**declared).outcome(rows, NOW - timedelta(hours=hours) if rows else None, NOW)
    assert outcome.passed is (said is None)
    assert (outcome.description or "").partition(". See")[0] == (said or "")


def test_who_writes_no_span_or_an_alert_without_a_limit_is_told() -> None:
    with pytest.raises(ValueError, match=r"`7d` is no span of time. Write e.g. '12 hours'"):
        QuarantineLimits(max_age="7d")
    with pytest.raises(ValueError, match="`alert_url_env` needs `max_rows` or `max_age`"):
        QuarantineLimits(alert_url_env="X")


def test_the_check_fails_and_the_webhook_is_told_once(tmp_path: Path, lake: Lake, told: list[str]) -> None:
    defs = load(tmp_path, YAML)
    with dg.DagsterInstance.ephemeral() as instance:
        land(lake, "shop", {"items/1.csv": "item_id,price\na,1\nb,x\n"})
        assert checks(run_well(defs, "shop", instance=instance))["silver_items", "quarantine_waiting"].passed
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        land(lake, "shop", {"items/2.csv": "item_id,price\nc,y\n"})
        for _ in range(2):
            job = defs.resolve_job_def("shop")
            done = checks(job.execute_in_process(instance=instance, run_config=QUIET))
            failed = done["silver_items", "quarantine_waiting"]
            assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.WARN)
            assert failed.metadata["rows_waiting"].value == 2
    assert told == ["Quarantine of shop.items: 2 rows wait, more than 1. See `flowforge quarantine list`."]


def test_a_webhook_that_is_down_fails_no_run(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ALERTS", "http://127.0.0.1:9/secret")
    defs = load(tmp_path, YAML)
    land(lake, "shop", {"items/1.csv": "item_id,price\na,1\nb,x\nc,y\n"})
    assert not checks(run_well(defs, "shop"))["silver_items", "quarantine_waiting"].passed


def test_the_maintenance_job_gives_up_rows_that_waited_too_long(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = load(tmp_path, YAML)
    land(lake, "shop", {"items/1.csv": "item_id,price\na,1\nb,x\n"})
    run_well(defs, "shop")
    job = defs.resolve_job_def("shop_maintenance")
    assert job.execute_in_process(run_config=QUIET).success
    assert read_decisions(lake, TABLE) == [], "it waits for less than 90 days"
    later = utc_now() + timedelta(days=91)
    for module in (waiting, limits):
        monkeypatch.setattr(module, "utc_now", lambda: later)
    assert job.execute_in_process(run_config=QUIET).success
    (entry,) = read_decisions(lake, TABLE)
    assert (entry.action, entry.decision.actor, entry.decision.reason) == (
        "discard",
        "retention",
        "waited longer than 90 days",
    )
    run_well(defs, "shop")
    assert rows_of(lake, TABLE.quarantine) == []
