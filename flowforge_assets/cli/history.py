"""What `flowforge history`, `rollback` and `sweep` say; what they do is in the modules they call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_table, find_workflow
from flowforge_assets.silver.rollback import Rollback, newly_left_out, plan_rollback, record, roll_back
from flowforge_assets.written_history import rendered_here, retention_of
from flowforge_checks.books import ACCOUNT
from flowforge_resources.bronze_parts import files_of
from flowforge_resources.errors import DefinitionError, FlowForgeError
from flowforge_resources.history import versions
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.left_out import left_out_of
from flowforge_resources.sweep import KINDS, Swept, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from flowforge_assets.catalog import Declared
    from flowforge_resources.bronze_parts import BronzeFile
    from flowforge_resources.history import Version
    from flowforge_resources.retention import Retention

_FILES_SHOWN = 10
SWEPT_BY = "flowforge sweep"


class NoHistoryError(FlowForgeError):
    """A table without a version."""

    def __init__(self, table: TableId, url: str) -> None:
        super().__init__(f"{table} was never published on {url}.")


@dataclass(frozen=True)
class History:
    """The versions of a table, newest first."""

    table: TableId
    versions: Sequence[Version]

    def as_dicts(self) -> list[dict[str, Any]]:
        """For `--json`."""
        return [_as_dict(one) for one in self.versions]

    def render(self) -> RenderableType:
        """For the terminal."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{self.table}, times in UTC", title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in ("version", "rows", "bytes"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("published", "run", "what happened"):
            table.add_column(name, overflow="fold")
        for one in self.versions:
            number = Text(f"{'→ ' if one.current else ''}{one.number}", style="bold" if one.current else "")
            sizes = (f"{one.published.rows:,}", f"{one.published.object.size_bytes:,}")
            run = str(one.facts.get("run_id", ""))[:8]
            table.add_row(number, *sizes, f"{one.published_at:%Y-%m-%d %H:%M:%S}", run, Text(_what(one)))
        return table


def _what(version: Version) -> str:
    """What happened, with the books of the batch."""
    books = version.facts.get("books", {})
    account = ", ".join(f"{books[name]:,} {name}" for name in ACCOUNT if name in books)
    return f"{version.what}: {account}" if account else version.what


def _as_dict(version: Version) -> dict[str, Any]:
    facts = version.facts
    return {
        "version": version.number,
        "current": version.current,
        "published_at": version.published_at.isoformat(),
        "replaced_at": version.replaced_at.isoformat() if version.replaced_at else None,
        "run_id": facts.get("run_id") or None,
        "rows": version.published.rows,
        "size_bytes": version.published.object.size_bytes,
        "what": version.what,
        "cause": facts.get("cause"),
        "books": dict(facts.get("books", {})),
        "bronze_version": facts.get("bronze_version"),
        "left_out_bronze": [list(one) for one in left_out_of(facts)],
        "rolled_back_to": facts.get("rolled_back_to"),
        "by": facts.get("by"),
        "reason": facts.get("reason"),
        "key": version.key,
    }


def history_of(table: str, workflow: str | None) -> History:
    """The versions of a table.

    Raises:
        UnknownNameError: no such table.
        NoHistoryError: it was never published here.
    """
    named, lake = find_table(table, workflow, declared_workflows()), Lake()
    found = versions(lake, named)
    if not found:
        raise NoHistoryError(named, lake.url)
    return History(named, found)


@dataclass(frozen=True)
class Done:
    """A rollback that was made, or would be."""

    plan: Rollback
    files: tuple[BronzeFile, ...]
    dry_run: bool
    recorded: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **self.plan.as_dict(),
            "files": [one.key for one in self.files],
            "dry_run": self.dry_run,
            "recorded": self.recorded,
        }

    def __str__(self) -> str:
        plan, then = self.plan, self.plan.target.published.rows
        verb = "would be rolled back" if self.dry_run else "rolled back"
        lines = [
            f"{plan.table} {verb} from version {plan.current.number} to {plan.target.number}, as version {plan.number}: {plan.current.published.rows:,} rows → {then:,} rows."
        ]
        if self.files:
            more = f" and {len(self.files) - _FILES_SHOWN} more" if len(self.files) > _FILES_SHOWN else ""
            lines.append(f"Left out from now on: {', '.join(map(_named, self.files[:_FILES_SHOWN]))}{more}.")
        if plan.other_definition:
            lines.append(
                f"Version {plan.target.number} was made by another definition of the table: the next run makes the table anew by the one that is declared then, without what is left out."
            )
        if not self.dry_run:
            lines.append(
                f"Undo: flowforge rollback {plan.table} --to {plan.current.number}. Gold follows with the next run."
            )
        return "\n".join(lines)


def _named(file: BronzeFile) -> str:
    """The file; where only some of its rows are meant, as many of it."""
    return f"{sum(part.rows for part in file.parts):,} rows of {file.key}" if file.spans else file.key


def roll_table_back(table: str, workflow: str | None, wanted: str, *, reason: str, dry_run: bool) -> Done:
    """Roll a table back, or say what that would do.

    Raises:
        UnknownNameError: no such table.
        RollbackError: no such version, or a run published meanwhile.
    """
    lake = Lake()
    plan = plan_rollback(lake, find_table(table, workflow, declared_workflows()), wanted)
    bronze = tuple(files_of(newly_left_out(lake, plan)))
    if dry_run:
        return Done(plan, bronze, dry_run=True)
    made = roll_back(lake, plan, reason=reason)
    return Done(plan, bronze, dry_run=False, recorded=record(lake, plan, made))


@dataclass(frozen=True)
class SweptWorkflow:
    """What a sweep removed."""

    swept: Swept

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self.swept)

    def __str__(self) -> str:
        verb = "would remove" if self.swept.dry_run else "removed"
        lines = [f"{verb}: {one.kind}: {one.name} ({one.size_bytes:,} bytes)" for one in self.swept.removed]
        counts = [f"{kind}: {len(found)}" for kind in KINDS if (found := self.swept.of_kind(kind))]
        lines.append(f"{verb}: {', '.join(counts) or 'nothing'}")
        return "\n".join([*lines, *self.swept.notes])


def sweep_workflow(workflow: str | None, *, older_than_hours: float, dry_run: bool) -> SweptWorkflow:
    """Sweep one workflow's tables, or all of them, by the YAML.

    Raises:
        UnknownNameError: no such workflow.
        DefinitionError: a `history` that is none.
    """
    known = declared_workflows()
    chosen = [find_workflow(workflow, known)] if workflow else list(known.values())
    tables = {table: retention for one in chosen for table, retention in _retentions(one).items()}
    span = timedelta(hours=older_than_hours)
    return SweptWorkflow(sweep(Lake(), tables, run_id=SWEPT_BY, older_than=span, dry_run=dry_run))


def _retentions(workflow: Declared) -> dict[TableId, Retention]:
    found = {}
    for name, written in workflow.history.items():
        try:
            found[TableId(workflow.name, name)] = retention_of(written or {}, rendered_here)
        except (TypeError, ValueError) as error:
            raise DefinitionError(
                f"defs/{workflow.name}/defs.yaml", f"`history` of '{name}': {error}.", "See `dg check yaml`."
            ) from None
    return found
