"""Run workflows in processes that may be killed, without paying Dagster's start-up for each.

A parent that has imported everything, and done nothing, forks a child for every run it is asked for. The child runs the
job as `dagster job execute` would, and is killed where asked: after so many seconds, or at the n-th contact with the
lake or its disk, just before it happens. The hooks are in the child alone; the product knows nothing.

As a program it serves requests, one JSON a line: see `Forker.run`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KILLED = -signal.SIGKILL
# Every call by which something can change on the lake or its disk.
LAKE_CALLS = ("create", "write", "delete", "publish", "put_new", "swap", "copy", "copy_new")
DISK_CALLS = ((os, "link"), (Path, "replace"), (Path, "unlink"))


class Forker:
    """The parent, as a test sees it; one run at a time, several forkers run side by side."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ask(None)
        self._server.communicate()

    def ask(self, request: dict[str, Any] | None) -> None:
        """Send a request and do not wait."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the oldest request."""
        assert self._server.stdout is not None
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def run(self, lake: Path | str, workflow: str, **kill: Any) -> dict[str, Any]:
        """Run a workflow once.

        Args:
            lake: the lake's folder or URL.
            workflow: `shop`, `retail`, `contested` or `extracted`.
            kill: `after_s` seconds; or `at` the n-th contact, counted from 0, before it happens.
                Besides: `env`, more environment variables; `store`, arguments of `client_settings`.

        Returns:
            `status` (0 well, 1 failed, `KILLED`), `seconds`, `said`, and the names of all `contacts` if not killed.
        """
        self.ask({"lake": str(lake), "workflow": workflow, **kill})
        return self.answer()


class Pool:
    """A few forkers, one for each thing that is tried at once."""

    def __init__(self, forkers: list[Forker]) -> None:
        self._at_once = len(forkers)
        self._idle: SimpleQueue[Forker] = SimpleQueue()
        for forker in forkers:
            self._idle.put(forker)

    def each(self, tried: Callable[[Forker, Any], str | None], points: Iterable[Any]) -> list[str]:
        """Try every point; return what went wrong."""

        def with_one(point: Any) -> str | None:
            forker = self._idle.get()
            try:
                return tried(forker, point)
            finally:
                self._idle.put(forker)

        with ThreadPoolExecutor(self._at_once) as threads:
            return [said for said in threads.map(with_one, points) if said]


def client_settings(timeout_s: float, max_retries: int) -> tuple[dict[str, str], dict[str, Any]]:
    """What a test changes in `lake.CLIENT` and `lake.RETRIES`, so that trouble passes quickly."""
    backoff = {"init_backoff": timedelta(seconds=0.02), "max_backoff": timedelta(seconds=0.1), "base": 2}
    return {"timeout": f"{timeout_s}s"}, {"max_retries": max_retries, "backoff": backoff}


def serve() -> None:
    """Answer requests until `null` comes."""
    import duckdb  # noqa: F401  # so that children have it
    import obstore  # noqa: F401
    import polars as pl  # noqa: F401

    from scenario import contested, retail, shop
    from sources import extracted

    folders = ExitStack()
    definitions = {"retail": retail()}
    for name, made in {"shop": shop, "contested": contested, "extracted": extracted}.items():
        definitions[name] = made(Path(folders.enter_context(tempfile.TemporaryDirectory())))
    for name, defs in definitions.items():
        defs.resolve_job_def(name)
    for line in sys.stdin:
        request = json.loads(line)
        if request is None:
            folders.close()
            return
        print(json.dumps(_fork(request, definitions)), flush=True)  # noqa: T201  # the answer


def _fork(request: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    out = Path(tempfile.mkstemp()[1])
    began = time.perf_counter()
    child = os.fork()
    if not child:
        _run(request, definitions, out)
    if "after_s" in request:
        time.sleep(request["after_s"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    answer = {"status": os.waitstatus_to_exitcode(status), "seconds": time.perf_counter() - began}
    answer.update(json.loads(out.read_text(encoding="utf-8") or "{}"))
    out.unlink()
    return answer


def _run(request: dict[str, Any], definitions: dict[str, Any], out: Path) -> None:
    from flowforge_resources import lake, retries
    from scenario import failures, run

    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.environ.update({"FLOWFORGE_LAKE_URL": request["lake"], "FLOWFORGE_THREADS": "1", **request.get("env", {})})
    if "store" in request:
        client, asks_again = client_settings(**request["store"])
        lake.CLIENT.update(client)
        lake.RETRIES.update(asks_again)
    retries._FIRST_WAIT_S = 0.2
    contacts = _watch(request.get("at"))
    if "at_once" in request:
        said, success = _several_at_once(definitions[request["workflow"]], request["workflow"], request["at_once"])
    else:
        result = run(definitions[request["workflow"]], request["workflow"])
        said, success = failures(result), result.success
    out.write_text(json.dumps({"said": said, "contacts": contacts}), encoding="utf-8")
    os._exit(0 if success else 1)


def _several_at_once(defs: Any, workflow: str, at_once: int) -> tuple[str, bool]:
    """Run with the executor of outside of tests; what became of it, and whether that is success."""
    import dagster as dg

    from scenario import launched

    with dg.DagsterInstance.ephemeral() as instance:
        ended = launched(defs.resolve_job_def(workflow), instance, {"in_process": {"max_concurrent": at_once}})
    return str(ended.status), ended.is_success


def _watch(at: int | None) -> list[str]:
    """Note every contact by name, and die at the chosen one."""
    from flowforge_resources.lake import Lake

    contacts: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def contact(*args: Any, **kwargs: Any) -> Any:
            if len(contacts) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            contacts.append(name)
            return call(*args, **kwargs)

        return contact

    for name in LAKE_CALLS:
        setattr(Lake, name, watched(f"Lake.{name}", getattr(Lake, name)))
    for owner, name in DISK_CALLS:
        setattr(owner, name, watched(f"disk.{name}", getattr(owner, name)))
    return contacts


if __name__ == "__main__":
    serve()
