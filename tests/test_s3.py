"""The same workflow on a real S3 wire: the same rows, and clear errors when the store refuses or is not there.

No postponed annotations here: Dagster reads the type of the user's asset below.
"""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import dagster as dg
import polars as pl
import pytest

from flowforge_assets.components.known import known_tables
from flowforge_assets.gates.decisions import Asked, DeclaredGates, waive_check
from flowforge_assets.quarantine import deciding
from flowforge_assets.quarantine.waiting import Selection, waiting
from flowforge_resources import retries
from flowforge_resources.decisions import decide
from flowforge_resources.errors import DecisionError, LakeAccessError, LakeUnreachableError, SettingError
from flowforge_resources.gates import read_gates, trail
from flowforge_resources.io_managers import StoredTable
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, utc_now
from scenario import (
    QUIET,
    SHOP_DAY1,
    SHOP_DAY2,
    failures,
    land,
    land_day,
    leftovers,
    load,
    metadata,
    objects,
    retail,
    rows_of,
    run,
    run_well,
    shop,
    state,
)


def test_two_days_on_s3_give_the_same_rows_as_on_the_local_lake(s3_lake: Lake, two_days: dict[str, Any]) -> None:
    for day in ("day1", "day2"):
        land_day(s3_lake, day)
        run_well(retail(), "retail")
        on_s3 = state(s3_lake)
        assert sorted(on_s3) == sorted(two_days[f"{day} state"])
        for key, csv in on_s3.items():
            assert csv == two_days[f"{day} state"][key], key
    assert leftovers(s3_lake) == []
    before = objects(s3_lake)
    run_well(retail(), "retail")
    assert objects(s3_lake) == before


DECIDED_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: price, type: integer}]
      keys: [item_id]
      rules:
        - {rule: range, column: price, min: 0}
        - {rule: range, name: not_too_dear, column: price, max: 500, action: block}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_item, keys: [item_id]}
"""


def test_a_gate_is_shut_and_waived_and_a_held_row_fixed_and_released_on_s3(s3_lake: Lake, tmp_path: Any) -> None:
    """Their files are changed by compare-and-swap and created exclusively, by the store's own conditions."""
    defs = load(tmp_path, DECIDED_YAML, dim_item="SELECT item_id, price FROM items")
    land(s3_lake, "shop", {"items/1.csv": "item_id,price\na,5\nb,-3\nc,900\n"})
    assert not run(defs, "shop").success
    (failed,) = read_gates(s3_lake, "shop").failed["shop/silver_items"]
    assert (failed.check, failed.published) == ("not_too_dear", False)
    declared, asked = DeclaredGates.of(defs.component_tree), Asked("items", "not_too_dear")
    waive_check(s3_lake, declared, asked, by="ada", reason="known", until="2 hours", now=utc_now())
    assert metadata(run_well(defs, "shop"), "silver_items")["quarantined"] == 1

    assert defs.component_tree is not None
    table = TableId("shop", "items")
    spec = known_tables(defs.component_tree).table_spec(table)
    for decided, said in ((deciding.fix, [{"price": "3"}]), (deciding.release, [])):
        rows = waiting(s3_lake, spec, Selection(everything=True))
        decided(s3_lake, rows, *said, decide(actor="ann", reason="a typo", now=utc_now()))  # type: ignore[operator]
    released = metadata(run_well(defs, "shop"), "silver_items")
    assert (released["released"], released["inserted"]) == (1, 1)
    made = {row["item_id"]: row["price"] for row in rows_of(s3_lake, "gold/shop/dim_item.parquet")}
    assert made == {"a": 5, "b": 3, "c": 900}
    assert rows_of(s3_lake, table.quarantine) == []
    with pytest.raises(DecisionError):
        deciding.release(s3_lake, rows, decide(actor="bob", reason="again", now=utc_now()))
    assert [event["what"] for event in trail(s3_lake, "shop")] == ["shut", "waived", "opened"]


def from_silver(name: str) -> dg.AssetIn:
    return dg.AssetIn(key=["shop", f"silver_{name}"], input_manager_key="silver_io_manager")


def from_gold(name: str) -> dg.AssetIn:
    return dg.AssetIn(key=["shop", name], input_manager_key="gold_io_manager")


@dg.asset(ins={"items": from_silver("items"), "sales": from_silver("sales"), "fact": from_gold("fact_sales")})
def dearest(items: pl.LazyFrame, sales: pl.DataFrame, fact: StoredTable) -> dg.MaterializeResult[None]:
    """A user's own asset, which gets tables in the forms it asks for."""
    top = items.filter(pl.col("price") > 5).select("item_id", "price").collect()
    return dg.MaterializeResult(
        metadata={"top": str(top.rows()), "sales": sales.height, "rows": fact.require().rows, "name": fact.name}
    )


