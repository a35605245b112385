"""What a row can break, as statements: a key that is missing, a value that is not of its type, a rule.

Belongs here: the SQL and the words of each. Does not: the verdict on rows (`gate`), what a rule says (`rules`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from flowforge_checks.rules.sets import SetRule
from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_checks.rules import Action, Rule, Severity

KEYS_PRESENT = "keys_present"
TYPE = "type"
PARTITION = "partition"


@dataclass(frozen=True)
class Statement:
    """One thing a row can break: a rule, a missing key, or a value that is not of its type. `expected` says what would not.

    `broken`: SQL over `typed`, false for every row where only a `rule` knows it. `asked`: SQL, if any, for the rows it is asked of.
    `waived`: SQL over `verdict` for the rows that a person lets break it, where a `rule` judges them.
    """

    check: str
    column: str | None
    broken: str
    action: Action
    severity: Severity
    message: str
    expected: str
    asked: str | None = None
    rule: Rule | None = None
    waived: str = "FALSE"

    @property
    def fingerprint(self) -> str:
        """Changes when something else is asked of a row: a waiver is of the rule as it was."""
        return sha256(repr((self.check, self.column, self.message, self.expected, self.asked)).encode()).hexdigest()[
            :12
        ]


def broken_flag(column: str) -> str:
    """Name of the flag in `typed` that is true where a column's text did not cast."""
    return f"_broken_{column}"


def statements(
    keys: Sequence[str], types: Mapping[str, str], rules: Sequence[Rule], reads: Mapping[str, str]
) -> list[Statement]:
    """Every statement of a table: keys present, values of their type, then the row rules in YAML's order.

    `types` gives the declared type, as people read it, of each column that can fail to cast; `reads` the local file of
    each other table.
    """
    others = relations(reads)
    absent = [
        Statement(
            KEYS_PRESENT,
            key,
            f"{quote(key)} IS NULL" + ("" if key in types else f" OR {quote(key)} = ''"),
            "quarantine",
            "error",
            f"key column {key} is empty",
            "not empty",
        )
        for key in keys
    ]
    uncast = [
        Statement(TYPE, name, quote(broken_flag(name)), "quarantine", "error", f"{name} is not {kind}", kind)
        for name, kind in types.items()
    ]
    judged = [_of_rule(rule, others) for rule in rules if rule.judges == "row"]
    return [*absent, *uncast, *judged]


def relations(reads: Mapping[str, str]) -> dict[str, str]:
    """SQL of each table whose local Parquet file is given."""
    return {name: f"read_parquet({literal(file)})" for name, file in reads.items()}


def of_partition(column: str | None, unlisted: str) -> Statement:
    """The row belongs to one of the partitions there are."""
    what = f"`{column}`" if column else "the landing path"
    return Statement(
        PARTITION,
        column,
        unlisted,
        "quarantine",
        "error",
        f"{what} is none of the declared partitions",
        "one of the declared partitions",
    )


def _of_rule(rule: Rule, reads: Mapping[str, str]) -> Statement:
    broken = "FALSE" if isinstance(rule, SetRule) else rule.broken(reads)
    expected = rule.demand.replace("`", "")
    asked = rule.asked if rule.where else None
    return Statement(
        rule.check_name,
        rule.own_column,
        broken,
        rule.effective_action,
        rule.severity,
        rule.message,
        expected,
        asked,
        rule,
    )


def reason(one: Statement, headers: Mapping[str, str]) -> str:
    """SQL over `landed` for what is said of a row that breaks a statement; `headers`: where each column's text stands."""
    value = quote(headers[one.column]) if one.column is not None and one.column in headers else "NULL"
    return (
        f"{{'rule': {literal(one.check)}, 'column': {literal(one.column)}::VARCHAR, 'message': {literal(one.message)}, "
        f"'value': {value}::VARCHAR, 'expected': {literal(one.expected)}, 'fingerprint': {literal(one.fingerprint)}}}"
    )
