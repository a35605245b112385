"""A delivery to an HTTP endpoint: JSON arrays of rows, batch after batch, each under a key of its own.

What an endpoint has taken cannot be taken back. So each batch bears an `Idempotency-Key` made of sink, version and number,
and how far a version got is noted on the lake: a repeated run goes on behind the last batch that was taken, and the one
that was on its way comes again under its key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases import references
from flowforge_resources.duck import quote
from flowforge_resources.errors import (
    EndpointRefusedError,
    EndpointUnreachableError,
    SourceError,
    SourceUnreachableError,
)
from flowforge_resources.sinks.delivered import Delivered
from flowforge_resources.sinks.outgoing import VIEW
from flowforge_resources.web.client import HttpClient, Patience
from flowforge_resources.web.waiting import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowforge_resources.lake import Lake
    from flowforge_resources.sinks.outgoing import Outgoing
    from flowforge_resources.web.auth import HttpAuth
    from flowforge_resources.web.client import Answer


@dataclass(frozen=True)
class EndpointTarget:
    """An endpoint. `accepted`: where in an answer the number of rows it took is; empty: it does not say."""

    url: str
    method: str = "POST"
    batch_rows: int = 500
    accepted: str = ""
    auth: HttpAuth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)


def deliver_batches(
    sink: str, target: EndpointTarget, fingerprint: str, outgoing: Outgoing, lake: Lake, *, clock: Clock | None = None
) -> Delivered:
    """Bring the rows of one version to an endpoint.

    Args:
        sink: `workflow/name`.
        target: where to.
        fingerprint: changes when the same version is to be delivered otherwise.
        outgoing: the rows.
        lake: where it is noted how far the delivery got.
        clock: the time, and waiting.

    Raises:
        EndpointRefusedError: it refuses a batch, or says it took another number of rows than it was given.
        EndpointUnreachableError: it does not answer; both say after how many batches.
        SecretError: there is nothing where a reference points.
    """
    return _Delivery(sink, target, fingerprint, outgoing, lake, clock=clock or Clock()).run()


class _Delivery:
    def __init__(
        self, sink: str, target: EndpointTarget, fingerprint: str, outgoing: Outgoing, lake: Lake, *, clock: Clock
    ) -> None:
        self._sink, self._target, self._out, self._lake, self._clock = sink, target, outgoing, lake, clock
        self._what = {"version": outgoing.version, "fingerprint": fingerprint, "batch_rows": target.batch_rows}
        self._url = references.resolve_for(f"sink {sink}", target.url, field="url")
        self._batches = -(-outgoing.rows // target.batch_rows)

    def run(self) -> Delivered:
        noted = json.loads(self._lake.read(self._note) or b"{}")
        done = int(noted.pop("batches_done", 0)) if {k: noted.get(k) for k in self._what} == self._what else -1
        shown = self._url.partition("?")[0].rpartition("@")[2]
        if done >= self._batches:
            return Delivered(shown, self._out.rows, self._out.rows, changed=False)
        sent = 0
        headers = references.resolve_each(f"sink {self._sink}", self._target.headers, field="headers")
        patience, auth = self._target.patience, self._target.auth
        with HttpClient(f"sink {self._sink}", self._url, auth, headers, patience, self._clock) as client:
            for number, rows in enumerate(self._chunks()):
                if number >= max(done, 0):
                    self._send(client, number, rows)
                    sent += len(rows)
        self._remember(self._batches)
        return Delivered(shown, self._out.rows, self._out.rows, inserted=sent)

    @property
    def _note(self) -> str:
        return f"_flowforge/sinks/{self._sink}.json"

    def _remember(self, batches_done: int) -> None:
        said = {**self._what, "batches_done": batches_done, "batches": self._batches, "rows": self._out.rows}
        self._lake.write(self._note, json.dumps(said, sort_keys=True).encode())

    def _send(self, client: HttpClient, number: int, rows: list[str]) -> None:
        body = f"[{','.join(rows)}]".encode()
        whole = json.dumps([self._sink, self._what, number]).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": sha256(whole).hexdigest(),
            "X-FlowForge-Batch": f"{number + 1}/{self._batches}",
        }
        progress = f"{number:,} of {self._batches:,} batches are delivered; the next run goes on behind them."
        try:
            answer = client.post(body, headers, method=self._target.method)
        except SourceError as error:
            raise EndpointRefusedError(self._sink, error.problem, progress, error.fix) from None
        except SourceUnreachableError as error:
            raise EndpointUnreachableError(self._sink, error.problem, progress, error.fix) from None
        self._require_count(answer, len(rows), progress)
        self._remember(number + 1)

    def _require_count(self, answer: Answer, rows: int, progress: str) -> None:
        if not self._target.accepted:
            return
        try:
            said: Any = json.loads(answer.content)
            for name in self._target.accepted.split("."):
                said = said[name]
        except (ValueError, KeyError, TypeError):
            said = None
        if said != rows:
            took = f"{said:,} rows" if isinstance(said, int) else "no number of rows"
            problem = f"{rows:,} rows were sent in a batch, and the endpoint says it took {took}."
            fix = "See what the endpoint does with rows, or correct `accepted`."
            raise EndpointRefusedError(self._sink, problem, progress, fix)

    def _chunks(self) -> Iterator[list[str]]:
        """Rows as JSON, in an order that is the same in every run of a version."""
        columns = ", ".join(
            f"{f'to_base64({quote(name)})' if kind == 'BLOB' else quote(name)} AS {quote(name)}"
            for name, kind in self._out.columns.items()
        )
        rows = f"SELECT to_json(o)::VARCHAR FROM (SELECT {columns} FROM {VIEW}) AS o ORDER BY 1"
        chunk: list[str] = []
        for batch in self._out.connection.sql(rows).to_arrow_reader(10_000):
            for row in batch.column(0).to_pylist():
                chunk.append(row)
                if len(chunk) == self._target.batch_rows:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk
