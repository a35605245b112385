"""What a user's pandera model says of rows and of the table, in place of rules in YAML: one check each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator

from flowforge_checks.rules.base import REMOVES_ROWS, Judges, listed
from flowforge_checks.rules.in_batches import note_invalid
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_resources.duck import quote
from flowforge_resources.errors import RuleFunctionError, did_you_mean
from flowforge_resources.python_function import PythonFunction, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    import polars as pl

    from flowforge_checks.contracts.model_parts import ModelPart


class Pandera(TableRule):
    """Every check of a pandera model, each as a check of its own; null as pandera has it: not valid unless `nullable`, and passed by checks unless `ignore_na=False`."""

    rule: Literal["pandera"]
    model: str = Field(
        description="`file.py:Model` beside the YAML, or `package.module:Model`: a DataFrameModel or DataFrameSchema of `pandera.polars`. Its checks of rows get some rows at a time."
    )
    check: str = Field(
        default="", description="Only this part of the model, e.g. `price_not_null`, to give it an action of its own."
    )

    _folder: Path = PrivateAttr(default_factory=Path)
    _part: ModelPart | None = PrivateAttr(default=None)

    @field_validator("model")
    @classmethod
    def _check_model(cls, written: str) -> str:
        try:
            PythonFunction.split(written)
        except ValueError:
            raise ValueError(f"`model: {written}` is not written `file.py:Model` or `package.module:Model`.") from None
        return written

    @property
    def judges(self) -> Judges:
        """By the part; of a model that is not taken apart yet, rows."""
        return "table" if self._part is not None and self._part.kind in ("unique", "table_check") else "row"

    @property
    def part(self) -> ModelPart:
        """The part of the model that this rule is."""
        if self._part is None:
            raise AssertionError(f"{self.check_name} was not taken apart into its checks")
        return self._part

    @property
    def default_name(self) -> str:
        return "_".join(filter(None, [self.model.rpartition(":")[2], self.check]))

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self._part.columns if self._part is not None else ()

    @property
    def counts_rows(self) -> bool:
        return self._part is None or self._part.kind != "table_check"

    @property
    def demand(self) -> str:
        return f"{self._part.says} (`{self.model}`)" if self._part is not None else f"`{self.model}`"

    @property
    def message(self) -> str:
        return f"not true: {self.part.says}"

    @property
    def shape(self) -> dict[str, Any]:
        """With the source of the model: another source is another rule."""
        return {**super().shape, "source": self._function.source_hash}

    @property
    def _function(self) -> PythonFunction:
        return PythonFunction(self.model, self._folder)

    def beside(self, folder: Path) -> Self:
        """The rule that finds its file there."""
        bound = self.model_copy()
        bound._folder = folder  # noqa: SLF001  # of this class
        return bound

    def each(self, columns: Sequence[str]) -> tuple[Self, ...]:
        """One rule a part of the model, or the one part that is named.

        Raises:
            ValueError: the model is not there, does not fit, or says what a rule cannot.
        """
        from flowforge_checks.contracts.model_parts import parts_of

        try:
            parts = parts_of(self.model, self._folder, self._function.source_hash, tuple(columns))
        except StepError as error:
            raise ValueError(str(error)) from error
        if self.check and self.check not in {part.name for part in parts}:
            near = did_you_mean(self.check, [part.name for part in parts])
            raise ValueError(f"`check: {self.check}` is no part of `{self.model}`.{near}")
        return tuple(self._of(part) for part in parts if self.check in ("", part.name))

    def named(self) -> tuple[Self, ...]:
        """Refused: what a model's parts are about is known of declared columns only."""
        raise ValueError("`pandera` goes with tables that declare their columns, not with tests of gold models.")

    def _of(self, part: ModelPart) -> Self:
        of_table = part.kind in ("unique", "table_check")
        if of_table and self.check and self.action in REMOVES_ROWS and "action" in self.model_fields_set:
            raise ValueError(
                f"`check: {part.name}` judges the whole table, so `action: {self.action}` has no single row to take out. Write `action: keep` or `action: block`."
            )
        update: dict[str, Any] = {"check": part.name}
        update |= {"name": f"{self.name}_{part.name}"} if self.name and not self.check else {}
        update |= {"action": "keep"} if of_table and self.action in REMOVES_ROWS else {}
        update |= {"severity": "warn"} if part.warns else {}
        one = self.model_copy(update=update)
        one._part = part  # noqa: SLF001  # of this class
        return one

    def require_types(self, types: Mapping[str, str]) -> None:
        """The model has the columns in the types that silver has them in.

        Raises:
            ValueError: it has others.
        """
        from flowforge_checks.contracts.model_parts import require_types, schema_of_model
        from flowforge_checks.contracts.pandera_schema import dtype_of

        schema = schema_of_model(self.model, self._folder)
        require_types(schema, self.model, {name: dtype_of(kind) for name, kind in types.items()})

    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """What DuckDB has to do with it: the columns, and `where`."""
        del reads
        return [f"SELECT {listed(self.columns_read)} FROM {table} WHERE {self.where or 'TRUE'}"]

    def prepare(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        """Ask a check of rows about all of them, and note those it says no to."""
        if self.part.kind == "row_check":
            note_invalid(
                connection, source, columns=self.part.columns, asked=self.asked, into=self._invalid, ask=self._ask
            )

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        if self.part.kind == "not_null":
            # Pandera counts NaN as null; of a column that is no float there is none.
            value = quote(self.part.columns[0])
            return f"({value} IS NOT NULL AND {value}::VARCHAR <> 'nan')" if self._is_float else f"{value} IS NOT NULL"
        return f"_rid NOT IN (SELECT _rid FROM {self._invalid})"

    @property
    def _is_float(self) -> bool:
        import polars as pl

        from flowforge_checks.contracts.model_parts import schema_of_model

        column = schema_of_model(self.model, self._folder).columns.get(self.part.columns[0])
        return getattr(getattr(column, "dtype", None), "type", None) in (pl.Float64, pl.Float32)

    @property
    def _invalid(self) -> str:
        return quote(f"_invalid_{self.check_name}")

    def _ask(self, given: pl.DataFrame) -> pl.Series:
        said = self._answers(given)
        if len(said) != len(given):
            raise RuleFunctionError(self.check_name, self.model, f"answered {len(said)} times for {len(given)} rows")
        return said

    def _answers(self, given: pl.DataFrame) -> pl.Series:
        try:
            return self.part.answers(given).fill_null(value=False)
        except Exception as error:  # noqa: BLE001  # whatever a user's code raises
            # Without its text, which may hold values.
            raise RuleFunctionError(self.check_name, self.model, f"failed with {type(error).__name__}") from None

    def query(self, judged: Judged) -> str:
        if self.part.kind == "unique":
            groups = f"SELECT count(*) AS n FROM {judged.table}{self.rows_asked} GROUP BY {listed(self.columns_read)} HAVING count(*) > 1"
            return f"SELECT coalesce(sum(n), 0) FROM ({groups})"
        return f"SELECT {listed(self.columns_read)} FROM {judged.table}{self.rows_asked}"

    def rows_breaking(self, judged: Judged) -> str:
        if self.part.kind != "unique":
            return ""
        window = f"PARTITION BY {listed(self.columns_read)}"
        return f"SELECT * FROM {judged.table}{self.rows_asked} QUALIFY count(*) OVER ({window}) > 1"

    def judge(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> Finding:
        """Ask the table; a check of it gets the columns it is about whole."""
        if self.part.kind == "unique":
            return super().judge(connection, judged)
        return self.finding((bool(self._answers(connection.sql(self.query(judged)).pl()).all()),), judged)

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        del judged
        if self.part.kind == "unique":
            rows = int(values[0])
            return Finding(rows, f"{rows:,} rows: {self.message}." if rows else "")
        return Finding(0) if values[0] else Finding(1, f"{self.message}.".capitalize())
