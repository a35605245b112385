"""What a target refuses, in words: the constraint by its name, and never a value, which drivers like to quote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge_resources.databases.trouble import explain, in_words
from flowforge_resources.errors import DatabaseUnreachableError, SinkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.errors import FlowForgeError

_NAMED = (
    r"for key '(?:[^']*\.)?([^'.]+)'\)?$",
    r"CONSTRAINT [`\"]([^`\"]+)[`\"] (?:FOREIGN|failed)",
    r"Check constraint '([^']+)' is violated",
    r"(?:UNIQUE KEY|PRIMARY KEY|FOREIGN KEY|CHECK|REFERENCE) constraint [\"']([^\"']+)[\"']",
    r"constraint \(([^)]+)\) violated",
    r"[Cc]olumn '([^']+)' cannot be null",
    r"constraint failed: ([\w.]+)",
)
# Of MySQL and MariaDB: duplicate, no parent, null, check.
_MYSQL = frozenset({1022, 1048, 1062, 1169, 1216, 1452, 1557, 1586, 3819, 4025})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def told(sink: str, connection: ConnectionFields, count: Callable[[str], int | None]) -> AbstractContextManager[None]:
    """Around a delivery: what a driver raises becomes one of our errors.

    Args:
        sink: its name.
        connection: where it delivers to.
        count: how many rows break a constraint of a name, or None where nobody can say.

    Raises:
        SinkError: a row is refused.
        DatabaseRefusedError, DatabaseUnreachableError: the database refuses the session or a statement, or is gone.
    """
    return in_words(connection, lambda error: _explained(sink, connection, error, count))


def _explained(
    sink: str, connection: ConnectionFields, error: Exception, count: Callable[[str], int | None]
) -> FlowForgeError:
    inner = getattr(error, "orig", None) or error
    if is_violation(inner):
        name = constraint_of(inner)
        broken = count(name) if name else None
        rows = f"{broken:,} rows" if broken else "the rows"
        said = (
            f"a constraint of the target, `{name}`, refuses {rows}."
            if name
            else "a constraint of the target refuses the rows."
        )
        return SinkError(sink, said, "Filter the rows with `where`, add the rule to the table, or change the target.")
    if _is_about_values(inner):
        said = f"{connection.its_kind.title} refuses a value: {_without_values(inner)}"
        return SinkError(sink, said, "Widen the column there, or cast or filter the rows.")
    found = explain(connection, error)
    if found.kind != "other" or isinstance(found, DatabaseUnreachableError):
        return found
    return SinkError(sink, f"{connection.its_kind.title} said: {_without_values(inner)}", "Correct what it names.")


def is_violation(error: BaseException) -> bool:
    """Whether a constraint was broken."""
    codes = getattr(error, "args", ())
    return (
        str(getattr(error, "sqlstate", "") or "").startswith("23")
        or type(error).__name__ in ("IntegrityError", "ConstraintException")
        or bool(codes and codes[0] in _MYSQL)
    )


def constraint_of(error: BaseException) -> str | None:
    """The name of the constraint or column that a driver's error is about, if it says one."""
    diagnosed = getattr(error, "diag", None)
    if diagnosed is not None:
        name = diagnosed.constraint_name or diagnosed.column_name
        return str(name) if name else None
    text = str(error.args[-1]) if getattr(error, "args", ()) else str(error)
    first = text.splitlines()[0] if text else ""
    found = (re.search(pattern, first) for pattern in _NAMED)
    return next((match.group(1) for match in found if match), None)


def _is_about_values(error: BaseException) -> bool:
    return str(getattr(error, "sqlstate", "") or "").startswith("22") or type(error).__name__ == "DataError"


def _without_values(error: BaseException) -> str:
    """The first line of a driver's text without what it quotes, but for the column it names."""
    text = str(error.args[-1]) if getattr(error, "args", ()) else str(error)
    line = next((one.strip() for one in text.splitlines() if one.strip()), type(error).__name__)
    kept = re.sub(r"(column) ['\"]([^'\"]+)['\"]", r"\1 `\2`", line)
    return f"{_QUOTED.sub('…', kept).rstrip(' .')[:200]}."
