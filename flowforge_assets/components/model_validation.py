"""What a model's YAML says of its columns against what its SQL returns. Everything here is found before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.gold.build import KEY
from flowforge_assets.gold.lookups import lookup_check
from flowforge_assets.gold.orphans import foreign_check
from flowforge_assets.model_sql.rule_questions import ITSELF, first_refused
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowforge_assets.components.gold_part import GoldPart
    from flowforge_assets.components.known import KnownTables
    from flowforge_assets.gold.model_spec import ModelSpec


def validate_model(model: GoldPart, spec: ModelSpec, known: KnownTables) -> Mapping[str, str] | None:
    """The columns the model returns, with their types; None where only a run can say.

    Raises:
        DefinitionError: DuckDB cannot run the SQL, or a lookup cannot work; a key, foreign key, test, documented or personal column that the SQL
            does not return; a foreign key or reference to a column the other table lacks; a test that cannot be asked.
    """
    columns = known.analysis(spec.id).columns
    _refuse_doubles(model, spec)
    for field, names in _columns_named(model, spec):
        _require(model, columns, field, names)
    for foreign in spec.foreign_keys:
        field = f"foreign key `{foreign.column}`"
        _require_there(model, known, spec, field=field, table=foreign.model, column=foreign.target)
    for test in spec.tests:
        for to in test.referenced_columns:
            field = f"test {test.check_name}"
            _require_there(model, known, spec, field=field, table=test.tables_read[0], column=to)
    if columns is not None:
        _require_asked(model, spec, known, columns)
    return columns


def _columns_named(model: GoldPart, spec: ModelSpec) -> Iterable[tuple[str, Iterable[str]]]:
    yield "`keys`", spec.keys
    yield "`foreign_keys`", [one.column for one in spec.foreign_keys]
    yield "`unknown_member`", [spec.unknown_member] if spec.unknown_member else []
    yield "`columns`", model.documented
    yield "`pii`", sorted(spec.pii)
    yield "`not_pii`", sorted(spec.not_pii)
    for test in spec.tests:
        yield f"test {test.check_name}", test.columns_read


def _require(model: GoldPart, columns: Mapping[str, str] | None, field: str, names: Iterable[str]) -> None:
    for name in names:
        if columns is not None and name not in columns:
            raise model.wrong(
                f"{field} of model '{model.name}' names the column '{name}', which its SQL does not return.{did_you_mean(name, columns)}",
                "Correct the name, or return that column.",
            )


def _require_there(
    model: GoldPart, known: KnownTables, spec: ModelSpec, *, field: str, table: str, column: str
) -> None:
    there = known.columns(spec.reads[table])
    if there is not None and column not in there:
        raise model.wrong(
            f"{field} of model '{model.name}' points to '{table}.{column}', and '{table}' has no column '{column}'.{did_you_mean(column, there)}",
            "Say which column with `to:`.",
        )


def _require_asked(model: GoldPart, spec: ModelSpec, known: KnownTables, columns: Mapping[str, str]) -> None:
    read = {name: known.columns(spec.reads[name]) for test in spec.tests for name in test.tables_read}
    others = {name: types for name, types in read.items() if types is not None}
    asked = [test for test in spec.tests if set(test.tables_read) <= others.keys()]
    for test in asked:
        try:
            test.require_types(columns)
        except ValueError as error:
            raise model.wrong(f"test {test.check_name} of model '{model.name}': {error}", "") from None
    reads = {name: quote(name) for name in others}
    refused = (
        first_refused([test.questions(quote(ITSELF), reads) for test in asked], columns, others) if asked else None
    )
    if refused:
        at, said = refused
        raise model.wrong(f"test {asked[at].check_name} of model '{model.name}' cannot be asked: {said}", "Correct it.")


def _refuse_doubles(model: GoldPart, spec: ModelSpec) -> None:
    seen = {KEY, *map(foreign_check, spec.foreign_keys), *map(lookup_check, spec.lookups)}
    for test in spec.tests:
        if test.check_name in seen:
            raise model.wrong(
                f"model '{model.name}' has two checks named '{test.check_name}'.", "Rename one with `name:`."
            )
        seen.add(test.check_name)
