"""Which rows of a batch's bronze files count: of a compacted file those of the batch, and none that was superseded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.duck import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_resources.bronze_parts import BronzeFile, Span


def rows_that_count(files: Sequence[BronzeFile], retracted: Sequence[tuple[int, str, Span | None]]) -> str:
    """SQL over DuckDB's scan of the files, in this order; empty where all rows count.

    Args:
        files: the files, with the parts that are wanted of them.
        retracted: content that no longer counts: the position of its bronze file, its landing key, and where in it.
    """
    whole = [f"({place}, {literal(key)})" for place, key, span in retracted if span is None]
    said = [f"(file_index::BIGINT, _source_file) NOT IN ({', '.join(whole)})"] if whole else []
    said += [_wanted(place, spans) for place, file in enumerate(files) if (spans := file.spans)]
    said += [
        f"NOT (file_index = {place} AND _source_file = {literal(key)} AND {_inside(span)})"
        for place, key, span in retracted
        if span is not None
    ]
    return " AND ".join(said)


def _wanted(place: int, spans: Sequence[Span]) -> str:
    return f"(file_index <> {place} OR {' OR '.join(_inside(span) for span in spans)})"


def _inside(span: Span) -> str:
    return f"file_row_number BETWEEN {span.first} AND {span.end - 1}"
