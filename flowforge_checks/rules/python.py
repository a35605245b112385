"""What only Python can say of a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from flowforge_checks.rules.base import RowRule, listed
from flowforge_checks.rules.in_batches import note_invalid
from flowforge_resources.duck import quote
from flowforge_resources.errors import RuleFunctionError
from flowforge_resources.python_function import PythonFunction, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb
    import polars as pl


class Python(RowRule):
    """A function takes a Polars frame of rows and returns, for each, whether it is valid: a boolean Series or expression. Null counts as valid."""

    rule: Literal["python"]
    function: str = Field(
        description="`file.py:function` beside the YAML, or `package.module:function`. It gets some rows at a time, never the whole table."
    )
    columns: tuple[str, ...] = Field(min_length=1, description="The columns the function gets.")

    _folder: Path = PrivateAttr(default_factory=Path)

    @field_validator("function")
    @classmethod
    def _check_function(cls, written: str) -> str:
        PythonFunction.split(written)
        return written

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if not self.name:
            raise ValueError("`python` needs a `name` that says what holds, e.g. `name: vat_id_is_known`.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.columns

    @property
    def demand(self) -> str:
        return f"`{self.function}` says yes"

    @property
    def message(self) -> str:
        return f"{self.function} says no"

    @property
    def shape(self) -> dict[str, Any]:
        """With the source of the function: another source is another rule."""
        return {**super().shape, "source": self._function.source_hash}

    @property
    def _function(self) -> PythonFunction:
        return PythonFunction(self.function, self._folder)

    def beside(self, folder: Path) -> Self:
        """The rule that finds its file there."""
        bound = self.model_copy()
        bound._folder = folder  # noqa: SLF001  # of this class
        return bound

    def require_types(self, types: Mapping[str, str]) -> None:
        """The function is there.

        Raises:
            ValueError: it is not.
        """
        super().require_types(types)
        try:
            self._function.load()
        except StepError as error:
            raise ValueError(str(error)) from error

    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """What DuckDB has to do with it: the columns, and `where`."""
        del reads
        return [f"SELECT {listed(self.columns)} FROM {table} WHERE {self.where or 'TRUE'}"]

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"_rid NOT IN (SELECT _rid FROM {self._invalid})"

    @property
    def _invalid(self) -> str:
        return quote(f"_invalid_{self.check_name}")

    def prepare(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        """Ask the function about all rows, and note those it says no to."""
        note_invalid(connection, source, columns=self.columns, asked=self.asked, into=self._invalid, ask=self._ask)

    def _ask(self, given: pl.DataFrame) -> pl.Series:
        """The answer for each row of a batch."""
        import polars as pl

        try:
            said = self._function.load()(given)
            said = given.select(said.alias("valid")).to_series() if isinstance(said, pl.Expr) else said
        except StepError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a user's code raises
            # Without its text, which may hold values.
            raise RuleFunctionError(self.check_name, self.function, f"failed with {type(error).__name__}") from None
        if not isinstance(said, pl.Series) or said.dtype != pl.Boolean or len(said) != len(given):
            what = f"{len(said)} values of {said.dtype}" if isinstance(said, pl.Series) else type(said).__name__
            raise RuleFunctionError(
                self.check_name, self.function, f"returned {what} for {len(given)} rows, not a boolean for each"
            )
        return said.fill_null(value=True)
