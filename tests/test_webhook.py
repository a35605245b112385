"""The webhook: what is signed and fresh becomes one landing object; all else is refused, and nothing of it is written."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.webhook import connections
from flowforge_assets.webhook.declared import declared_endpoints
from flowforge_assets.webhook.refused import RefusedError
from flowforge_assets.webhook.server import Webhook
from flowforge_assets.webhook.signature import Verifier, claim_of, signed_before
from flowforge_resources.errors import DefinitionError, LakeUnreachableError, SecretError
from flowforge_resources.lake import Lake
from http_server import serving
from processes import free_port, stop, wait_until
from scenario import load, rows_of, run_well
from test_yaml import everything_said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECRET, OLD_SECRET = "s3cret-of-now", "s3cret-of-before"
YAML = """
type: flowforge_assets.components.Workflow
attributes: {description: A shop.}
---
type: flowforge_assets.components.Table
attributes:
  name: items
  files: "*"
  columns: [{name: item_id}, {name: label}]
  keys: [item_id]
  webhook: {secret: ["env('HOOK_SECRET')", "env('OLD_HOOK_SECRET')"], max_bytes: 300000}
---
type: flowforge_assets.components.Table
attributes:
  name: pushes
  files: "*.json"
  columns: [{name: id}]
  keys: [id]
  webhook: {secret: env('HOOK_SECRET'), scheme: github}
---
type: flowforge_assets.components.Table
attributes:
  name: quiet
  columns: [{name: id}]
  keys: [id]
