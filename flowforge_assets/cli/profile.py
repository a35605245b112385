"""What `flowforge profile` says: a table's columns now, and what changed since its last profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import UnknownNameError
from flowforge_assets.reconciliation.sides import LAYERS, Place
from flowforge_checks.profile.drift import DriftLimits
from flowforge_checks.profile.measure import MOST_ROWS
from flowforge_checks.profile.shown import as_html, headline, row_of
from flowforge_resources.errors import did_you_mean
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg
    from rich.console import RenderableType

    from flowforge_checks.profile.columns import ColumnProfile, Profile
    from flowforge_checks.profile.drift import Drift


@dataclass(frozen=True)
class Profiled:
    """A profile, and what changed."""

    profile: Profile
    drifted: Sequence[Drift]

    def page(self) -> str:
        """For `--html`."""
        return as_html(self.profile)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self.profile.as_dict(), "drift": [one.row() for one in self.drifted]}

    def render(self) -> RenderableType:
        """For the terminal: a few lines a column, and what changed below them."""
        from rich.console import Group
        from rich.text import Text

        changed = [
            Text(f"! {one.column}: {one.what}: {one.before} → {one.now}", style="yellow") for one in self.drifted
        ]
        return Group(headline(self.profile), *map(_lines, self.profile.columns), *changed)


def _lines(column: ColumnProfile) -> RenderableType:
    """What it is and its plot, then its values, each line only where there is something to say."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    row = row_of(column)
    said = f"  {row['type']}, {row['nulls']} null, {row['distinct']} distinct  "
    values = (
        ("from, to", " … ".join(one for one in (row["min"], row["max"]) if one)),
        ("quartiles", row["quartiles"]),
        ("most", row["top values"]),
        ("patterns", row["patterns"]),
    )
    below = Table.grid(padding=(0, 2, 0, 0))
    for name, value in values:
        if value:
            below.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
    return Group("", Text.assemble((column.name, "bold"), said, row["plot"]), Padding(below, (0, 0, 0, 2)))


def profile_now(
    table: str, workflow: str | None, most_rows: int | None = None, defs: dg.Definitions | None = None
) -> Profiled:
    """Profile a table as it is published, and keep that.

    Raises:
        UnknownNameError: no such table, or several.
        MissingTableError: it was never published.
        DefinitionError: the workflows cannot be loaded.
    """
    from flowforge_assets.components.known import known_tables
    from flowforge_assets.profiling import profile_and_compare

    if defs is None:
        from flowforge_assets.definitions import defs as declared

        defs = declared
    if defs.component_tree is None:
        raise AssertionError("definitions are loaded from a component tree")
    known = known_tables(defs.component_tree)
    made, layer = _find(table, workflow, known.everything)
    where: Any = layer or ("gold" if isinstance(made, ModelId) else "silver")
    place = Place(made, where, known.table_spec(made) if isinstance(made, TableId) else None)
    found, _, drifted = profile_and_compare(Lake(), place, known.personal(made), DriftLimits(), most_rows or MOST_ROWS)
    return Profiled(found, drifted)


def _find(name: str, workflow: str | None, every: Sequence[TableId | ModelId]) -> tuple[TableId | ModelId, str]:
    """What `table`, `workflow.table`, `layer.table` or `workflow.layer.table` stands for."""
    *before, own = name.split(".")
    layer = before.pop() if before and before[-1] in LAYERS else ""
    wanted = before[0] if before else workflow
    fits = [one for one in every if one.name == own and wanted in (None, one.workflow)]
    fits = [one for one in fits if isinstance(one, TableId)] if layer else fits
    if len(fits) != 1:
        problem = f"'{name}' is declared in several workflows." if fits else f"There is no table '{name}'."
        raise UnknownNameError(f"{problem}{did_you_mean(name, [str(one) for one in every])}")
    return fits[0], layer
