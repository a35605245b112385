"""How the columns of a batch differ from those of earlier files: added, removed, retyped. The check `schema` and its event.

Belongs here: comparing, naming, recording. Does not: what becomes of a cell (`transforms.columns`).

Earlier files are known from the ledger: `columns` (every column there ever was), `brought` (those of the newest files,
so that a column which is gone is named once), `types` (what typed files had; text has no type).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from flowforge_assets.bronze.file_lists import sentences, some_names
from flowforge_assets.bronze.type_ladder import common_type, holds_all_of
from flowforge_checks.results import Outcome
from flowforge_resources.errors import ConcurrentPublishError, NewColumnsError
from flowforge_resources.ledger import LedgerEntry, commit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.ingest import Ingested
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger

_ByFile = dict[str, "list[str]"]
_MOST_NAMED = 50


class Retyped(NamedTuple):
    """A column that comes with another type than it had; `becomes` is what later files are compared with."""

    column: str
    had: str
    has: str
    becomes: str

    @property
    def widened(self) -> bool:
        """Whether the type that counts from now on holds all that the earlier one held, and more."""
        return self.becomes != self.had and holds_all_of(self.becomes, self.had)

    def __str__(self) -> str:
        return f"{self.column}: {self.had} -> {self.has}"


@dataclass(frozen=True)
class SchemaChanges:
    """What each file (landing key) of a batch changes; what the ledger is told of types and columns."""

    added: _ByFile
    left_out: _ByFile
    missing: _ByFile
    removed: _ByFile
    retyped: Mapping[str, Sequence[Retyped]]
    types: Mapping[str, str]
    brought: tuple[str, ...]

    @property
    def metadata(self) -> dict[str, Any]:
        """`columns_added`, `columns_removed`, `columns_missing` and `columns_retyped`, those there are."""
        retyped = {str(one) for changes in self.retyped.values() for one in changes}
        lists = {
            "columns_added": _every(self.added, self.left_out),
            "columns_removed": _every(self.removed),
            "columns_missing": _every(self.missing),
            "columns_retyped": sorted(retyped),
        }
        return {name: dg.MetadataValue.json(names) for name, names in lists.items() if names}

    def outcome(self, check: str, spec: TableSpec) -> Outcome:
        """The check's outcome: it warns of every change."""
        said = [*self._said_of_columns(spec), *self._said_of_types(spec)]
        return Outcome(
            check,
            passed=not said,
            warns=True,
            rows_broken=len(said),
            description=" ".join(sentences(said)) or None,
            metadata=self.metadata,
        )

    def _said_of_columns(self, spec: TableSpec) -> list[tuple[str, str]]:
        left_out = "its cells are in `_rescued`." if spec.schema_evolution == "rescue" else "left out."
        silent = {key: [name for name in names if name not in self.missing[key]] for key, names in self.removed.items()}
        return [
            *_each(self.added, "brings {}: kept in bronze, not declared for silver."),
            *_each(self.missing, "lacks {}: null in silver."),
            *_each(silent, "no longer has {}, which earlier files had: null in bronze."),
            *_each(self.left_out, f"brings {{}}: {left_out}"),
        ]

    def _said_of_types(self, spec: TableSpec) -> list[tuple[str, str]]:
        return [(key, _of_type(spec, one)) for key, changes in self.retyped.items() for one in changes]

    def stops(self, spec: TableSpec, ledger: Ledger) -> list[tuple[str, str]]:
        """What a table that stops for a new schema stops for: what no run has stopped for before."""
        known, types = ledger.columns, ledger.types
        added = {key: [name for name in names if name not in known] for key, names in self.added.items()}
        widening = spec.schema_evolution == "add_new_columns_with_type_widening"
        retyped = [(key, one) for key, changes in self.retyped.items() for one in changes if widening and one.widened]
        wider = [(key, one) for key, one in retyped if not holds_all_of(types.get(one.column, one.had), one.has)]
        return [*_each(added, "brings {}."), *((key, f"brings {one}.") for key, one in wider)]


def changes_of(spec: TableSpec, ledger: Ledger, done: Ingested) -> SchemaChanges:
    """Compare a batch with what earlier files had; of a first batch, with what is declared."""
    (known, types), retyped = ledger.before_stops, {}
    declared, before = set(spec.landed_headers), ledger.brought
    headers = done.headers
    for key, found in done.types.items():
        retyped[key] = _follow(spec, types, found)
    return SchemaChanges(
        added={key: [name for name in names if name not in known | declared] for key, names in headers.items()},
        left_out={key: list(names) for key, names in done.unknown.items()},
        missing={key: sorted(declared - set(names)) for key, names in headers.items()},
        removed={key: sorted(before - set(names)) for key, names in headers.items()},
        retyped=retyped,
        types=types,
        brought=tuple(done.columns),
    )


def _follow(spec: TableSpec, types: dict[str, str], found: Mapping[str, str]) -> list[Retyped]:
    """What a file's types change, and what is known of types after it (in `types`)."""
    retyped = []
    for column, has in found.items():
        had = types.setdefault(column, has)
        types[column] = _known_after(spec, had, has)
        if has != had and not _taken_for_granted(spec, had, has):
            retyped.append(Retyped(column, had, has, types[column]))
    return retyped


def _known_after(spec: TableSpec, had: str, has: str) -> str:
    """Widened, as it was, or the newest: what the next file is compared with."""
    if spec.schema_evolution == "add_new_columns_with_type_widening":
        return common_type(had, has)
    return had if spec.schema_evolution == "rescue" else has


def _taken_for_granted(spec: TableSpec, had: str, has: str) -> bool:
    """Whether the schema does not change: it holds the file's type already, and a mode that keeps it knows that."""
    keeps = spec.schema_evolution in {"add_new_columns_with_type_widening", "rescue"}
    return keeps and holds_all_of(had, has)


def _of_type(spec: TableSpec, one: Retyped) -> str:
    came = f"brings {one.column} as {one.has}, it was {one.had}"
    if spec.schema_evolution == "rescue":
        return f"{came}: values that are no {one.had} are in `_rescued`."
    if spec.schema_evolution == "add_new_columns_with_type_widening":
        return f"{came}: widened to {one.becomes}."
    return f"{came}: text in bronze as before, a value that does not fit silver goes to quarantine."


def stop_once(
    lake: Lake, spec: TableSpec, ledger: Ledger, changes: SchemaChanges, *, run_id: str, at: datetime
) -> None:
    """Of a table that stops for a new schema: record it, so that the next run goes on, and fail.

    Raises:
        NewColumnsError: files bring a new schema; nothing of them was taken.
        ConcurrentPublishError: another run committed meanwhile; nothing was recorded.
    """
    if not spec.stop_on_new_columns or not ledger.columns or not (said := changes.stops(spec, ledger)):
        return
    columns = tuple(sorted(ledger.columns | set(_every(changes.added))))
    moment = at.isoformat()
    entry = LedgerEntry(ledger.version + 1, moment, run_id, None, 0, columns=columns, types=changes.types)
    if not commit(lake, spec.id, entry):
        raise ConcurrentPublishError(f"bronze of {spec.id}")
    raise NewColumnsError(str(spec.id), " ".join(sentences(said)))


def _each(names: _ByFile, sentence: str) -> list[tuple[str, str]]:
    return [(key, sentence.format(some_names(found, _MOST_NAMED))) for key, found in names.items() if found]


def _every(*by_file: _ByFile) -> list[str]:
    return sorted({name for names in by_file for found in names.values() for name in found})
