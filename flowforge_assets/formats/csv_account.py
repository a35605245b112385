"""The books of one CSV-like file: every physical line is in exactly one column of the account."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class CsvAccount:
    """Counts of physical lines by what became of them; `rows` counts records, which may run over several lines.

    `repaired` counts rows that carry a note in `_rescued`; `redecoded` counts blocks with bytes that were not valid in
    the file's encoding and were read as Windows-1252.
    """

    lines: int = 0
    rows: int = 0
    continuation: int = 0
    header: int = 0
    preamble: int = 0
    footer: int = 0
    comment: int = 0
    blank: int = 0
    rescued: int = 0
    repaired: int = 0
    redecoded: int = 0

    @property
    def records(self) -> int:
        """Count of records, the same as `rows`: no record is ever left out."""
        return self.rows

    @property
    def balanced(self) -> bool:
        """Whether each line is accounted for exactly once (two records that stand on one line count as one less)."""
        named = self.header + self.preamble + self.footer + self.comment + self.blank + self.rescued
        return self.lines == self.rows + self.continuation + named

    def as_dict(self) -> dict[str, int]:
        """Return the counts, for a run's metadata."""
        return asdict(self)
