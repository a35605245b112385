"""One look of a workflow's landing sensor: what is new, found with bounded work, and where the next look goes on.

Belongs here: the round through landing that ticks share out among themselves. Does not: Dagster, deciding about runs.

Names are gone through in order, `max_keys` a tick, round after round. The cursor is nothing but a place to go on from:
no file counts as seen because of it, so losing it, or deleting the key it names, costs nothing, and a name that sorts
before it is found in the next round. Messages of a notification queue shorten the wait, and change nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flowforge_assets.bronze.discovery import sort_out
from flowforge_resources.frames import as_frame, window
from flowforge_resources.layout import LANDING, landing_prefix
from flowforge_resources.ledger import read_ledger
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.notifications import Message, NotificationQueue


@dataclass(frozen=True)
class Cursor:
    """Where the round goes on (None: from the first name), and when one last ended."""

    after: str | None = None
    ended_at: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """What a tick left; anything else starts a new round."""
        try:
            said = json.loads(text or "{}")
            return cls(said.get("after"), said.get("ended_at"))
        except (ValueError, AttributeError):
            return cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    def is_due(self, now: datetime, every: timedelta) -> bool:
        """Whether to list: in the middle of a round, or when the last one ended long enough ago."""
        return bool(self.after) or self.ended_at is None or now - datetime.fromisoformat(self.ended_at) >= every


@dataclass
class Found:
    """What a tick found: objects to ask a run for, by table; names of no table; how much it looked at.

    `open_keys`: what no ledger holds yet and some run is going to take, now or later; `failed`: what failed and is not
    due to be tried again.
    """

    new: dict[str, list[StoredObject]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    open_keys: set[str] = field(default_factory=set)
    young: int = 0
    keys: int = 0

    @property
    def files(self) -> int:
        """How many files are new."""
        return sum(len(found) for found in self.new.values())


def go_round(
    lake: Lake, workflow: str, cursor: Cursor, *, max_keys: int, now: datetime
) -> tuple[list[pl.DataFrame], Cursor]:
    """The next `max_keys` objects of the round, each once, and where the next tick goes on."""
    prefix = landing_prefix(workflow)
    rest = window(lake, prefix, after=cursor.after, limit=max_keys)
    if rest.height == max_keys:
        return [rest], Cursor(str(rest["key"][-1]), cursor.ended_at)
    ended = now.isoformat()
    if cursor.after is None:
        return [rest], Cursor(None, ended)
    again = window(lake, prefix, after=None, limit=max_keys - rest.height)
    reached = str(again["key"][-1]) if again.height else ""
    whole = again.height < max_keys - rest.height or reached >= cursor.after
    return [rest, again.filter(again["key"] <= cursor.after)], Cursor(None if whole else reached, ended)


@dataclass
class Heard:
    """The messages a tick received, and what they name of the workflow's landing as it lies there now."""

    messages: list[Message] = field(default_factory=list)
    objects: list[StoredObject] = field(default_factory=list)

    @property
    def poison(self) -> list[Message]:
        """Messages nobody understands."""
        return [message for message in self.messages if message.created is None]


def listen(lake: Lake, workflow: str, queue: NotificationQueue) -> Heard:
    """Receive messages and look up what they name; an object that is gone again is left out."""
    messages = queue.receive()
    keys = {key for message in messages for key in _own_keys(lake, workflow, message)}
    objects = [found for found in side_by_side(lake.head, sorted(keys)) if found is not None]
    return Heard(messages, objects)


def acknowledge(lake: Lake, workflow: str, queue: NotificationQueue, heard: Heard, found: Found) -> None:
    """Delete the messages that have nothing left to say; bury the poison.

    One about another workflow's landing, or another bucket, is left to its owner or the redrive policy. One about the
    lake's own tables says what we wrote ourselves: the notification was set up for the whole bucket.
    """
    queue.delete([message for message in heard.messages if _is_done(lake, workflow, message, found.open_keys)])
    queue.bury(heard.poison)


def _is_done(lake: Lake, workflow: str, message: Message, open_keys: set[str]) -> bool:
    if message.created is None:
        return False
    keys = [created.lake_key(lake.url) for created in message.created]
    known = all(key and (key.startswith(landing_prefix(workflow)) or not key.startswith(LANDING)) for key in keys)
    return known and not open_keys.intersection(keys)


def _own_keys(lake: Lake, workflow: str, message: Message) -> list[str]:
    keys = [created.lake_key(lake.url) for created in message.created or ()]
    return [key for key in keys if key is not None and key.startswith(landing_prefix(workflow))]


def sort_out_tables(
    lake: Lake, workflow: str, tables: Sequence[TableSpec], listed: Sequence[pl.DataFrame], now: datetime
) -> Found:
    """What of some listings is new, by table."""
    import polars as pl

    objects = pl.concat([as_frame(()), *listed]).unique("key", keep="last", maintain_order=True)
    found = Found(keys=objects.height)
    for spec in tables:
        mine = pl.col("key").str.starts_with(spec.id.landing)
        own, objects = objects.filter(mine), objects.filter(~mine)
        if own.height:
            _add(found, lake, spec, own, now)
    own_names = [key for key in objects["key"] if not _is_ignored(key.removeprefix(landing_prefix(workflow)), tables)]
    found.strangers += own_names
    found.strangers.sort()
    return found


def _add(found: Found, lake: Lake, spec: TableSpec, own: pl.DataFrame, now: datetime) -> None:
    landed = sort_out(lake, spec, read_ledger(lake, spec.id).judge(own), now)
    if due := [one.object for one in landed.new if one.is_due(now)]:
        found.new[spec.id.name] = due
    found.strangers += landed.strangers
    found.set_aside += [one.object.key for one in landed.set_aside]
    found.failed += [one.object.key for one in landed.new if not one.is_due(now)]
    found.young += len(landed.young)
    found.open_keys |= {*(one.object.key for one in landed.new), *landed.young}


def _is_ignored(name: str, tables: Sequence[TableSpec]) -> bool:
    """Outside all tables' folders what every table ignores is nobody's business either."""
    return all(spec.landing.ignores(name) for spec in tables)
