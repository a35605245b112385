"""CSV files for the speed benchmark: rows that do not repeat, written by Polars in a process of its own.

`python -m benchmarks.csv_data KIND BYTES PATH`. Kinds: `plain`; `quoted`: three quoted cells a row, with delimiters,
doubled quotes and line ends inside them; `damaged`: one row in 500 has cells too few, a quote inside a cell, or a cell
too many; `late`: plain, but for one row with a cell too many at the very end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

KINDS = ("plain", "quoted", "damaged", "late")
COLUMNS = ("order_id", "customer", "product", "amount", "day", "status", "email", "quantity")
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "river", "stone", "cloud", "maple", "orange")
ROW_BYTES, PAGE_ROWS, DAMAGED_EVERY, QUOTE_EVERY, LINE_END_EVERY = 66, 100_000, 500, 7, 50


def write(kind: str, size: int, path: Path, seed: int = 0) -> None:
    """Write a file of about this many bytes, at least."""
    import numpy as np

    rng, first, rows = np.random.default_rng(seed), 0, max(min(PAGE_ROWS, size // ROW_BYTES), 1)
    with path.open("wb") as file:
        written = file.write((",".join(COLUMNS) + "\n").encode())
        while written < size:
            written += file.write(("\n".join(_lines(rng, first, rows, kind)) + "\n").encode())
            first += rows
        if kind == "late":
            file.write(b"0,C000000,late row,1.00,2026-01-01,NEW,x@example.com,7,extra\n")


def _lines(rng: np.random.Generator, first: int, rows: int, kind: str) -> list[str]:
    import polars as pl

    cells = _cells(rng, first, rows)
    place = pl.int_range(pl.len())
    line = pl.concat_str(COLUMNS, separator=",")
    if kind == "quoted":
        said = pl.when(place % QUOTE_EVERY == 0).then(pl.lit('said ""x""')).otherwise(pl.lit(""))
        ends = pl.when(place % LINE_END_EVERY == 0).then(pl.lit("\nnext")).otherwise(pl.lit(""))
        cells = cells.with_columns(
            pl.format('"{}"', "product"), pl.format('"{}, {}{}"', "amount", said, ends), pl.format('"{}"', "email")
        )
    if kind == "damaged":
        hit, which = place % DAMAGED_EVERY == DAMAGED_EVERY // 2, place // DAMAGED_EVERY % 3
        odd = pl.concat_str(*COLUMNS[:2], pl.lit('say "x" now'), *COLUMNS[3:], separator=",")
        line = (
            pl.when(hit & (which == 0))
            .then(pl.concat_str(COLUMNS[:-2], separator=","))
            .when(hit & (which == 1))
            .then(odd)
            .when(hit)
            .then(line + ",extra")
            .otherwise(line)
        )
    return cells.select(line.alias("line"))["line"].to_list()


def _cells(rng: np.random.Generator, first: int, rows: int) -> pl.DataFrame:
    """Records as text, one column each."""
    import numpy as np
    import polars as pl

    def number(below: int, digits: int) -> pl.Series:
        return pl.Series(rng.integers(0, below, rows)).cast(pl.String).str.zfill(digits)

    def word(words: tuple[str, ...]) -> pl.Series:
        return pl.Series(words).gather(rng.integers(0, len(words), rows))

    return pl.DataFrame(
        {
            "order_id": pl.Series(np.arange(first, first + rows)).cast(pl.String),
            "customer": "C" + number(10**6, 6),
            "product": word(WORDS) + " " + word(WORDS),
            "amount": number(1000, 1) + "." + number(100, 2),
            "day": "2026-" + pl.Series(rng.integers(1, 13, rows)).cast(pl.String).str.zfill(2) + "-" + number(28, 2),
            "status": word(("NEW", "PAID", "SHIPPED")),
            "email": word(WORDS) + "@example.com",
            "quantity": pl.repeat("7", rows, eager=True),
        }
    )


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
