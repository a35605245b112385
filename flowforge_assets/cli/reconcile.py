"""What `flowforge reconcile` does: evaluate a declared reconciliation now, or show what it found so far."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import UnknownNameError
from flowforge_resources.errors import did_you_mean
from flowforge_resources.lake import Lake
from flowforge_resources.reconciliation_history import scan_results

if TYPE_CHECKING:
    import dagster as dg
    from rich.console import RenderableType

    from flowforge_assets.reconciliation.reconciling import Reconciled
    from flowforge_checks.reconciliation.findings import Compared

ASKED_BY = "flowforge reconcile"


@dataclass(frozen=True)
class Answered:
    """One evaluation."""

    asked: Reconciled
    found: Compared

    @property
    def failed(self) -> bool:
        """Whether the sides disagree, and that is an error."""
        return not self.found.agrees and not self.asked.spec.warns

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.asked.spec.name,
            "agrees": self.found.agrees,
            "measures": [asdict(one) for one in self.found.findings],
            "columns_that_differ": list(self.found.columns),
            "examples": list(self.found.examples),
        }

    def render(self) -> RenderableType:
        """For the terminal."""
        from rich.console import Group

        rows = [one.row() for one in self.found.ordered()]
        tables = [_table(f"{self.asked.spec.name}: {self.found.sentence()}", rows)]
        tables += [_table("columns that differ", list(self.found.columns))] if self.found.columns else []
        tables += [_table("examples", list(self.found.examples))] if self.found.examples else []
        return Group(*tables)


def _table(title: str, rows: list[Any]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names, title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*(Text(str(row.get(name, ""))) for name in names))
    return table


def reconcile(name: str, workflow: str | None, defs: dg.Definitions | None = None) -> Answered:
    """Evaluate a declared reconciliation on the lake as it is; what was found goes into its history.

    Raises:
        UnknownNameError: none is declared under that name, or in several workflows.
        MissingTableError: a side was never published.
    """
    from flowforge_assets.reconciliation.reconciling import evaluate

    asked = _find(name, workflow, defs)
    return Answered(asked, evaluate(Lake(), asked, ASKED_BY)[0])


def history_of(name: str, workflow: str | None, last: int, defs: dg.Definitions | None = None) -> list[dict[str, Any]]:
    """What the last evaluations of a reconciliation found, newest first."""
    spec = _find(name, workflow, defs).spec
    found = scan_results(Lake(), spec.workflow, spec.name, last)
    return (
        [] if found is None else found.collect().sort("evaluated_at", descending=True, maintain_order=True).to_dicts()
    )


def render_history(rows: list[dict[str, Any]]) -> RenderableType:
    """For the terminal."""
    shown = [
        {"evaluated at": f"{row['evaluated_at']:%Y-%m-%d %H:%M:%S}", "run": _shown(row["run_id"])}
        | {name: row[name] for name in ("measure", "group", "left", "right", "difference")}
        | {"agrees": "yes" if row["this_agrees"] else "NO"}
        for row in rows
    ]
    return _table("newest first, times in UTC", shown)


def _shown(run_id: str) -> str:
    """The first letters of a run, as elsewhere; whole where the command asked, which is no run."""
    return run_id if "-" not in run_id else run_id[:8]


def _find(name: str, workflow: str | None, defs: dg.Definitions | None) -> Reconciled:
    from flowforge_assets.components.known import known_tables
    from flowforge_assets.components.reconciliation import Reconciliation

    if defs is None:
        from flowforge_assets.definitions import defs as declared

        defs = declared
    if defs.component_tree is None:
        raise AssertionError("definitions are loaded from a component tree")
    before, _, own = name.rpartition(".")
    every = defs.component_tree.get_all_components(Reconciliation)
    wanted = before or workflow
    found = [part for part in every if part.name == own and wanted in (None, part.workflow)]
    if len(found) != 1:
        names = [f"{part.workflow}.{part.name}" for part in every]
        problem = f"'{name}' is declared in several workflows." if found else f"There is no reconciliation '{name}'."
        raise UnknownNameError(f"{problem}{did_you_mean(name, names)}")
    return found[0].reconciled(known_tables(defs.component_tree))
