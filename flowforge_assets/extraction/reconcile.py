"""Source and bronze compared in the snapshot of one extraction: how many rows, what columns add up to, which keys."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from flowforge_assets.bronze.type_ladder import kind_of
from flowforge_resources.duck import connect, literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_assets.extraction.database_read import DatabaseRead
    from flowforge_assets.extraction.source import DatabaseSource
    from flowforge_resources.databases.readers.base import Reader
    from flowforge_resources.scratch import Scratch

# Binary fractions add up to slightly different sums in different orders.
_RELATIVE = Decimal("1e-9")


@dataclass(frozen=True)
class Compared:
    """One thing that was compared, as the source and as bronze has it."""

    what: str
    source: str
    bronze: str
    fraction: bool = False

    @property
    def same(self) -> bool:
        """Whether both say the same; sums of binary fractions to nine digits."""
        if self.source == self.bronze or not self.fraction:
            return self.source == self.bronze
        try:
            ours, theirs = Decimal(self.bronze), Decimal(self.source)
        except InvalidOperation:
            return False
        return abs(ours - theirs) <= _RELATIVE * max(abs(ours), abs(theirs))


def compare(source: DatabaseSource, reader: Reader, read: DatabaseRead, where: str) -> list[Compared]:
    """Counts and sums of the rows that were asked for, in the reader's snapshot."""
    said, relation = [], source.relation(reader)
    types = {one.name: one.type for one in read.source_columns}
    if "row_count" in source.reconcile:
        (count,) = reader.rows(f"SELECT count(*) FROM {relation}{where}")[0]
        said.append(Compared("row_count", str(count), str(read.received)))
    for column in source.sums:
        (total,) = reader.rows(f"SELECT sum({reader.quote(column)}) FROM {relation}{where}")[0]
        floats = kind_of(types.get(column, "")).family == "float"
        said.append(Compared(f"sum({column})", _digits(total), _digits(read.sums[column]), fraction=floats))
    return said


def compare_keys(source_keys: Path, bronze: Path | None, headers: Sequence[str], scratch: Scratch) -> Compared:
    """The keys of the source and those in bronze: how many are on one side only."""
    keys = ", ".join(quote(name) for name in headers)
    with connect(scratch.root) as connection:
        there = f"(SELECT {keys} FROM read_parquet({literal(str(source_keys))}))"
        nothing = f"(SELECT {keys} FROM {there} WHERE FALSE)"
        here = f"(SELECT {keys} FROM read_parquet({literal(str(bronze))}))" if bronze else nothing
        (all_there,) = one_row(connection, f"SELECT count(*) FROM {there}")
        (missing,) = one_row(connection, f"SELECT count(*) FROM (FROM {there} EXCEPT ALL FROM {here})")
        (surplus,) = one_row(connection, f"SELECT count(*) FROM (FROM {here} EXCEPT ALL FROM {there})")
    if missing or surplus:
        return Compared("keys", f"{missing} only there", f"{surplus} only here")
    return Compared("keys", f"{all_there} keys", f"{all_there} keys")


def _digits(total: Any) -> str:
    if total is None:
        return "0"
    if isinstance(total, float):
        return repr(total)
    number = Decimal(str(total))
    return format(number.normalize(), "f") if number.is_finite() else str(number)
