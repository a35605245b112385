"""Connections that are opened and say nothing, or dribble a head, are closed: they would take the places of senders.

The server counts connections against its limit, and by itself waits for a request's head forever. (A body that dawdles is
`server`'s affair.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

HEAD_TIMEOUT_S = 20.0


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 whose clients send a whole head within `HEAD_TIMEOUT_S`, or at most twice that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above has it
        """Begin to watch."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_TIMEOUT_S, self._look, None)

    def _look(self, seen: RequestResponseCycle | None) -> None:
        """Close a connection on which no request has begun since the last look, and none is being answered."""
        now: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing():
            return
        if now is seen and (now is None or now.response_complete):
            self.transport.close()
            return
        self.loop.call_later(HEAD_TIMEOUT_S, self._look, now)
