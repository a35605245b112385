"""Transforms of values: each a small class that says in SQL what becomes of some columns, row by row.

Belongs here: transforms that neither compute by SQL nor change how many rows there are. Does not: those (`computing`,
`reshaping`).

An empty cell of a file is empty text until `cast` makes it null; these transforms treat both as no value.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from flowforge_assets.lineage.edges import Kind  # noqa: TC001  # in a class variable that pydantic looks at
from flowforge_assets.transforms.base import Transform, some_text
from flowforge_assets.transforms.place import TEXT
from flowforge_resources.duck import literal, quote
from flowforge_resources.errors import SettingError
from flowforge_resources.python_function import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from flowforge_assets.transforms.place import Place

# Blanks, tabs and line ends, and the blanks of Unicode: no-break, narrow, ideographic, zero-width, byte-order mark.
_BLANKS = " \t\r\n\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"


class _OfColumns(Transform):
    # What becomes of a value, as lineage says it.
    does: ClassVar[Kind] = "transformation"

    columns: tuple[str, ...] = Field(min_length=1, description="The columns it changes.")

    @property
    def named(self) -> tuple[str, ...]:
        return self.columns

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        return {name: ([name], self.does) for name in self.columns if name in columns}

    def select(self, at: Place) -> str:
        at.require_text(*self.columns)
        return at.put({name: self._value(quote(name)) for name in self.columns})

    def _value(self, text: str) -> str:
        """SQL for the new text."""
        raise NotImplementedError(text)


class Rename(Transform):
    """Gives columns other names."""

    transform: Literal["rename"]
    columns: dict[str, str] = Field(
        min_length=1, description="New name of each column, by its present name.", examples=[{"Cust No": "customer_id"}]
    )

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def makes(self) -> tuple[str, ...]:
        return tuple(self.columns.values())

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        return {new: ([old], "identity") for old, new in self.columns.items() if old in columns}

    def select(self, at: Place) -> str:
        at.require(*self.columns)
        if fixed := [name for name in self.columns if name in at.cast]:
            raise StepError(f"'{fixed[0]}' is a declared column and was cast already.", "Rename it before `cast`.")
        new = [name for name in self.columns.values() if name not in self.columns]
        at.require_new(*new)
        if len(set(self.columns.values())) < len(self.columns):
            raise StepError("two columns get one name.", "Give each its own.")
        given = ", ".join(f"{quote(old)} AS {quote(name)}" for old, name in self.columns.items())
        gone = ", ".join(quote(old) for old in self.columns)
        return f"SELECT * EXCLUDE ({gone}), {given} FROM {quote(at.view)}"


class Trim(_OfColumns):
    """Takes blanks off both ends of text: tabs, line ends and the blanks of Unicode too."""

    transform: Literal["trim"]
    collapse: bool = Field(default=False, description="Also makes one blank of several blanks inside.")

    def _value(self, text: str) -> str:
        if not self.collapse:
            return f"trim({text}, {literal(_BLANKS)})"
        return f"trim(regexp_replace({text}, {literal(f'[{_BLANKS}]+')}, ' ', 'g'))"


class Case(_OfColumns):
    """Makes text lower or upper case, or a title: each word behind a blank or hyphen with a capital."""

    transform: Literal["case"]
    to: Literal["lower", "upper", "title"] = Field(description="`lower`, `upper` or `title`.")

    def _value(self, text: str) -> str:
        if self.to != "title":
            return f"{self.to}({text})"
        words = rf"regexp_extract_all({text}, '[^\s\p{{Z}}-]+|[\s\p{{Z}}-]+')"
        return f"array_to_string(list_transform({words}, lambda word: upper(word[1]) || lower(word[2:])), '')"


class Replace(_OfColumns):
    """Replaces every occurrence of a text, or of a regular expression, in text."""

    transform: Literal["replace"]
    find: str = Field(min_length=1, description="The text to find; with `regex` a regular expression (RE2).")
    by: str = Field(default="", description=r"What takes its place; with `regex`, `\1` is the first group.")
    regex: bool = Field(default=False, description="Whether `find` is a regular expression.")

    def _value(self, text: str) -> str:
        if not self.regex:
            return f"replace({text}, {literal(self.find)}, {literal(self.by)})"
        return f"regexp_replace({text}, {literal(self.find)}, {literal(self.by)}, 'g')"

    def check(self, connection: duckdb.DuckDBPyConnection, at: Place) -> None:
        """The regular expression is one."""
        import duckdb

        del at
        try:
            connection.execute(f"SELECT {self._value(literal('x'))}").fetchall()
        except duckdb.Error as error:
            said = str(error).split("Error: ", 1)[-1].splitlines()[0]
            raise StepError(
                f"`find: {self.find}` is not a regular expression: {said}.", "Correct it (RE2 syntax)."
            ) from None


class MapValues(_OfColumns):
    """Replaces whole values by others, as a list says."""

    transform: Literal["map_values"]
    values: dict[str, str | None] = Field(
        min_length=1, description='New value of each value; `"": x` gives empty cells one.', examples=[{"M": "male"}]
    )
    default: str | None = Field(
        default="keep",
        description="What becomes of a value that is not listed: `keep`, `null`, or the text that takes its place. An empty cell stays empty.",
    )

    @field_validator("values", mode="before")
    @classmethod
    def _as_text(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        if any(isinstance(one, bool) for pair in values.items() for one in pair):
            raise ValueError("YAML reads bare yes, no, on and off as true or false. Write such values in quotes.")
        return {str(old): None if new is None else str(new) for old, new in values.items()}

    def _value(self, text: str) -> str:
        known = {old: new for old, new in self.values.items() if old}
        cases = "".join(f" WHEN {text} = {literal(old)} THEN {literal(new)}" for old, new in known.items())
        empty = literal(self.values[""]) if "" in self.values else text
        rest = text if self.default == "keep" else literal(self.default)
        return f"CASE WHEN coalesce({text}, '') = '' THEN {empty}{cases} ELSE {rest} END::VARCHAR"


class Coalesce(Transform):
    """Takes the first of several columns that has a value."""

    transform: Literal["coalesce"]
    columns: tuple[str, ...] = Field(min_length=2, description="The columns, the preferred one first.")
    into: str = Field(default="", description="The column that takes the value. Default: the first one.")

    @property
    def named(self) -> tuple[str, ...]:
        return self.columns

    @property
    def makes(self) -> tuple[str, ...]:
        return (self.into or self.columns[0],)

    def select(self, at: Place) -> str:
        kind = at.require_same_type(*self.columns)
        at.require_makeable(*self.makes)
        values = [some_text(name) if kind == TEXT else quote(name) for name in self.columns]
        return at.put({self.makes[0]: f"coalesce({', '.join(values)})"})


class Split(Transform):
    """Cuts a column's text at a delimiter into several columns; missing parts are null, the last takes all that is left."""

    transform: Literal["split"]
    column: str = Field(description="The column; it stays.")
    by: str = Field(min_length=1, description="The text between two parts.")
    into: tuple[str, ...] = Field(min_length=2, description="The columns of the parts, in order.")

    @property
    def named(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def makes(self) -> tuple[str, ...]:
        return self.into

    def select(self, at: Place) -> str:
        at.require_text(self.column)
        at.require_makeable(*self.into)
        if len({name.lower() for name in self.into}) < len(self.into):
            raise StepError("two columns get one name.", "Give each its own.")
        last, parts = len(self.into), f"string_split({some_text(self.column)}, {literal(self.by)})"
        rest = f"CASE WHEN len({parts}) >= {last} THEN array_to_string(({parts})[{last}:], {literal(self.by)}) END"
        values = {name: f"({parts})[{place}]" for place, name in enumerate(self.into[:-1], start=1)}
        return at.put({**values, self.into[-1]: rest})


class Concatenate(Transform):
    """Joins the values of several columns; those without one are left out, and none at all gives null."""

    transform: Literal["concatenate"]
    columns: tuple[str, ...] = Field(min_length=2, description="The columns, in order.")
    into: str = Field(description="The column that takes the text.")
    separator: str = Field(default=" ", description="What stands between two values.")

    @property
    def named(self) -> tuple[str, ...]:
        return self.columns

    @property
    def makes(self) -> tuple[str, ...]:
        return (self.into,)

    def select(self, at: Place) -> str:
        at.require(*self.columns)
        at.require_makeable(self.into)
        values = ", ".join(f"nullif({quote(name)}::VARCHAR, '')" for name in self.columns)
        return at.put({self.into: f"nullif(concat_ws({literal(self.separator)}, {values}), '')"})


class Hash(Transform):
    """Puts the SHA-256 of the salt and the value in the value's place, as 64 hexadecimal digits; the same in every run."""

    transform: Literal["hash"]
    columns: tuple[str, ...] = Field(min_length=1, description="The columns it changes; no value stays none.")
    salt_env: str | None = Field(
        default=None,
        description="Environment variable with the salt. Without one a short value is found again by trying.",
    )

    @property
    def named(self) -> tuple[str, ...]:
        return self.columns

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        return {name: ([name], "masked") for name in self.columns if name in columns}

    @property
    def salt(self) -> str | None:
        """The salt; None where the variable is not set, or none is declared."""
        return os.environ.get(self.salt_env) if self.salt_env else None

    def require_salt(self) -> None:
        """Raise a `SettingError` where a salt is declared and not set."""
        if self.salt_env and not self.salt:
            raise SettingError(
                self.salt_env, "", "it holds the salt of a `hash` transform and is not set.", "Set it for every run."
            )

    @property
    def variable(self) -> str:
        """Name of the DuckDB variable that holds the salt, so that it stands in no statement and no error."""
        return f"salt_of_{self.salt_env}"

    @property
    def shape(self) -> list[Any]:
        return [self.model_dump(), self.salt]

    def select(self, at: Place) -> str:
        at.require(*self.columns)
        salt = f"coalesce(getvariable({literal(self.variable)})::VARCHAR, '') || " if self.salt_env else ""
        texts = {name: f"nullif({quote(name)}::VARCHAR, '')" for name in self.columns}
        return at.put({name: f"sha256({salt}{text})" for name, text in texts.items()})


class Mask(_OfColumns):
    """Hides all but the first and last characters of text; of text that is too short, everything."""

    does: ClassVar[Kind] = "masked"

    transform: Literal["mask"]
    keep_first: int = Field(default=0, ge=0, description="Characters at the beginning that stay.")
    keep_last: int = Field(default=0, ge=0, description="Characters at the end that stay.")
    character: str = Field(default="*", min_length=1, max_length=1, description="What stands for a hidden one.")

    @model_validator(mode="before")
    @classmethod
    def _quoted(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("character"), int):
            return {**given, "character": str(given["character"])}
        return given

    def _value(self, text: str) -> str:
        shown, hidden = self.keep_first + self.keep_last, literal(self.character)
        some = f"left({text}, {self.keep_first}) || repeat({hidden}, length({text}) - {shown}) || right({text}, {self.keep_last})"
        return f"CASE WHEN length({text}) > {shown} THEN {some} ELSE repeat({hidden}, length({text})) END"