"""
BODY = b'[{"item_id": "007", "label": "Spade"}]'


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("OLD_HOOK_SECRET", OLD_SECRET)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    said: dict[str, Any]


@dataclass
class Sender:
    """Signs as docs/http.md says, written anew: it shares no code with the server."""

    port: int
    lake: Lake
    now: list[float] = field(default_factory=lambda: [time.time()])

    def signed(self, body: bytes, *, secret: str = SECRET, at: float | None = None, key: str | None = None) -> str:
        moment = str(int(self.now[0] if at is None else at))
        before = f"idempotency-key:{key}\n" if key else ""
        mac = hmac.new(secret.encode(), f"{before}{moment}.".encode() + body, hashlib.sha256)
        return f"t={moment},v1={mac.hexdigest()}"

    def post(self, body: bytes, path: str = "/landing/shop/items", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"} | given)
            answer = connection.getresponse()
            body = answer.read()
            is_json = answer.headers["Content-Type"] == "application/json"
            return Answer(answer.status, answer.headers, json.loads(body) if is_json else {"message": body.decode()})
        finally:
            connection.close()

    def deliver(self, body: bytes = BODY, *, key: str | None = None, at: float | None = None, **more: str) -> Answer:
        headers = {"X_FlowForge_Signature": self.signed(body, key=key, at=at)}
        return self.post(body, **headers | ({"Idempotency_Key": key} if key else {}) | more)

    def landed(self, table: str = "items") -> list[str]:
        return sorted(one.key for one in self.lake.objects(f"landing/shop/{table}/"))


def defs_folder(folder: Path, yaml: str = YAML) -> Path:
    (folder / "defs/shop").mkdir(parents=True)
    (folder / "defs/shop/defs.yaml").write_text(yaml)
    return folder / "defs"


@contextmanager
def hooked(lake: Lake, folder: Path, **options: Any) -> Iterator[Sender]:
    now = [float(int(time.time()))]
    application = Webhook(lake, declared_endpoints(defs_folder(folder)), clock=lambda: now[0], **options).application()
    with serving(application) as port:
        yield Sender(port, lake, now)


@pytest.fixture
def sender(lake: Lake, tmp_path: Path) -> Iterator[Sender]:
    with hooked(lake, tmp_path) as found:
        yield found


def test_a_signed_delivery_is_one_landing_object_with_its_very_bytes(sender: Sender) -> None:
    answer = sender.deliver()
    assert answer.status == 201
    assert sender.landed() == [answer.said["key"]]
    assert sender.lake.read(answer.said["key"]) == BODY
    moment = time.strftime("%Y%m%d_%H%M%S", time.gmtime(sender.now[0]))
    assert answer.said["key"].startswith(f"landing/shop/items/webhook_{moment}_")
    assert answer.said["key"].endswith(".json")


def test_the_next_run_takes_it_as_any_file_and_a_repetition_adds_no_row(
    sender: Sender, tmp_path: Path, lake: Lake
) -> None:
    defs = load(tmp_path / "project", "---".join(YAML.split("---")[:2]))
    first = sender.deliver(key="order-1")
    run_well(defs, "shop")
    (row,) = rows_of(lake, "silver/shop/items/current.parquet")
    assert (row["item_id"], row["label"]) == ("007", "Spade")
    lake.delete(first.said["key"])  # as `clean_source: delete` would
    again = sender.deliver(key="order-1")
    assert (again.status, again.said["key"]) == (201, first.said["key"])
    run_well(defs, "shop")
    bronze = [one.key for one in lake.files("bronze/shop/items/") if one.key.endswith(".parquet")]
    assert len(bronze) == 1


def test_one_idempotency_key_is_one_object_and_other_content_under_it_a_conflict(sender: Sender) -> None:
    first, again = sender.deliver(key="order-1"), sender.deliver(key="order-1")
    sender.now[0] += 100
    later = sender.deliver(key="order-1")
    assert [one.status for one in (first, again, later)] == [201, 200, 200]
    assert {one.said["key"] for one in (first, again, later)} == {first.said["key"]}
    assert sender.deliver(b'[{"item_id": "008"}]', key="order-1").status == 409
    assert sender.deliver(key="order-1", Content_Type="text/csv").status == 409
    assert sender.lake.read(first.said["key"]) == BODY
    assert sender.landed() == [first.said["key"]]
    assert sender.deliver(key="order-2").status == 201


def test_deliveries_of_one_key_at_the_same_time_land_once(sender: Sender) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as at_once:
        answers = list(at_once.map(lambda _: sender.deliver(key="order-1"), range(16)))
    assert sorted(one.status for one in answers) == [200] * 15 + [201]
    assert len(sender.landed()) == 1


def test_a_replay_is_refused_while_its_signature_is_fresh_and_after(sender: Sender) -> None:
    stamp = sender.signed(BODY)
    assert sender.post(BODY, X_FlowForge_Signature=stamp).status == 201
    assert sender.post(BODY, X_FlowForge_Signature=stamp).status == 403
    assert sender.post(BODY, X_FlowForge_Signature=stamp, Idempotency_Key="mine").status == 401  # it is not signed
    sender.now[0] += 301
    answer = sender.post(BODY, X_FlowForge_Signature=stamp)
    assert (answer.status, answer.said["error"]) == (403, "old_signature")
    assert len(sender.landed()) == 1


def test_the_key_of_a_signed_delivery_cannot_be_taken_away_or_moved_into_the_body(sender: Sender) -> None:
    stamp = sender.signed(BODY, key="k.1")
    assert sender.post(BODY, X_FlowForge_Signature=stamp).status == 401
    assert sender.post(b"idempotency-key:k.1\n" + BODY, X_FlowForge_Signature=stamp).status == 401
    assert sender.post(b"1\n" + BODY, X_FlowForge_Signature=stamp, Idempotency_Key="k.").status == 401
    assert sender.landed() == []


def test_the_python_of_the_page_signs_what_is_taken(sender: Sender) -> None:
    page = (Path(__file__).parent.parent / "docs/http.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # our own page
    for key, status in ((None, 201), ("order-1", 201), ("order-1", 200)):
        headers = {name.replace("-", "_"): value for name, value in names["headers"](BODY, SECRET, key).items()}
        assert sender.post(BODY, **headers).status == status


REFUSED: dict[str, tuple[dict[str, str], int]] = {
    "no signature": ({"X_FlowForge_Signature": ""}, 401),
    "another secret": ({"X_FlowForge_Signature": "other"}, 401),
    "no moment": ({"X_FlowForge_Signature": "v1=" + "0" * 64}, 401),
    "two moments": ({"X_FlowForge_Signature": "t=1,t=2,v1=" + "0" * 64}, 401),
    "no hex": ({"X_FlowForge_Signature": "t=1,v1=zz"}, 401),
    "from the future": ({"X_FlowForge_Signature": "future"}, 403),
    "another kind of content": ({"Content_Type": "image/png"}, 415),
    "no kind of content": ({"Content_Type": ""}, 415),
    "compressed on the way": ({"Content_Encoding": "gzip"}, 415),
    "a key that is none": ({"Idempotency_Key": "k" * 256}, 400),
    "larger than it may be": ({"Content_Length": "300001"}, 413),
    "another table": ({"path": "/landing/shop/quiet"}, 404),
    "another workflow": ({"path": "/landing/nobody/items"}, 404),
    "a table with a slash behind it": ({"path": "/landing/shop/items/"}, 404),
    "a table in capitals": ({"path": "/landing/shop/ITEMS"}, 404),
    "a table with a NUL": ({"path": "/landing/shop/items%00"}, 404),
    "a workflow that is a folder up": ({"path": "/landing/%2e%2e/items"}, 404),
    "a signature with a prefix": ({"X_FlowForge_Signature": "t=1,v1=0x" + "0" * 62}, 401),
    "digits of another alphabet": ({"X_FlowForge_Signature": "t=\xb2,v1=" + "0" * 64}, 401),
    "a signature among fifty": ({"X_FlowForge_Signature": "t=1" + (",v1=" + "0" * 64) * 50}, 401),
    "a key of another alphabet": ({"Idempotency_Key": "\xe9"}, 400),
    "a path out of landing": ({"path": "/landing/shop/..%2f..%2fsilver"}, 404),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_and_nothing_is_written(name: str, sender: Sender) -> None:
    changed, status = REFUSED[name]
    stamps = {
        "other": sender.signed(BODY, secret="guessed"),
        "future": sender.signed(BODY, at=sender.now[0] + 301),
    }
    headers = {"X_FlowForge_Signature": sender.signed(BODY)} | changed
    headers["X_FlowForge_Signature"] = stamps.get(headers["X_FlowForge_Signature"], headers["X_FlowForge_Signature"])
    answer = sender.post(BODY, headers.pop("path", "/landing/shop/items"), **headers)
    assert answer.status == status
    assert answer.said["message"]
    assert list(sender.lake.objects("")) == []


def test_an_empty_body_is_refused(sender: Sender) -> None:
    assert sender.deliver(b"").status == 400


def test_a_body_that_says_no_length_is_cut_off_at_the_limit(sender: Sender, lake: Lake) -> None:
    with socket.create_connection(("127.0.0.1", sender.port), timeout=20) as wire:
        head = (
            "POST /landing/shop/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"X-FlowForge-Signature: {sender.signed(BODY)}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        wire.sendall(head.encode())
        wire.sendall(b"%x\r\n%b\r\n" % (300_001, b" " * 300_001))
        assert b" 413 " in wire.recv(4096)
    assert list(lake.objects("")) == []
    assert not list(lake.scratch_root.glob("task-*"))


def test_a_sender_that_goes_away_or_dawdles_leaves_nothing(lake: Lake, tmp_path: Path) -> None:
    with hooked(lake, tmp_path, body_timeout_s=0.3) as sender:
        head = (
            "POST /landing/shop/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            f"X-FlowForge-Signature: {sender.signed(BODY)}\r\n\r\n" + "x" * 50
        ).encode()
        with socket.create_connection(("127.0.0.1", sender.port), timeout=20) as wire:
            wire.sendall(head)
        with socket.create_connection(("127.0.0.1", sender.port), timeout=20) as wire:
            wire.sendall(head)
            assert b" 408 " in wire.recv(4096)
        wait_until(lambda: not list(lake.scratch_root.glob("task-*")), "scratch is empty")
    assert list(lake.objects("")) == []


def test_connections_without_a_whole_head_take_no_places(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One says nothing, one stops within its head, one within its second; a slow body is let through."""
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.15)
    application = Webhook(lake, declared_endpoints(defs_folder(tmp_path))).application()
    with serving(application, http=connections.ImpatientProtocol, limit_concurrency=5) as port, ExitStack() as opened:
        health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        wires = {
            said: opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for said in (b"", health[:9], health + health[:9])
        }
        for said, wire in wires.items():
            wire.sendall(said)
        for said, wire in wires.items():
            answered = b""
            while piece := wire.recv(4096):
                answered += piece
            assert answered.count(b" 200 ") == (len(said) > len(health))
        sender = Sender(port, lake)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            head = (
                "POST /landing/shop/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(BODY)}\r\nX-FlowForge-Signature: {sender.signed(BODY)}\r\n\r\n"
            )
            wire.sendall(head.encode() + BODY[:1])
            wire.settimeout(0.5)
            with pytest.raises(TimeoutError):
                wire.recv(1)
            wire.settimeout(20)
            wire.sendall(BODY[1:])
            assert b" 201 " in wire.recv(4096)


