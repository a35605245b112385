"""The check `extract`: a good table is not emptied, or left as it was in silence, by a full extract without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_checks.results import Outcome

if TYPE_CHECKING:
    from flowforge_assets.strategies import Merge
    from flowforge_assets.table_spec import TableSpec

EXTRACT = "extract"
ABOUT_EXTRACT = "The newest full extract has rows, or the table is declared to take an empty one."


def of_extract(spec: TableSpec, rows_now: int, merged: Merge) -> Outcome:
    """Fails where the newest extract has no row, the table has some, and `allow_empty_extract` is not declared."""
    refused = merged.ends_empty and rows_now > 0 and not spec.strategy.allow_empty
    said = (
        f"The newest full extract of {spec.id} has no row that reached the rules, and the table has {rows_now:,}. "
        "Nothing of this batch was published. Land the extract again with its rows; if it is empty by right, declare "
        "`allow_empty_extract: true`."
    )
    return Outcome(
        EXTRACT,
        passed=not refused,
        blocks=True,
        rows_broken=0,
        description=said if refused else None,
        metadata={"newest_extract_is_empty": merged.ends_empty},
    )
