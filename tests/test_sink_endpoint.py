"""Rows delivered to an HTTP endpoint: in batches, each once, and what is said of an endpoint that refuses or breaks off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flowforge_resources.errors import EndpointRefusedError, EndpointUnreachableError
from flowforge_resources.sinks.endpoint import EndpointTarget, deliver_batches
from flowforge_resources.web.auth import HttpAuth
from flowforge_resources.web.client import Patience
from flowforge_resources.web.waiting import Clock
from http_server import serving
from scenario import checks, land, metadata, project, run, run_well
from sink_targets import outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowforge_resources.lake import Lake
    from flowforge_resources.sinks.delivered import Delivered

ROWS = (
    "SELECT i AS id, (i / 100)::DECIMAL(10,2) AS total, 'ü\"' AS label, DATE '2026-01-31' AS day FROM range(7) AS r(i)"
)


class Endpoint:
    """What takes the rows. `answers`: statuses of the next requests; then 200."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[dict[str, Any]]]] = []
        self.answers: list[int] = []
        self.said: list[dict[str, str]] = []
        self.port = 0

    async def take(self, request: Any) -> Response:
        rows = json.loads(await request.body())
        self.said.append(dict(request.headers))
        if self.answers and (status := self.answers.pop(0)) != 200:
            return Response(status_code=status, headers={"Retry-After": "7", "Location": "/elsewhere"})
        self.taken.append((request.headers["idempotency-key"], rows))
        return JSONResponse({"data": {"accepted": len(rows)}})

    @property
    def ids(self) -> list[int]:
        return [row["id"] for _, rows in self.taken for row in rows]


class Waited(Clock):
    """Waits that are only noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    with serving(Starlette(routes=[Route("/rows", made.take, methods=["POST", "PUT"])])) as port:
        made.port = port
        yield made


def deliver(lake: Lake, folder: Path, to: Endpoint, version: str = "v1", **more: Any) -> Delivered:
    clock = more.pop("clock", Waited())
    more.setdefault("patience", Patience(retries=0))
    target = EndpointTarget(f"http://127.0.0.1:{to.port}/rows", batch_rows=3, **more)
    with outgoing(folder, ROWS, version) as out:
        return deliver_batches("shop/crm", target, "f", out, lake, clock=clock)


def test_rows_arrive_in_batches_and_a_version_once(any_lake: Lake, tmp_path: Path, endpoint: Endpoint) -> None:
    first = deliver(any_lake, tmp_path, endpoint, accepted="data.accepted", headers={"X-Team": "sales"})
    assert (first.rows, first.counted, first.inserted, first.changed) == (7, 7, 7, True)
    assert sorted(endpoint.ids) == list(range(7))
    assert endpoint.taken[0][1][0] == {"id": 0, "total": 0.0, "label": 'ü"', "day": "2026-01-31"}
    assert [one["x-flowforge-batch"] for one in endpoint.said] == ["1/3", "2/3", "3/3"]
    assert endpoint.said[0]["x-team"] == "sales"
    assert not deliver(any_lake, tmp_path, endpoint).changed
    assert len(endpoint.taken) == 3
    assert deliver(any_lake, tmp_path, endpoint, "v2").changed
    assert len({key for key, _ in endpoint.taken}) == 6


def test_a_delivery_that_broke_off_goes_on_behind_what_was_taken(
    lake: Lake, tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answers = [200, 503]
    with pytest.raises(EndpointUnreachableError, match="1 of 3 batches are delivered"):
        deliver(lake, tmp_path, endpoint)
    again = deliver(lake, tmp_path, endpoint)
    assert (again.inserted, again.counted) == (4, 7)
    assert sorted(endpoint.ids) == list(range(7)), "no row twice"
    keys = [one["idempotency-key"] for one in endpoint.said]
    assert keys[1] == keys[2], "the batch that was refused came again under its key"


def test_a_busy_endpoint_is_waited_for_as_long_as_it_asks(lake: Lake, tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answers = [429, 503]
    clock = Waited()
    deliver(lake, tmp_path, endpoint, clock=clock, patience=Patience(retries=3))
    assert [int(one) for one in clock.slept] == [7, 7]
    assert sorted(endpoint.ids) == list(range(7))


@pytest.mark.parametrize(
    ("status", "words"), [(400, "answered 400"), (401, "answered 401"), (302, "rows are not sent on")]
)
def test_what_is_refused_is_said_without_a_row_or_a_secret(
    lake: Lake, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int, words: str
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    endpoint.answers = [status]
    with pytest.raises(EndpointRefusedError, match=words) as caught:
        deliver(lake, tmp_path, endpoint, auth=HttpAuth(type="bearer", token="env('TOKEN')"))
    assert endpoint.said[0]["authorization"] == "Bearer t0ken"
    assert "t0ken" not in str(caught.value)
    assert "0 of 3 batches are delivered" in str(caught.value)


def test_an_endpoint_that_took_less_than_it_was_sent_is_an_error(
    lake: Lake, tmp_path: Path, endpoint: Endpoint
) -> None:
    with pytest.raises(EndpointRefusedError, match="no number of rows"):
        deliver(lake, tmp_path, endpoint, accepted="data.rows")


def test_a_sink_to_an_endpoint_is_an_asset_with_its_check(lake: Lake, tmp_path: Path, endpoint: Endpoint) -> None:
    documents = f"""
        type: flowforge_assets.components.Workflow
        attributes: {{description: A shop.}}
        ---
        type: flowforge_assets.components.Table
        attributes: {{name: items, columns: [{{name: item_id}}], keys: [item_id]}}
        ---
        type: flowforge_assets.components.Sink
        attributes:
          name: crm
          table: items
          to: {{url: "http://127.0.0.1:{endpoint.port}/rows", accepted: data.accepted, retries: 0}}
    """
    with project(tmp_path, {"shop": documents}) as defs:
        land(lake, "shop", {"items/1.csv": "item_id\na\nb\n"})
        endpoint.answers = [400]
        assert not run(defs, "shop").success
        done = run_well(defs, "shop")
        assert checks(done)["crm", "delivered"].passed
        assert metadata(done, "crm")["rows_inserted"] == 2
    assert sorted(row["item_id"] for _, rows in endpoint.taken for row in rows) == ["a", "b"]
