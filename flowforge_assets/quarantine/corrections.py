"""Waiting rows as a file that people edit, and the corrections read back from it: CSV, or an Excel workbook.

Every cell is text, so that `007` is `007` when it comes back. The columns that begin with `_` say which row it is and why
it waits; whoever changes them is told. What differs in the others becomes the row's fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.quarantine.correction_files import differs, read, require_format, write
from flowforge_assets.quarantine.waiting import HIDDEN, Selection, Waiting, hidden_columns, waiting
from flowforge_checks.quarantine import ID, REASONS
from flowforge_resources.errors import DecisionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowforge_assets.quarantine.deciding import Fixes
    from flowforge_assets.quarantine.waiting import WaitingRow
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake

DECISIONS, FILE, ROW = "_decisions", "_source_file", "_row_number"
OWN = (ID, REASONS, FILE, ROW, DECISIONS)


def export(chosen: Waiting, to: Path, *, show_pii: bool) -> int:
    """Write the chosen rows to a file; how many. Columns with personal data are left out unless they are asked for.

    Raises:
        DecisionError: the file is neither CSV nor Excel, or there is no row.
    """
    import polars as pl

    require_format(to)
    if not chosen.rows:
        raise DecisionError(f"no row of {chosen.spec.id} that waits was chosen.", "Nothing was written.")
    hidden = set() if show_pii else chosen.hidden
    columns = [name for name in chosen.columns if name not in hidden]
    records = [_own(row, hidden) | {name: row.now[name] for name in columns} for row in chosen.rows]
    frame = pl.DataFrame(records, schema=dict.fromkeys([*OWN, *columns], pl.String))
    write(frame, to)
    return len(records)


def _own(row: WaitingRow, hidden: set[str]) -> dict[str, str | None]:
    first = row.landings[0]
    return {
        ID: row.id,
        REASONS: "; ".join(message_of(reason, hidden) for reason in row.reasons),
        FILE: first.source_file,
        ROW: str(first.row_number),
        DECISIONS: str(row.ruling.decisions),
    }


def message_of(reason: Mapping[str, Any], hidden: set[str]) -> str:
    """A reason in words, with the value unless it is personal data."""
    value = reason["value"]
    shown = "" if value is None else f": {HIDDEN}" if reason["column"] in hidden else f": '{value}'"
    return f"{reason['rule']}: {reason['message']}{shown}"


def read_corrections(lake: Lake, spec: TableSpec, file: Path) -> tuple[Waiting, dict[str, Fixes]]:
    """The rows that a person changed in an exported file, and the new text of each, by id and landed column.

    Raises:
        DecisionError: the file is not one that `export` wrote, nothing in it was corrected, a row of it waits no more or was decided meanwhile, or
            what says which row it is was changed. Nothing is recorded then.
    """
    require_format(file)
    records = read(file, (ID, DECISIONS))
    every = {row.id: row for row in waiting(lake, spec, Selection(everything=True)).rows}
    hidden, changed = hidden_columns(spec), {}
    seen: set[str] = set()
    for line, record in records:
        row = _row_of(record, every, file, line)
        if row.id in seen:
            raise DecisionError(f"{file}, line {line}: the row {row.id[:12]} occurs twice.", "Leave one of them.")
        seen.add(row.id)
        _require_unchanged(record, _own(row, hidden), file, line)
        if fixes := _fixes(record, row, file, line):
            changed[row.id] = fixes
    if not changed:
        raise DecisionError(f"no cell of {file} differs from what waits.", "Correct cells, save, and import again.")
    return Waiting(spec, tuple(every[one] for one in changed)), changed


def _row_of(record: Mapping[str, Any], every: Mapping[str, WaitingRow], file: Path, line: int) -> WaitingRow:
    row = every.get(str(record[ID]))
    if row is None:
        raise DecisionError(
            f"{file}, line {line}: no row '{str(record[ID])[:40]}' waits: it was released or discarded, or its id was changed.",
            "Take the line out, or export again.",
        )
    if str(row.ruling.decisions) != str(record[DECISIONS]):
        raise DecisionError(
            f"{file}, line {line}: the row {row.id[:12]} was decided since the file was written.",
            "Export it again, or take the line out.",
        )
    return row


def _require_unchanged(record: Mapping[str, Any], own: Mapping[str, str | None], file: Path, line: int) -> None:
    for name in (FILE, ROW):
        if name in record and (record[name] or "") != own[name]:
            raise DecisionError(
                f"{file}, line {line}: `{name}` was changed; it says where the row landed.",
                "Restore it. What can be corrected are the columns that do not begin with an underscore.",
            )


def _fixes(record: Mapping[str, Any], row: WaitingRow, file: Path, line: int) -> Fixes:
    given = {name: value for name, value in record.items() if name not in OWN}
    if unknown := [name for name in given if name not in row.raw]:
        raise DecisionError(
            f"{file}, line {line}: there is a column `{unknown[0]}` that did not land.", "Take the column out."
        )
    return {name: value for name, value in given.items() if differs(given, name, row.now[name])}
