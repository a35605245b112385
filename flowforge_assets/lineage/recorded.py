"""Where lineage is recorded: `dagster/column_lineage` of every materialization, and a page on the lake that it points to.

Lineage is worked out when a run first asks for it, not when definitions are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.lineage.edges import VALUE_KINDS
from flowforge_assets.lineage.page import fingerprint_line, render
from flowforge_resources.layout import lineage_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowforge_assets.lineage.graph import Lineage
    from flowforge_resources.lake import Lake


class RecordedLineage:
    """The lineage of a component tree, as its assets record it."""

    def __init__(self, lineage: Callable[[], Lineage]) -> None:
        self._lineage = lineage
        self._looked_after: set[tuple[str, str]] = set()

    def metadata(self, key: dg.AssetKey, lake: Lake) -> dict[str, dg.MetadataValue[Any]]:
        """What a materialization carries; writes the workflow's page where the one on the lake is another."""
        lineage, workflow = self._lineage(), key.path[0]
        if (lake.url, workflow) not in self._looked_after:
            publish_page(lake, workflow, lineage)
            self._looked_after.add((lake.url, workflow))
        page = lineage_page(workflow)
        return {
            "dagster/column_lineage": dg.MetadataValue.column_lineage(column_lineage(lineage, ".".join(key.path))),
            "lineage": dg.MetadataValue.path(str(lake.local_root / page) if lake.local_root else lake.uri(page)),
        }


def column_lineage(lineage: Lineage, table: str) -> dg.TableColumnLineage:
    """A table's lineage as Dagster takes it: the columns each value is made of. It has no place for joins and filters."""
    deps: dict[str, list[dg.TableColumnDep]] = {column: [] for column in lineage.tables[table].columns or {}}
    for edge in lineage.into_table(table):
        if edge.target.column and edge.kind in VALUE_KINDS:
            source = dg.AssetKey(edge.source.table.split("."))
            deps[edge.target.column].append(dg.TableColumnDep(source, edge.source.column))
    return dg.TableColumnLineage(deps)


def publish_page(lake: Lake, workflow: str, lineage: Lineage) -> bool:
    """Write the page where the one on the lake shows another lineage; whether it was written."""
    page = render(lineage.around(workflow), workflow)
    first = fingerprint_line(page)
    key = lineage_page(workflow)
    there = lake.head(key)
    if there is not None and there.size_bytes >= len(first) and lake.read_range(key, 0, len(first)) == first:
        return False
    lake.write(key, page.encode())
    return True
