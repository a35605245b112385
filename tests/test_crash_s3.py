"""As `test_crash`, on a lake behind an S3 wire whose server outlives the runs; and two runs there at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from forker import KILLED, Forker, Pool
from remote import DAYS, Remote, remote
from scenario import objects, state

if TYPE_CHECKING:
    from collections.abc import Iterator

# `FLOWFORGE_TEST_EVERY=1` kills before every contact, the quick suite before a spread of them.
EVERY = int(os.environ.get("FLOWFORGE_TEST_EVERY", "43"))


@pytest.fixture(scope="module")
def forkers() -> Iterator[list[Forker]]:
    with Forker() as one, Forker() as two:
        yield [one, two]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with remote(tmp_path_factory.mktemp("scratch")) as started:
        yield started


@pytest.mark.parametrize("day", DAYS)
def test_a_run_on_s3_killed_before_any_contact_leaves_what_one_clean_run_leaves(
    server: Remote, forkers: list[Forker], day: str
) -> None:
    content = server.start(forkers[0], day)
    lake = server.same(f"undisturbed/{day}".replace(" ", "-"), content)
    undisturbed = server.run(forkers[0], f"undisturbed/{day}".replace(" ", "-"))
    assert undisturbed["status"] == 0, undisturbed["said"]
    expected, contacts = state(lake), undisturbed["contacts"]

    def killed_at(forker: Forker, at: int) -> str | None:
        name = f"kill/{day}/{at}".replace(" ", "-")
        server.same(name, content)
        died = server.run(forker, name, at=at)
        if died["status"] != KILLED:
            return f"{at} ({contacts[at]}): was not killed but ended with {died['status']}: {died.get('said')}"
        said = server.wrong(name, server.run(forker, name), expected)
        return f"{at} ({contacts[at]}): {said}" if said else None

    points = range(0, len(contacts), EVERY)
    print(f"{day}: {len(points)} of {len(contacts)} kill points")  # noqa: T201
    assert len(contacts) > 20
    assert Pool(forkers).each(killed_at, points) == []


@pytest.mark.parametrize("attempt", range(2 if EVERY == 1 else 1))
def test_two_runs_on_s3_started_together_leave_what_one_leaves(
    server: Remote, forkers: list[Forker], attempt: int
) -> None:
    for day in DAYS:
        content = server.start(forkers[0], day)
        names = [f"{kind}/{attempt}/{day}".replace(" ", "-") for kind in ("alone", "together")]
        alone, together = (server.same(name, content) for name in names)
        assert server.run(forkers[0], names[0])["status"] == 0
        env = server.env(names[1])
        for forker in forkers:
            forker.ask({"lake": env["FLOWFORGE_LAKE_URL"], "workflow": "shop", "env": env})
        done = [forker.answer() for forker in forkers]
        assert [one["status"] for one in done] == [0, 0], [one["said"] for one in done]
        assert state(together) == state(alone)
        assert taken(together) == taken(alone)
        assert server.wrong(names[1], server.run(forkers[0], names[1]), state(alone)) is None
        before = objects(together)
        server.run(forkers[0], names[1])
        assert objects(together) == before


def taken(lake: Any) -> list[str]:
    """The landing objects of all ledgers, without this lake's prefix."""
    entries = [entry for table in ("items", "sales") for entry in read_ledger(lake, TableId("shop", table)).entries]
    return sorted(file.key for entry in entries for file in entry.files)
