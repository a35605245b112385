"""An HTTP API as a source, against a real server on loopback that is as faulty as APIs are."""

from __future__ import annotations

import gzip
import json
import logging
import math
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from flowforge_assets.extraction.http_extract import extract_http
from flowforge_assets.extraction.http_source import HttpSource
from flowforge_assets.extraction.json_page import JsonPage
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import TableSpec
from flowforge_resources import retries
from flowforge_resources.errors import SecretError, SourceError, SourceUnreachableError
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.ledger import read_ledger
from flowforge_resources.web.unpacking import UnpackError, unpacked
from flowforge_resources.web.waiting import Clock, Pace, retry_after_s
from http_server import serving
from scenario import checks, failures, load, metadata, objects, rows_of, run, run_well
from test_yaml import everything_said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request

    from flowforge_assets.extraction.extract import Extraction
    from flowforge_resources.lake import Lake

SIZE = 3
Handler = "Callable[[Request], Response]"


def record(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "at": f"2026-01-{number:02d}T00:00:00Z", "label": f"n{number}", **more}


@dataclass
class Api:
    """What the server holds, and what it does wrong: `before` is asked first, and answers in its place or with None."""

    rows: list[dict[str, Any]] = field(default_factory=lambda: [record(number) for number in range(1, 9)])
    before: list[Callable[[Request], Response | None]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    url: str = ""

    def fails_once(self, *answers: Response) -> None:
        """Answer the next requests so, one each."""
        waiting = list(answers)
        self.before.append(lambda _request: waiting.pop(0) if waiting else None)

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        for one in self.before:
            if (found := one(request)) is not None:
                return found
        return getattr(self, request.path_params["kind"])(request)

    def since(self, request: Request) -> list[dict[str, Any]]:
        low = request.query_params.get("since", "")
        return [row for row in self.rows if row["at"] >= low]

    def whole(self, request: Request) -> Response:
        return _json(self.since(request))

    def page(self, request: Request) -> Response:
        first = (int(request.query_params.get("page", 1)) - 1) * SIZE
        return _json({"data": {"items": self.since(request)[first : first + SIZE]}, "meta": {"total": len(self.rows)}})

    def offset(self, request: Request) -> Response:
        first = int(request.query_params["offset"])
        return _json(self.since(request)[first : first + SIZE])

    def cursor(self, request: Request) -> Response:
        first = int(request.query_params.get("cursor", 0))
        more = first + SIZE < len(self.since(request))
        return _json({"items": self.since(request)[first : first + SIZE], "next": first + SIZE if more else None})

    def after(self, request: Request) -> Response:
        last = int(request.query_params.get("after", 0))
        return _json([row for row in self.rows if row["id"] > last][:SIZE])

    def link(self, request: Request) -> Response:
        first = int(request.query_params.get("from", 0))
        headers = {"Link": f'<?from={first + SIZE}>; rel="next"'} if first + SIZE < len(self.rows) else {}
        return _json(self.rows[first : first + SIZE], headers=headers)

    def linked(self, request: Request) -> Response:
        first = int(request.query_params.get("from", 0))
        following = f"/api/linked?from={first + SIZE}" if first + SIZE < len(self.rows) else None
        return _json({"rows": self.rows[first : first + SIZE], "links": {"next": following}})


def _json(value: Any, **more: Any) -> Response:
    return Response(json.dumps(value), media_type="application/json", **more)


@pytest.fixture
def api() -> Iterator[Api]:
    held = Api()
    routes = [Route("/api/{kind}", held.answer, methods=["GET", "POST"])]
    with serving(Starlette(routes=routes)) as port:
        held.url = f"http://127.0.0.1:{port}/api"
        yield held


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited; nobody really waits."""
    waits: list[float] = []
    monkeypatch.setattr(Clock, "sleep", lambda _self, seconds: waits.append(seconds))
    return waits


def fetched(lake: Lake, **source: Any) -> tuple[Extraction, list[dict[str, Any]]]:
    """One extraction, and the rows of its bronze file."""
    spec = TableSpec(TableId("shop", "orders"), "*", FileOptions(), (), (), (), "k", source=HttpSource(**source))
    with lake.scratch() as scratch:
        found = extract_http(lake, spec, read_ledger(lake, spec.id), at=utc_now(), scratch=scratch)
        return found, pl.read_parquet(found.done.path).to_dicts() if found.done.path else []


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"]) for row in rows]


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("whole", {}),
    "page": ("page", {"pagination": "page", "records": "$.data.items", "total": "meta.total"}),
    "offset": ("offset", {"pagination": {"type": "offset", "size_param": "limit", "size": 100}}),
    "cursor in the body": ("cursor", {"pagination": {"type": "cursor", "next": "next"}}),
    "cursor of the last record": (
        "after",
        {"pagination": {"type": "cursor", "param": "after", "last_field": "id"}},
    ),
    "link header": ("link", {"pagination": "link_header"}),
    "next url": ("linked", {"pagination": {"type": "next_url", "next": "links.next"}, "records": "rows"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_record_comes_once_whatever_way_the_pages_go(way: str, api: Api, lake: Lake) -> None:
    path, declared = WAYS[way]
    found, rows = fetched(lake, url=f"{api.url}/{path}", **declared)
    assert ids(rows) == list(range(1, 9))
    assert not found.done.unexplained
    assert not found.remarks


def test_an_api_without_records_says_so_and_takes_nothing(api: Api, lake: Lake) -> None:
    api.rows = []
    found, rows = fetched(lake, url=f"{api.url}/page", pagination="page", records="data.items")
    assert rows == []
    assert "no record" in found.remarks[0]


def test_values_are_the_text_that_stood_there(api: Api, lake: Lake) -> None:
    page = b'[ {"id": 1, "big": 12345678901234567890.10, "e": 1E5,\n "nested": {"a": [1,\r\n2.50]}, "no": null, "yes": true, "t": "\\u00e4\\n"}, 7, {"id":2}]'
    api.before.append(lambda _request: Response(page, media_type="application/json"))
    found, rows = fetched(lake, url=f"{api.url}/whole")
    first = rows[0]
    assert (first["big"], first["e"], first["no"], first["yes"], first["t"]) == (
        "12345678901234567890.10",
        "1E5",
        None,
        "true",
        "ä\n",
    )
    assert json.loads(first["nested"]) == {"a": [1, 2.5]}
    assert [row["id"] for row in rows if row["_row_number"] is not None] == ["1", "2"]
    assert any("not a JSON object" in (row["_rescued"] or "") for row in rows)  # the 7
    assert not found.done.unexplained


YAML = """
type: flowforge_assets.components.Workflow
attributes: {{description: A shop.}}
---
type: flowforge_assets.components.Table
attributes:
  name: orders
  columns:
    - {{name: id, type: integer}}
    - {{name: at, type: timestamp}}
    - {{name: label}}
  keys: [id]
  sequence_by: [at]
  source:
    url: {url}/cursor
    records: items
    pagination: {{type: cursor, next: next}}
    cursor: at
    cursor_param: since
    lag: 1d
    retries: 1
"""


def test_the_second_run_asks_for_what_changed_and_the_cursor_moves_only_with_the_rows(
    api: Api, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    defs = load(tmp_path, YAML.format(url=api.url))
    first = run_well(defs, "shop")
    assert (metadata(first, "bronze_orders")["rows_ingested"], len(api.asked)) == (8, 3)
    api.rows[6] = record(7, label="again", at="2026-01-08T00:00:00Z")
    api.rows.append(record(9))
    api.rows.append(record(10, at="2026-01-08T12:00:00Z"))

    def breaks(request: Request) -> Response | None:
        return Response(status_code=503) if request.query_params.get("cursor") == "3" else None

    before = objects(lake)
    api.before.append(breaks)
    broken = run(defs, "shop")
    assert not broken.success
    assert "answered 503. Given up after 2 attempts" in failures(broken)
    assert objects(lake) == before
    api.before.clear()
    api.asked.clear()
    second = run_well(defs, "shop")
    assert api.asked[0].query_params["since"] == "2026-01-07T00:00:00Z"
    said = metadata(second, "bronze_orders")
    assert (said["rows_ingested"], said["rows_known_already"]) == (3, 1)
    assert (said["cursor_from"], said["cursor_to"]) == ("2026-01-07T00:00:00Z", "2026-01-09T00:00:00Z")
    silver = {row["id"]: row["label"] for row in rows_of(lake, "silver/shop/orders/current.parquet")}
    assert silver == {number: "again" if number == 7 else f"n{number}" for number in range(1, 11)}
    third = run_well(defs, "shop")
    assert metadata(third, "bronze_orders")["rows_ingested"] == 0
    assert all(one.passed for one in checks(third).values())


def test_a_busy_server_is_waited_for_as_long_as_it_asks(api: Api, lake: Lake, slept: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    api.fails_once(
        Response(status_code=429, headers={"Retry-After": "7"}),
        Response(status_code=503, headers={"Retry-After": later}),
        Response(status_code=500),
        Response(status_code=502, headers={"Retry-After": "soon"}),
    )
    _, rows = fetched(lake, url=f"{api.url}/whole")
    assert ids(rows) == list(range(1, 9))
    assert 7 <= slept[0] <= 7.5
    assert 15 <= slept[1] <= 20.5
    assert 0 <= slept[2] <= 4
    assert 0 <= slept[3] <= 8


def test_patience_ends_with_the_retries_and_with_the_deadline(api: Api, lake: Lake, slept: list[float]) -> None:
    api.before.append(lambda _request: Response(status_code=503))
    with pytest.raises(SourceUnreachableError, match=r"503\. Given up after 3 attempts"):
        fetched(lake, url=f"{api.url}/whole", retries=2)
    assert len(slept) == 2
    api.before[:] = [lambda _request: Response(status_code=429, headers={"Retry-After": "4000"})]
    with pytest.raises(SourceUnreachableError, match="asked to wait for 4000 seconds"):
        fetched(lake, url=f"{api.url}/whole")
    assert len(slept) == 2  # not waited for


def test_a_connection_that_is_cut_or_hangs_is_tried_again(api: Api, lake: Lake) -> None:
    async def cut() -> Any:
        yield b'[{"id": 1},'
        raise ConnectionResetError

    async def hang() -> Any:
        import asyncio

        yield b"["
        await asyncio.sleep(0.5)

    api.fails_once(StreamingResponse(hang()), Response("[]", headers={"Content-Encoding": "gzip"}))
    _, rows = fetched(lake, url=f"{api.url}/whole", timeout_s=0.2)
    assert len(rows) == 8
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut is the server's own error
    api.before.clear()
    api.fails_once(StreamingResponse(cut()))
    _, rows = fetched(lake, url=f"{api.url}/whole")
    assert len(rows) == 8


def test_nobody_at_the_port_is_told(lake: Lake) -> None:
    with pytest.raises(SourceUnreachableError, match="cannot be reached"):
        fetched(lake, url="http://127.0.0.1:1/api", retries=1)


WRONG: dict[str, tuple[Response, str]] = {
    "HTML": (Response("<html>log in</html>", media_type="text/html"), "HTML page"),
    "HTML under a false name": (Response("<html>", media_type="application/json"), "is HTML, not JSON"),
    "half a page": (Response('[{"id": 1}, {"id"', media_type="application/json"), "page 1 .* is not JSON"),
    "two values": (Response("[] []", media_type="application/json"), "goes on behind"),
    "no UTF-8": (Response(b'[{"id": "\xff\xfe\xfd"}]', media_type="application/json"), "not text in UTF-8"),
    "no array": (Response('{"a": 1}', media_type="application/json"), "neither an array nor"),
    "two arrays": (Response('{"a": [], "b": []}', media_type="application/json"), "Arrays: a, b"),
    "a text": (Response('"hello"', media_type="application/json"), "neither an array nor"),
    "a page packed twice": (
        Response(gzip.compress(gzip.compress(b" " * 200_000)), headers={"Content-Encoding": "gzip, gzip"}),
        "packs its answer in a way",
    ),
    "a huge page": (Response(gzip.compress(b" " * 200_000), headers={"Content-Encoding": "gzip"}), "100,000 bytes"),
    "a refusal": (Response('{"hint": "hidden"}', status_code=400), "answered 400"),
    "no right": (Response(status_code=403), "answered 403, and the source has no `auth`"),
    "nothing there": (Response(status_code=404), "answered 404"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_data_is_refused_in_words_that_quote_nothing(name: str, api: Api, lake: Lake) -> None:
    answer, said = WRONG[name]
    api.before.append(lambda _request: answer)
    with pytest.raises(SourceError, match=said) as caught:
        fetched(lake, url=f"{api.url}/whole?key=hidden", params={"x": "hidden"}, max_page_bytes=100_000)
    assert "hidden" not in everything_said(caught.value)
    assert len(api.asked) == 1
    assert objects(lake) == {}


def test_a_packed_body_is_unpacked_in_small_pieces_and_to_its_end() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    first = next(unpacked("gzip", [bomb]))
    assert len(first) <= 1 << 20
    body = gzip.compress(b"one") + gzip.compress(b" two")
    for pieces in ([body], [bytes([byte]) for byte in body], [b"", body]):
        assert b"".join(unpacked("gzip", pieces)) == b"one two"
    assert b"".join(unpacked("deflate", [zlib.compress(b"one")])) == b"one"
    for broken in ([body[:-1]], [b"no gzip"], []):
        with pytest.raises(UnpackError):
            list(unpacked("gzip", broken))


def test_text_in_another_encoding_is_read_where_the_server_says_so(api: Api, lake: Lake) -> None:
    content = '[{"id": "ä"}]'
    api.before.append(
        lambda _r: Response(content.encode("latin-1"), headers={"Content-Type": "application/json; charset=iso-8859-1"})
    )
    assert fetched(lake, url=f"{api.url}/whole")[1][0]["id"] == "ä"
    api.before[:] = [lambda _r: Response(content.encode("utf-16"))]
    assert fetched(lake, url=f"{api.url}/whole")[1][0]["id"] == "ä"


def test_paging_that_is_not_heeded_or_goes_in_a_circle_ends(api: Api, lake: Lake) -> None:
    same = _json([record(1)])
    api.before.append(lambda _request: same)
    with pytest.raises(SourceError, match=r"page 2 .* very records of a page before it.*heed `page`"):
        fetched(lake, url=f"{api.url}/whole", pagination="page")
    api.before[:] = [lambda request: _json({"a": [record(len(api.asked))], "next": len(api.asked) % 3})]
    with pytest.raises(SourceError, match=r"page 4 .*circle|page 3 .*circle"):
        fetched(lake, url=f"{api.url}/x", pagination={"type": "cursor", "next": "next"})
    api.before[:] = [lambda _request: _json([record(len(api.asked))])]
    with pytest.raises(SourceError, match="more than 5 pages"):
        fetched(lake, url=f"{api.url}/x", pagination="page", max_pages=5)


def test_an_api_that_changes_under_paging_is_repeated_where_it_counts(api: Api, lake: Lake) -> None:
    def shrinks(_request: Request) -> None:
        if len(api.asked) == 2:
            del api.rows[0]  # what comes behind moves up: one record is in no page

    api.before.append(shrinks)
    api.before.append(lambda request: None)
    kept = len(api.rows)
    api.page = (
        lambda request: _json(  # type: ignore[method-assign]  # the count of when it was asked first
            {
                "data": {"items": api.rows[(p := (int(request.query_params["page"]) - 1) * SIZE) : p + SIZE]},
                "meta": {"total": kept},
            }
        )
    )
    with pytest.raises(SourceUnreachableError, match="counts 8 records and sent 7"):
        fetched(lake, url=f"{api.url}/page", pagination="page", records="data.items", total="meta.total")


def test_a_next_page_that_nobody_asked_for_is_named(api: Api, lake: Lake) -> None:
    found, rows = fetched(lake, url=f"{api.url}/link")
    assert len(rows) == SIZE
    assert "names a next page" in found.remarks[0]


def test_records_that_lack_the_cursor_or_hold_none_are_told(api: Api, lake: Lake) -> None:
    del api.rows[0]["at"]
    api.before.append(lambda _request: _json(api.rows))
    found, rows = fetched(lake, url=f"{api.url}/x", cursor="at", cursor_param="since")
    assert len(rows) == 8
    assert found.reached.to == "2026-01-08T00:00:00Z"
    assert "1 record(s) have no value" in found.remarks[0]
    for value in ("yesterday", "NaN", "Infinity"):
        api.rows[0]["at"] = value
        with pytest.raises(SourceError, match="neither a number nor a moment"):
            fetched(lake, url=f"{api.url}/x", cursor="at", cursor_param="since")


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("API_SECRET", "s3cret")
    return "env('API_SECRET')"


def test_who_we_are_goes_to_the_declared_host_alone(api: Api, lake: Lake, secret: str) -> None:
    elsewhere: list[Request] = []

    def other(request: Request) -> Response:
        elsewhere.append(request)
        return _json(api.rows)

    with serving(Starlette(routes=[Route("/data", other)])) as port:
        api.before.append(lambda _r: RedirectResponse(f"http://127.0.0.1:{port}/data?given=1"))
        for auth in (
            {"type": "bearer", "token": secret},
            {"type": "basic", "user": "u", "password": secret},
            {"type": "api_key", "key": secret},
            {"type": "api_key", "key": secret, "name": "key", "in": "query"},
        ):
            _, rows = fetched(lake, url=f"{api.url}/whole", auth=auth, headers={"X-Tenant": secret})
            assert len(rows) == 8
        api.before[:] = [lambda _r: _json([record(1)], headers={"Link": f'<http://127.0.0.1:{port}/data>; rel="next"'})]
        with pytest.raises(SourceError, match=r"page 2 .* at another host"):
            fetched(lake, url=f"{api.url}/x", pagination="link_header")
    carried = [
        one.headers.get("authorization") or one.headers.get("x-api-key") or one.query_params.get("key")
        for one in api.asked
    ]
    assert carried[:4] == ["Bearer s3cret", "Basic dTpzM2NyZXQ=", "s3cret", "s3cret"]
    assert len(elsewhere) == 4
    for one in elsewhere:
        assert not {"authorization", "x-api-key", "x-tenant"} & {*one.headers.keys()}
        assert dict(one.query_params) == {"given": "1"}


def test_a_redirect_on_the_same_host_keeps_who_we_are_and_a_circle_ends(api: Api, lake: Lake, secret: str) -> None:
    api.fails_once(RedirectResponse("/api/cursor?cursor=3", status_code=307))
    _, rows = fetched(lake, url=f"{api.url}/whole", records="items", auth={"type": "bearer", "token": secret})
    assert ids(rows) == [4, 5, 6]
    assert {one.headers["authorization"] for one in api.asked} == {"Bearer s3cret"}
    api.before[:] = [lambda _request: RedirectResponse("/api/whole")]
    with pytest.raises(SourceError, match="redirects more than 5 times"):
        fetched(lake, url=f"{api.url}/whole")


def test_oauth2_gets_a_token_and_a_new_one_when_it_is_refused(api: Api, lake: Lake, secret: str) -> None:
    tokens: list[str] = []

    def token(request: Request) -> Response | None:
        if request.url.path == "/api/token":
            assert request.method == "POST"
            assert request.headers["authorization"] == "Basic bWU6czNjcmV0"
            tokens.append(f"t{len(tokens)}")
            return _json({"access_token": tokens[-1], "expires_in": 60})
        return None if request.headers.get("authorization") == "Bearer t1" else Response(status_code=401)

    api.before.append(token)
    auth = {"type": "oauth2", "token_url": f"{api.url}/token", "client_id": "me", "client_secret": secret}
    _, rows = fetched(lake, url=f"{api.url}/whole", auth=auth)
    assert (len(rows), tokens) == (8, ["t0", "t1"])
    api.before[:] = [lambda _request: _json({"error": "hidden"})]
    with pytest.raises(SourceError, match="gave no token"):
        fetched(lake, url=f"{api.url}/whole", auth=auth)


def test_no_secret_is_in_a_log_line_and_a_missing_one_is_named(
    api: Api, lake: Lake, secret: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = {"type": "api_key", "key": secret, "name": "key", "in": "query"}
    fetched(lake, url=f"{api.url}/whole", auth=auth, headers={"X-Token": secret})
    ours = "\n".join(
        one.getMessage() for one in caplog.records if one.name != "uvicorn.access"
    )  # the server is a test's
    assert "s3cret" not in ours
    monkeypatch.delenv("API_SECRET")
    with pytest.raises(SecretError, match=r"source of shop\.orders|shop\.orders, `auth\.key"):
        fetched(lake, url=f"{api.url}/whole", auth=auth)


def test_a_rate_is_kept(api: Api, lake: Lake, slept: list[float]) -> None:
    fetched(lake, url=f"{api.url}/offset", pagination="offset", rate_limit="60/m")
    assert len(api.asked) == 4
    assert len(slept) == 3
    assert all(0.5 < one <= 3 for one in slept)  # the clock stood still while it slept: each waits a second more


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(st.floats(0, 5), min_size=2, max_size=20), st.floats(0.1, 10))
def test_requests_of_a_pace_never_come_faster(pauses: list[float], per_s: float) -> None:
    class Watch(Clock):
        at = 0.0

        def now_s(self) -> float:
            return self.at

        def sleep(self, seconds: float) -> None:
            self.at += seconds

    watch, went = Watch(), []
    pace = Pace(per_s, watch)
    for pause in pauses:
        watch.at += pause
        pace.wait()
        went.append(watch.at)
    assert all(b - a >= 1 / per_s or math.isclose(b - a, 1 / per_s, rel_tol=1e-6) for a, b in pairwise(went))


def test_retry_after_is_seconds_or_a_date_and_nonsense_is_none() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    said = {
        "120": 120,
        "0": 0,
        "Thu, 01 Jan 2026 00:00:30 GMT": 30,
        "Wed, 31 Dec 2025 00:00:00 GMT": 0,
        "soon": None,
        "1 Jan 99999999999 00:00:00": None,
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999999": None,
        "-5": None,
        "": None,
    }
    assert {text: retry_after_s(text, now) for text in said} == said


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    st.lists(json_values, max_size=4),
    st.dictionaries(st.text(max_size=3), json_values, max_size=3),
    st.lists(st.text("abc", min_size=1, max_size=2), max_size=3),
    st.sampled_from([None, 1]),
)
def test_the_records_of_a_page_are_the_elements_at_its_path(
    records: list[Any], beside: dict[str, Any], path: list[str], indent: int | None
) -> None:
    whole: Any = records
    for key in reversed(path):
        whole = {**beside, key: whole, 'z"}': "]"}
    page = JsonPage.parse(json.dumps(whole, indent=indent).encode(), None)
    found = list(page.records(".".join(path) if path else "$"))
    assert [json.loads(text) for _, text in found] == records
    assert all("\n" not in text for _, text in found)


DECLARED_WRONGLY: dict[str, tuple[str, str]] = {
    "a token written out": ("auth: {type: bearer, token: hunter2}", "`auth.token` is written out"),
    "a token that is no text": ("auth: {type: bearer, token: [hunter2]}", "`auth.token` is written out"),
    "a header written out": ("headers: {Authorization: Bearer hunter2}", "`headers.Authorization` looks like a secret"),
    "a parameter written out": ("params: {api_key: hunter2}", "`params.api_key` looks like a secret"),
    "a key in the URL": ("url: 'https://x.example/?token=hunter2'", "`url` holds a password or a key"),
    "a password in the token's URL": (
        "auth: {type: oauth2, token_url: 'https://me:hunter2@x.example/', client_id: me, client_secret: env('X')}",
        "`auth.token_url` holds a password or a key",
    ),
    "a password in the URL": ("url: 'https://me:hunter2@x.example/'", "`url` holds a password or a key"),
    "no URL": ("url: hunter2", "`url` is no address"),
    "auth of another type": ("auth: {type: bearer, token: env('A'), user: me}", "has `user`, which is not"),
    "auth without its token": ("auth: {type: bearer}", "has no `token`"),
    "a cursor that is nowhere": ("pagination: {type: cursor}", "either `next` or `last_field`"),
    "a size without parameter": ("pagination: {type: page, size: 5}", "`size` and `size_param` go together"),
    "a lag without cursor": ("lag: 1d", "`lag` goes with `cursor`"),
    "a cursor without parameter": ("cursor: at", "`cursor` and `cursor_param` go together"),
    "no rate": ("rate_limit: fast", "is no rate"),
    "an unknown field": ("recrods: items", "recrods"),
    "a webhook beside": ("url: 'https://x.example/'\n  webhook: {secret: env('A')}", "both `webhook` and `source`"),
}


@pytest.mark.parametrize("name", DECLARED_WRONGLY)
def test_what_is_declared_wrongly_is_said_at_definition_and_shows_no_secret(name: str, tmp_path: Path) -> None:
    written, said = DECLARED_WRONGLY[name]
    url = "" if written.startswith("url") else "url: 'https://x.example/api'\n    "
    head = YAML.format(url="https://x.example").partition("  source:")[0]
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path, f"{head}  source:\n    {url}{written}\n")
    text = everything_said(caught.value)
    assert said in text
    assert "defs/shop/defs.yaml" in text
    assert "hunter2" not in text or name == "no URL"
