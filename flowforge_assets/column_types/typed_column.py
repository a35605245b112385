"""The part of a column's YAML that says its type: the word, how its values are written, and what means null."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from flowforge_assets.column_types.base import ColumnType, Text
from flowforge_assets.column_types.number_text import NegativeForm, ThousandsSeparator
from flowforge_assets.column_types.parse import parse_type

# In the order in which people read them.
OPTIONS = (
    "formats",
    "timezone",
    "decimal_separator",
    "thousands_separator",
    "currency",
    "negatives",
    "percent",
    "true_words",
    "false_words",
)
_LISTS = ("formats", "currency", "negatives", "true_words", "false_words", "null_markers")


def _as_texts(values: object) -> object:
    """A list of texts as YAML gives it.

    Raises:
        ValueError: YAML read a word in it as something else.
    """
    for value in values if isinstance(values, list | tuple) else ():
        if not isinstance(value, str):
            raise ValueError(  # noqa: TRY004  # pydantic takes a ValueError
                f"YAML read a text of the list as {'null' if value is None else repr(value)}. Write it in quotes."
            )
    return values


TextList = Annotated[list[str], BeforeValidator(_as_texts)]


class TypedColumn(BaseModel):
    """Name, type and the type's options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the column in silver, and in the file unless `source` says otherwise.")
    type: str = Field(
        default="text",
        description="`text`, `integer`, `decimal(p,s)`, `float`, `boolean`, `date`, `time`, `timestamp` or `json`. A value that does not cast breaks the rule `type`.",
        examples=["decimal(10,2)"],
    )
    formats: tuple[str, ...] = Field(
        default=(),
        description="Accepted formats of a date, time or timestamp, tried in order: strptime codes, `excel` or `excel_1904` for Excel's serial numbers. Default: ISO 8601.",
        examples=[["%Y-%m-%d", "%d.%m.%Y"]],
    )
    timezone: str = Field(
        default="",
        description="Time zone of timestamps whose text has no offset; they are stored in UTC. Default: the text is in UTC.",
        examples=["Europe/Berlin"],
    )
    decimal_separator: Literal[".", ","] = Field(default=".", description="What stands before a number's decimals.")
    thousands_separator: ThousandsSeparator | Literal[""] = Field(
        default="",
        description="What may stand between a number's groups of three digits. A blank stands for no-break spaces too.",
    )
    currency: tuple[str, ...] = Field(
        default=(),
        description="Signs or codes that may stand before or after a number, and are dropped.",
        examples=[["€", "EUR"]],
    )
    negatives: tuple[NegativeForm, ...] = Field(
        default=(), description="How negative numbers are written beside `-5`: `(5)`, `5-` or both."
    )
    percent: bool = Field(
        default=False,
        description="Every number has a percent sign, and `12.5%` becomes 0.125. A number without one breaks.",
    )
    true_words: tuple[str, ...] = Field(
        default=(),
        description="Words of a boolean for true, in any case. Default: true, t, yes, y, 1.",
        examples=[["ja"]],
    )
    false_words: tuple[str, ...] = Field(
        default=(), description="Words of a boolean for false. Default: false, f, no, n, 0.", examples=[["nein"]]
    )
    null_markers: tuple[str, ...] | None = Field(
        default=None,
        description="Texts that mean there is no value, beside the empty cell. Default: those of the table.",
        examples=[["NA", "-"]],
    )

    @field_validator(*_LISTS, mode="before")
    @classmethod
    def _texts(cls, values: object) -> object:
        return _as_texts(values)

    @model_validator(mode="after")
    def _check_type(self) -> TypedColumn:
        _ = self.kind
        return self

    @property
    def kind(self) -> ColumnType:
        """The parsed type."""
        return parse_type(self.type, **self._declared_options())

    @property
    def can_break(self) -> bool:
        """Whether there is text that is no value of the type."""
        return not isinstance(self.kind, Text)

    @property
    def expected(self) -> str:
        """The type as declared, with its options: `date (formats: %d.%m.%Y, excel)`."""
        options = [f"{name}: {_said(value)}" for name, value in self._declared_options().items()]
        return f"{self.type} ({'; '.join(options)})" if options else self.type

    def _declared_options(self) -> dict[str, Any]:
        defaults = TypedColumn.model_fields
        return {name: value for name in OPTIONS if (value := getattr(self, name)) != defaults[name].default}


def _said(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else "true" if value is True else str(value)
