"""What the columns of a table are, for the UI's list of columns: declared before the first run, noted after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.transforms.cast import table_columns
from flowforge_checks.rules import in_code
from flowforge_resources.published import word_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.table_spec import TableSpec

_AUDIT = {
    "_source_file": "Landing file the row came from.",
    "_row_number": "Row of that file; the first one below the header is 1.",
    "_ingested_at": "When bronze took the file in, in UTC.",
}
_AUDIT_OF_SOURCE = {
    "_source_file": "Extraction the row came with: the source, and when it was read.",
    "_row_number": "Row of that extraction, counted as it came.",
    "_ingested_at": "When bronze took the extraction in, in UTC.",
}
_AUDIT_TYPES = {"_source_file": "text", "_row_number": "integer", "_ingested_at": "timestamp"}
_KEY = "Key."
_PII = "Personal data: hidden in previews and examples."


def of_bronze(spec: TableSpec) -> dict[str, str]:
    """Notes on the landed columns, by header."""
    return _audit(spec) | {
        column.header: _note(column.description, _PII if column.header in spec.landed_pii else None)
        for column in spec.landed
        if column.description or column.header in spec.landed_pii
    }


def of_silver(spec: TableSpec) -> dict[str, str]:
    """Notes on the declared columns and on those FlowForge adds."""
    surrogate = {
        spec.surrogate_key: f"Surrogate key: a number made of {in_code(spec.keys)}, the same in every rebuild."
    }
    declared = {
        column.name: _note(
            _KEY if column.name in spec.keys else None, column.description, _PII if column.name in spec.pii else None
        )
        for column in spec.stored_columns
    }
    made = (surrogate if spec.keys else {}) | _of_versions(spec)
    return {name: note for name, note in (made | declared | _audit(spec)).items() if note}


def joined(notes: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Notes, and behind each what else is known of the column."""
    return {name: _note(notes.get(name), more.get(name)) for name in [*notes, *more]}


def _audit(spec: TableSpec) -> dict[str, str]:
    return _AUDIT if spec.source is None else _AUDIT_OF_SOURCE


def _of_versions(spec: TableSpec) -> dict[str, str]:
    """Notes on what a table with history adds."""
    if not spec.strategy.keeps_history:
        return {}
    strategy = spec.strategy
    since = f"`{spec.sequence_by[0]}` of the row that began it" if spec.sequence_by else "when that row was taken in"
    return {
        strategy.version_key: f"Surrogate key of the version: a number made of {in_code((*spec.keys, strategy.valid_from))}.",
        strategy.valid_from: f"Since when the version held, included: {since}.",
        strategy.valid_to: "Until when it held, not included; null while it holds.",
        strategy.is_current: "Whether it is the newest version of a key that is not deleted.",
    }


def of_gold(spec: ModelSpec) -> dict[str, str]:
    """Notes on the keys of a model, what points to other models, what is documented, and personal data."""
    points = {one.column: f"Points to `{one.model}`." for one in spec.foreign_keys}
    names = dict.fromkeys([*spec.keys, *points, *spec.notes, *sorted(spec.pii)])
    return {
        name: _note(
            _KEY if name in spec.keys else None,
            spec.notes.get(name),
            points.get(name),
            _PII if name in spec.pii else None,
        )
        for name in names
    }


def declared_bronze(spec: TableSpec) -> dg.TableSchema:
    """Bronze as declared: every column as text."""
    return _schema(dict.fromkeys(spec.landed_headers, "text") | _AUDIT_TYPES, of_bronze(spec))


def declared_silver(spec: TableSpec) -> dg.TableSchema:
    """Silver as declared."""
    types = {column.name: column.type for column in spec.columns}
    since = types[spec.sequence_by[0]] if spec.sequence_by else "timestamp"
    strategy = spec.strategy
    made = dict(zip(strategy.interval, (since, since, "boolean"), strict=True)) | {strategy.version_key: "integer"}
    known = {spec.surrogate_key: "integer"} | made | types | _AUDIT_TYPES
    return _schema({name: known[name] for name in table_columns(spec)}, of_silver(spec))


def declared_gold(spec: ModelSpec, columns: Mapping[str, str]) -> dg.TableSchema:
    """Gold as its SQL says."""
    return _schema({name: word_for(kind) for name, kind in columns.items()}, of_gold(spec))


def _schema(types: Mapping[str, str], notes: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind, notes.get(name)) for name, kind in types.items()])


def _note(*sentences: str | None) -> str:
    said = [sentence[0].upper() + sentence[1:] for sentence in sentences if sentence]
    return " ".join(one if one.endswith((".", "!", "?")) else f"{one}." for one in said)
