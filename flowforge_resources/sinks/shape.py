"""Whether a target's table can take the rows: found before anything is written, and said in words.

Belongs here: what is compared and what is wrong. Does not: what a type may hold (`column_kinds`), or the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import quote
from flowforge_resources.errors import SinkError, did_you_mean
from flowforge_resources.sinks.column_kinds import family_of, family_of_target, fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.sinks.dialects import Dialect
    from flowforge_resources.sinks.outgoing import Outgoing


@dataclass(frozen=True)
class TargetColumn:
    """A column of the target: `demanded` where it must be given a value. `type`: SQLAlchemy's, or DuckDB's word."""

    name: str
    type: Any
    nullable: bool
    demanded: bool

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> TargetColumn:
        """From what an inspector says."""
        own = ("default", "identity", "computed")
        filled = any(described.get(one) is not None for one in own) or described.get("autoincrement") is True
        nullable = bool(described.get("nullable", True))
        return cls(str(described["name"]), described["type"], nullable, not nullable and not filled)

    @property
    def word(self) -> str:
        """The type as the database writes it, roughly."""
        return str(self.type) if isinstance(self.type, str) else _type_word(self.type)


@dataclass(frozen=True)
class Shape:
    """A target's table as it is found. No columns: there is no such table."""

    table: TableName
    columns: tuple[TargetColumn, ...] = ()
    unique: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def words(self) -> dict[str, str]:
        """Types by column."""
        return {column.name: column.word for column in self.columns}


def require_fitting(sink: str, shape: Shape, outgoing: Outgoing, dialect: Dialect) -> None:
    """Every delivered column has its place, and every demanded column gets a value.

    Raises:
        SinkError: naming the column, and what to do.
    """
    there = {column.name: column for column in shape.columns}
    for name, kind in outgoing.columns.items():
        if name not in there:
            add = f"ALTER TABLE {dialect.table(shape.table)} ADD {dialect.quote(name)} {dialect.new_types.of(kind, key=False)}"
            raise SinkError(
                sink,
                f"the table {shape.table} has no column `{name}`.{did_you_mean(name, there)}",
                f"Add it (`{add}`), `rename` it, or leave it out of `columns`.",
            )
        _require_type(sink, shape, there[name], kind, dialect)
    for column in shape.columns:
        if column.demanded and column.name not in outgoing.columns:
            raise SinkError(
                sink,
                f"the column `{column.name}` of {shape.table} must not be null, has no default, and is not delivered.",
                "Deliver it, or give it a default there.",
            )


def _require_type(sink: str, shape: Shape, column: TargetColumn, kind: str, dialect: Dialect) -> None:
    if not dialect.checks_types:
        return
    theirs = family_of(column.type) if isinstance(column.type, str) else family_of_target(column.type)
    if not fits(family_of(kind), theirs):
        raise SinkError(
            sink,
            f"the column `{column.name}` of {shape.table} is {column.word}, which cannot hold every {kind} as it is.",
            f"Make it {dialect.new_types.of(kind, key=False)} there, or deliver another type.",
        )


def require_values(sink: str, shape: Shape, outgoing: Outgoing, keys: Sequence[str], dialect: Dialect) -> None:
    """The rows keep what the target demands of each, and no two of them clash.

    Raises:
        SinkError: naming the constraint and the number of rows; no value is shown.
    """
    for key in keys:
        if missing := outgoing.count(f"{quote(key)} IS NULL"):
            raise SinkError(sink, f"{missing:,} rows have no `{key}`, which is a key.", "Filter them with `where`.")
    if keys and (twice := outgoing.repeated(keys)):
        said = ", ".join(f"`{key}`" for key in keys)
        raise SinkError(sink, f"{twice:,} rows repeat the key ({said}) of another.", "Name `keys` that identify a row.")
    for column in shape.columns:
        if not column.nullable and column.name in outgoing.columns:
            broken = outgoing.count(f"{quote(column.name)} IS NULL")
            if broken:
                raise SinkError(
                    sink,
                    f"{broken:,} of {outgoing.rows:,} rows have no value for `{column.name}`, which is NOT NULL in {shape.table}.",
                    "Filter them with `where`, add a rule `not_null`, or allow null there.",
                )
    for name, columns in shape.unique.items():
        if set(columns) <= outgoing.columns.keys() and (broken := outgoing.repeated(columns)):
            said = ", ".join(f"`{one}`" for one in columns)
            raise SinkError(
                sink,
                f"{broken:,} of {outgoing.rows:,} rows break the constraint `{name}` of {shape.table}: they repeat another's {said}.",
                "Filter them with `where`, or add a rule `unique`.",
            )
    _require_finite(sink, shape, outgoing, dialect)


def _require_finite(sink: str, shape: Shape, outgoing: Outgoing, dialect: Dialect) -> None:
    floats = [name for name, kind in outgoing.columns.items() if dialect.finite and family_of(kind).word == "float"]
    for name in floats:
        if broken := outgoing.count(f"NOT isfinite({quote(name)})"):
            raise SinkError(
                sink,
                f"{broken:,} rows hold NaN or infinity in `{name}`, which the database of {shape.table} cannot hold.",
                f'Filter them: `where: isfinite("{name}")`.',
            )


def _type_word(kind: Any) -> str:
    import sqlalchemy

    try:
        return str(kind)
    except sqlalchemy.exc.CompileError:
        return type(kind).__name__
