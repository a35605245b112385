"""A model of documents that tells its errors in other words; all else is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError, create_model, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import InitErrorDetails


def retold(
    model: type[BaseModel], tell: Callable[[Any, ValidationError], Iterable[InitErrorDetails]]
) -> type[BaseModel]:
    """A subclass of a model whose errors are what `tell` makes of what was written and the model's own error."""

    def checked(_cls: type[BaseModel], written: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(written)
        except ValidationError as error:
            raise ValidationError.from_exception_data(error.title, list(tell(written, error))) from None

    # A name of its own: that of one that the model has already would take its place.
    name = f"retold_{len(model.__mro__)}"
    validators = {name: cast("Any", model_validator(mode="wrap")(cast("Any", classmethod(checked))))}
    named = {"__doc__": model.__doc__, "__module__": model.__module__}
    return create_model(model.__name__, __base__=model, __validators__=validators, **cast("Any", named))