def test_a_secret_is_replaced_while_both_hold(sender: Sender) -> None:
    answers = [
        sender.post(body, X_FlowForge_Signature=sender.signed(body, secret=secret))
        for body, secret in ((b"[{}]", SECRET), (b"[]", OLD_SECRET))
    ]
    both = f"{sender.signed(BODY, secret='third')},{sender.signed(BODY).partition(',')[2]}"
    answers.append(sender.post(BODY, X_FlowForge_Signature=both))
    assert [one.status for one in answers] == [201, 201, 201]


def test_githubs_signature_is_over_the_body_which_is_its_own_key(sender: Sender) -> None:
    stamp = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    answers = [
        sender.post(BODY, "/landing/shop/pushes", X_Hub_Signature_256=stamp, X_GitHub_Delivery=str(number))
        for number in range(2)
    ]
    assert [one.status for one in answers] == [201, 200]
    assert sender.landed("pushes") == [answers[0].said["key"]]
    assert sender.post(BODY + b" ", "/landing/shop/pushes", X_Hub_Signature_256=stamp).status == 401
    assert sender.post(BODY, "/landing/shop/pushes", X_FlowForge_Signature=sender.signed(BODY)).status == 401


def test_a_store_or_a_secret_in_trouble_asks_to_come_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: object) -> None:
        raise LakeUnreachableError("s3://x", "publish", "nobody answers.")

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "put_new", down)
        answer = sender.deliver(key="order-1")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert "s3://" not in json.dumps(answer.said)
    assert sender.deliver(key="order-1").status == 201
    assert "nobody answers" in caplog.text