def run_dearest(folder: Any) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions.merge(shop(folder), dg.Definitions(assets=[dearest]))
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [dg.AssetKey("dearest")]
    return job.execute_in_process(asset_selection=selection, raise_on_error=False, run_config=QUIET)


def test_a_users_asset_reads_silver_as_the_frame_it_asks_for(any_lake: Lake, tmp_path: Any) -> None:
    land(any_lake, "shop", SHOP_DAY1)
    run_well(shop(tmp_path / "a"), "shop")

    result = run_dearest(tmp_path / "b")

    assert result.success, failures(result)
    said = metadata(result, "dearest")
    assert said == {"top": "[('007', Decimal('12.50'))]", "sales": 3, "rows": 3, "name": "shop.fact_sales"}


def test_a_table_that_was_never_made_is_named_with_the_asset_that_makes_it(any_lake: Lake, tmp_path: Any) -> None:
    result = run_dearest(tmp_path)
    assert not result.success
    assert "Materialize the asset 'shop/silver_" in failures(result)


class Refusing(BaseHTTPRequestHandler):
    """Says 403 to everything, the way S3 says it to an unknown key."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = (
            b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code>'
            b"<Message>The AWS Access Key Id you provided does not exist in our records.</Message></Error>"
        )
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Keep quiet."""


@pytest.fixture
def refusing_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def dead_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


CALLS = {
    "list": lambda lake, path: list(lake.objects("landing/")),
    "folders": lambda lake, path: lake.folders("landing/"),
    "head": lambda lake, path: lake.head("a"),
    "read": lambda lake, path: lake.read("a"),
    "range": lambda lake, path: lake.read_range("a", 0, 4),
    "create": lambda lake, path: lake.create("a", b"x"),
    "write": lambda lake, path: lake.write("a", b"x"),
    "delete": lambda lake, path: lake.delete("a"),
    "fetch": lambda lake, path: lake._transfer.fetch("a", path.with_suffix(".in")),
    "publish": lambda lake, path: lake.publish(path, "a"),
    "publish_new": lambda lake, path: lake.publish_new(path, "a"),
    "copy": lambda lake, path: lake.copy("a", "b"),
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_credentials_are_a_permanent_error_that_names_the_lake_and_the_fix(
    call: str, s3: str, refusing_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing_server)
    (tmp_path / "file").write_bytes(b"PAR1")
    lake = Lake()

    with pytest.raises(LakeAccessError, match="AWS_ACCESS_KEY_ID") as caught, lake.clear_errors("fetch a"):
        CALLS[call](lake, tmp_path / "file")

    assert f"The lake {s3} refused to" in str(caught.value)
    assert "secret-of-the-test" not in str(caught.value)


@pytest.mark.parametrize("call", ["list", "write", "create", "publish", "copy"])
def test_a_bucket_that_is_not_there_is_a_permanent_error(
    call: str, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "file").write_bytes(b"PAR1")
    lake = Lake("s3://no-such-bucket-here/prefix")

    with pytest.raises(LakeAccessError, match=r"s3://no-such-bucket-here/prefix refused to .*bucket"):
        CALLS[call](lake, tmp_path / "file")


@pytest.mark.parametrize("call", ["list", "publish"])
def test_a_store_that_does_not_answer_is_a_transient_error(
    call: str, s3: str, dead_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", dead_address)
    (tmp_path / "file").write_bytes(b"PAR1")

    with pytest.raises(LakeUnreachableError, match="did not answer when asked to"):
        CALLS[call](Lake(), tmp_path / "file")


@pytest.mark.parametrize("trouble", ["refused", "dead", "no bucket"])
def test_a_run_against_a_store_in_trouble_says_so_and_changes_no_table(
    trouble: str, s3_lake: Lake, refusing_server: str, dead_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    land(s3_lake, "shop", SHOP_DAY1)
    defs = shop(tmp_path)
    run_well(defs, "shop")
    land(s3_lake, "shop", SHOP_DAY2)
    before = objects(s3_lake)

    with monkeypatch.context() as patch:
        if trouble == "no bucket":
            patch.setenv("FLOWFORGE_LAKE_URL", "s3://no-such-bucket-here/prefix")
        else:
            patch.setenv("AWS_ENDPOINT_URL", refusing_server if trouble == "refused" else dead_address)
            if trouble == "dead":
                patch.setattr(retries, "MAX_RETRIES", 1)
        result = run(defs, "shop")

    assert not result.success
    assert ("did not answer" if trouble == "dead" else "refused to list") in failures(result)
    retried = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert bool(retried) == (trouble == "dead"), "only what may pass is tried again"
    assert objects(s3_lake) == before
    run_well(defs, "shop")
    assert objects(s3_lake) != before


@pytest.mark.parametrize("url", ["ftp://somewhere/x", "s4://bucket", "s3://"])
def test_a_lake_url_that_cannot_be_is_refused_with_who_supplied_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", url)
    with pytest.raises(SettingError, match="the environment variable FLOWFORGE_LAKE_URL"):
        Lake()
