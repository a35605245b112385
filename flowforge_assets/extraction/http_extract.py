"""One extraction from an HTTP API: its pages become one local file of JSON lines, and that one local bronze file.

Nothing is published before the last page was read. How far it got stands in the ledger entry that makes its rows true,
as for databases (`cursor`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from flowforge_assets.extraction.cursor import Reached, Window, earlier_than, value_of
from flowforge_assets.extraction.extract import Extraction, of_a_source
from flowforge_assets.extraction.http_source import HttpSource
from flowforge_assets.extraction.json_page import BadPageError, JsonPage
from flowforge_assets.extraction.known_rows import extractions, rows_of_window
from flowforge_assets.extraction.paging import Pager, Taken
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.transforms.ingest import Ingested, LandedFile, ingest
from flowforge_resources.databases import references
from flowforge_resources.databases.readers.base import SourceColumn
from flowforge_resources.errors import BadFileError, SourceError, SourceUnreachableError
from flowforge_resources.web.client import HttpClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from flowforge_assets.extraction.paging import Asked
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger
    from flowforge_resources.scratch import Scratch
    from flowforge_resources.web.client import Answer

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
Known = frozenset[tuple[str | None, ...]]


@dataclass
class _Progress:
    """What was seen so far. `highest`: of the cursor; `without`: records that have no value there."""

    pages: int = 0
    records: int = 0
    repeated: int = 0
    highest: str | None = None
    without: int = 0
    total: int | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Asking:
    """What every step needs to know."""

    lake: Lake
    spec: TableSpec
    source: HttpSource
    ledger: Ledger
    at: datetime
    scratch: Scratch

    @property
    def table(self) -> str:
        """The table, for errors."""
        return str(self.spec.id)

    @property
    def headers(self) -> list[str]:
        """The columns by which a record is known again: the key's, and the cursor last."""
        cursor = self.source.cursor or ""
        return [*(one for one in self.spec.key_headers if one != cursor), cursor]


def extract_http(lake: Lake, spec: TableSpec, ledger: Ledger, *, at: datetime, scratch: Scratch) -> Extraction:
    """Write the new records of a table's API to one Parquet file in scratch.

    Raises:
        SourceError: the API refuses, or is not what the table declares; nothing was taken.
        SourceUnreachableError: it does not answer, or changed while it was read.
        SecretError: there is nothing where a reference points.
    """
    source = spec.source
    if not isinstance(source, HttpSource):
        raise AssertionError("a table without an API is not read from one")  # noqa: TRY004  # a caller's mistake
    asking = _Asking(lake, spec, source, ledger, at, scratch)
    earlier = [one for one in extractions(ledger, source.name) if one[1].cursor == source.cursor]
    reached = earlier[-1][1].to if earlier else None
    low = _low(asking, reached)
    known = _known(asking, earlier, low) if reached is not None and low else frozenset()
    lines = scratch.path(".ndjson")
    seen = _Progress(highest=reached)
    _fetch(asking, low, known, lines, seen)
    _require_total(asking, seen)
    return Extraction(
        _ingest(asking, lines),
        Reached(at.isoformat(), source.cursor, seen.highest),
        f"{seen.pages} page{'' if seen.pages == 1 else 's'}, one after the other",
        low=low,
        repeated=seen.repeated,
        remarks=_remarks(source, seen),
        nothing_new=source.cursor is not None and seen.records == seen.repeated,
    )


def _fetch(asking: _Asking, low: str | None, known: Known, lines: Path, seen: _Progress) -> None:
    """Every page, as lines of JSON."""
    source, owner = asking.source, f"source of {asking.table}"
    url = references.resolve_for(owner, source.url, field="url")
    headers = references.resolve_each(owner, source.headers, field="headers")
    params = references.resolve_each(owner, source.params, field="params")
    if source.cursor_param and low:
        params[source.cursor_param] = low
    with (
        HttpClient(asking.table, url, source.auth, headers, source.patience) as client,
        lines.open("w", encoding="utf-8", errors="surrogatepass") as file,
    ):
        try:
            for answer, page, taken in _pages(asking, client, Pager(source.paging, url, params), seen):
                for value, text in page.records(source.records):
                    taken.add(value, text)
                    if _is_known(asking, known, value):
                        seen.repeated += 1
                    else:
                        file.write(f"{text}\n")
                    _look_at_cursor(source, value, seen)
                _look_at_page(source, answer, page, taken, seen)
        except BadPageError as error:
            said = f"page {seen.pages} of its source {error.problem}"
            raise SourceError(asking.table, said, error.fix) from None


