"""The YAML of a connection: a database that tables are extracted from, or written to. Shared by all workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import BaseModel, Field

from flowforge_assets.components.discreet import discreet
from flowforge_assets.components.part import AsWritten, Part, all_parts, as_written
from flowforge_resources.databases.connection import ConnectionFields
from flowforge_resources.errors import DefinitionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


class Connection(ConnectionFields, Part):
    """A database, declared once. Nothing is connected, and no secret is looked up, before a run needs it."""

    port: Annotated[AsWritten[int | str] | None, as_written(int | str | None)] = Field(  # type: ignore[assignment]  # wider, as people write it
        default=None, description="Its port. Default: the usual one of the kind."
    )

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What a document is validated by."""
        return discreet(super().model())

    def declared(self) -> ConnectionFields:
        """As runs take it."""
        said = {name: getattr(self, name) for name in ConnectionFields.model_fields}
        return ConnectionFields(**{**said, "port": None if self.port is None else str(self.port)})

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The resource `connection_<name>`, for a user's own assets; ours take what is declared."""
        self._require_unique(context)
        return dg.Definitions(
            resources={f"connection_{self.name}": dg.ResourceDefinition.hardcoded_resource(self.require_sound())}
        )

    def require_sound(self) -> ConnectionFields:
        """What is declared, if nothing is wrong with it.

        Raises:
            DefinitionError: a literal password, a reference that is not written right, something missing.
        """
        declared = self.declared()
        for field, problem, fix in declared.problems():
            raise self.wrong(problem, fix, "attributes", field)
        return declared

    def _require_unique(self, context: dg.ComponentLoadContext) -> None:
        for other in all_parts(context, Connection):
            if other.name == self.name and other.stands_at != self.stands_at:
                raise self.wrong(
                    f"connection '{self.name}' is declared twice (also at {other.stands_at}).",
                    "Rename or remove one of the two; a connection is shared by all workflows.",
                )


def find_connection(context: dg.ComponentLoadContext, name: str, part: Part) -> ConnectionFields:
    """The connection of a name, for a document that uses it.

    Raises:
        DefinitionError: there is none.
    """
    found = {one.name: one for one in all_parts(context, Connection)}
    if name not in found:
        raise unknown_connection(name, found, part)
    return found[name].require_sound()


def unknown_connection(name: str, known: Mapping[str, Connection], part: Part) -> DefinitionError:
    """A document names a connection that is not declared."""
    return part.wrong(
        f"the connection '{name}' is not declared.{did_you_mean(name, known)}",
        "Add a document `type: flowforge_assets.components.Connection`, e.g. in defs/connections/defs.yaml.",
        "attributes",
        "source",
    )
