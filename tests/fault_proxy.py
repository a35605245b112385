"""A store in trouble: a loopback proxy in front of a real S3 server that disturbs the calls a plan names.

Belongs here: the wire. Does not: which calls are disturbed, or what must hold afterwards.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

# What is answered instead of the store's answer. The request has not reached the store.
REFUSALS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "412": (412, "PreconditionFailed"),
    "409": (409, "ConditionalRequestConflict"),
}
# The store has done what was asked, and the client does not learn it: an error, silence, or too little of the answer.
LOST = ("done, then 500", "done, then closed", "done, then late", "truncated")
# The client has given up and tries again when the store does what was asked.
ZOMBIE = "late, then done"
KINDS = (*REFUSALS, *LOST, ZOMBIE)
CLIENT_TIMEOUT_S = 1.5
LATE_S = CLIENT_TIMEOUT_S + 0.4
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


class FaultProxy:
    """One proxy; `url` is where clients go. `calls` are the requests in the order they came, as `PUT /key`.

    Args:
        upstream: the real server's URL.
        plan: the kind of fault for the n-th request, counted from 0, or None to let it pass.
    """

    def __init__(self, upstream: str, plan: Callable[[int, str], str | None]) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.plan = plan
        self.calls: list[str] = []
        self.disturbed: list[str] = []
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, when all that was asked of the store, however late, has been done."""
        self._server.shutdown()
        self._thread.join()
        self._server.ask_no_more()
        self._server.server_close()

    def fault_of(self, call: str) -> str | None:
        with self._lock:
            kind = self.plan(len(self.calls), call)
            self.calls.append(call)
            if kind:
                self.disturbed.append(f"{kind}: {call}")
            return kind


class _Server(ThreadingHTTPServer):
    proxy: FaultProxy
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def ask_no_more(self) -> None:
        """End what clients keep open for a next request; what is under way goes on."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or gave up, closes its end."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # a kept connection of a client that is gone
    server: _Server

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.server.proxy.fault_of(f"{self.command} {self.path}")
        if kind in REFUSALS:
            return self.refuse(*REFUSALS[kind])
        if kind == ZOMBIE:
            time.sleep(LATE_S)
        status, headers, content = self.forward(body)
        if kind == "done, then 500":
            return self.refuse(*REFUSALS["500"])
        if kind == "done, then late":
            time.sleep(LATE_S)
        if kind == "truncated" and content:
            self.pass_on(status, headers, content, content[: len(content) // 2])
        elif kind is None:
            return self.pass_on(status, headers, content, content)
        return self.hang_up()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = serve  # noqa: N815  # http.server's names

    def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(self.server.proxy.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, HTTPException):
            return 500, [], b""
        finally:
            connection.close()

    def refuse(self, status: int, code: str) -> None:
        said = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>No.</Message></Error>'.encode()
        )
        self.pass_on(status, [("Content-Type", "application/xml")], said, said)

    def pass_on(self, status: int, headers: list[tuple[str, str]], content: bytes, sent: bytes) -> None:
        self.send_response(status)
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        for name, value in headers:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        if self.command == "HEAD" and length is not None:
            self.send_header("Content-Length", length)
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    def hang_up(self) -> None:
        """Close so that the client notices at once."""
        self.wfile.flush()
        if self.command != "GET":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Keep quiet."""
