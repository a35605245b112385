"""Errors of documents that do not repeat what was written where a secret may stand, e.g. under a name with a typo.

Dagster shows the input of every validation error otherwise, whatever a model's own settings say.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from flowforge_assets.components.retold import retold

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails, InitErrorDetails

_INSTEAD = "(not shown)"


@cache
def discreet(model: type[BaseModel], *fields: str) -> type[BaseModel]:
    """A model as it is, but for its errors.

    Args:
        model: what a document is validated by.
        fields: those whose values errors do not show; none: all.
    """
    return retold(model, lambda _written, error: (_hushed(one, fields) for one in error.errors(include_url=False)))


def _hushed(error: ErrorDetails, fields: tuple[str, ...]) -> InitErrorDetails:
    hides = not fields or error["loc"][:1] in {(one,) for one in fields}
    return cast("InitErrorDetails", {**error, "input": _INSTEAD} if hides else error)