def _pages(
    asking: _Asking, client: HttpClient, pager: Pager, seen: _Progress
) -> Iterator[tuple[Answer, JsonPage, Taken]]:
    """Every page with what is to be filled with its records; the next is asked for when that was done."""
    asked: Asked | None = pager.first()
    while asked is not None:
        seen.pages += 1
        if seen.pages > asking.source.max_pages:
            raise SourceError(
                asking.table,
                f"its source has more than {asking.source.max_pages:,} pages.",
                "Raise `max_pages`, or ask for larger pages.",
            )
        if not client.is_trusted(asked.url):
            raise BadPageError("is at another host than `url`.", "Correct `url`.")
        answer = client.get(asked.url, dict(asked.params))
        page, taken = JsonPage.parse(answer.content, answer.charset), Taken()
        yield answer, page, taken
        asked = pager.after(answer, page, taken)


def _ingest(asking: _Asking, lines: Path) -> Ingested:
    key = f"{asking.source.name}/{asking.at:%Y%m%d_%H%M%S_%f}"
    spec = replace(asking.spec, file=FileOptions(format="ndjson", max_columns=asking.spec.file.max_columns))
    target = asking.scratch.path(".parquet")
    try:
        return ingest([LandedFile(key, lines)], spec, asking.at, target, asking.ledger.columns)
    except BadFileError as error:
        raise SourceError(asking.table, f"{asking.source.name}: {error.problem}", of_a_source(error.fix)) from None


def _low(asking: _Asking, reached: str | None) -> str | None:
    """From where on records are asked for."""
    source = asking.source
    if reached is None:
        return source.start
    if source.lag is None:
        return reached
    column = _column(source.cursor or "", reached)
    found = earlier_than(asking.table, reached, source.lag, column, separator="T")
    return found.replace("+00:00", "Z") if reached.endswith("Z") else found


def _column(cursor: str, value: str) -> SourceColumn:
    """The cursor's column: of numbers if the value is one, of moments otherwise."""
    try:
        Decimal(value)
    except InvalidOperation:
        return SourceColumn(cursor, "date" if _DAY.fullmatch(value) else "timestamp", "")
    return SourceColumn(cursor, "numeric", "")


def _known(asking: _Asking, earlier: Sequence[tuple[int, Reached]], low: str) -> Known:
    """Key and cursor of the records that bronze has of what is asked for again."""
    if not asking.spec.keys or not {*asking.headers} <= asking.ledger.columns:
        return frozenset()
    window = Window(_column(asking.headers[-1], low), low, closed=True, high=None, again=True)
    rows = rows_of_window(asking.lake, asking.ledger, earlier, window, asking.headers, scratch=asking.scratch)
    return frozenset(rows.iter_rows())


def _is_known(asking: _Asking, known: Known, value: Any) -> bool:
    if not known or not isinstance(value, dict):
        return False
    return tuple(_cell(value.get(name)) for name in asking.headers) in known


def _cell(value: Any) -> str | None:
    """A value as bronze holds it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else None if value is None else str(value)


def _look_at_page(source: HttpSource, answer: Answer, page: JsonPage, taken: Taken, seen: _Progress) -> None:
    seen.records += taken.records
    if source.total is not None:
        seen.total = _count(page.value(source.total))
    if source.paging.type == "none" and answer.next_link:
        seen.remarks.append("The answer names a next page (`Link`), and `pagination` is none: it was not read.")


def _look_at_cursor(source: HttpSource, value: Any, seen: _Progress) -> None:
    if source.cursor is None:
        return
    found = value.get(source.cursor) if isinstance(value, dict) else None
    if not isinstance(found, str) or not found:
        seen.without += 1
        return
    try:
        if seen.highest is None or _moment(found, seen.highest) > _moment(seen.highest, seen.highest):
            _moment(found, found)
            seen.highest = found
    except (ValueError, InvalidOperation):
        raise BadPageError(
            f"holds a record whose `{source.cursor}` is neither a number nor a moment in ISO 8601, or not what the others are.",
            "Name another field in `cursor`, or take everything each time.",
        ) from None


def _moment(value: str, like: str) -> Decimal:
    found = value_of(value, _column("", like))
    if not found.is_finite():
        raise ValueError(value)
    return found


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _require_total(asking: _Asking, seen: _Progress) -> None:
    if seen.total is not None and seen.records < seen.total:
        raise SourceUnreachableError(
            asking.table,
            f"its source counts {seen.total:,} records and sent {seen.records:,}: it changed while its pages were read.",
            "The run is repeated; where that happens often, use a `cursor` or `pagination` by cursor.",
        )


def _remarks(source: HttpSource, seen: _Progress) -> list[str]:
    remarks = list(seen.remarks)
    if source.cursor is None and not seen.records:
        remarks.append("The source has no record; what silver holds stays.")
    if seen.without:
        remarks.append(
            f"{seen.without} record(s) have no value in the cursor '{source.cursor}': they come only while the API sends them."
        )
    return remarks
