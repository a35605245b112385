"""What the documents of a workflow's folder have in common: they know their workflow, their place and each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

import dagster as dg
from annotated_types import BaseMetadata
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from flowforge_assets.components.explained import explained
from flowforge_assets.running.step import AssetFace
from flowforge_assets.written_history import WrittenRetention, retention_of
from flowforge_resources.errors import DefinitionError
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster_shared.yaml_utils.source_position import SourcePositionTree
    from pydantic_core import ErrorDetails

FOLDER_FILE = "defs.yaml"

T = TypeVar("T")
P = TypeVar("P", bound="Part")
# Dagster refuses pydantic models with constrained or union fields; it does not look behind an annotation.
AsWritten = Annotated[T, "as written"]
Gated = list[str] | str


def as_written(kind: Any) -> dg.Resolver:
    """Take a nested value as pydantic validated it; templates inside it are not rendered."""
    return dg.Resolver(lambda _context, value: value, model_field_type=kind)


def rendered(kind: type[BaseModel]) -> dg.Resolver:
    """Take a nested value with the templates in its texts rendered; None where it is not given."""

    def render(context: dg.ResolutionContext, value: BaseModel | None) -> BaseModel | None:
        return None if value is None else kind(**context.resolve_value(value.model_dump()))

    return dg.Resolver(render, model_field_type=kind | None)


def _retention(context: dg.ResolutionContext, value: WrittenRetention | None) -> Retention | None:
    return None if value is None else retention_of(value.model_dump(exclude_unset=True), context.resolve_value)


# Which versions are kept, templates rendered as the command line renders them.
History = Annotated[AsWritten[Retention] | None, dg.Resolver(_retention, model_field_type=WrittenRetention | None)]


class Freshness(BaseModel):
    """When a table is late: `fail_after_hours` since its last materialization, or a deadline by cron."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warn_after_hours: float | None = Field(
        default=None, gt=0, description="Hours after which the table is shown as ageing."
    )
    fail_after_hours: float | None = Field(
        default=None, gt=0, description="Hours after which the table is shown as late."
    )
    deadline_cron: str | None = Field(
        default=None, description="Cron expression of the moments by which the table must be fresh."
    )
    lower_bound_hours: float | None = Field(
        default=None, gt=0, description="With `deadline_cron`: how long before the deadline a materialization counts."
    )
    timezone: str = Field(default="UTC", description="Time zone of `deadline_cron`.")

    @model_validator(mode="after")
    def _one_kind(self) -> Freshness:
        if (self.fail_after_hours is None) == (self.deadline_cron is None):
            raise ValueError("`freshness` takes either `fail_after_hours` or `deadline_cron` with `lower_bound_hours`.")
        if self.deadline_cron is not None and self.lower_bound_hours is None:
            raise ValueError("`deadline_cron` needs `lower_bound_hours`: how long before the deadline counts as fresh.")
        return self

    def policy(self) -> dg.FreshnessPolicy:
        """As Dagster takes it."""
        from datetime import timedelta

        if self.deadline_cron is not None:
            bound = timedelta(hours=self.lower_bound_hours or 0)
            return dg.FreshnessPolicy.cron(self.deadline_cron, bound, timezone=self.timezone)
        warn = timedelta(hours=self.warn_after_hours) if self.warn_after_hours else None
        return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fail_after_hours or 0), warn_window=warn)


class Part(dg.Component, dg.Resolvable, dg.Model):
    """One document of a workflow's `defs.yaml`."""

    _workflow: str = PrivateAttr(default="")
    _folder: Path = PrivateAttr(default=Path())
    _lines: Any = PrivateAttr(default=None)

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What a document is validated by; a text may stand for any number, bounded ones too."""
        return explained(_bounding_numbers_only(super().model()))

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Build from YAML, remembering the folder (which names the workflow) and the line.

        Raises:
            DefinitionError: a value that its field does not take once its template is rendered; it may be a secret, and is not shown.
        """
        lines = _lines_of(context)
        try:
            part = super().load(attributes, context)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = _place(context.path.name, lines, ("attributes", *first["loc"]))
            raise _not_taken(place, first) from None
        part._stand_at(context.path, lines)  # noqa: SLF001  # an alternative constructor of this class
        return part

    def _stand_at(self, folder: Path, lines: SourcePositionTree | None) -> None:
        self._folder, self._workflow, self._lines = folder, folder.name, lines

    def at_folder(self, folder: Path) -> None:
        """Take a document that was not loaded by Dagster as one of a workflow's folder."""
        self._stand_at(folder, None)

    @property
    def workflow(self) -> str:
        """Name of the workflow: the folder's."""
        return self._workflow

    @property
    def folder(self) -> Path:
        """Folder of the workflow."""
        return self._folder

    @property
    def stands_at(self) -> str:
        """File and line of the document, for errors."""
        return self._where()

    def _where(self, *path: str | int) -> str:
        return _place(self._workflow, self._lines, path)

    def wrong(self, problem: str, fix: str, *path: str | int) -> DefinitionError:
        """An error of this document, or of the value at a path in it, e.g. `attributes`, `rules`, 2."""
        return DefinitionError(self._where(*path), problem, fix)


