"""`flowforge gate` and its jobs: seeing what fails, waiving it, taking that back, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from typer.testing import CliRunner

from flowforge_assets.cli.app import app
from flowforge_resources.errors import DecisionError
from flowforge_resources.gates import FailedCheck, Held, change_gates, read_gates, settle
from flowforge_resources.layout import utc_now
from scenario import QUIET, failures, retail

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake

ORDERS, FACT = "retail/silver_orders", "retail/fact_sales"
WAIVE = ["gate", "waive", "retail.orders", "keys_present", "--reason", "known", "--by", "ada", "--until", "3 days"]


@pytest.fixture
def shut(lake: Lake) -> Lake:
    """A lake on which the keys of the orders failed, and a fact was held."""
    now = utc_now().isoformat()
    failed = FailedCheck("keys_present", blocking=True, since=now, failed_at=now, run_id="0123456789", rows_broken=3)
    settle(lake, "retail", ORDERS, seen=(), now_failed=[failed])
    change_gates(lake, "retail", lambda gates: gates.with_held(FACT, Held(now, "run", (f"{ORDERS}:keys_present",))))
    return lake


def said(*words: str) -> str:
    done = CliRunner().invoke(app, [*words], env={"COLUMNS": "240"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("lake")
def test_open_gates_are_said_to_be_open() -> None:
    assert "All gates are open" in said("gate", "list")
    assert json.loads(said("gate", "list", "--json")) == {"failed": [], "held": [], "waivers": []}


def test_what_fails_is_listed_waived_and_taken_back_and_all_of_it_is_kept(shut: Lake) -> None:
    listed = said("gate", "list")
    assert all(word in listed for word in (ORDERS, "keys_present", "yes", FACT, f"{ORDERS}:keys_present"))

    assert f"the check 'keys_present' of {ORDERS} is waived by ada until" in said(*WAIVE)
    assert "no, waived by ada until" in said("gate", "list")
    said(*WAIVE, "--for", "fact_sales")
    assert [one.edge for one in read_gates(shut, "retail").waivers] == [None, FACT]

    said("gate", "revoke", "orders", "keys_present", "--reason", "not known", "--by", "bob")
    assert [one.edge for one in read_gates(shut, "retail").waivers] == [FACT]
    events = json.loads(said("gate", "history", "--json"))
    assert [(one["what"], one.get("actor"), one.get("edge")) for one in events] == [
        ("shut", None, None),
        ("waived", "ada", None),
        ("waived", "ada", FACT),
        ("revoked", "bob", None),
    ]
    lines = said("gate", "history").splitlines()
    assert lines[0].endswith(f"shut    {ORDERS} keys_present (run 01234567)")
    assert lines[3].endswith(f"revoked {ORDERS} keys_present by bob: not known")


REFUSED = {
    "an unknown table": (["ordres", "keys_present"], r"no table 'ordres'"),
    "an unknown check": (
        ["orders", "keys_presnt"],
        r"silver_orders has no check 'keys_presnt'. Did you mean 'keys_present'",
    ),
    "a table that is not below": (["orders", "keys_present", "--for", "dim_region"], r"dim_region is not made from"),
    "rows that were lost": (["orders", "books"], "cannot be waived: where it fails, rows were lost"),
    "rows lost, for one table": (["orders", "books", "--for", FACT], "cannot be waived"),
    "no reason": (["orders", "keys_present", "--reason", " "], "gives no reason"),
    "an end that is over": (["orders", "keys_present", "--until", "2020-01-01"], "is over already"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_decision_that_cannot_be_is_refused_and_changes_nothing(shut: Lake, what: str) -> None:
    words, answer = REFUSED[what]
    with pytest.raises(DecisionError, match=answer):
        said("gate", "waive", "--reason", "known", "--until", "1 day", *words)
    assert read_gates(shut, "retail").waivers == ()


def test_the_launchpad_offers_the_same_as_a_form(shut: Lake) -> None:
    form = {"table": ORDERS, "check": "keys_present", "by": "ada", "reason": "known"}
    waiver = {"ops": {"waive_check": {"config": {**form, "until": "1 day"}}}}
    assert run_job("flowforge_waive_check", waiver).success
    (found,) = read_gates(shut, "retail").waivers
    assert (found.asset, found.decision.actor, found.decision.reason) == (ORDERS, "ada", "known")
    taken_back = {"ops": {"revoke_waiver": {"config": form}}}
    assert run_job("flowforge_revoke_waiver", taken_back).success
    assert read_gates(shut, "retail").waivers == ()
    again = run_job("flowforge_revoke_waiver", taken_back)
    assert not again.success
    assert "is not waived" in failures(again)


def run_job(name: str, config: dict[str, object]) -> dg.ExecuteInProcessResult:
    job = retail().resolve_job_def(name)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET | config)
