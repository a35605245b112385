"""How the rows behind a table's transforms take their declared types: at the mark `cast`, and at the end.

Text casts as `cast` says. What a transform computed is taken as it is where it has the declared type, converted where
nothing can be rounded or guessed, and refused before anything runs otherwise. A number too large breaks the rule `types`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import AUDIT_COLUMNS, is_broken, value_of
from flowforge_assets.transforms.place import FAILED, POSITION, RID, TEXT, Place, fits, raw_name
from flowforge_checks.statements import broken_flag
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.python_function import StepError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.table_spec import Column


def select_cast(columns: Sequence[Column], at: Place) -> tuple[str, dict[str, bool]]:
    """The query that gives the declared columns that are there their types; and which, with whether each may fail."""
    values, beside, cast = {}, [], {}
    for column in columns:
        if column.name not in at.types:
            continue
        value, broken = _cast(column, at)
        values[column.name], cast[column.name] = value, bool(broken)
        beside.append(f"{quote(column.name)}::VARCHAR AS {quote(raw_name(column.name))}")
        beside += [f"{broken} AS {quote(broken_flag(column.name))}"] if broken else []
    replaced = ", ".join(f"{value} AS {quote(name)}" for name, value in values.items())
    star = f"* REPLACE ({replaced})" if replaced else "*"
    return f"SELECT {', '.join([star, *beside])} FROM {quote(at.view)}", cast


def select_typed(columns: Sequence[Column], at: Place) -> str:
    """The query for what the gate judges: every declared column in its type, its raw text and flag; the audit columns.

    Raises:
        StepError: a declared column is not there, or has a type that does not fit.
    """
    selected = [RID, POSITION]
    for column in columns:
        if column.name not in at.types:
            raise StepError(
                f"the declared column '{column.name}' is not there behind the transforms.{did_you_mean(column.name, at.types)}",
                "Keep or make it, or take it out of `columns`; what only transforms read is listed under `landed_columns`.",
            )
        value, broken = (quote(column.name), "") if _is_cast(column, at) else _cast(column, at)
        earlier = [quote(broken_flag(column.name))] if at.cast.get(column.name) else []
        raw = quote(raw_name(column.name)) if column.name in at.cast else f"{quote(column.name)}::VARCHAR"
        selected += [f"{value} AS {quote(column.name)}", f"{raw} AS {quote(raw_name(column.name))}"]
        if column.can_break:
            either = " OR ".join([*earlier, *([broken] if broken else [])]) or "FALSE"
            selected.append(f"{either} AS {quote(broken_flag(column.name))}")
    return f"SELECT {', '.join([*selected, *AUDIT_COLUMNS, FAILED])} FROM {quote(at.view)}"


def _is_cast(column: Column, at: Place) -> bool:
    """Whether a column has its declared type by `cast`, and nothing changed that."""
    return column.name in at.cast and at.types[column.name] == column.kind.sql_type


def _cast(column: Column, at: Place) -> tuple[str, str]:
    """SQL for a column in its declared type, and for its flag; no flag where nothing can go wrong.

    Raises:
        StepError: it has a type that does not fit.
    """
    if at.types[column.name] != TEXT:
        return _of_value(column, at)
    if column.kind.sql_type == TEXT or not at.typed:
        return _of_text(column)
    return _of_value(column, at)


def _of_text(column: Column) -> tuple[str, str]:
    """SQL for the value of a column of text, and for its flag."""
    here = column.model_copy(update={"source": None})
    return value_of(here), is_broken(here) if column.can_break else ""


def _of_value(column: Column, at: Place) -> tuple[str, str]:
    """SQL for a column that was computed, in its declared type; and for its flag."""
    name, found, wanted = quote(column.name), at.types[column.name], column.kind.sql_type
    if found == wanted:
        return name, ""
    if not fits(found, wanted):
        made = (at.made_by or {}).get(column.name)
        by = f" (made by transform {made})" if made else ""
        raise StepError(
            f"'{column.name}' is {found}{by}, and declared as {column.type}, which cannot take that without loss.",
            f"Declare another type, or convert it: `{column.name}::{wanted}` in a `derive`"
            + (", or make it before `cast`." if found == TEXT else "."),
        )
    converted = f"TRY_CAST({name} AS {wanted})"
    return converted, f"({name} IS NOT NULL AND {converted} IS NULL)"
