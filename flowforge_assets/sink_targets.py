"""The `to` of a sink: a table of a database, files, or an HTTP endpoint, as YAML has it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ToTable(BaseModel):
    """A table of a database."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: str = Field(description="Name of a `Connection` with `read_only: false`.")
    table: str = Field(
        description="Table, with its schema where there are several. It is created if there is none; its schema is not.",
        examples=["reporting.sales"],
    )
    mode: Literal["append", "upsert", "replace"] = Field(
        default="replace",
        description="`append`: rows whose key is not there yet. `upsert`: also changes rows whose key is there. `replace`: the table is exchanged as a whole.",
    )
    keys: list[str] = Field(
        default=[],
        description="Columns, as they are delivered, that identify a row. Default: the table's; of a table without keys that is appended, the audit columns.",
    )
    delete_missing: bool = Field(
        default=False, description="With `upsert`: rows of the target whose key is not delivered any more are removed."
    )
    allow_empty: bool = Field(
        default=False,
        description="Whether a table that had rows may be replaced by none, or emptied by `delete_missing`.",
    )
