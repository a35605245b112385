"""The YAML reference, written from the models themselves: `python -m flowforge_assets.yaml_reference`."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from flowforge_assets.components import Connection, DateDimension, Model, Reconciliation, Sink, Table, Workflow
from flowforge_assets.components.part import Freshness
from flowforge_assets.extraction.http_source import HttpSource, Pagination
from flowforge_assets.extraction.source import DatabaseSource, DetectDeletes, Parallel
from flowforge_assets.formats.csv_options import CsvOptions
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.gold.incremental_spec import Incremental
from flowforge_assets.gold.lookups import Lookup
from flowforge_assets.gold.model_spec import ForeignKey, ModelColumn
from flowforge_assets.sinks.targets import CsvOut, ToEndpoint, ToFiles, ToTable
from flowforge_assets.table_spec import Column
from flowforge_assets.transforms.base import Transform
from flowforge_assets.transforms.reshaping import TRANSFORM_KINDS
from flowforge_assets.webhook.options import WebhookOptions
from flowforge_assets.written_history import WrittenRetention
from flowforge_checks.profile.drift import DriftLimits
from flowforge_checks.reconciliation.spec import Measure, Pair, Tolerant
from flowforge_checks.rules import RULE_KINDS, Rule
from flowforge_resources.notifications import Notifications
from flowforge_resources.web.auth import HttpAuth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel


DOCUMENTS: tuple[type[BaseModel], ...] = (Workflow, Table, Model, DateDimension, Reconciliation, Connection, Sink)
NESTED: tuple[type[BaseModel], ...] = (
    Column,
    DatabaseSource,
    Parallel,
    DetectDeletes,
    HttpSource,
    Pagination,
    HttpAuth,
    FileOptions,
    CsvOptions,
    Freshness,
    ForeignKey,
    ModelColumn,
    Lookup,
    Incremental,
    DriftLimits,
    Measure,
    Pair,
    Tolerant,
    Notifications,
    WrittenRetention,
    WebhookOptions,
    ToTable,
    ToFiles,
    CsvOut,
    ToEndpoint,
)
HEAD = """# YAML reference

Written from the code by `make docs`; do not edit. How the parts work together: [workflows.md](workflows.md).
"""


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *_documents(), *_nested(), *_transforms(), *_rules()])


def _documents() -> Iterator[str]:
    for kind in DOCUMENTS:
        yield f"## `type: flowforge_assets.components.{kind.__name__}`\n\n{_summary(kind)}\n\n{_fields(kind)}"


def _nested() -> Iterator[str]:
    for kind in NESTED:
        yield f"## {kind.__name__}\n\n{_summary(kind)}\n\n{_fields(kind)}"


def _transforms() -> Iterator[str]:
    yield "## Transforms\n\nHow they work together: [transforms.md](transforms.md).\n"
    for kind in TRANSFORM_KINDS:
        own = _fields(kind, without=("transform",))
        yield f"### `transform: {_word(kind, 'transform')}`\n\n{_summary(kind)}\n\n{own if len(kind.model_fields) > 1 else ''}"


def _rules() -> Iterator[str]:
    yield f"## Rules\n\nEvery rule takes:\n\n{_fields(Rule, without=('rule',))}"
    for kind in RULE_KINDS:
        own = _fields(kind, without=tuple(Rule.model_fields))
        yield f"### `rule: {_word(kind, 'rule')}`\n\n{_summary(kind)} Judges each {kind.judges_by_kind}.\n\n{own}"


def _word(kind: type[BaseModel], discriminator: str) -> str:
    return str(get_args(kind.model_fields[discriminator].annotation)[0])


def _summary(kind: type[BaseModel]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n", 1)[0]


def _fields(kind: type[BaseModel], without: tuple[str, ...] = ()) -> str:
    rows = [_row(field.alias or name, field) for name, field in kind.model_fields.items() if name not in without]
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
    if origin is Annotated:
        return _type(args[0])
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in args)
    if origin in (Union, types.UnionType):
        if all(_is_kind(one, Transform) for one in args):
            return "[transform](#transforms)"
        return (
            "[rule](#rules)"
            if all(_is_kind(one, Rule) for one in args)
            else " or ".join(dict.fromkeys(_type(one) for one in args if one is not type(None)))
        )
    shapes = {list: "list of {}", tuple: "list of {}", dict: "map of {} to {}"}
    return shapes.get(origin, "{}").format(
        *(_type(one) for one in args if not isinstance(one, str | types.EllipsisType | FieldInfo))
    )


def _is_kind(kind: Any, base: type[BaseModel]) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
