"""A user's SQL condition, asked of every row: what null says, and a row of whose values it cannot be computed.

`zip::INTEGER > 0` over a row with the zip `n/a` is an error of DuckDB, whose text holds the value, and which would stop
the whole batch. Such a row breaks the rule, and no other does.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from flowforge_resources.errors import RuleValuesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
# DuckDB tries no expression that holds a query: there an error stays one.
_QUERY = re.compile(r"\bSELECT\b", re.IGNORECASE)


def never_null(condition: str) -> str:
    """SQL that is true for the rows of which a condition is, and false for all others."""
    return f"coalesce(({condition}\n)::BOOLEAN, FALSE)"


def tried(answer: str) -> str:
    """SQL of an answer that is never null, and true of a row of whose values it cannot be computed.

    In a lambda, because DuckDB computes what two expressions have in common once, ahead of the TRY around either.
    """
    return (
        answer if _QUERY.search(answer) else f"coalesce(TRY(list_transform([0], lambda _ff_one: ({answer}))[1]), TRUE)"
    )


def asked_of_all(ask: Callable[[Callable[[str], str]], T]) -> T:
    """What a query of answers says: asked as they are written; once more, each `tried`, where that is an error.

    Trying costs 10 ms a million rows and answer.
    """
    import duckdb

    try:
        return ask(str)
    except (duckdb.DataError, duckdb.InvalidInputException):
        with named_in_errors("with SELECT in its SQL, or what is computed before the rules"):
            return ask(tried)


@contextmanager
def named_in_errors(rule: str) -> Iterator[None]:
    """An error about values names the rule, and not the value.

    Raises:
        RuleValuesError: some row's values are not what the rule's SQL asks for.
    """
    import duckdb

    try:
        yield
    except (duckdb.DataError, duckdb.InvalidInputException) as error:
        raise RuleValuesError(rule, type(error).__name__) from None
