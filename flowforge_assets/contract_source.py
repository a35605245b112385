"""What is promised of the tables that workflows declare: the entry point `flowforge.contracts` of this project.

Belongs here: from a name or a definition to a contract. Does not: what a contract is made into (`flowforge_checks.contracts`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flowforge_assets.table_spec import TableSpec
from flowforge_assets.transforms.cast import table_types
from flowforge_assets.yaml_tables import find_spec
from flowforge_checks.contracts import Contract, ContractColumn

if TYPE_CHECKING:
    from flowforge_checks.rules import Rule


def contract_of(table: object, defs: object = None, /) -> Contract | None:
    """The contract of a `TableSpec`, or of a table by its name; None for anything else.

    Raises:
        UnknownNameError: no such workflow or table.
        DefinitionError: its YAML is wrong.
    """
    if isinstance(table, TableSpec):
        return contract_of_spec(table)
    if not isinstance(table, str):
        return None
    return contract_of_spec(find_spec(table, defs=Path(str(defs)) if defs else None))


def contract_of_spec(spec: TableSpec) -> Contract:
    """The columns that silver has, its keys, and the rules that its columns can answer."""
    declared = {column.name: column for column in spec.columns}
    columns = tuple(
        ContractColumn(
            name,
            kind,
            nullable=name not in spec.keys,
            description=declared[name].description if name in declared else None,
            pii=name in spec.pii,
            added=name not in declared,
        )
        for name, kind in table_types(spec).items()
    )
    gone = spec.strategy.except_columns
    rules = tuple(rule for rule in spec.rules if not _reads_any(rule, tuple(gone)))
    facts = {"workflow": spec.id.workflow, "table": spec.id.name, "strategy": spec.strategy.kind}
    return Contract(str(spec.id), columns, spec.keys, rules, spec.sequence_by, facts=facts)


def _reads_any(rule: Rule, gone: tuple[str, ...]) -> bool:
    """Whether a rule reads a column that silver does not store, so that only rows on their way can answer it."""
    said = " ".join([*rule.columns_read, *rule.conditions])
    return any(re.search(rf"\b{re.escape(name)}\b", said) for name in gone)
