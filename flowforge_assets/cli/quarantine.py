"""What `flowforge quarantine` shows, and how it finds the table a person means; what it does is in the modules it calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import UnknownNameError
from flowforge_assets.quarantine.corrections import message_of
from flowforge_assets.quarantine.deciding import discarded
from flowforge_assets.quarantine.waiting import HIDDEN, NotWaitingError, Selection, Waiting, require_ids, waiting
from flowforge_resources.decisions import decide
from flowforge_resources.errors import DecisionError, did_you_mean
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg
    from rich.console import RenderableType

    from flowforge_assets.quarantine.waiting import WaitingRow
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.decisions import Decision
    from flowforge_resources.lake import Lake

_ID_SHOWN = 12


def _shown(row_id: str) -> str:
    """As many letters as are needed to name a row: of one part of a landed row all, since its siblings begin alike."""
    return row_id if "-" in row_id else row_id[:_ID_SHOWN]


def declared() -> dg.Definitions:
    """Everything under `defs/`."""
    from flowforge_assets.definitions import defs

    return defs


def specs_of(defs: dg.Definitions, workflow: str | None = None) -> list[TableSpec]:
    """The tables of a workflow, or of all."""
    from flowforge_assets.components.known import known_tables

    if defs.component_tree is None:
        raise AssertionError("definitions are loaded from a component tree")
    found = known_tables(defs.component_tree).table_specs
    if workflow is not None and workflow not in {one.workflow for one in found}:
        names = {one.workflow for one in found}
        raise UnknownNameError(f"'{workflow}' is not a workflow.{did_you_mean(workflow, names)}")
    return [spec for name, spec in sorted(found.items(), key=str) if workflow in (None, name.workflow)]


def choose(lake: Lake, specs: Sequence[TableSpec], table: str | None, chosen: Selection) -> Waiting:
    """The chosen rows of the table a person names, or of the only one that has rows with these ids.

    Raises:
        UnknownNameError: there is no such table, or it could be several.
        DecisionError: no such row waits.
    """
    if table is not None:
        return waiting(lake, spec_of(specs, table), chosen)
    if not chosen.ids:
        raise UnknownNameError("Say which table with --table: the rows are chosen by something else than their ids.")
    found = [spec for spec in specs if _waits_in(lake, spec, chosen.ids[0])]
    if len(found) != 1:
        where = "in no table" if not found else f"in {', '.join(str(spec.id) for spec in found)}"
        raise DecisionError(f"the row '{chosen.ids[0]}' waits {where}.", "Say which table with --table.")
    return waiting(lake, found[0], chosen)


def waiting_again(lake: Lake, chosen: Waiting) -> Waiting:
    """The same rows, as they stand now."""
    return waiting(lake, chosen.spec, Selection(ids=tuple(row.id for row in chosen.rows)))


def spec_of_discarded(lake: Lake, specs: Sequence[TableSpec], table: str | None, ids: Sequence[str]) -> TableSpec:
    """The table a person names, or the only one in which a row with the first of these ids was discarded.

    Raises:
        UnknownNameError: there is no such table.
        DecisionError: the row is discarded in no table, or in several.
    """
    if table is not None:
        return spec_of(specs, table)
    require_ids(ids)
    found = [spec for spec in specs if discarded(lake, spec, ids[:1])]
    if len(found) != 1:
        where = "in no table" if not found else f"in {', '.join(str(spec.id) for spec in found)}"
        raise DecisionError(f"the row '{ids[0]}' is discarded {where}.", "Say which table with --table.")
    return found[0]


def _waits_in(lake: Lake, spec: TableSpec, row: str) -> bool:
    try:
        return bool(waiting(lake, spec, Selection(ids=(row,))).rows)
    except NotWaitingError:
        return False


def spec_of(specs: Sequence[TableSpec], table: str) -> TableSpec:
    """The table of a name such as `customers` or `retail.customers`.

    Raises:
        UnknownNameError: there is none, or there are several.
    """
    found = [spec for spec in specs if table in (spec.id.name, str(spec.id))]
    if len(found) > 1:
        raise UnknownNameError(f"'{table}' is a table of several workflows: {', '.join(str(one.id) for one in found)}.")
    if not found:
        raise UnknownNameError(f"'{table}' is not a table.{did_you_mean(table, [one.id.name for one in specs])}")
    return found[0]


def decision(by: str | None, reason: str, until: str | None = None) -> Decision:
    """Who decides now, and why."""
    return decide(actor=by, reason=reason, now=utc_now(), until=until)


def parse_set(given: Sequence[str]) -> dict[str, str | None]:
    """`column=value` each; nothing after the sign empties the cell.

    Raises:
        DecisionError: one has no sign.
    """
    if bad := [one for one in given if "=" not in one]:
        raise DecisionError(f"`--set {bad[0]}` says no value.", "Write `--set column=value`.")
    return {name.strip(): value or None for name, _, value in (one.partition("=") for one in given)}


@dataclass(frozen=True)
class Listed:
    """What waits in one table, to be shown; without personal data unless it is asked for."""

    found: Waiting
    show_pii: bool = False

    @property
    def hidden(self) -> set[str]:
        """Columns whose values are not shown."""
        return set() if self.show_pii else self.found.hidden

    def as_dicts(self) -> list[dict[str, Any]]:
        """For `--json`."""
        return [self.of(row) for row in self.found.rows]

    def of(self, row: WaitingRow) -> dict[str, Any]:
        """Everything of one row."""
        return {
            "table": str(self.found.spec.id),
            "id": row.id,
            "status": row.status,
            "reasons": [self._reason(reason) for reason in row.reasons],
            "raw": self._shown(row.raw),
            "fixes": self._shown(row.ruling.planned_fixes),
            "waives": sorted(row.ruling.planned_waives),
            "decisions": row.ruling.decisions,
            "landings": [vars(landing) for landing in row.landings],
        }

    def _reason(self, reason: Mapping[str, Any]) -> dict[str, Any]:
        hide = reason["column"] in self.hidden or self._lands_hidden(reason["column"])
        return {**reason, "value": HIDDEN if hide and reason["value"] is not None else reason["value"]}

    def _lands_hidden(self, column: str | None) -> bool:
        return self.found.spec.sources.get(column or "", "") in self.hidden

    def _shown(self, values: Mapping[str, str | None]) -> dict[str, str | None]:
        return {name: HIDDEN if name in self.hidden and value else value for name, value in values.items()}

    def render(self, limit: int) -> RenderableType:
        """For the terminal: a line a row."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{self.found.spec.id}", title_justify="left", box=SIMPLE_HEAD)
        for name in ("id", "status", "file", "row", "times", "why"):
            table.add_column(name, no_wrap=name in ("id", "status"), overflow="fold")
        for row in self.found.rows[:limit]:
            first = row.landings[0]
            why = "; ".join(message_of(self._reason(reason), set()) for reason in row.reasons)
            cells = (_shown(row.id), row.status, first.source_file.rsplit("/", 1)[-1], str(first.row_number))
            table.add_row(*map(Text, (*cells, str(len(row.landings)), why)))
        counts = Counter(rule for row in self.found.rows for rule in row.rules)
        by_rule = ", ".join(f"{rows:,} {rule}" for rule, rows in counts.most_common())
        rest = f"; the first {limit} are shown" if len(self.found.rows) > limit else ""
        waiting = "row waits" if len(self.found.rows) == 1 else "rows wait"
        return Group(table, Text(f"{len(self.found.rows):,} {waiting}{rest}: {by_rule or 'none'}", style="dim"))

    def render_rows(self) -> RenderableType:
        """For the terminal: everything of each row."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts = []
        for row in self.as_dicts():
            table = Table(title=f"{row['table']} {row['id']}: {row['status']}", title_justify="left", box=None)
            table.add_column(style="bold")
            table.add_column(overflow="fold")
            for name, value in row["raw"].items():
                fixed = f" → {row['fixes'][name]}" if name in row["fixes"] else ""
                table.add_row(name, Text(f"{'' if value is None else value}{fixed}"))
            for reason in row["reasons"]:
                table.add_row("broken", Text(f"{message_of(reason, set())} (expected: {reason['expected']})"))
            for landed in row["landings"]:
                said = f"{landed['source_file']}, row {landed['row_number']}, taken in {landed['ingested_at']} UTC, held by run {landed['run'][:8]}"
                table.add_row("landed", Text(said))
            if row["waives"]:
                table.add_row("may break", Text(", ".join(row["waives"])))
            table.show_header = False
            parts.append(table)
        return Group(*parts)


def overview(lake: Lake, specs: Sequence[TableSpec]) -> list[dict[str, Any]]:
    """How many rows wait in each table, why, and since when."""
    found = []
    for spec in specs:
        rows = waiting(lake, spec, Selection(everything=True)).rows
        if rows:
            counts = Counter(rule for row in rows for rule in row.rules)
            status = Counter(row.status for row in rows)
            oldest = min(row.landings[0].ingested_at for row in rows)
            found.append(
                {"table": str(spec.id), "rows": len(rows), "oldest": oldest, "rules": dict(counts.most_common())}
                | {"status": dict(status)}
            )
    return found


def render_overview(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """For the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not found:
        return Text("No row waits.")
    table = Table(box=SIMPLE_HEAD)
    for name in ("table", "rows", "oldest", "why"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for one in found:
        why = ", ".join(f"{rows:,} {rule}" for rule, rows in one["rules"].items())
        table.add_row(one["table"], f"{one['rows']:,}", one["oldest"][:19].replace("T", " "), Text(why))
    return table
