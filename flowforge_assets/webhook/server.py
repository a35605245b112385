"""The web application: `POST /landing/<workflow>/<table>`, and `GET /health`.

A body is written to scratch as it comes, never held; what it is called and whether it is taken is decided elsewhere
(`naming`, `signature`, `landing`). Nothing of a body, and no header but the content type, is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flowforge_assets.webhook.landing import Landed, land
from flowforge_assets.webhook.naming import identity_of_content, identity_of_key, media_type, object_name
from flowforge_assets.webhook.refused import RefusedError
from flowforge_assets.webhook.signature import Verifier, claim_of, require_key, require_recent
from flowforge_resources.errors import FlowForgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowforge_assets.webhook.declared import Endpoint
    from flowforge_assets.webhook.signature import Claim
    from flowforge_resources.lake import Lake

LOG = logging.getLogger("flowforge.webhook")
RETRY_AFTER_S = 30
BODY_TIMEOUT_S = 60.0
_LONGEST_NAME_SHOWN = 200
_MOST_DIGITS_READ = 20
_CLIENT_CLOSED = 499  # no one reads it; nginx's word for the log


class Webhook:
    """Takes deliveries of some tables into a lake."""

    def __init__(
        self,
        lake: Lake,
        endpoints: Mapping[tuple[str, str], Endpoint],
        *,
        body_timeout_s: float = BODY_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake, self._endpoints, self._body_timeout_s, self._clock = lake, endpoints, body_timeout_s, clock

    def application(self) -> Starlette:
        """As a web server runs it."""
        found = Starlette(
            routes=[
                Route("/landing/{workflow}/{table}", self._deliver, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
            ]
        )
        found.router.redirect_slashes = False  # to whatever host the sender named
        return found

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "tables": len(self._endpoints)})

    async def _deliver(self, request: Request) -> Response:
        name = _in_a_line(f"{request.path_params['workflow']}.{request.path_params['table']}")
        try:
            landed = await self._take(request)
        except RefusedError as refused:
            LOG.warning("%s: %d %s", name, refused.status, refused.code)
            return _answer(refused)
        except ClientDisconnect:
            LOG.warning("%s: the sender went away; nothing was written", name)
            return Response(status_code=_CLIENT_CLOSED)
        except FlowForgeError as error:
            LOG.error("%s: 503: %s", name, error)  # noqa: TRY400  # the message says it all
            busy = "the delivery cannot be stored now; nothing was lost but time. Send it again."
            return _answer(RefusedError(503, "unavailable", busy, retry_after_s=RETRY_AFTER_S))
        LOG.info("%s: %s, %d bytes%s", name, landed.key, landed.size_bytes, "" if landed.created else ", known")
        said = {"key": landed.key, "size_bytes": landed.size_bytes, "created": landed.created}
        return JSONResponse(said, status_code=201 if landed.created else 200)

    async def _take(self, request: Request) -> Landed:
        endpoint = self._endpoint(request)
        suffix = _suffix(endpoint, request)
        _require_length(endpoint, request)
        options = endpoint.options
        key = request.headers.get("idempotency-key") if options.scheme == "flowforge" else None
        require_key(key)
        claim = claim_of(options.scheme, request.headers.get(options.signature_header))
        require_recent(claim, self._clock(), options.tolerance_s)
        verifier = Verifier(claim, await run_in_threadpool(endpoint.secrets), key)
        scratch = self._lake.scratch()
        with scratch:
            path = scratch.path(suffix)
            await self._receive(request, path, verifier, options.max_bytes)
            verifier.require_signed()
            names = _names(endpoint, claim, verifier, key, suffix)
            return await run_in_threadpool(
                land, self._lake, path, names[0], repeatable=key is not None or claim.at_s is None, rivals=names[1:]
            )

    def _endpoint(self, request: Request) -> Endpoint:
        workflow, table = request.path_params["workflow"], request.path_params["table"]
        if (workflow, table) not in self._endpoints:
            raise RefusedError(404, "unknown_table", "no such workflow and table, or it declares no `webhook`.")
        return self._endpoints[workflow, table]

    async def _receive(self, request: Request, path: Path, verifier: Verifier, max_bytes: int) -> None:
        size_bytes = 0
        try:
            async with asyncio.timeout(self._body_timeout_s):
                with path.open("wb") as file:  # into the page cache, 64 KB at a time
                    async for piece in request.stream():
                        size_bytes += len(piece)
                        if size_bytes > max_bytes:
                            raise _too_large(max_bytes)
                        verifier.update(piece)
                        file.write(piece)
        except TimeoutError:
            raise RefusedError(
                408, "too_slow", f"the body did not come within {self._body_timeout_s:g} seconds."
            ) from None
        if not size_bytes:
            raise RefusedError(400, "empty", "the body is empty.")


def _in_a_line(text: str) -> str:
    """What a stranger sent, so that it is one short line of a log: nothing in it begins another, or moves a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_LONGEST_NAME_SHOWN])


def _suffix(endpoint: Endpoint, request: Request) -> str:
    kind = media_type(request.headers.get("content-type", ""))
    takes = ", ".join(endpoint.suffixes)
    if kind not in endpoint.suffixes:
        raise RefusedError(415, "wrong_content_type", f"the table takes {takes}.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RefusedError(
            415,
            "content_encoding",
            "a body with Content-Encoding is not taken: send it plain, or as a compressed file.",
        )
    return endpoint.suffixes[kind]


def _require_length(endpoint: Endpoint, request: Request) -> None:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:_MOST_DIGITS_READ]) > endpoint.options.max_bytes:
        raise _too_large(endpoint.options.max_bytes)


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(413, "too_large", f"a delivery may have {max_bytes:,} bytes.")


def _names(endpoint: Endpoint, claim: Claim, verifier: Verifier, key: str | None, suffix: str) -> list[str]:
    """The object's key; behind it those of the same idempotency key with another suffix."""
    identity = identity_of_content(verifier.content_digest) if key is None else identity_of_key(key)
    moment = claim.at_s if key is None else None
    suffixes = [suffix] if key is None else [suffix, *sorted({*endpoint.suffixes.values()} - {suffix})]
    prefix = f"{endpoint.table.landing}{endpoint.options.prefix}"
    return [object_name(prefix, identity, one, moment) for one in suffixes]


def _answer(refused: RefusedError) -> Response:
    headers = {"Connection": "close"}  # what is still coming of the body is not read
    if refused.retry_after_s:
        headers["Retry-After"] = str(refused.retry_after_s)
    said = {"error": refused.code, "message": refused.message}
    return JSONResponse(said, status_code=refused.status, headers=headers)
