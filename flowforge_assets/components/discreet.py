"""Errors of documents that do not repeat what was written where a secret may stand, e.g. under a name with a typo.

Dagster shows the input of every validation error otherwise, whatever a model's own settings say.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError, create_model, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails, InitErrorDetails

_INSTEAD = "(not shown)"


@cache
def discreet(model: type[BaseModel], *fields: str) -> type[BaseModel]:
    """A model as it is, but for its errors.

    Args:
        model: what a document is validated by.
        fields: those whose values errors do not show; none: all.
    """

    def quiet(_cls: type[BaseModel], written: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(written)
        except ValidationError as error:
            said = [_hushed(one, fields) for one in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(error.title, said) from None

    validators = {"quiet": cast("Any", model_validator(mode="wrap")(cast("Any", classmethod(quiet))))}
    named = {"__doc__": model.__doc__, "__module__": model.__module__}
    return create_model(model.__name__, __base__=model, __validators__=validators, **cast("Any", named))


def _hushed(error: ErrorDetails, fields: tuple[str, ...]) -> InitErrorDetails:
    hides = not fields or error["loc"][:1] in {(one,) for one in fields}
    return cast("InitErrorDetails", {**error, "input": _INSTEAD} if hides else error)
