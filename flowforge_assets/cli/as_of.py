"""Tables as they were: silver at the version published last before a moment, bronze as committed by then.

Gold and quarantine have no archive, so a statement that names them is refused, not answered with what is there now.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowforge_resources.errors import FlowForgeError
from flowforge_resources.frames import scan_all
from flowforge_resources.history import find_version, version_at, versions
from flowforge_resources.io_managers import StoredTable
from flowforge_resources.partitioned import find_manifest, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from flowforge_resources.history import Version
    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId

    Opener = Callable[[], pl.LazyFrame]


class AsOfError(FlowForgeError):
    """The tables cannot be shown as of that moment or version."""


def parse_as_of(given: str, silver: Sequence[str]) -> datetime | int:
    """A moment (UTC unless it says otherwise), or the number of a version of the only silver table that is named.

    Raises:
        AsOfError: it is neither, or a number where several silver tables are named.
    """
    if given.isdecimal():
        if len(silver) != 1:
            named = ", ".join(silver) or "none"
            raise AsOfError(
                f"--as-of {given} is the number of a version, and each table counts its own; the statement names these silver tables: {named}. Give a moment, e.g. --as-of 2026-11-01T12:00."
            )
        return int(given)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise AsOfError(
            f"--as-of '{given}' is neither a moment such as 2026-11-01T12:00 nor the number of a version."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def silver_as_of(lake: Lake, table: TableId, at: datetime | int) -> Opener:
    """Opens the version of a silver table that counted at a moment, or has a number."""

    def scan() -> pl.LazyFrame:
        found = versions(lake, table)
        version = find_version(found, str(at)) if isinstance(at, int) else version_at(found, at)
        if version is None:
            raise AsOfError(_absent(table, found, at))
        if (cut := find_manifest(lake, table, version.published.nonce)) is not None:
            return scan_all(lake, list(objects_of(cut).values()))
        return StoredTable(lake, version.key, str(table), "/".join(table.silver_key)).scan()

    return scan


def _absent(table: TableId, found: Sequence[Version], at: datetime | int) -> str:
    if not found:
        return f"{table} was never published."
    oldest = found[-1]
    since = f"{oldest.published_at:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(at, int):
        known = ", ".join(str(one.number) for one in found)
        return f"{table} has no version {at}. There are: {known}."
    if oldest.number == 1:
        return f"{table} did not exist at {at:%Y-%m-%d %H:%M:%S %Z}: it was first published at {since}."
    return f"{table} as of {at:%Y-%m-%d %H:%M:%S %Z} is not kept: the oldest version that is, {oldest.number}, was published at {since}. Declare a longer `history` to go further back."


def refuse_as_of(name: str, why: str) -> Opener:
    """In the place of a table that has no past."""

    def scan() -> pl.LazyFrame:
        raise AsOfError(f"{name} cannot be shown as of then: {why}")

    return scan
