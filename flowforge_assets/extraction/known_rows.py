"""What bronze holds already: rows of a window that is looked at again, and keys that were not deleted so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.extraction.cursor import Reached, is_number
from flowforge_assets.extraction.cursor import value_of as cursor_value
from flowforge_resources.duck import connect, literal, quote, text_list
from flowforge_resources.ledger_checkpoint import TAKEN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from flowforge_assets.extraction.cursor import Window
    from flowforge_resources.bronze_parts import BronzePart
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger
    from flowforge_resources.scratch import Scratch

DELETED = "_deleted"


def extractions(ledger: Ledger, name: str) -> list[tuple[int, Reached]]:
    """What every extraction of a source reached, with the number of its ledger entry; oldest first."""
    import polars as pl

    found = ledger.records(pl.DataFrame({"key": [name]}), ("outcome", "etag")).filter(pl.col("outcome") == TAKEN)
    return [(version, Reached.parse(said)) for version, said in found.select("version", "etag").iter_rows()]


def rows_of_window(
    lake: Lake,
    ledger: Ledger,
    earlier: Sequence[tuple[int, Reached]],
    window: Window,
    headers: Sequence[str],
    *,
    scratch: Scratch,
) -> pl.DataFrame:
    """Key and cursor of the rows that bronze holds of a window. `headers`: the key's, and the cursor's last."""
    import polars as pl

    low = cursor_value(window.low or "", window.column)
    overlapping = {
        version for version, one in earlier if one.to is not None and cursor_value(one.to, window.column) >= low
    }
    parts = [part for part in ledger.data_after(0) if part.version in overlapping]
    files = _staged(lake, parts, scratch)
    if not files:
        return pl.DataFrame(schema=dict.fromkeys(headers, pl.String))
    kind = "DECIMAL(38, 9)" if is_number(window.column) else "TIMESTAMPTZ"
    said = f"TRY_CAST({quote(headers[-1])} AS {kind}) >= CAST({literal(window.low)} AS {kind})"
    shown = ", ".join(quote(name) for name in headers)
    with connect(scratch.root) as connection:
        sql = f"SELECT DISTINCT {shown} FROM read_parquet({_listed(files)}, union_by_name = true) WHERE {said}"
        return pl.DataFrame(connection.sql(sql).to_arrow_table())


def gone_keys(
    lake: Lake, ledger: Ledger, headers: Sequence[str], source_keys: Path, target: Path, *, scratch: Scratch
) -> int:
    """Write the keys that bronze holds, that are not deleted there, and that the source no longer has; their count.

    Args:
        lake: where bronze is.
        ledger: what bronze holds.
        headers: the key's columns in bronze.
        source_keys: a Parquet file of all the source's keys, under the same names.
        target: the Parquet file that is written.
        scratch: for bronze files of a remote lake.
    """
    files = _staged(lake, ledger.data_after(0), scratch)
    if not files:
        return 0
    keys = ", ".join(quote(name) for name in headers)
    with connect(scratch.root) as connection:
        scan = f"read_parquet({_listed(files)}, union_by_name = true)"
        columns = {row[0] for row in connection.execute(f"DESCRIBE FROM {scan}").fetchall()}
        deleted = f"coalesce({quote(DELETED)} = 'true', FALSE)" if DELETED in columns else "FALSE"
        alive = (
            f"SELECT {keys} FROM {scan} WHERE _row_number IS NOT NULL GROUP BY {keys} "
            f"HAVING NOT arg_max({deleted}, (file_index::BIGINT << 40) + file_row_number)"
        )
        connection.execute(
            f"COPY (FROM ({alive}) ANTI JOIN read_parquet({literal(str(source_keys))}) USING ({keys})) "
            f"TO {literal(str(target))} (FORMAT parquet)"
        )
        (count,) = connection.execute(f"SELECT count(*) FROM read_parquet({literal(str(target))})").fetchall()[0]
    return int(count)


def _staged(lake: Lake, parts: Sequence[BronzePart], scratch: Scratch) -> list[Path]:
    """The files that hold some parts, in order; what else a compacted file holds is in bronze as well."""
    return [lake.stage_in(key, scratch) for key in dict.fromkeys(part.bronze_file for part in parts)]


def _listed(files: Sequence[Path]) -> str:
    return text_list([str(file) for file in files])
