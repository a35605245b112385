"""How what a check found is shown: asset check results with counts and examples, and the line in the run's report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_resources.run_reports import CheckReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowforge_checks.gate import CheckCount
    from flowforge_checks.rules import Finding, Rule

BOOKS = "books"


@dataclass(frozen=True)
class Outcome:
    """One check of one asset in one run."""

    check: str
    passed: bool
    warns: bool = False
    blocks: bool = False
    holds: bool = False
    rows_broken: int = 0
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def result(self, key: dg.AssetKey) -> dg.AssetCheckResult:
        """As Dagster takes it."""
        severity = dg.AssetCheckSeverity.WARN if self.warns else dg.AssetCheckSeverity.ERROR
        return dg.AssetCheckResult(
            passed=self.passed,
            asset_key=key,
            check_name=self.check,
            severity=severity,
            description=self.description,
            metadata=dict(self.metadata),
        )

    def report(self) -> CheckReport:
        """As the run's report takes it."""
        status = "passed" if self.passed else "warned" if self.warns else "failed"
        return CheckReport(self.check, status, self.rows_broken, self.holds)


def of_finding(rule: Rule, finding: Finding) -> Outcome:
    """The outcome of a rule that measures the table."""
    return Outcome(
        rule.check_name,
        passed=finding.broken == 0,
        warns=rule.severity == "warn",
        blocks=rule.effective_action == "block",
        description=finding.said or None,
        metadata={**finding.shown, "demanded": rule.demand.replace("`", ""), "action": rule.effective_action},
    )


def of_count(count: CheckCount, shown: Mapping[str, Any] | None = None) -> Outcome:
    """The outcome of a rule that counts rows: those that break it, of how many, with examples and what else is `shown`.

    A rule that takes rows out has done its work when they are out: its check warns. One that keeps them fails with
    the declared severity; one that blocks, blocks. Declared thresholds say instead what is too many.
    """
    percent = 100 * count.rows_broken / count.rows_checked if count.rows_checked else 0.0
    metadata: dict[str, Any] = {
        "rows_checked": count.rows_checked,
        "rows_broken": count.rows_broken,
        "percent_broken": round(percent, 4),
        "action": count.action,
        **(shown or {}),
    }
    warn, error = count.tolerated
    metadata |= {"warns_above": str(warn)} if warn else {}
    metadata |= {"fails_above": str(error)} if error else {}
    if count.examples:
        metadata["examples"] = as_table(count.examples)
    passed, warns = _verdict(count)
    blocks = count.action == "block" and not (error is not None and warns)
    return Outcome(
        count.check,
        passed=passed,
        warns=warns,
        blocks=blocks,
        holds=count.action == "quarantine",
        rows_broken=count.rows_broken,
        description=_sentence(count, passed=passed, blocked=blocks and not passed) if count.rows_broken else None,
        metadata=metadata,
    )


def _verdict(count: CheckCount) -> tuple[bool, bool]:
    """Whether the check passes; and if not, whether that is a warning."""
    warn, error = count.tolerated
    if warn is None and error is None:
        return count.rows_broken == 0, count.severity == "warn" or count.action in ("quarantine", "drop")
    if error is not None and error.exceeded(count.rows_broken, count.rows_checked):
        return False, False
    above = warn is not None and warn.exceeded(count.rows_broken, count.rows_checked)
    return not above, True


def _sentence(count: CheckCount, *, passed: bool, blocked: bool) -> str:
    done = {"quarantine": "are in quarantine", "drop": "were left out", "keep": "were kept"}
    kept = "stopped the table from being published" if blocked else "were kept"
    what = f"{count.rows_broken:,} of {count.rows_checked:,} rows break it and {done.get(count.action, kept)}"
    return f"{what}; so many are tolerated." if passed else f"{what}."


def blocks_publishing(outcomes: Iterable[Outcome]) -> bool:
    """Whether a blocking check failed."""
    return any(outcome.blocks and not outcome.passed for outcome in outcomes)


def unless_blocked(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes; where one of them kept the batch from being published, others say that nothing became of their rows."""
    if not blocks_publishing(outcomes):
        return tuple(outcomes)
    return tuple(
        replace(one, description=f"{one.description} But the batch was not published: nothing became of them yet.")
        if one.rows_broken and not one.blocks and one.description
        else one
        for one in outcomes
    )


def still_true(check: str) -> Outcome:
    """A blocking check of a table that this run leaves as it is: it passed when that version was published."""
    return Outcome(check, passed=True, blocks=True, description="Nothing new: the published version passed it.")


def as_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table that the UI shows without a click; at least one row."""
    columns = [dg.TableColumn(name, "int" if isinstance(value, int) else "string") for name, value in rows[0].items()]
    records = [{name: value if isinstance(value, int) else _cut(value) for name, value in row.items()} for row in rows]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records], dg.TableSchema(columns))


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; cell text cannot break out of its cell."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return _cut(value).replace("|", "\\|").replace("<", "&lt;")


def _cut(value: object, longest: int = 60) -> str:
    text = "" if value is None else str(value).replace("\n", "⏎").replace("\r", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"
