"""Transforms that make several rows of one, take from other tables or give the rows to Python; and `AnyTransform`, all kinds.

Where a cell is no list, the row stays as it is, is marked, and goes to quarantine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from flowforge_assets.transforms.base import Rows, Transform, some_text
from flowforge_assets.transforms.cleaning import (
    Case,
    Coalesce,
    Concatenate,
    Hash,
    MapValues,
    Mask,
    Rename,
    Replace,
    Split,
    Trim,
)
from flowforge_assets.transforms.computing import Derive, Filter, Route
from flowforge_assets.transforms.place import FAILED, RID, TEXT, Place
from flowforge_resources.duck import literal, quote
from flowforge_resources.python_function import PythonFunction, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.lineage.edges import Kind

_ITEMS, _AT = "_items", "_at"


class Explode(Transform):
    """Makes one row of each element of a list in a cell, repeating the other columns; an empty list stays one row, with null."""

    rows: ClassVar[Rows] = "exploded"
    may_fail: ClassVar[bool] = True

    transform: Literal["explode"]
    column: str = Field(description="The column with the list.")
    by: str | None = Field(
        default=None, min_length=1, description="The text between two elements. Default: the cell is a JSON array."
    )
    into: str = Field(default="", description="The column that takes the element. Default: the same.")

    @property
    def named(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def makes(self) -> tuple[str, ...]:
        return (self.into or self.column,)

    def select(self, at: Place) -> str:
        at.require_text(self.column)
        at.require_makeable(*self.makes)
        text = some_text(self.column)
        items = f"string_split({text}, {literal(self.by)})" if self.by else _json_items(text)
        fails = f"{text} IS NOT NULL AND ({_ITEMS} IS NULL OR len({_ITEMS}) > {at.most_parts})"
        listed = f"(SELECT *, {items} AS {_ITEMS} FROM {quote(at.view)})"
        parts = f"CASE WHEN {at.sound} AND NOT coalesce({fails}, FALSE) THEN greatest(coalesce(len({_ITEMS}), 0), 1) ELSE 1 END"
        each = f"(SELECT *, unnest(range(1, {parts} + 1)) AS {_AT} FROM {listed})"
        kept = quote(self.column) if self.makes[0] == self.column else "NULL"
        value = f"CASE WHEN {at.sound} AND NOT coalesce({fails}, FALSE) THEN {_ITEMS}[{_AT}] ELSE {kept} END"
        values = {self.makes[0]: value, FAILED: at.failing(fails), RID: at.rid_of_part(f"{_AT} - 1")}
        return at.put(values, source=each, without=[_ITEMS, _AT])


def _json_items(text: str) -> str:
    """SQL for the elements of a JSON array as texts; null for text that is none."""
    return f"CASE WHEN TRY(json_type({text})) = 'ARRAY' THEN json_extract_string({text}, '$[*]') END"


class Unpivot(Transform):
    """Makes one row of each of several columns: its name in one column, its value in another; null values too."""

    rows: ClassVar[Rows] = "exploded"

    transform: Literal["unpivot"]
    columns: tuple[str, ...] = Field(min_length=1, description="The columns; they go away.")
    names_to: str = Field(description="The column that takes the name.")
    values_to: str = Field(description="The column that takes the value.")

    @property
    def named(self) -> tuple[str, ...]:
        return self.columns

    @property
    def makes(self) -> tuple[str, ...]:
        return (self.names_to, self.values_to)

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        """The name is a text of the definition; the value is that of one of the columns."""
        values = [name for name in self.columns if name in columns]
        return {self.names_to: ([], "identity"), self.values_to: (values, "identity")}

    def decides(self, columns: Sequence[str]) -> Sequence[str]:
        """Every row becomes as many, whatever it holds."""
        del columns
        return []

    def select(self, at: Place) -> str:
        at.require_same_type(*self.columns)
        at.require_new(*(name for name in self.makes if name not in self.columns))
        if len(self.columns) > at.most_parts or self.names_to == self.values_to:
            raise StepError("names and values need a column each.", "Name two columns.")
        parts = f"CASE WHEN {at.sound} THEN {len(self.columns)} ELSE 1 END"
        each = f"(SELECT *, unnest(range(1, {parts} + 1)) AS {_AT} FROM {quote(at.view)})"
        name = self._chosen([literal(one) for one in self.columns])
        value = self._chosen([quote(one) for one in self.columns])
        gone = ", ".join(map(quote, (*self.columns, _AT, RID)))
        return (
            f"SELECT {at.rid_of_part(f'{_AT} - 1')} AS {RID}, * EXCLUDE ({gone}), "
            f"{name} AS {quote(self.names_to)}, {value} AS {quote(self.values_to)} FROM {each}"
        )

    @staticmethod
    def _chosen(values: list[str]) -> str:
        cases = "".join(f" WHEN {place} THEN {value}" for place, value in enumerate(values, start=1))
        return f"CASE {_AT}{cases} END"


# A day begins at midnight.
_MOMENTS = {"DATE", "TIMESTAMP"}


class Lookup(Transform):
    """Adds columns of another table's silver, found by its key; null where there is no such row.

    Of a table with history: of the version that holds now, or that held at a moment (`as_of`).
    """

    transform: Literal["lookup"]
    table: str = Field(description="The other table, of the same workflow.")
    keys: dict[str, str] = Field(
        min_length=1,
        description="Key column of the other table by the column here; a list where they have the same names. All of its `keys`.",
        examples=[{"item": "item_id"}],
    )
    take: dict[str, str] = Field(
        min_length=1,
        description="Column of the other table by the name it gets here; a list where the names stay.",
        examples=[["label", "price"]],
    )
    as_of: str | None = Field(
        default=None,
        description="Of a table with `strategy: scd2`: the column here that says when. Default: the version that holds now.",
    )

    @property
    def shape(self) -> list[Any]:
        """As ever where nothing is said of versions."""
        return [self.model_dump(exclude=None if self.as_of else {"as_of"})]

    @field_validator("keys", "take", mode="before")
    @classmethod
    def _by_name(cls, given: object) -> object:
        return {str(name): str(name) for name in given} if isinstance(given, list | tuple) else given

    @property
    def named(self) -> tuple[str, ...]:
        return (*self.keys, *([self.as_of] if self.as_of else []))

    @property
    def makes(self) -> tuple[str, ...]:
        return tuple(self.take)

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        """What it takes comes from the other table, so from none of the columns here."""
        del columns
        return {name: ([], "identity") for name in self.take}

    @property
    def relation(self) -> str:
        """Name of the view over the other table's silver."""
        return f"_lookup_{self.table}"

    def select(self, at: Place) -> str:
        del at
        raise AssertionError("a lookup needs the other table: `select_from`")

    def select_from(self, at: Place, casts: dict[str, Any], interval: tuple[str, str, str] | None = None) -> str:
        """The query, given the types of the other table's columns (`ColumnType` by name): text is cast as they were.

        `interval`: what the other table calls `valid_from`, `valid_to` and `is_current`, if it keeps history.
        """
        at.require(*self.named)
        at.require_new(*self.take)
        equal = [f"o.{quote(key)} = {self._key(at, own, casts[key])}" for own, key in self.keys.items()]
        taken = ", ".join(f"o.{quote(theirs)} AS {quote(name)}" for name, theirs in self.take.items())
        named, current = [*self.keys.values(), *self.take.values()], ""
        if interval is not None and self.as_of is not None:
            first, end = interval[:2]
            moment = self._key(at, self.as_of, casts[first])
            equal.append(f"o.{quote(first)} <= {moment} AND (o.{quote(end)} > {moment} OR o.{quote(end)} IS NULL)")
            named += [first, end]
        elif interval is not None:
            current = f" WHERE {quote(interval[2])}"
        wanted = ", ".join(map(quote, dict.fromkeys(named)))
        other = f"(SELECT {wanted} FROM {quote(self.relation)}{current})"
        return f"SELECT h.*, {taken} FROM {quote(at.view)} AS h LEFT JOIN {other} AS o ON {' AND '.join(equal)}"

    @staticmethod
    def _key(at: Place, own: str, kind: Any) -> str:
        column = f"h.{quote(own)}"
        if at.types[own] == TEXT:
            return str(kind.cast(column))
        if at.types[own] != kind.sql_type and not {at.types[own], kind.sql_type} <= _MOMENTS:
            raise StepError(
                f"'{own}' is {at.types[own]}, and the key it looks for is {kind.sql_type}.",
                "Give both columns the same type, or look up before `cast`.",
            )
        return column


