"""`history:` as YAML says it, with templates such as `{{ env.KEEP_FOR }}`: the definitions and the command line read it by this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEMPLATE = "{{"
_FIELDS = Retention.model_fields


class WrittenRetention(BaseModel):
    """Which earlier versions of a table are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_last: Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"\{\{")] = Field(
        default=_FIELDS["keep_last"].default, description=_FIELDS["keep_last"].description
    )
    keep_for: str | None = Field(
        default=None, description=_FIELDS["keep_for"].description, examples=_FIELDS["keep_for"].examples
    )

    @field_validator("keep_for")
    @classmethod
    def _check_span(cls, given: str | None) -> str | None:
        if given is not None and _TEMPLATE not in given:
            Retention.check_span(given)
        return given


def retention_of(written: Mapping[str, Any], render: Callable[[Any], Any]) -> Retention:
    """What is kept.

    Args:
        written: the fields, as far as they are given.
        render: replaces the templates in a value.

    Raises:
        ValueError: a field is none, or a template is of a variable that is not set: nothing may go because of that.
    """
    rendered = {name: render(value) for name, value in written.items()}
    for name, value in written.items():
        if rendered[name] is None and value is not None:
            raise ValueError(f"`{name}: {value}` renders to nothing. Set the variable where this runs")
    return Retention(**rendered)


def rendered_here(value: Any) -> Any:
    """A value with its templates rendered as Dagster does; Dagster is imported only where there are any.

    Raises:
        ValueError: a template cannot be rendered.
    """
    if _TEMPLATE not in str(value):
        return value
    import dagster as dg
    from dagster.components.resolved.errors import ResolutionException

    try:
        return dg.ResolutionContext.default().resolve_value(value)
    except ResolutionException as error:
        raise ValueError(f"`{value}`: {error}") from None
