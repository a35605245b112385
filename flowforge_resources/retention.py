"""How long earlier versions of a table are kept. A snapshot goes only where both `keep_last` and `keep_for` let it go.

Ages are counted from the moment a version was replaced, not made: "30 days" is how far back a question as of a moment
can reach. Names alone are read, so that this costs one listing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from flowforge_resources.history import Versioned
    from flowforge_resources.lake import Lake, StoredObject

FOREVER = "forever"
# Whoever found a version published, and asks for it by name, finds it for this long.
GRACE = timedelta(minutes=15)
_UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_SPAN = re.compile(r"([1-9]\d*) (hour|day|week)s?")
_SNAPSHOT = re.compile(r"snapshot_(\d{8}_\d{6}_\d{6})\.parquet")


class Retention(BaseModel):
    """Which earlier versions of a table are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_last: int = Field(default=10, ge=0, description="Versions to keep besides the published one, however old.")
    keep_for: str | None = Field(
        default=None,
        description="Keep a version at least this long after it was replaced, however many there are: `12 hours`, `30 days`, `8 weeks` or `forever`.",
        examples=["30 days"],
    )

    @field_validator("keep_for")
    @classmethod
    def check_span(cls, given: str | None) -> str | None:
        """A span of time, or nothing.

        Raises:
            ValueError: it is none.
        """
        if given is not None and given != FOREVER and not _SPAN.fullmatch(given):
            raise ValueError(
                f"`keep_for: {given}` is no span of time. Write e.g. '12 hours', '30 days', '8 weeks' or 'forever'."
            )
        return given

    def lets_go(self, newer: int, replaced_for: timedelta) -> bool:
        """Whether a version may go, of which `newer` earlier versions are newer."""
        if newer < self.keep_last or replaced_for < GRACE or self.keep_for == FOREVER:
            return False
        span = _SPAN.fullmatch(self.keep_for) if self.keep_for else None
        return span is None or replaced_for >= int(span[1]) * _UNITS[span[2]]


@dataclass(frozen=True)
class Snapshot:
    """An earlier version by its name."""

    stored: StoredObject
    published_at: datetime


def snapshots(lake: Lake, table: Versioned) -> list[Snapshot]:
    """The earlier versions of a table, newest first; what has another name is someone else's."""
    found = [(stored, _SNAPSHOT.fullmatch(stored.key.rsplit("/", 1)[-1])) for stored in lake.files(table.archive)]
    named = [Snapshot(stored, _parse(name[1])) for stored, name in found if name]
    return sorted(named, key=lambda one: one.published_at, reverse=True)


def _parse(moment: str) -> datetime:
    return datetime.strptime(moment, "%Y%m%d_%H%M%S_%f").replace(tzinfo=UTC)


def expired(
    lake: Lake, table: Versioned, retention: Retention, published_at: datetime, now: datetime | None = None
) -> list[StoredObject]:
    """The snapshots that may go, given when the published version was made."""
    earlier = [one for one in snapshots(lake, table) if one.published_at < published_at]
    replaced_at = [published_at, *(one.published_at for one in earlier)]
    at = now or utc_now()
    return [
        one.stored
        for newer, (one, replaced) in enumerate(zip(earlier, replaced_at, strict=False))
        if retention.lets_go(newer, at - replaced)
    ]
