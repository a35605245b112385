"""What a user's pandera model says, part by part: of a row, or of the table.

Belongs here: taking a model apart, and asking one check. Does not: what follows from the answer (`rules.pandera_model`).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandera.polars as pa
    import polars as pl

Kind = Literal["not_null", "unique", "row_check", "table_check"]


@dataclass(frozen=True)
class ModelPart:
    """One statement of a model.

    `columns`: those it is about; of a check of the whole frame all of the model's. `key`: the column a check is of.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    key: str | None = None
    check: Any = None
    says: str = ""
    warns: bool = False

    def answers(self, frame: pl.DataFrame) -> pl.Series:
        """What the check says: of each row, or one answer of the table; pandera's own word on null."""
        from pandera.constants import CHECK_OUTPUT_KEY
        from polars.exceptions import PolarsInefficientMapWarning

        with warnings.catch_warnings():
            # That element-wise checks are slow is the model's matter.
            warnings.simplefilter("ignore", PolarsInefficientMapWarning)
            said: pl.Series = self.check(frame.lazy(), self.key).check_output.collect()[CHECK_OUTPUT_KEY]
            return said


@lru_cache(maxsize=64)
def parts_of(written: str, folder: Path, source: str, columns: tuple[str, ...]) -> tuple[ModelPart, ...]:
    """The parts of a model for a table of some columns. `source` is of the file's content, so that a change is seen.

    Raises:
        ValueError: it is no model, says what a rule cannot, or does not fit the columns.
        flowforge_resources.python_function.StepError: it is not there.
    """
    del source
    schema = schema_of_model(written, folder)
    if refused := _refused(schema):
        raise ValueError(f"`model: {written}` {refused}")
    named = _columns(schema, columns, written)
    frame = _empty(named)
    found: list[ModelPart] = []
    for name, column in named.items():
        if not column.nullable:
            found.append(ModelPart(f"{name}_not_null", "not_null", (name,), name, None, f"{name} is not empty"))
        if column.unique:
            found.append(ModelPart(f"{name}_unique", "unique", (name,), name, None, f"no two rows share {name}"))
        found += [_check(check, name, (name,), frame) for check in column.checks]
    if schema.unique:
        keys = (schema.unique,) if isinstance(schema.unique, str) else tuple(schema.unique)
        said = f"no two rows share {', '.join(keys)}"
        found.append(ModelPart(f"{'_'.join(keys)}_unique", "unique", keys, None, None, said))
    found += [_check(check, None, tuple(named), frame) for check in schema.checks]
    if not found:
        raise ValueError(f"`model: {written}` checks nothing. Remove the rule.")
    return _apart(found)


def schema_of_model(written: str, folder: Path) -> pa.DataFrameSchema:
    """The schema of a `DataFrameModel`, or one itself.

    Raises:
        ValueError: it is neither.
        flowforge_resources.python_function.StepError: it is not there.
    """
    import pandera.polars as pa

    from flowforge_resources.python_function import PythonFunction

    found: Any = PythonFunction(written, folder).load()
    if isinstance(found, type) and issubclass(found, pa.DataFrameModel):
        found = found.to_schema()
    if not isinstance(found, pa.DataFrameSchema):
        raise ValueError(  # noqa: TRY004  # pydantic and the definition's checks know this one
            f"`model: {written}` is no DataFrameModel or DataFrameSchema of pandera.polars. Import pandera.polars, and name one."
        )
    return found


def require_types(schema: pa.DataFrameSchema, written: str, types: dict[str, Any]) -> None:
    """A model's types are those that silver has: it casts by the table's columns, and nothing is coerced afterwards.

    Args:
        schema: of the model.
        written: how the YAML names it.
        types: the Polars types of the columns.

    Raises:
        ValueError: they are others.
    """
    for name, column in _matched(schema, tuple(types)).items():
        wanted = _type_of(column)
        if name in types and wanted is not None and wanted != types[name]:
            raise ValueError(
                f"`model: {written}` has `{name}` as {wanted}, and the table declares it as {types[name]}. Declare the same `type` in both."
            )


def _refused(schema: pa.DataFrameSchema) -> str:
    """What a model says that no rule can."""
    columns = schema.columns.values()
    if schema.parsers or any(column.parsers for column in columns):
        return "has parsers, which change values, and a rule changes none. Write them as `transforms` of the table."
    if schema.drop_invalid_rows or any(column.drop_invalid_rows for column in columns):
        return "has `drop_invalid_rows`. Take it out, and write `action: drop` at the rule."
    if schema.add_missing_columns or any(column.default is not None for column in columns):
        return "fills in columns or defaults, and a rule changes no value. Write the transform `coalesce` or `derive`."
    if schema.strict == "filter":
        return "has `strict: filter`, which takes columns out. Declare only the columns that silver shall have."
    if any(
        check.groupby is not None for check in [*schema.checks, *(one for column in columns for one in column.checks)]
    ):
        return "has a check with `groupby`, which pandera does not do on Polars frames."
    return ""


def _columns(schema: pa.DataFrameSchema, declared: Sequence[str], written: str) -> dict[str, Any]:
    """The model's columns that the table has."""
    found = _matched(schema, tuple(declared))
    if absent := [
        name for name, column in schema.columns.items() if column.required and not column.regex and name not in declared
    ]:
        raise ValueError(f"`model: {written}` has the column '{absent[0]}', which the table does not declare.")
    if schema.strict and (more := [name for name in declared if name not in found]):
        raise ValueError(f"`model: {written}` is strict and has no '{more[0]}', which the table declares.")
    if schema.ordered and [name for name in declared if name in found] != list(found):
        raise ValueError(f"`model: {written}` is ordered, and the table declares the columns in another order.")
    return found


def _matched(schema: pa.DataFrameSchema, declared: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in schema.columns.items():
        fitting = [one for one in declared if re.fullmatch(name, one)] if column.regex else [name]
        found |= {one: column for one in fitting if one in declared}
    return found


def _type_of(column: Any) -> Any:
    return getattr(column.dtype, "type", None)


def _empty(columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={name: _type_of(column) or pl.String for name, column in columns.items()})


def _check(check: Any, key: str | None, columns: tuple[str, ...], empty: pl.DataFrame) -> ModelPart:
    """A check that answers once for a frame without rows answers for the table; one that answers not at all, for rows."""
    said = check.name if check.name and check.name.isidentifier() else "check"
    name = f"{key}_{said}" if key else said
    told = check.error or check.description or check.title or (f"{said}({key})" if key else said)
    part = ModelPart(name, "row_check", columns, key, check, str(told), bool(check.raise_warning))
    try:
        of_rows = len(part.answers(empty)) == 0
    except Exception:  # noqa: BLE001  # whatever a user's code raises where there is no value to compute with
        of_rows = False
    return part if of_rows else ModelPart(name, "table_check", columns, key, check, part.says, part.warns)


def _apart(parts: Sequence[ModelPart]) -> tuple[ModelPart, ...]:
    """Every part with a name of its own."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    found = []
    for part in parts:
        seen[part.name] = seen.get(part.name, 0) + 1
        found.append(replace(part, name=f"{part.name}_{seen[part.name]}") if seen[part.name] > 1 else part)
    return tuple(found)