def test_no_log_line_holds_a_body_a_secret_or_a_signature(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stamp = sender.signed(BODY)
    sender.post(BODY, X_FlowForge_Signature=stamp)
    sender.post(BODY, X_FlowForge_Signature=stamp)
    sender.post(BODY, X_FlowForge_Signature="t=1,v1=" + "0" * 64)
    assert "shop.items: 403 replayed" in caplog.text
    for hidden in ("Spade", SECRET, stamp.rpartition("=")[2]):
        assert hidden not in caplog.text


def test_what_a_stranger_calls_a_table_stays_on_its_line_of_the_log(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert sender.deliver(path="/landing/shop/x%0d%0aINFO%20forged%1b%5b2J%e2%80%ae" + "y" * 9000).status == 404
    (line,) = [one.getMessage() for one in caplog.records if one.name == "flowforge.webhook"]
    assert line.isprintable()
    assert line.startswith(r"shop.x\r\nINFO forged\x1b[2J\u202eyyy")
    assert len(line) < 300


def test_on_s3_the_same_holds(s3: str, tmp_path: Path) -> None:
    with hooked(Lake(), tmp_path) as sender:
        stamp = sender.signed(BODY)
        assert sender.post(BODY, X_FlowForge_Signature=stamp).status == 201
        assert sender.post(BODY, X_FlowForge_Signature=stamp).status == 403
        answers = [sender.deliver(body, key="order-1") for body in (b"[1]", b"[1]", b"[2]")]
        assert [one.status for one in answers] == [201, 200, 409]
        assert len(sender.landed()) == 2


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(body=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4), bad=st.integers(0, 63))
def test_a_signature_is_right_however_the_body_is_cut_and_wrong_by_one_digit(
    body: bytes, cuts: list[int], bad: int
) -> None:
    right = hmac.new(SECRET.encode(), b"7." + body, hashlib.sha256).hexdigest()
    wrong = right[:bad] + ("0" if right[bad] != "0" else "1") + right[bad + 1 :]
    for shown, is_right in ((right, True), (wrong, False)):
        verifier = Verifier(claim_of("flowforge", f"t=7,v1={shown}"), [OLD_SECRET, SECRET], None)
        at = 0
        for cut in [*sorted(cuts), 200]:
            verifier.update(body[at:cut])
            at = max(at, cut)
        if is_right:
            verifier.require_signed()
        else:
            with pytest.raises(RefusedError):
                verifier.require_signed()


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


@given(st.tuples(st.integers(0, 10**10), st.none() | printable, st.binary(max_size=40)), st.data())
def test_no_two_deliveries_sign_the_same_bytes(one: tuple[int, str | None, bytes], data: st.DataObject) -> None:
    """Whatever of the signed bytes is read as key, moment and body in another way is not the same delivery."""
    at_s, key, body = one
    signed = signed_before(at_s, key) + body
    other_key = data.draw(st.none() | printable | st.just(key))
    for other_at in (at_s, at_s // 10, 0):
        before = signed_before(other_at, other_key)
        assert (other_at, other_key) == (at_s, key) or not signed.startswith(before)


WRONG: dict[str, tuple[str, str]] = {
    "a secret written out": ("secret: hunter2", "secret written out"),
    "one of two written out": ("secret: [env('A'), hunter2]", "secret written out"),
    "a secret that is no text": ("secret: {a: hunter2}", "secret written out"),
    "no secret": ("secret: []", "has no secret"),
    "a reference without quotes": ("secret: env(hunter2)", "not written right"),
    "a name that is not taken": ("secret: env('A'), prefix: other_", "no name that"),
    "a name that is ignored": (
        "secret: env('A'), prefix: sales_}\n  ignore: ['sales_*']\n  tags: {",
        "`ignore` leaves alone",
    ),
    "no bytes": ("secret: env('A'), max_bytes: 0", "max_bytes"),
    "an unknown field": ("secret: env('A'), maxbytes: 5", "maxbytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_declared_wrongly_is_said_at_definition_and_shows_no_secret(name: str, tmp_path: Path) -> None:
    written, said = WRONG[name]
    yaml = YAML.replace('files: "*.json"', 'files: "sales_*.json"').replace(
        "secret: env('HOOK_SECRET'), scheme: github", written
    )
    if "prefix" not in written:
        yaml = yaml.replace("sales_*.json", "*.json")
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path / "project", yaml)
    with pytest.raises(DefinitionError) as quick:
        declared_endpoints(defs_folder(tmp_path, yaml))
    for text in (everything_said(caught.value), str(quick.value)):
        assert said in text
        assert "defs/shop/defs.yaml" in text
        assert "hunter2" not in text


def test_the_command_serves_until_it_is_told_to_end(lake: Lake, tmp_path: Path) -> None:
    """`flowforge webhook` itself, with a defs folder of the test's, killed by SIGTERM."""
    port, environment = free_port(), {**os.environ, "FLOWFORGE_WORKFLOWS": str(defs_folder(tmp_path))}
    command = [Path(sys.executable).with_name("flowforge"), "webhook", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until(lambda: _healthy(port), "the webhook answers", process=process)
        assert Sender(port, lake).deliver().status == 201
    finally:
        code = stop(process)
    said = (process.stdout.read() if process.stdout else b"").decode()
    assert process.stdout is not None
    process.stdout.close()
    assert code in (0, -signal.SIGTERM), said
    assert "POST /landing/shop/items takes application/json" in said
    assert SECRET not in said


def _healthy(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_secret_that_is_not_there_is_told_before_the_first_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLD_HOOK_SECRET")
    endpoint = declared_endpoints(defs_folder(tmp_path))["shop", "items"]
    with pytest.raises(SecretError, match=r"webhook of shop\.items, .*OLD_HOOK_SECRET is not set"):
        endpoint.secrets()
