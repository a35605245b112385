"""Rules: declared statements about valid rows or a valid table. Each kind is a small class that does its own work.

Belongs here: what a rule says, in SQL and in words, and what its parameters must be. Does not: when rules run (`gate`,
`table_judge`), or how a result is shown (`results`). Null passes every rule but those about null.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flowforge_checks.rules.base import (
    BROKEN_ROWS,
    REMOVES_ROWS,
    Action,
    ColumnRule,
    RowRule,
    Rule,
    Scalar,
    Severity,
    in_code,
)
from flowforge_checks.rules.compare import AtLeastOneNotNull, Compare, ExactlyOneNotNull
from flowforge_checks.rules.determines import Determines
from flowforge_checks.rules.expression import Expression
from flowforge_checks.rules.formats import Format
from flowforge_checks.rules.freshness import FreshWithin
from flowforge_checks.rules.growth import RowCountChange
from flowforge_checks.rules.measures import (
    DistinctCount,
    MeanBetween,
    NullRate,
    QuantileBetween,
    RowCount,
    SumBetween,
)
from flowforge_checks.rules.near_median import NearMedian
from flowforge_checks.rules.pairs import NoPair
from flowforge_checks.rules.pandera_model import Pandera
from flowforge_checks.rules.python import Python
from flowforge_checks.rules.query import Sql
from flowforge_checks.rules.references import References
from flowforge_checks.rules.series import NoGaps
from flowforge_checks.rules.sets import Rows, SetRule, Unique
from flowforge_checks.rules.spelling import OneSpelling
from flowforge_checks.rules.spread import DistributionLike
from flowforge_checks.rules.table_schema import SchemaIs
from flowforge_checks.rules.tables import Finding, Judged, TableRule
from flowforge_checks.rules.types import Type
from flowforge_checks.rules.values import (
    AllowedValues,
    ForbiddenValues,
    Length,
    Matches,
    NotBlank,
    NotNull,
    Range,
)

AnyRule = Annotated[
    NotNull
    | NotBlank
    | Range
    | Length
    | AllowedValues
    | ForbiddenValues
    | Matches
    | Type
    | Format
    | Compare
    | AtLeastOneNotNull
    | ExactlyOneNotNull
    | References
    | Expression
    | Python
    | Pandera
    | Unique
    | Determines
    | NoPair
    | OneSpelling
    | NearMedian
    | RowCount
    | RowCountChange
    | NullRate
    | DistinctCount
    | MeanBetween
    | SumBetween
    | QuantileBetween
    | FreshWithin
    | SchemaIs
    | NoGaps
    | DistributionLike
    | Sql,
    Field(discriminator="rule"),
]
RULE_KINDS: tuple[type[Rule], ...] = (
    NotNull,
    NotBlank,
    Range,
    Length,
    AllowedValues,
    ForbiddenValues,
    Matches,
    Type,
    Format,
    Compare,
    AtLeastOneNotNull,
    ExactlyOneNotNull,
    References,
    Expression,
    Python,
    Pandera,
    Unique,
    Determines,
    NoPair,
    OneSpelling,
    NearMedian,
    RowCount,
    RowCountChange,
    NullRate,
    DistinctCount,
    MeanBetween,
    SumBetween,
    QuantileBetween,
    FreshWithin,
    SchemaIs,
    NoGaps,
    DistributionLike,
    Sql,
)

__all__ = [
    "BROKEN_ROWS",
    "REMOVES_ROWS",
    "RULE_KINDS",
    "Action",
    "AllowedValues",
    "AnyRule",
    "AtLeastOneNotNull",
    "ColumnRule",
    "Compare",
    "Determines",
    "DistinctCount",
    "DistributionLike",
    "ExactlyOneNotNull",
    "Expression",
    "Finding",
    "ForbiddenValues",
    "Format",
    "FreshWithin",
    "Judged",
    "Length",
    "Matches",
    "MeanBetween",
    "NearMedian",
    "NoGaps",
    "NoPair",
    "NotBlank",
    "NotNull",
    "NullRate",
    "OneSpelling",
    "Pandera",
    "Python",
    "QuantileBetween",
    "Range",
    "References",
    "RowCount",
    "RowCountChange",
    "RowRule",
    "Rows",
    "Rule",
    "Scalar",
    "SchemaIs",
    "SetRule",
    "Severity",
    "Sql",
    "SumBetween",
    "TableRule",
    "Type",
    "Unique",
    "in_code",
]
