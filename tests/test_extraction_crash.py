"""An incremental extraction that is killed anywhere, or runs twice at once, takes every row of the source exactly once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.extraction.known_rows import extractions
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from forker import KILLED, Forker, Pool
from scenario import csv_of, leftovers, rows_of
from sources import PASSWORD
from test_crash import EVERY, same_lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sources import Server

SOLD = TableId("extracted", "sold")
# A second extraction looks an hour back: rows 1 to 8 are met again, 9 to 12 are new, 8 has changed.
DAY1 = [(number, f"10:{number:02d}:00") for number in range(1, 9)]
DAY2 = [(8, "10:30:00"), *((number, "10:30:00") for number in range(9, 12)), (12, "10:31:00.000001")]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Forker() as one, Forker() as two:
        yield Pool([one, two])


def sell(server: Server, rows: list[tuple[int, str]]) -> None:
    """Insert rows, or change them."""
    values = ", ".join(f"({number}, {number}.5, '2026-01-01 {at}+00')" for number, at in rows)
    server.run(
        "CREATE TABLE IF NOT EXISTS sold (id int PRIMARY KEY, total numeric(12,2), updated_at timestamptz)",
        f"INSERT INTO sold VALUES {values} ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
    )


def taken(lake: Lake) -> list[tuple[str, str]]:
    """Key and cursor of every row that bronze holds."""
    found = chain.from_iterable(rows_of(lake, part.bronze_file) for part in read_ledger(lake, SOLD).data_after(0))
    return sorted((row["id"], row["updated_at"]) for row in found)


def reached(lake: Lake) -> str | None:
    """How far the last extraction that counts got."""
    done = extractions(read_ledger(lake, SOLD), "shop/sold")
    return done[-1][1].to if done else None


def silver(lake: Lake) -> str:
    """What silver says, whenever it was extracted."""
    return csv_of(lake, SOLD.current, without=("_ingested_at", "_source_file", "_row_number"))


def at_source(server: Server) -> dict[str, Any]:
    return {"env": {"SHOP_PORT": str(server.port), "SHOP_PASSWORD": PASSWORD}}


@pytest.mark.parametrize("day", ["first extraction", "second extraction"])
def test_an_extraction_killed_before_any_contact_with_the_lake_takes_every_row_once(
    pool: Pool, postgres: Server, tmp_path: Path, day: str
) -> None:
    postgres.run("DROP TABLE IF EXISTS sold")
    sell(postgres, DAY1)
    there, start = at_source(postgres), tmp_path / "start"
    start.mkdir()
    with Forker() as forker:
        if day == "second extraction":
            assert forker.run(start, "extracted", **there)["status"] == 0
            sell(postgres, DAY2)
        undisturbed = forker.run(same_lake(start, tmp_path / "undisturbed"), "extracted", **there)
    assert undisturbed["status"] == 0, undisturbed["said"]
    lake = Lake(str(tmp_path / "undisturbed"))
    expected = silver(lake), taken(lake), reached(lake)
    assert len(expected[1]) == len(set(expected[1])) == (8 if day == "first extraction" else 13)
    assert expected[2] == ("2026-01-01 10:08:00+00" if day == "first extraction" else "2026-01-01 10:31:00.000001+00")

    def killed_at(forker: Forker, at: int) -> str | None:
        point = f"{at} ({undisturbed['contacts'][at]})"
        root = same_lake(start, tmp_path / f"kill-{at}")
        died = forker.run(root, "extracted", at=at, **there)
        if died["status"] != KILLED:
            return f"{point}: was not killed but ended with {died['status']}: {died.get('said')}"
        clean = forker.run(root, "extracted", **there)
        after = Lake(str(root))
        if clean["status"] or leftovers(after):
            return f"{point}: the clean run said {clean['said']!r} and left {leftovers(after)}"
        found = silver(after), taken(after), reached(after)
        return None if found == expected else f"{point}: {found}"

    assert len(undisturbed["contacts"]) > 10
    assert pool.each(killed_at, range(0, len(undisturbed["contacts"]), EVERY)) == []


def test_two_extractions_started_together_take_every_row_once(postgres: Server, tmp_path: Path) -> None:
    postgres.run("DROP TABLE IF EXISTS sold")
    root = tmp_path / "together"
    root.mkdir()
    lake = Lake(str(root))
    with Forker() as one, Forker() as other:
        for rows, expected in ((DAY1, 8), (DAY2, 13)):
            sell(postgres, rows)
            for forker in (one, other):
                forker.ask({"lake": str(root), "workflow": "extracted", **at_source(postgres)})
            for done in (one.answer(), other.answer()):
                assert done["status"] == 0, done["said"]
            assert len(taken(lake)) == len(set(taken(lake))) == expected
    assert reached(lake) == "2026-01-01 10:31:00.000001+00"
    assert len(rows_of(lake, SOLD.current)) == 12
    assert leftovers(lake) == []
