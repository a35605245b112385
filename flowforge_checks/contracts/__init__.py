"""A table's contract, in forms that other tools take: a pandera schema of it, and what that is made from.

Belongs here: what a contract is, and who knows one by name. Does not: where workflows are declared; whoever knows says so
in the entry point group `flowforge.contracts`, because this layer imports none that is above it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from flowforge_resources.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    import pandera.polars as pa
    import polars as pl

    from flowforge_checks.rules import Action, Rule

_WHO_KNOWS = "flowforge.contracts"


class ContractError(PermanentError):
    """A contract cannot be made, written or read."""


@dataclass(frozen=True)
class ContractColumn:
    """One column of a table. `sql_type` is DuckDB's; `added`: FlowForge adds it, so that a frame may lack it."""

    name: str
    sql_type: str
    nullable: bool = True
    description: str | None = None
    pii: bool = False
    added: bool = False


@dataclass(frozen=True)
class Contract:
    """What is promised of a table: its columns, its keys, its rules.

    `order`: the columns that say which of two rows is newer; without them the later row of a frame is.
    """

    name: str
    columns: tuple[ContractColumn, ...]
    keys: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    order: tuple[str, ...] = ()
    description: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class KnowsContracts(Protocol):
    """Says what is promised of a table that is named somehow; None where the name means nothing to it."""

    def __call__(self, table: object, defs: object, /) -> Contract | None: ...


def contract_of(table: object, defs: object = None) -> Contract:
    """The contract of a table.

    Raises:
        ContractError: nobody knows it.
    """
    if isinstance(table, Contract):
        return table
    for entry in entry_points(group=_WHO_KNOWS):
        knows: KnowsContracts = entry.load()
        if (found := knows(table, defs)) is not None:
            return found
    raise ContractError(
        f"{table!r} is no table. Write `workflow.table`, or a table's spec; for workflows elsewhere add `defs=` with their folder."
    )


def schema_of(
    table: object,
    *,
    defs: object = None,
    reads: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    previous: pl.DataFrame | pl.LazyFrame | None = None,
    at: datetime | None = None,
    actions: Iterable[Action] | None = None,
    leave_out: Collection[str] = (),
) -> pa.DataFrameSchema:
    """A pandera schema of a table: its columns, and each of its rules as a check that answers as FlowForge's gate does.

    Args:
        table: `workflow.table`, a `TableSpec`, or a `Contract`.
        defs: the folder of the workflows, or of one; by default the project's own.
        reads: frames of the other tables that rules look into, by name.
        previous: the version that rules about change compare with; without it they pass, as for a first version.
        at: the moment that rules about age count from; now by default.
        actions: only rules of these actions, e.g. `["quarantine", "drop"]` for what keeps a row out of the table.
        leave_out: names of checks to leave out.

    Raises:
        ContractError: nobody knows the table, or a rule looks into one that `reads` lacks.
    """
    from flowforge_checks.contracts.pandera_schema import Given, compile_schema

    given = Given(reads or {}, previous, at)
    return compile_schema(contract_of(table, defs), given, actions=actions, leave_out=leave_out)
