"""The numbers that rows of a batch go by: `_rid` in the order of arrival, `_position` in the bronze file they landed in.

Belongs here: how the one is told from the other. Does not: which files a batch has (`flowforge_assets.silver.batch`).
"""

from __future__ import annotations

# One bronze file holds fewer than 2^40 rows, so file and row make one sortable number.
ROW_BITS = 40


def position_of(landed_of: str = "") -> str:
    """SQL for `_position` of a row by its `_rid`; `landed_of`: SQL, if any, that turns `_rid` into that of the landed row."""
    return f"(({landed_of or '_rid'}) & {(1 << ROW_BITS) - 1})"
