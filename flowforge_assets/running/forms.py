"""Jobs whose config a person fills in: the launchpad opens with every field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    import dagster as dg


def blank_form(op: str, asked: type[dg.Config]) -> dict[str, Any]:
    """Run config of an op with a field for each question: its default, the first of its choices, or nothing yet.

    Without it the launchpad shows only what has a default, and hides what has to be filled in behind a button. What is
    left empty is refused by the op in words.
    """
    fields = {name: _blank(field.annotation, field) for name, field in asked.model_fields.items()}
    return {"ops": {op: {"config": fields}}}


def _blank(annotation: Any, field: Any) -> Any:
    if not field.is_required():
        return field.default
    return get_args(annotation)[0] if get_origin(annotation) is Literal else ""
