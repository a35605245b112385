"""Deliveries in processes that are killed just before their n-th contact with the target, or with the lake.

As a program: imports everything and does nothing, then forks a child for each request, one JSON a line. The hooks are in the
child alone; the product knows nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = 1 << 30


class Deliverer:
    """The program, as a test sees it."""

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate()

    def contacts(self, **request: Any) -> int:
        """Deliver and die at a contact (`at`, from 0), or not at all: how many contacts there were, if it lived."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps({"at": NEVER, **request}) + "\n")
        self._program.stdin.flush()
        return int(self._program.stdout.readline())


def _die_at(number: int, hooked: list[tuple[Any, str]]) -> list[int]:
    """Count calls of some methods; end before one of them."""
    made = [0]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            made[0] += 1
            if made[0] > number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return called

    for owner, name in hooked:
        setattr(owner, name, counting(getattr(owner, name)))
    return made


def _to_table(request: dict[str, Any]) -> int:
    from flowforge_resources.sinks.session import Session
    from sink_targets import Target
    from sources import Server

    made = _die_at(request["at"], [(Session, name) for name in ("run", "rows", "_load", "_end")])
    target = Target(
        request["kind"], request["table"], Path(request["folder"]), Server(request["kind"], request["port"])
    )
    target.deliver(request["rows"], request["version"], **request["how"])
    return made[0]


def _to_endpoint(request: dict[str, Any]) -> int:
    from flowforge_resources.lake import Lake
    from flowforge_resources.sinks.endpoint import EndpointTarget, deliver_batches
    from forker import LAKE_CALLS
    from sink_targets import outgoing

    made = _die_at(request["at"], [(Lake, name) for name in LAKE_CALLS])
    with outgoing(Path(request["folder"]), request["rows"]) as out:
        target = EndpointTarget(request["url"], batch_rows=3)
        deliver_batches("shop/crm", target, "f", out, Lake(request["lake"]))
    return made[0]


def _serve() -> None:
    import httpx2  # noqa: F401
    import psycopg  # noqa: F401
    import pymysql  # noqa: F401
    import tenacity  # noqa: F401

    import flowforge_resources.sinks.endpoint
    import flowforge_resources.sinks.session  # noqa: F401  # what every child needs
    import sink_targets  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            made = (_to_endpoint if "url" in request else _to_table)(request)
            os.write(write, str(made).encode())
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(child, 0)
        said = os.read(read, 99).decode()
        os.close(read)
        print(said if not status else -os.WTERMSIG(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    _serve()
