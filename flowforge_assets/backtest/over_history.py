"""Rules asked of history: row rules of each run's bronze, typed and judged as silver does; table rules of each version.

One run or version at a time, so that memory and disk do not grow with the history. Nothing is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from flowforge_assets.backtest.told import BackTest, Moment, Tried
from flowforge_assets.backtest.wanted import BacktestError
from flowforge_assets.partitions.checks import unlisted
from flowforge_assets.preview import shown_columns
from flowforge_assets.silver.batch import Batch
from flowforge_assets.silver.stage import referenced
from flowforge_assets.silver.versions_before import rows_of_version, to_compare_with
from flowforge_assets.strategies import judged
from flowforge_assets.strategies.beside import rows_beside
from flowforge_assets.transforms.prepare import prepare
from flowforge_assets.transforms.rows_that_count import rows_that_count
from flowforge_checks.gate import Gate
from flowforge_checks.results import of_count
from flowforge_checks.rules import REMOVES_ROWS, Judged, SetRule
from flowforge_checks.statements import relations, statements
from flowforge_checks.table_judge import judge
from flowforge_resources.duck import connect, one_row
from flowforge_resources.history import versions
from flowforge_resources.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from flowforge_assets.backtest.wanted import Wanted
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import CheckCount
    from flowforge_checks.results import Outcome
    from flowforge_checks.rules import Rule
    from flowforge_resources.bronze_parts import BronzePart
    from flowforge_resources.history import Version
    from flowforge_resources.lake import Lake

_IN_A_BATCH = "Rules about rows beside each other were asked of each batch by itself, without the table it went into."
_AS_NOW = "Other tables were looked into as they are now."


def backtest(lake: Lake, wanted: Wanted, *, runs: int = 30, since: datetime | None = None) -> BackTest:
    """What some rules of a table would have done.

    Args:
        lake: where the table is.
        wanted: the table with the rules, and which of them are tried.
        runs: of the newest so many runs and versions.
        since: in place of `runs`: of those since a moment.

    Raises:
        BacktestError: there is no history, or it is asked of none.
    """
    if runs < 1:
        raise BacktestError(f"`runs: {runs}` asks of no run. Write 1 or more, or a moment as `since`.")
    spec = wanted.spec
    of_rows = [rule for rule in wanted.rules if rule.judges == "row"]
    of_table = [rule for rule in wanted.rules if rule.judges == "table"]
    with lake.scratch() as scratch:
        history = _History(lake, spec, referenced(lake, spec, scratch))
        tried_runs = history.runs(of_rows, runs, since) if of_rows else ()
        tried_versions = history.versions(of_table, runs, since) if of_table else ()
    if not tried_runs and not tried_versions:
        raise BacktestError(
            f"{spec.id} has no history{f' since {since:%Y-%m-%d %H:%M}' if since else ''} to try it over."
        )
    notes = [_IN_A_BATCH] * any(isinstance(rule, SetRule) for rule in of_rows)
    notes += [_AS_NOW] * any(rule.tables_read for rule in wanted.rules)
    demands = {rule.check_name: rule.demand.replace("`", "") for rule in wanted.rules}
    return BackTest(str(spec.id), tuple(demands), demands, tried_runs, tried_versions, tuple(notes))


@dataclass(frozen=True)
class _History:
    """The past of one table. `reads`: local files of the other tables, as they are now."""

    lake: Lake
    spec: TableSpec
    reads: Mapping[str, str]

    def runs(self, rules: Sequence[Rule], most: int, since: datetime | None) -> tuple[Moment, ...]:
        """What rules of rows find in the newest runs' batches."""
        ledger = read_ledger(self.lake, self.spec.root.id)
        entries = [one for one in ledger.data_after(0) if since is None or _utc(one.committed_at) >= since]
        by_run = [tuple(group) for _, group in groupby(entries, key=lambda one: one.run_id)]
        chosen = by_run if since is not None else by_run[-most:]
        gone = ledger.superseded()
        return tuple(self._run(rules, Batch(parts, None, 0, superseded=gone)) for parts in chosen)

    def _run(self, rules: Sequence[Rule], batch: Batch) -> Moment:
        """One run's rows, as a silver run would judge them; in a scratch folder of its own, gone afterwards."""
        spec = self.spec
        with self.lake.scratch() as scratch, connect(scratch.root) as connection:
            bronze = [self.lake.stage_in(file.key, scratch) for file in batch.files]
            counting = rows_that_count(batch.files, batch.retracted)
            prepared = prepare(connection, spec, bronze, counting, reads=self.reads, scratch=scratch)
            types = {column.name: column.expected for column in spec.typed_columns}
            told = judged.judged(spec, statements(spec.keys, types, spec.rules, self.reads))
            gate = Gate(
                connection,
                [*told, *prepared.statements, *unlisted(spec)],
                spec.keys,
                rows_beside(spec, None),
                prepared.landed_of,
            )
            counts = {
                one.check: one for one in gate.counts([one.name for one in spec.columns if one.name not in spec.pii])
            }
            tried = tuple(_tried(connection, gate, counts[rule.check_name]) for rule in rules)
            first: BronzePart = batch.entries[0]
            return Moment(first.committed_at, gate.read, tried, run=first.run_id)

    def versions(self, rules: Sequence[Rule], most: int, since: datetime | None) -> tuple[Moment, ...]:
        """What rules of the table find in the newest versions that are kept."""
        every = versions(self.lake, self.spec.id)
        chosen = [one for one in every if one.published_at >= since] if since is not None else every[:most]
        compared = 1 + max(rule.versions_compared for rule in rules)
        older = {one.key: to_compare_with(every[place:], compared)[1:] for place, one in enumerate(every)}
        return tuple(self._version(rules, one, older[one.key]) for one in reversed(chosen))

    def _version(self, rules: Sequence[Rule], version: Version, before: Sequence[Version]) -> Moment:
        with self.lake.scratch() as scratch, connect(scratch.root) as connection:
            table, *earlier = (rows_of_version(self.lake, self.spec.id, one, scratch) for one in (version, *before))
            rows = int(one_row(connection, f"SELECT count(*) FROM {table}")[0])
            shown = [name for name in shown_columns(self.spec) if name not in self.spec.pii]
            asked = Judged(
                table, version.published_at, relations(self.reads), next(iter(earlier), None), tuple(earlier[1:])
            )
            outcomes = judge(connection, rules, asked, shown)
        tried = tuple(_of_outcome(rule, outcome, rows) for rule, outcome in zip(rules, outcomes, strict=True))
        return Moment(version.published_at.isoformat(), rows, tried, version=version.number)


