"""The YAML reference, written from the models themselves: `python -m flowforge_assets.yaml_reference`."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from flowforge_assets.components import Model, Table, Workflow
from flowforge_assets.components.part import Freshness
from flowforge_assets.formats.csv_options import CsvOptions
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.model_spec import ForeignKey, ModelColumn
from flowforge_assets.table_spec import Column
from flowforge_checks.rules import RULE_KINDS, Rule
from flowforge_resources.notifications import Notifications
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel


DOCUMENTS: tuple[type[BaseModel], ...] = (Workflow, Table, Model)
NESTED: tuple[type[BaseModel], ...] = (
    Column,
    FileOptions,
    CsvOptions,
    Freshness,
    ForeignKey,
    ModelColumn,
    Notifications,
    Retention,
)
HEAD = """# YAML reference

Written from the code by `make docs`; do not edit. How the parts work together: [workflows.md](workflows.md).
"""


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *_documents(), *_nested(), *_rules()])


def _documents() -> Iterator[str]:
    for kind in DOCUMENTS:
        yield f"## `type: flowforge_assets.components.{kind.__name__}`\n\n{_summary(kind)}\n\n{_fields(kind)}"


def _nested() -> Iterator[str]:
    for kind in NESTED:
        yield f"## {kind.__name__}\n\n{_summary(kind)}\n\n{_fields(kind)}"


def _rules() -> Iterator[str]:
    yield f"## Rules\n\nEvery rule takes:\n\n{_fields(Rule, without=('rule',))}"
    for kind in RULE_KINDS:
        own = _fields(kind, without=tuple(Rule.model_fields))
        yield f"### `rule: {_word(kind)}`\n\n{_summary(kind)} Judges each {kind.judges}.\n\n{own}"


def _word(kind: type[Rule]) -> str:
    return str(get_args(kind.model_fields["rule"].annotation)[0])


def _summary(kind: type[BaseModel]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n", 1)[0]


def _fields(kind: type[BaseModel], without: tuple[str, ...] = ()) -> str:
    rows = [_row(name, field) for name, field in kind.model_fields.items() if name not in without]
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _row(name: str, field: FieldInfo) -> str:
    default = "**required**" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
    examples = f" Example: `{field.examples[0]!r}`." if field.examples else ""
    cells = (f"`{name}`", _type(field.annotation), default, f"{field.description or ''}{examples}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if not args:
        name = annotation.__name__
        return {"str": "text", "int": "integer", "float": "number", "bool": "boolean", "Any": "anything"}.get(
            name, f"[{name}](#{name.lower()})"
        )
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in args)
    if origin in (Union, types.UnionType):
        return (
            "[rule](#rules)"
            if all(map(_is_rule, args))
            else " or ".join(dict.fromkeys(_type(one) for one in args if one is not type(None)))
        )
    shapes = {list: "list of {}", tuple: "list of {}", dict: "map of {} to {}"}
    return shapes.get(origin, "{}").format(
        *(_type(one) for one in args if not isinstance(one, str | types.EllipsisType | FieldInfo))
    )


def _is_rule(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Rule)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
