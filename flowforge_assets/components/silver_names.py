"""What the columns of a silver table may be called: each once, in whatever case, and none as what travels beside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_options import BESIDE_THE_COLUMNS, OWN_COLUMNS, RESCUED

if TYPE_CHECKING:
    from collections.abc import Iterable

# A declared `_rescued` is bronze's own, on purpose.
_RESERVED = frozenset({*OWN_COLUMNS, *BESIDE_THE_COLUMNS} - {RESCUED})
# Flags, marks and verdicts of the rows on their way.
_RESERVED_FORMS = re.compile(r"_ff_.*|_m\d+")
_OF_A_COLUMN = ("_raw_", "_broken_")
Wrong = tuple[str, str]


def wrong_name(declared: Iterable[str], *, replayed: bool = False) -> Wrong | None:
    """What is wrong with the names of a table's declared columns, and what to do; None if nothing is.

    `replayed`: rows are put together in DuckDB's own tables, of which each has a `rowid`.
    """
    seen: dict[str, str] = {}
    for name in declared:
        if (other := seen.setdefault(name.lower(), name)) != name:
            return (
                f"has the columns '{other}' and '{name}', which differ by upper and lower case only: SQL does not tell them apart.",
                "Give one another `name`, with its header as `source`.",
            )
    of_duckdb = {"rowid"} if replayed else set()
    taken = next((name for low, name in seen.items() if low in of_duckdb or _is_reserved(low, seen)), None)
    if taken is None:
        return None
    header = f"{taken}_2" if taken.lower() in _RESERVED else taken
    return (
        f"has a column '{taken}', a name that is used beside the columns.",
        f"Give it another `name`, and bronze's name of it as `source: {header}`.",
    )


def added_twice(stored: Iterable[str], added: Iterable[tuple[str, str]]) -> Wrong | None:
    """The same of columns that silver gets beside those it stores; `added`: name, and the field that gives another one."""
    taken = {name.lower() for name in stored}
    for name, field in added:
        if name.lower() in taken:
            return f"would have two columns '{name}', one of them added.", f"Choose another name with `{field}`."
        taken.add(name.lower())
    return None


def _is_reserved(name: str, declared: Iterable[str]) -> bool:
    of_another = any(name == f"{prefix}{column}" for prefix in _OF_A_COLUMN for column in declared)
    return name in _RESERVED or of_another or _RESERVED_FORMS.fullmatch(name) is not None
