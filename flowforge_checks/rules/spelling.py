"""Values that are spelled almost like a much more common one: typing errors, found without a list of what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flowforge_checks.rules.one_column import OneColumnSetRule
from flowforge_checks.rules.values import TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.rules.tables import Judged


class OneSpelling(OneColumnSetRule):
    """No value differs by a letter or two from one that is many times as common; null is left out.

    Digits tell values apart: `Route 1` and `Route 2` are two values.
    """

    rule: Literal["one_spelling"]
    max_edits: int = Field(
        default=1, ge=1, le=5, description="By how many letters added, left out or changed a misspelling differs."
    )
    times: int = Field(default=10, ge=2, description="How many times as common the other value is.")
    min_length: int = Field(
        default=4, ge=1, description="Shorter values are not looked at: `AL` is not a misspelt `AK`."
    )

    @property
    def demand(self) -> str:
        return f"No `{', '.join(self.columns)}` is spelled almost like one that is {self.times} times as common"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns)} is spelled almost like a value that is {self.times} times as common"

    def require_types(self, types: Mapping[str, str]) -> None:
        for name in self.columns:
            if types.get(name) not in (None, TEXT):
                raise ValueError(f"`one_spelling` reads text, and '{name}' is {types[name]}.")

    def rows_breaking(self, judged: Judged) -> str:
        rows = f"SELECT {self._value} AS v, 0 AS w FROM {judged.table} WHERE {self.present}"
        wrong = f"SELECT v FROM ({self._misspelt(rows)})"
        return f"SELECT * FROM {judged.table} WHERE {self.present} AND {self._value} IN ({wrong})"

    def losers(self, rows: Rows) -> str:
        """The batch's misspellings, among its own values and the published ones."""
        within = f"({rows.within})" if rows.within else "0"
        batch = f"SELECT {self._value} AS v, {within} AS w FROM {rows.batch} WHERE {self.present}"
        both = batch
        if rows.published is not None:
            both = f"{batch} UNION ALL SELECT {self._value}, 0 FROM {rows.published} WHERE {self.present}"
        wrong = f"SELECT w, v FROM ({self._misspelt(both)})"
        return (
            f"SELECT _rid FROM (SELECT _rid, {self._value} AS v, {within} AS w FROM {rows.batch} WHERE {self.present}) "
            f"SEMI JOIN ({wrong}) USING (w, v)"
        )

    def _misspelt(self, values: str) -> str:
        """SQL of the values `v` within `w` that are misspelt, of a query of all rows' values.

        Few values are so much more common than others, so few pairs are compared.
        """
        counted = f"SELECT w, v, count(*) AS n, regexp_replace(v, '[^0-9]', '', 'g') AS digits FROM ({values}) WHERE length(v) >= {self.min_length} GROUP BY ALL"
        near = f"abs(length(rare.v) - length(usual.v)) <= {self.max_edits} AND levenshtein(rare.v, usual.v) <= {self.max_edits}"
        return (
            f"WITH _counted AS MATERIALIZED ({counted}) SELECT DISTINCT rare.w, rare.v FROM _counted rare JOIN _counted usual "
            f"ON rare.w = usual.w AND rare.digits = usual.digits AND usual.n >= {self.times} * rare.n "
            f"WHERE usual.n >= {self.times} AND rare.v <> usual.v AND {near}"
        )
