"""What every transform has: a small class that says what it reads and makes, and gives the SQL for its place.

Belongs here: the base class and what its kinds share. Does not: a kind of transform (`cleaning`, `computing`,
`reshaping`), or when they run (`pipeline`).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from flowforge_assets.lineage.edges import Kind
    from flowforge_assets.transforms.place import Place

_A_TEXT = re.compile(r"'(?:[^']|'')*'")
Rows = Literal["same", "filtered", "routed", "exploded"]


def some_text(column: str) -> str:
    """SQL for a text column, with null for empty text."""
    return f"nullif({quote(column)}, '')"


def mentions(sql: str, column: str) -> bool:
    """Whether an expression holds a column's name as a word, outside of texts; no parser is loaded to know."""
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", _A_TEXT.sub("''", sql), re.IGNORECASE) is not None


class Transform(BaseModel):
    """What every transform has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # In which column of the books its rows are counted; `same` leaves as many as it found.
    rows: ClassVar[Rows] = "same"
    # Whether its SQL may fail for a row, which then goes to quarantine.
    may_fail: ClassVar[bool] = False

    transform: str

    @property
    def named(self) -> tuple[str, ...]:
        """The columns it reads, as far as YAML names them."""
        return ()

    @property
    def makes(self) -> tuple[str, ...]:
        """The columns it makes, or makes anew."""
        return ()

    def reads(self, column: str) -> bool:
        """Whether it reads a column."""
        return column in self.named

    def lineage(self, columns: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Kind]]:
        """Each column it makes or changes: of which of the `columns` before it, and what it does to their values."""
        return dict.fromkeys(self.makes, ([name for name in columns if self.reads(name)], "transformation"))

    def decides(self, columns: Sequence[str]) -> Sequence[str]:
        """Those of the `columns` before it that decide which rows there are behind it."""
        return [] if self.rows == "same" else [name for name in columns if self.reads(name)]

    def check(self, connection: duckdb.DuckDBPyConnection, at: Place) -> None:
        """What can be known before anything runs, besides what `select` finds.

        Raises:
            StepError: it cannot work.
        """

    @abstractmethod
    def select(self, at: Place) -> str:
        """The query for the rows behind it.

        Raises:
            StepError: it cannot work at this place.
        """

    @property
    def shape(self) -> list[Any]:
        """Changes when the transform gives other rows."""
        return [self.model_dump()]
