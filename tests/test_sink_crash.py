"""A delivery that is killed at any contact with its target leaves the target as it was, or as it will be."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from http_server import serving
from killed_delivery import Deliverer
from sink_targets import KINDS, new_target
from sources import PASSWORD
from test_sink_databases import DAY1, DAY2, MODES, ROWS1, rows_in
from test_sink_endpoint import ROWS, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Few by default: at the beginning, in the middle, and just before the end; the sweep of all takes minutes.
THOROUGH = bool(os.environ.get("FLOWFORGE_TEST_THOROUGH"))
EVERY = 1 if THOROUGH else 15
TRIED = [*MODES] if THOROUGH else ["replace", "upsert and delete"]
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def deliverer() -> Iterator[Deliverer]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SHOP_PASSWORD", PASSWORD)
        with Deliverer() as made:
            yield made


@pytest.mark.parametrize("mode", TRIED)
@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_killed_delivery_is_nothing_or_all_and_the_next_one_ends_it(
    request: pytest.FixtureRequest,
    deliverer: Deliverer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mode: str,
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    server = request.getfixturevalue(kind)
    how, expected, _ = MODES[mode]

    def delivered(target: Any, **at: int) -> int:
        where = {"kind": kind, "port": server.port, "table": target.table, "folder": str(tmp_path)}
        return deliverer.contacts(**where, rows=DAY2, version="v2", how=how, **at)

    whole = new_target(kind, tmp_path, server)
    whole.deliver(DAY1, "v1", **how)
    contacts = delivered(whole)
    assert contacts > 12
    seen = []
    for at in (*range(contacts - 1 - TRIED.index(mode), 3, -EVERY), 3):
        target = new_target(kind, tmp_path, server)
        target.deliver(DAY1, "v1", **how)
        assert delivered(target, at=at) == KILLED
        seen.append(rows_in(target))
        assert seen[-1] in (ROWS1, expected)
        target.deliver(DAY2, "v2", **how)
        assert rows_in(target) == expected
        assert target.tables() == [target.table]
    assert seen[-1] == ROWS1


def test_a_delivery_to_an_endpoint_that_is_killed_at_any_note_brings_every_row_once(
    deliverer: Deliverer, tmp_path: Path
) -> None:
    """To an endpoint that heeds the key: the batch that was taken and not noted comes again under it."""
    taken = Endpoint()
    with serving(Starlette(routes=[Route("/rows", taken.take, methods=["POST"])])) as port:
        where = {"url": f"http://127.0.0.1:{port}/rows", "rows": ROWS, "folder": str(tmp_path)}
        contacts = deliverer.contacts(**where, lake=str(tmp_path / "whole"))
        assert contacts >= 3
        for at in range(contacts) if THOROUGH else (1, contacts - 2):
            taken.taken.clear()
            assert deliverer.contacts(**where, lake=str(tmp_path / f"lake{at}"), at=at) == KILLED
            assert deliverer.contacts(**where, lake=str(tmp_path / f"lake{at}")) != KILLED
            rows = dict(taken.taken)
            assert sorted(row["id"] for batch in rows.values() for row in batch) == list(range(7))
            assert len(taken.taken) <= len(rows) + 1
