"""Rows of cells that are already cut (a sheet, a fixed-width file) as text columns: which is the header, a title, a total.

Layout is decided by the CSV detector on a rendering of the first and last rows, so that all formats decide alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.file_read import Decided, Note, arrow_schema, lazy_frame, notes_json, own_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from flowforge_assets.formats.csv_options import CsvOptions, Role

BATCH_ROWS = 16_384
HEAD_LINES, TAIL_LINES = 1000, 200


class Line(NamedTuple):
    """One line or sheet row: its number, its cells, its text as it stood.

    `odd` says what is odd about a row, `aside` why the line is none; both are '' as a rule.
    """

    number: int
    cells: list[str | None]
    raw: str
    odd: str = ""
    aside: str = ""


Lines = Callable[[], Iterator[Line]]


@dataclass(frozen=True, slots=True)
class Table:
    """Where the table is among the lines."""

    columns: tuple[str, ...]
    leading: tuple[Role, ...]
    footer_lines: int
    comment: str = ""

    def as_dict(self) -> Decided:
        """Return what was decided."""
        header = self.leading.count("header")
        above = len(self.leading) - header
        return {
            "header_lines": header,
            "lines_above_table": above,
            "footer_lines": self.footer_lines,
            "columns": list(self.columns),
        }


def find_table(lines: Iterable[Line], pinned: CsvOptions) -> Table:
    """Decide which of the lines are the table; what is pinned (header, skip_lines, footer_lines, comment) is obeyed."""
    source = iter(lines)
    head = list(islice(source, HEAD_LINES))
    tail = deque(source, maxlen=TAIL_LINES)
    fixed = {"delimiter": ",", "quote": '"', "escape": "double", "encoding": "utf-8", "trailing_delimiter": False}
    rendered = "".join(_rendered(line) for line in (*head, *tail)).encode("utf-8", "surrogatepass")
    dialect = detect(rendered, pinned=pinned.model_copy(update=fixed))
    width = max((len(line.cells) for line in head), default=0)
    names = [*dialect.columns, *[""] * (width - dialect.width)][:width]
    return Table(own_names(names), dialect.leading, dialect.footer_lines, dialect.comment)


def _rendered(line: Line) -> str:
    """Return a line as one line of CSV; an empty one stays empty."""
    if line.aside or not any(line.cells):
        return "\n"
    return ",".join(_quoted(" ".join((cell or "").split("\n"))) for cell in line.cells) + "\n"


def _quoted(cell: str) -> str:
    text = cell.replace("\r", " ")
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"') else text


@dataclass(slots=True)
class TableRead:
    """A file of cut lines. `lines` starts anew at each call; `account` is whole after a pass."""

    table: Table
    lines: Lines
    decided: Decided
    account: CsvAccount = field(default_factory=CsvAccount)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's own columns."""
        return self.table.columns

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily."""
        return lazy_frame(self.batches, self.columns)

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- reading counts
        """Return the account."""
        return self.account

    def as_dict(self) -> Decided:
        """Return what was decided."""
        return {**self.decided, **self.table.as_dict()}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in bounded memory."""
        self.account = CsvAccount()
        schema = arrow_schema(self.columns)
        rows = self._rows()
        while batch := list(islice(rows, BATCH_ROWS)):
            arrays = map(pa.array, zip(*batch, strict=True), schema.types)
            yield pa.record_batch(list(arrays), schema=schema)

    def _rows(self) -> Iterator[tuple[int | str | None, ...]]:
        """Yield row number, cells and `_rescued` for each line that is kept."""
        account, width = self.account, len(self.columns)
        for line, role in self._with_roles():
            account.lines += 1
            if role == "row":
                account.rows += 1
                account.repaired += bool(line.odd)
                note = notes_json([Note(line.number, line.raw, line.odd)]) if line.odd else None
                yield (account.rows, *line.cells, note)
                continue
            setattr(account, role, getattr(account, role) + 1)
            if role not in {"blank", "header"}:
                yield (None, *(None,) * width, notes_json([Note(line.number, line.raw, line.aside or _WHY[role])]))

    def _with_roles(self) -> Iterator[tuple[Line, str]]:
        """Yield each line with what it is."""
        leading, below = self.table.leading, self.table.footer_lines
        held: deque[Line] = deque()
        for position, line in enumerate(self.lines()):
            if position < len(leading):
                yield line, "comment" if line.aside else leading[position]
                continue
            held.append(line)
            if len(held) > below:
                yield self._body(held.popleft())
        yield from ((line, "footer" if any(line.cells) else "blank") for line in held)

    def _body(self, line: Line) -> tuple[Line, str]:
        if not any(line.cells) and not line.odd:
            return line, "blank"
        comment = self.table.comment
        aside = line.aside or (comment and line.raw.startswith(comment))
        return line, "comment" if aside else "row"


_WHY = {"preamble": "preamble: above the table", "comment": "a comment", "footer": "footer: below the table"}


def padded(cells: Sequence[str | None], width: int) -> list[str | None]:
    """Return cells with null for each that is missing."""
    return [*cells, *[None] * (width - len(cells))]
