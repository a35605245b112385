"""What a transform finds: the columns with their types at a place in the order of a table's transforms.

Belongs here: looking columns up, types that fit each other, the columns that travel beside the user's. Does not: any
transform.

Beside the user's columns every row carries `_rid`, `_position` (in its bronze file), the audit columns, `_failed` (the number of the first transform that
could not be computed for the row, else null), and behind `cast` for every declared column that was cast `_raw_<name>`
and, where it can fail, `_broken_<name>`. A row is sound while nothing of it failed or is broken; an unsound one passes
every later transform as it is, and ends in quarantine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import AUDIT_COLUMNS
from flowforge_checks.statements import broken_flag
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.python_function import StepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

RID, POSITION, FAILED = "_rid", "_position", "_failed"
# What transforms use beside the rows' own columns, on the way.
_ON_THE_WAY = frozenset({"_tried", "_items", "_at", "_sound", "_landed", "_part", "_key"})
TEXT, TRUTH = "VARCHAR", "BOOLEAN"
# Of a row that transforms may multiply: the landed row's number in the upper half, its parts in the lower.
LANDED_BITS = 64
_PART_BITS = 62
_INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_MOMENTS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"}
UNKNOWN_TYPE = '"NULL"'


@dataclass(frozen=True)
class Place:
    """The rows as the transforms before left them.

    Args:
        view: the DuckDB view that holds them.
        types: DuckDB types of the user's columns, in order.
        number: number of the transform that works here, counted from 1 as in the YAML.
        cast: names of the declared columns that have their declared types (and `_raw_`), with whether casting may fail.
        multiplier: how many transforms before this one may have multiplied rows.
        multipliers: how many there are in all.
        made_by: number of the transform that last made a column.
        typed: whether this is behind `cast`: text that is made here no longer becomes a number or date by itself.
    """

    view: str
    types: Mapping[str, str]
    number: int
    cast: Mapping[str, bool]
    multiplier: int = 0
    multipliers: int = 0
    made_by: Mapping[str, int] | None = None
    typed: bool = False

    def require(self, *names: str) -> None:
        """Every name is a column here.

        Raises:
            StepError: one is not.
        """
        for name in names:
            if name not in self.types:
                raise StepError(
                    f"there is no column '{name}' at this place.{did_you_mean(name, self.types)}",
                    "Correct the name; or, if the files bring it and silver does not keep it, list it under `landed_columns`.",
                )

    def require_text(self, *names: str) -> None:
        """Every name is a column of text.

        Raises:
            StepError: one is not.
        """
        self.require(*names)
        for name in names:
            if self.types[name] != TEXT:
                raise StepError(
                    f"it works on text, and '{name}' is {self.types[name]} at this place.",
                    "Move it before `cast`, or use `derive`.",
                )

    def require_new(self, *names: str) -> None:
        """No name is a column already, in whatever case, or one of FlowForge's own.

        Raises:
            StepError: one is.
        """
        for name in names:
            if name in self.types:
                raise StepError(f"there is a column '{name}' already.", "Choose another name, or `rename` that one.")
        self.require_makeable(*names)

    def require_makeable(self, *names: str) -> None:
        """A column may be made, or made anew, under every name.

        Raises:
            StepError: one differs from a column by case only, or is reserved.
        """
        known = {name.casefold(): name for name in self.types}
        for name in names:
            if (other := known.get(name.casefold(), name)) != name:
                raise StepError(
                    f"'{name}' and '{other}' differ by upper and lower case only, which SQL does not tell apart.",
                    "Choose another name.",
                )
            if name.startswith("_"):
                raise StepError(f"'{name}' starts with an underscore; such names are FlowForge's.", "Rename it.")

    def require_same_type(self, *names: str) -> str:
        """The one type of all these columns.

        Raises:
            StepError: they have several.
        """
        self.require(*names)
        found = {name: self.types[name] for name in names}
        if len(set(found.values())) > 1:
            said = ", ".join(f"'{name}' is {kind}" for name, kind in found.items())
            raise StepError(
                f"its columns have different types: {said}.", "Move it before `cast`, or `derive` one type."
            )
        return next(iter(found.values()))

    def put(self, values: Mapping[str, str], *, source: str = "", without: Iterable[str] = ()) -> str:
        """A query for these rows with some columns set to SQL expressions: in place where they exist, at the end else."""
        gone = [quote(name) for name in without]
        kept = [
            f"{sql} AS {quote(name)}" for name, sql in values.items() if name in self.types or name in (RID, FAILED)
        ]
        added = [
            f"{sql} AS {quote(name)}"
            for name, sql in values.items()
            if name not in self.types and name not in (RID, FAILED)
        ]
        star = "*"
        star += f" EXCLUDE ({', '.join(gone)})" if gone else ""
        star += f" REPLACE ({', '.join(kept)})" if kept else ""
        return f"SELECT {', '.join([star, *added])} FROM {source or quote(self.view)}"

    @property
    def hidden(self) -> list[str]:
        """The columns that travel beside the user's, `_rid` left out."""
        raw = [raw_name(name) for name in self.cast]
        return [POSITION, FAILED, *AUDIT_COLUMNS, *raw, *self.flags]

    @property
    def flags(self) -> list[str]:
        """Names of the flags of columns that did not cast."""
        return [broken_flag(name) for name, may_fail in self.cast.items() if may_fail]

    @property
    def sound(self) -> str:
        """SQL: nothing of the row failed or is broken so far."""
        return " AND ".join([f"{FAILED} IS NULL", *(f"{quote(flag)} IS NOT TRUE" for flag in self.flags)])

    def failing(self, condition: str) -> str:
        """SQL for `_failed` behind a transform that cannot be computed where `condition` holds."""
        return f"coalesce({FAILED}, CASE WHEN {condition} THEN {self.number} END)"

    def rid_of_part(self, part: str) -> str:
        """SQL for the `_rid` of the part of a row, `part` counting from 0."""
        return f"{RID} + ({part})::HUGEINT * {1 << self._part_shift}::HUGEINT"

    @property
    def _part_bits(self) -> int:
        return _PART_BITS // self.multipliers

    @property
    def _part_shift(self) -> int:
        return _PART_BITS - self._part_bits * (self.multiplier + 1)

    @property
    def most_parts(self) -> int:
        """Into how many rows a transform may turn one here."""
        return 1 << self._part_bits

    def behind(self, connection: duckdb.DuckDBPyConnection, view: str, made: Iterable[str]) -> Place:
        """The place that the columns of `view` make."""
        hidden = {RID, *self.hidden}
        found = {row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE {quote(view)}").fetchall()}
        types = {name: kind for name, kind in found.items() if name not in hidden}
        cast = {name: may_fail for name, may_fail in self.cast.items() if raw_name(name) in found}
        made_by = {**(self.made_by or {}), **dict.fromkeys(made, self.number)}
        return replace(self, view=view, types=types, cast=cast, made_by=made_by)


def refuse_reserved(names: Iterable[str]) -> None:
    """No name is one of those that travel beside the columns.

    Raises:
        StepError: one is.
    """
    for name in names:
        if name in {RID, POSITION, FAILED, *AUDIT_COLUMNS, *_ON_THE_WAY} or name.startswith(("_raw_", "_broken_")):
            fix = "Give the column another `name`, with its header as `source`."
            raise StepError(f"'{name}' is a name that FlowForge uses beside the columns.", fix)


def raw_name(column: str) -> str:
    """Name of the column that keeps the text a declared column was cast from."""
    return f"_raw_{column}"


def fits(found: str, wanted: str) -> bool:
    """Whether values of one DuckDB type can be stored as another without rounding or guessing; a number may be too large."""
    if found in (wanted, UNKNOWN_TYPE):
        return True
    if wanted in _INTEGERS or (decimal := _DECIMAL.fullmatch(wanted)):
        scale = int(decimal[2]) if wanted not in _INTEGERS and decimal else 0
        given = _DECIMAL.fullmatch(found)
        return found in _INTEGERS or (given is not None and int(given[2]) <= scale)
    if wanted == "DOUBLE":
        return found == "FLOAT" or found in _INTEGERS or _DECIMAL.fullmatch(found) is not None
    return wanted == "TIMESTAMP" and found in _MOMENTS
