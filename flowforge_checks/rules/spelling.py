"""Values that are spelled almost like a much more common one: typing errors, found without a list of what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from flowforge_checks.rules.one_column import OneColumnSetRule
from flowforge_checks.rules.values import TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.rules.tables import Judged


Ignored = Literal["case", "blanks", "punctuation", "accents"]
# SQL of a text without what is ignored; blanks that do not break a line are blanks too.
_FOLDS: Mapping[Ignored, str] = {
    "case": "lower({})",
    "accents": "strip_accents({})",
    "blanks": "regexp_replace({}, '[\\s\\p{{Z}}]+', '', 'g')",
    "punctuation": "regexp_replace({}, '[\\p{{P}}\\p{{S}}]+', '', 'g')",
}


class OneSpelling(OneColumnSetRule):
    """No value differs by a letter or two from one that is many times as common; null is left out.

    Digits tell values apart: `Route 1` and `Route 2` are two values. What is ignored tells none apart, so that of two
    values that differ in nothing else the more common is right, however common the other is.
    """

    later = OneColumnSetRule.later | {"ignoring"}

    rule: Literal["one_spelling"]
    max_edits: int = Field(
        default=1,
        ge=0,
        le=5,
        description="By how many letters added, left out or changed a misspelling differs; 0 with `ignoring`.",
    )
    times: int = Field(default=10, ge=2, description="How many times as common the other value is.")
    min_length: int = Field(
        default=4, ge=1, description="Shorter values are not looked at: `AL` is not a misspelt `AK`."
    )

    ignoring: tuple[Ignored, ...] = Field(
        default=(),
        description="Values that differ in nothing but this are one, and the most common spelling is right: `case`, `blanks`, `punctuation`, `accents`.",
        examples=[["case", "blanks"]],
    )

    @model_validator(mode="after")
    def _check_edits(self) -> Self:
        if not self.max_edits and not self.ignoring:
            raise ValueError("`max_edits: 0` finds only what `ignoring` lets pass, e.g. `ignoring: [case, blanks]`.")
        return self

    @property
    def _almost(self) -> str:
        """How a wrong value is spelled, behind which the right one follows."""
        said = [f"almost like one that is {self.times} times as common"] * bool(self.max_edits)
        said += [f"like a more common one but for {', '.join(self.ignoring)}"] * bool(self.ignoring)
        return ", or ".join(said)

    @property
    def demand(self) -> str:
        return f"No `{', '.join(self.columns)}` is spelled {self._almost}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns)} is spelled {self._almost}"

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

    @property
    def _folded(self) -> str:
        text = "v"
        for one in self.ignoring:
            text = _FOLDS[one].format(text)
        return text

    def _misspelt(self, values: str) -> str:
        """SQL of the values `v` within `w` that are misspelt, of a query of all rows' values.

        Few values are so much more common than others, so few pairs are compared.
        """
        counted = f"SELECT w, v, count(*) AS n, {self._folded} AS f FROM ({values}) GROUP BY ALL"
        known = f"WITH _counted AS MATERIALIZED (SELECT *, regexp_replace(f, '[^0-9]', '', 'g') AS digits FROM ({counted}) WHERE f <> '')"
        near = f"abs(length(rare.f) - length(usual.f)) <= {self.max_edits} AND levenshtein(rare.f, usual.f) <= {self.max_edits}"
        almost = (
            "SELECT rare.w, rare.v FROM _counted rare JOIN _counted usual "
            f"ON rare.w = usual.w AND rare.digits = usual.digits AND usual.n >= {self.times} * rare.n "
            f"WHERE usual.n >= {self.times} AND rare.f <> usual.f AND {near} "
            f"AND length(rare.v) >= {self.min_length} AND length(usual.v) >= {self.min_length}"
        )
        alike = "SELECT w, v FROM _counted QUALIFY row_number() OVER (PARTITION BY w, f ORDER BY n DESC, v) > 1"
        said = [almost] * bool(self.max_edits) + [alike] * bool(self.ignoring)
        return f"{known} {' UNION '.join(said if len(said) > 1 else [said[0].replace('SELECT', 'SELECT DISTINCT', 1)])}"
