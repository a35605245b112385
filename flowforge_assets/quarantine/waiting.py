"""The rows of a table that wait for a decision, and how a person chooses among them.

Belongs here: reading. Does not: deciding (`deciding`), showing (`flowforge_assets.cli.quarantine`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_assets.silver.batch import decided_upto
from flowforge_checks.decided import Ruling, rulings
from flowforge_checks.quarantine import ID, LANDINGS, REASONS, WRITTEN_BY_FLOWFORGE
from flowforge_resources.duck import connect, literal, quote
from flowforge_resources.errors import SelectionError, did_you_mean
from flowforge_resources.layout import utc_now
from flowforge_resources.published import read_published
from flowforge_resources.quarantine_decisions import DecidedRow, Landing, read_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.errors import DecisionError
    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId

WAITS, FIXED, WAIVED, RELEASED = "waits", "fixed", "waived", "released"
SHORTEST_ID = 6
_IDS_NAMED = 5
HIDDEN = "(personal data)"


class NotWaitingError(SelectionError):
    """No row of a table with such an id waits."""

    def __init__(self, table: TableId, row: str) -> None:
        super().__init__(
            f"no row of {table} with the id '{row}' waits: it was released or discarded, or never was in quarantine.",
            f"`flowforge quarantine list {table}` shows those that wait.",
        )


@dataclass(frozen=True)
class Selection:
    """Which rows: by id (or its first letters), by a rule they break, a file they landed in, SQL, or age. All of these.

    `everything`: without any of these, all that wait.
    """

    ids: tuple[str, ...] = ()
    rule: str = ""
    file: str = ""
    where: str = ""
    older_than: timedelta | None = None
    everything: bool = False

    @property
    def says_nothing(self) -> bool:
        """Whether it would take all rows without saying so."""
        return not (self.ids or self.rule or self.file or self.where or self.older_than or self.everything)

    def condition(self) -> str:
        """SQL over the quarantine file."""
        parts = ["TRUE"]
        if self.ids:
            parts.append("(" + " OR ".join(f"starts_with({ID}, {literal(one)})" for one in self.ids) + ")")
        if self.rule:
            parts.append(f"list_contains(list_transform({REASONS}, lambda r: r.rule), {literal(self.rule)})")
        if self.file:
            files = f"list_transform({LANDINGS}, lambda l: l.source_file)"
            named = f"lambda f: f = {literal(self.file)} OR ends_with(f, {literal('/' + self.file)})"
            parts.append(f"len(list_filter({files}, {named})) > 0")
        if self.where:
            parts.append(f"({self.where})")
        if self.older_than is not None:
            before = (utc_now() - self.older_than).replace(tzinfo=None).isoformat(" ")
            parts.append(f"_ingested_at < TIMESTAMP {literal(before)}")
        return " AND ".join(parts)


@dataclass(frozen=True)
class WaitingRow:
    """One quarantined row. `raw`: the text that landed, by column; `ruling`: what was decided of it so far."""

    id: str
    reasons: Sequence[Mapping[str, Any]]
    landings: tuple[Landing, ...]
    raw: Mapping[str, str | None]
    ruling: Ruling
    released: bool

    @property
    def status(self) -> str:
        """`waits`, `fixed` or `waived` (a release is due), `released` (the next run takes it in)."""
        if self.released:
            return RELEASED
        if self.ruling.planned_fixes != self.ruling.fixes:
            return FIXED
        return WAIVED if self.ruling.planned_waives != self.ruling.waives else WAITS

    @property
    def rules(self) -> list[str]:
        """The rules it breaks, each once."""
        return list(dict.fromkeys(str(reason["rule"]) for reason in self.reasons))

    @property
    def now(self) -> Mapping[str, str | None]:
        """The text with the fixes that were recorded."""
        return {**self.raw, **self.ruling.planned_fixes}

    def named(self, **said: Any) -> DecidedRow:
        """The row as a decision names it."""
        return DecidedRow(self.id, self.landings, **said)


@dataclass(frozen=True)
class Waiting:
    """Rows that wait in one table, as read at one moment."""

    spec: TableSpec
    rows: tuple[WaitingRow, ...] = field(default=())

    @property
    def columns(self) -> list[str]:
        """The columns that landed."""
        return list(self.rows[0].raw) if self.rows else []

    @property
    def hidden(self) -> set[str]:
        """The landed columns with personal data."""
        return hidden_columns(self.spec)


def hidden_columns(spec: TableSpec) -> set[str]:
    """The landed columns that hold personal data, by the names of bronze and of silver."""
    return {*spec.pii, *spec.landed_pii, *(spec.sources[name] for name in spec.pii if name in spec.sources)}


def waiting(lake: Lake, spec: TableSpec, chosen: Selection) -> Waiting:
    """The chosen rows that wait, in the order in which they landed. Discarded rows do not wait.

    Raises:
        SelectionError: an id is too short or stands for several rows, there is no such rule, or the SQL cannot be run.
    """
    import duckdb

    require_ids(chosen.ids)
    held = read_published(lake, spec.id.quarantine)
    if held is None:
        return Waiting(spec)
    ruled = rulings(read_decisions(lake, spec.id))
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        file = f"read_parquet({literal(str(lake.stage_in(spec.id.quarantine, scratch)))})"
        try:
            result = connection.execute(f"SELECT * FROM {file} WHERE {chosen.condition()} ORDER BY {LANDINGS}, {ID}")
        except duckdb.Error as error:
            raise SelectionError(
                f"`{chosen.where}` cannot be run over the quarantine of {spec.id}: {_said(error)}.",
                f"Its columns: {', '.join(quote(name) for name, _ in held.columns)}.",
            ) from None
        names = [column[0] for column in result.description or []]
        found = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        if chosen.rule and not found:
            _require_known(chosen.rule, spec, connection, file)
    rows = [_row(one, ruled, decided_upto(held)) for one in found]
    if not (chosen.rule or chosen.file or chosen.where):
        require_single(chosen.ids, [row.id for row in rows], lambda one: NotWaitingError(spec.id, one))
    return Waiting(spec, tuple(row for row in rows if not _is_discarded(row)))


def _require_known(rule: str, spec: TableSpec, connection: duckdb.DuckDBPyConnection, file: str) -> None:
    """Whether a rule that no row waits for is one at all."""
    held = connection.execute(f"SELECT DISTINCT unnest({REASONS}).rule FROM {file}").fetchall()
    known = {*(row[0] for row in held), *(one.check_name for one in spec.rules)}
    if rule not in known:
        raise SelectionError(
            f"'{rule}' is no rule of {spec.id}, and no row waits for it.", did_you_mean(rule, known).strip()
        )


def _said(error: Exception) -> str:
    """What is wrong with a person's SQL; of an error about values nothing that may hold one."""
    import duckdb

    about_sql = isinstance(error, duckdb.BinderException | duckdb.ParserException | duckdb.CatalogException)
    return (
        str(error).splitlines()[0].rstrip(".")
        if about_sql
        else "a value is not of the type it asks for (what landed is text: compare with text in quotes)"
    )


