"""The flaws that every table shares: repeated rows, corrections, resent rows, late rows. And what counts as one.

A function here puts the flaw into the file and hangs on the row what it adds to the books, so that the generator's
tally and the reference in `truth.py` are two counts of one thing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rows import Dice, File, Row

STAMP = "%Y-%m-%d %H:%M:%S"


def shifted(stamp: str, **by: float) -> str:
    """Give the timestamp moved by `timedelta(**by)`."""
    return f"{datetime.strptime(stamp, STAMP) + timedelta(**by):{STAMP}}"  # noqa: DTZ007 - the files carry no zone


def repeat(dice: Dice, file: File, count: int) -> None:
    """Put an exact copy of some rows further down the same file."""
    for row in file.take(dice, count):
        copy = row.copy()
        copy.spoil("exact duplicate", "the same row stands in this file already", "deduplicated")
        file.put_after(dice, row, copy)


def newer(row: Row) -> dict[str, str]:
    """Give the row's updated_at some hours later; nothing for a table without one."""
    return {"updated_at": shifted(row.values["updated_at"], hours=5, minutes=17)} if "updated_at" in row.values else {}


def correct(dice: Dice, file: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]) -> None:
    """Put a later correction of each row further down the same file."""
    for row in rows:
        copy = row.copy(**newer(row), **change(row))
        copy.spoil("correction, same file", "replaces an earlier row of this file")
        row.spoil("corrected later", "loses: a row further down corrects it", "deduplicated")
        file.put_after(dice, row, copy)


def correct_above(dice: Dice, file: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]) -> None:
    """Put the newer row above the older one: updated_at decides, not the order of rows."""
    for row in rows:
        copy = row.copy(**newer(row), **change(row))
        copy.spoil("newer row above older", "wins by updated_at over a row further down")
        row.spoil("older row below newer", "loses: a row further up has a greater updated_at", "deduplicated")
        file.put_before(dice, row, copy)


def correct_tied(dice: Dice, file: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]) -> None:
    """Put a differing row with the same updated_at further down: there, the later row wins."""
    for row in rows:
        copy = row.copy(**change(row))
        copy.spoil("tie on updated_at", "wins by row order over a row with the same updated_at")
        row.spoil("corrected later", "loses: a row further down with the same updated_at", "deduplicated")
        file.put_after(dice, row, copy)


def correct_in_later_file(
    dice: Dice, later: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]
) -> None:
    """Put a later correction of each row into a later file of the same day."""
    for row in rows:
        copy = row.copy(**newer(row), **change(row))
        copy.spoil("correction, later file", "replaces a row of an earlier file of the same day")
        row.spoil("corrected later", f"loses: `{later.name}` corrects it", "deduplicated")
        later.put(dice, copy)


def stale_in_later_file(dice: Dice, later: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]) -> None:
    """Put an older state into a later file of the same day: it loses although it was uploaded later."""
    for row in rows:
        copy = row.copy(updated_at=shifted(row.values["updated_at"], hours=-30), **change(row))
        copy.spoil("stale row in later file", "loses: an earlier file has a greater updated_at", "deduplicated")
        later.put(dice, copy)


def resend(dice: Dice, today: File, rows: Iterable[Row], **extra: str) -> None:
    """Send rows of day 1 again as they were; `extra` are columns that nobody declared."""
    for row in rows:
        copy = row.copy(**extra)
        copy.spoil("resent unchanged", "equal to what silver holds since day 1", "unchanged")
        today.put(dice, copy)


def arrive_late(dice: Dice, today: File, rows: Iterable[Row], change: Callable[[Row], dict[str, str]]) -> None:
    """Send an older state of rows that silver holds since day 1."""
    for row in rows:
        copy = row.copy(updated_at=shifted(row.values["updated_at"], days=-9, hours=-3), **change(row))
        copy.spoil("late", "updated_at is older than what silver holds since day 1", "late")
        today.put(dice, copy)