class CastMark(Transform):
    """Marks where the declared columns take their declared types. Without it that comes last."""

    transform: Literal["cast"]

    def select(self, at: Place) -> str:
        del at
        raise AssertionError("casting needs the declared columns: `casting.select_cast`")


class Python(Transform):
    """Gives the rows to a Python function from `LazyFrame` to `LazyFrame`: the columns here and `_rid`, which it keeps."""

    rows: ClassVar[Rows] = "exploded"
    may_fail: ClassVar[bool] = True

    transform: Literal["python"]
    function: str = Field(
        description="`package.module:function`, or `file.py:function` for a file beside this YAML.",
        examples=["clean.py:score"],
    )
    adds: dict[str, str] = Field(
        default={},
        description="Columns it adds, or returns with another type, with their types as under `columns`.",
        examples=[{"score": "float"}],
    )

    @model_validator(mode="after")
    def _check(self) -> Python:
        self.added_types()
        PythonFunction.split(self.function)
        return self

    def added_types(self) -> dict[str, str]:
        """DuckDB types of the added columns.

        Raises:
            ValueError: a type that is none.
        """
        from flowforge_assets.column_types import parse_type

        return {name: parse_type(written).sql_type for name, written in self.adds.items()}

    @property
    def makes(self) -> tuple[str, ...]:
        return tuple(self.adds)

    def reads(self, column: str) -> bool:
        return column not in self.adds

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        """What a function does nobody can say from outside: every column behind it may be made of every one before."""
        return dict.fromkeys([*columns, *self.adds], (columns, "transformation"))

    def decides(self, columns: Sequence[str]) -> Sequence[str]:
        return columns

    def select(self, at: Place) -> str:
        """The columns behind it, without a row: what a definition is checked with."""
        at.require_makeable(*self.adds)
        if huge := [name for name, kind in at.types.items() if kind in ("HUGEINT", "UHUGEINT")]:
            raise StepError(
                f"'{huge[0]}' is {at.types[huge[0]]}, which Polars cannot take.", "Cast it in its `derive`."
            )
        added = {name: f"NULL::{kind}" for name, kind in self.added_types().items()}
        return f"{at.put(added)} WHERE FALSE"


AnyTransform = Annotated[
    Rename
    | Trim
    | Case
    | Replace
    | MapValues
    | Coalesce
    | Split
    | Concatenate
    | Hash
    | Mask
    | Derive
    | Filter
    | Explode
    | Unpivot
    | Lookup
    | Route
    | CastMark
    | Python,
    Field(discriminator="transform"),
]
TRANSFORM_KINDS: tuple[type[Transform], ...] = (
    Rename,
    Trim,
    Case,
    Replace,
    MapValues,
    Coalesce,
    Split,
    Concatenate,
    Hash,
    Mask,
    Derive,
    Filter,
    Explode,
    Unpivot,
    Lookup,
    Route,
    CastMark,
    Python,
)
