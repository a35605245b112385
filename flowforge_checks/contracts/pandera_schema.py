"""A contract as a pandera schema: columns with their types, and a check for each rule.

Pandera asks; the answers come from `frame_judge`. Belongs here: what pandera is told. Does not: what a rule means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_checks.contracts import ContractError
from flowforge_checks.contracts.frame_judge import Given, valid_rows
from flowforge_checks.rules import Expression
from flowforge_checks.statements import KEYS_PRESENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pandera.polars as pa
    import polars as pl
    from pandera.api.polars.types import PolarsData

    from flowforge_checks.contracts import Contract
    from flowforge_checks.rules import Action, Rule

__all__ = ["Given", "compile_schema"]


def compile_schema(
    contract: Contract, given: Given, *, actions: Iterable[Action] | None = None, leave_out: Collection[str] = ()
) -> pa.DataFrameSchema:
    """See `flowforge_checks.schema_of`.

    A rule about one column is a check of that column, so that its failure cases hold only that column's values; any
    other is a check of the frame. The metadata says of each check which rule, action and severity it has.
    """
    import pandera.polars as pa

    wanted = set(actions) if actions is not None else None
    rules = [
        rule
        for rule in contract.rules
        if rule.check_name not in leave_out and (wanted is None or rule.effective_action in wanted)
    ]
    _require_reads(contract, rules, given)
    checks = {rule.check_name: _check(contract, rule, given) for rule in rules}
    names = {column.name for column in contract.columns}
    of_column = {rule.check_name: own for rule in rules if (own := _own_column(rule)) in names}
    columns = {}
    for column in contract.columns:
        asked = [check for name, check in checks.items() if of_column.get(name) == column.name]
        if column.name in contract.keys and column.sql_type == "VARCHAR" and (wanted is None or "quarantine" in wanted):
            asked.insert(0, _key_check(column.name))
        columns[column.name] = pa.Column(
            dtype_of(column.sql_type),
            asked,
            nullable=column.nullable,
            required=not column.added,
            description=column.description,
            metadata={"pii": column.pii},
        )
    of_frame = [check for name, check in checks.items() if name not in of_column]
    told = {rule.check_name: _told(rule) for rule in rules}
    return pa.DataFrameSchema(
        columns,
        of_frame,
        name=contract.name,
        description=contract.description,
        metadata={**contract.facts, "keys": list(contract.keys), "rules": told},
    )


def dtype_of(sql_type: str) -> Any:
    """The Polars type of a DuckDB type, as a Parquet file of it is read.

    Raises:
        ContractError: it has none here.
    """
    import polars as pl

    name, _, size = sql_type.partition("(")
    if name == "DECIMAL":
        precision, scale = size.rstrip(")").split(",")
        return pl.Decimal(int(precision), int(scale))
    known: dict[str, Any] = {
        "VARCHAR": pl.String,
        "BIGINT": pl.Int64,
        "DOUBLE": pl.Float64,
        "BOOLEAN": pl.Boolean,
        "DATE": pl.Date,
        "TIME": pl.Time,
        "TIMESTAMP": pl.Datetime("us"),
    }
    if name not in known:
        raise ContractError(f"{sql_type} has no Polars type here.")
    return known[name]


def _own_column(rule: Rule) -> str | None:
    """The one column a rule is about; a condition or SQL may read any other, and then shows nothing of it."""
    return None if isinstance(rule, Expression) else rule.own_column


def _told(rule: Rule) -> dict[str, Any]:
    said = {
        "rule": rule.rule,
        "action": rule.effective_action,
        "severity": rule.severity,
        "judges": rule.judges,
        "columns": list(rule.columns_read),
        "demand": rule.demand.replace("`", ""),
    }
    more = {name: value for name in ("description", "owner", "where") if (value := getattr(rule, name))}
    return said | more


def _check(contract: Contract, rule: Rule, given: Given) -> pa.Check:
    import pandera.polars as pa

    def ask(data: PolarsData) -> pl.LazyFrame:
        frame = data.lazyframe.collect()
        return valid_rows(contract, rule, frame, given).to_frame("valid").lazy()

    # Without `error`, which pandera would show in place of the name.
    return pa.Check(
        ask, name=rule.check_name, title=rule.message, description=rule.about, statistics=_told(rule), ignore_na=False
    )


def _key_check(key: str) -> pa.Check:
    """An empty text is no key either; that it is not null is the column's own matter."""
    import pandera.polars as pa
    import polars as pl

    def ask(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(key).ne_missing(""))

    said = {"rule": KEYS_PRESENT, "action": "quarantine", "severity": "error"}
    return pa.Check(ask, name=KEYS_PRESENT, title=f"key column {key} is empty", statistics=said)


def _require_reads(contract: Contract, rules: Iterable[Rule], given: Given) -> None:
    for rule in rules:
        for name in rule.tables_read:
            if name not in given.reads:
                raise ContractError(
                    f"Rule {rule.check_name} of {contract.name} looks into the table '{name}'. Give its rows, "
                    f"`reads={{'{name}': frame}}`, or write `leave_out=['{rule.check_name}']`."
                )