def _place(workflow: str, lines: SourcePositionTree | None, path: Sequence[str | int]) -> str:
    """File and line of the value at a path in a document, or of what is nearest above it."""
    line = f":{lines.lookup_closest_and_path(path, None)[0].start.line}" if lines is not None else ""
    return f"defs/{workflow}/{FOLDER_FILE}{line}"


def _not_taken(place: str, error: ErrorDetails) -> DefinitionError:
    field = ".".join(map(str, error["loc"]))
    said = f"`{field}` was not taken: {error['msg']}." if field else error["msg"].removeprefix("Value error, ")
    return DefinitionError(place, said, "Correct it; docs/yaml-reference.md says what each field takes.")


def _bounding_numbers_only(model: type[BaseModel]) -> type[BaseModel]:
    """Dagster takes a text in place of every value, and puts a number's bounds on both: a text then ends in a TypeError.

    What was built of the model already keeps them: `explained` builds it anew.
    """
    for field in model.model_fields.values():
        field.metadata = [one for one in field.metadata if not isinstance(one, BaseMetadata)]
    return model


def _lines_of(context: dg.ComponentLoadContext) -> SourcePositionTree | None:
    """Where everything stands in the document that is being loaded; None where it is no YAML."""
    source = getattr(context.component_decl, "source_tree", None)
    return source.source_position_tree if source else None


class AssetPart(Part):
    """A document that declares a table of some layer."""

    name: str = Field(description="Name of the table.", pattern=r"^[a-z][a-z0-9_]*$")
    description: str | None = Field(default=None, description="What the table is; shown in the UI.")
    owners: list[str] = Field(default=[], description="E-mail addresses, or teams written `team:name`.")
    tags: dict[str, str] = Field(default={}, description="Tags of the asset.")
    freshness: Annotated[AsWritten[Freshness] | None, as_written(Freshness | None)] = Field(
        default=None, description="When the table counts as late."
    )
    automation: Literal["none", "eager"] | None = Field(
        default=None,
        description="`eager`: rebuilt by the daemon when what it reads changed, and its gates are open. `none`: by job, sensor and schedule only.",
    )
    gates: Annotated[AsWritten[dict[str, Gated]], as_written(dict[str, Gated])] = Field(
        default={},
        description="By table that this one is made from: the checks that hold this one while they fail, in place of all that block. `blocking` in the list stands for those, `none` in place of a list for no check.",
        examples=[{"orders": ["books", "unique_order_id"], "customers": "none"}],
    )

    def face(self, metadata: dict[str, Any] | None = None, in_partitions: Sequence[dg.AssetKey] = ()) -> AssetFace:
        """How the asset is shown and automated; `in_partitions`: the partitioned tables it reads."""
        return AssetFace(
            description=self.description,
            owners=tuple(self.owners),
            tags=self.tags,
            metadata=metadata or {},
            freshness=self.freshness.policy() if self.freshness else None,
            automation=eager(in_partitions) if self.automation == "eager" else None,
        )


class _Known:
    """The documents of the tree that is being loaded, by kind: searched once, not once a document."""

    tree: dg.ComponentTree | None = None
    parts: ClassVar[dict[type[Part], list[Any]]] = {}


def all_parts(context: dg.ComponentLoadContext, kind: type[P]) -> list[P]:
    """Every document of a kind, in all workflows."""
    if _Known.tree is not context.component_tree:
        _Known.tree = context.component_tree
        _Known.parts.clear()
    if kind not in _Known.parts:
        _Known.parts[kind] = context.component_tree.get_all_components(kind)
    return _Known.parts[kind]


def eager(in_partitions: Sequence[dg.AssetKey] = ()) -> dg.AutomationCondition[Any]:
    """Eager; a table in partitions is there although some day of it has no row: it never counts as missing.

    Whether what it reads may be read is no question of this condition: Dagster's own knows neither waivers nor edges,
    and looks one table up. A step asks its gates itself, and the sensor of gates asks again for what was held.
    """
    condition = dg.AutomationCondition.eager()
    if not in_partitions:
        return condition
    missing = dg.AutomationCondition.any_deps_missing()
    there = missing.ignore(dg.AssetSelection.assets(*in_partitions))
    return condition.replace(missing, there)


def require_unique(parts: Sequence[AssetPart]) -> None:
    """Every asset name occurs once in a workflow.

    Raises:
        DefinitionError: at the second document of a name.
    """
    seen: dict[str, AssetPart] = {}
    for part in parts:
        if part.name in seen:
            raise part.wrong(
                f"'{part.name}' is declared twice (first at {seen[part.name].stands_at}).",
                "Rename or remove one of the two.",
            )
        seen[part.name] = part