def _row(found: Mapping[str, Any], ruled: Mapping[str, Ruling], upto: int) -> WaitingRow:
    ruling = ruled.get(found[ID], Ruling(found[ID]))
    landings = tuple(
        Landing(one["source_file"], one["row_number"], one["ingested_at"].isoformat(), one["run"])
        for one in found[LANDINGS]
    )
    raw = {name: value for name, value in found.items() if name not in WRITTEN_BY_FLOWFORGE}
    return WaitingRow(found[ID], found[REASONS], landings, raw, ruling, ruling.released > upto)


def _is_discarded(row: WaitingRow) -> bool:
    """Discarded, and still in the file that the next run writes."""
    until = row.ruling.until
    return bool(row.ruling.discarded) and (until is None or _moment(row.landings[0].ingested_at) <= until)


def _moment(iso: str) -> datetime:
    from datetime import UTC, datetime

    return datetime.fromisoformat(iso).replace(tzinfo=UTC)


def require_ids(ids: Sequence[str]) -> None:
    """Every id is long enough to name a row.

    Raises:
        SelectionError: one is not.
    """
    for one in ids:
        if len(one) < SHORTEST_ID:
            raise SelectionError(f"'{one}' is too short for an id.", f"Give at least its first {SHORTEST_ID} letters.")


def require_single(ids: Sequence[str], known: Collection[str], nobody: Callable[[str], DecisionError]) -> None:
    """Every id, or its first letters, stands for one of the known rows.

    Raises:
        SelectionError: one stands for several; or what `nobody` makes of one that stands for none.
    """
    for one in ids:
        meant = [row for row in known if row.startswith(one)]
        if not meant:
            raise nobody(one)
        if len(meant) > 1 and one not in meant:
            some = ", ".join(sorted(meant)[:_IDS_NAMED]) + (", …" if len(meant) > _IDS_NAMED else "")
            raise SelectionError(f"'{one}' is the beginning of {len(meant)} ids: {some}.", "Give more letters.")