def _tried(connection: duckdb.DuckDBPyConnection, gate: Gate, count: CheckCount) -> Tried:
    newly = count.rows_broken
    if count.action in REMOVES_ROWS and newly:
        newly = int(one_row(connection, f"SELECT count(*) FROM verdict WHERE {gate.only_by(count.check)}")[0])
    status, rows, broken = _status(of_count(count)), count.rows_checked, count.rows_broken
    return Tried(count.check, count.action, rows, broken, newly, status, examples=count.examples)


def _status(outcome: Outcome) -> str:
    return "blocked" if outcome.blocks and not outcome.passed else outcome.report().status


def _of_outcome(rule: Rule, outcome: Outcome, rows: int) -> Tried:
    action, said = rule.effective_action, outcome.description or ""
    if not rule.counts_rows:
        return Tried(outcome.check, action, rows, int(not outcome.passed), 0, _status(outcome), said)
    examples = outcome.metadata.get("examples")
    shown = tuple(record.data for record in examples.records) if examples is not None else ()
    asked = int(outcome.metadata["rows_checked"])
    return Tried(outcome.check, action, asked, outcome.rows_broken, outcome.rows_broken, _status(outcome), None, shown)


def _utc(moment: str) -> datetime:
    read = datetime.fromisoformat(moment)
    return read if read.tzinfo else read.replace(tzinfo=UTC)
