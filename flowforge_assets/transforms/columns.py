"""Which bronze column each column of a file is, and what becomes of columns the table has not had before.

Names: a header that differs from a declared one in case or blanks only, or is one of its aliases, is that column; a
file without a header, as wide as the table, has the table's columns in order; order never matters.
New columns: by the table's `schema_evolution`, whose words and meaning are Databricks Auto Loader's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.errors import BadFileError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.table_spec import TableSpec

NOT_IN_THE_SCHEMA = "the table has no such column"


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file. `names`: header to bronze name, of those that become columns."""

    names: Mapping[str, str]
    rescued: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def shape(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Bring a file's rows (its headers, `_rescued`) into bronze's columns."""
        if self.rescued:
            frame = frame.with_columns(_with_cells(self.rescued))
        gone = (*self.rescued, *self.ignored)
        return frame.drop(gone).rename({written: name for written, name in self.names.items() if written != name})


def columns_of(file: str, read: FileRead, spec: TableSpec, known: frozenset[str]) -> FileColumns:
    """Decide what each column of a file is.

    Args:
        file: landing key, for errors.
        read: the file.
        spec: the table.
        known: columns that bronze has had so far; empty for a table that never took a file.

    Raises:
        BadFileError: a column of the key is missing, or `fail_on_new_columns` and there is a new one.
    """
    names = _named(read, spec)
    _require_keys(file, read, spec, names)
    allowed = known | set(spec.landed_headers)
    new = {written: name for written, name in names.items() if known and name not in allowed}
    if not new or spec.schema_evolution.startswith("add_new_columns"):
        return FileColumns(names)
    if spec.schema_evolution == "fail_on_new_columns":
        raise BadFileError(
            file,
            f"the header has {'columns' if len(new) > 1 else 'a column'} {some(list(new))} that {spec.id} never had, and its `schema_evolution` is `fail_on_new_columns`.",
            "Declare the column, choose another `schema_evolution`, or remove the file.",
        )
    kept = {written: name for written, name in names.items() if written not in new}
    rescues = spec.schema_evolution == "rescue"
    return FileColumns(kept, rescued=tuple(new) if rescues else (), ignored=() if rescues else tuple(new))


def _named(read: FileRead, spec: TableSpec) -> dict[str, str]:
    written = read.columns
    if not read.as_dict().get("header_lines", 1) and len(written) == len(spec.landed_headers):
        return dict(zip(written, spec.landed_headers, strict=True))
    declared = {_plain(name): name for name in spec.landed_columns}
    declared |= {_plain(name): column.header for column in spec.landed for name in (*column.aliases, column.header)}
    taken = set(spec.landed_headers) & set(written)
    exact = set(taken)
    return {name: name if name in exact else _free(declared.get(_plain(name), name), taken) or name for name in written}


def _free(name: str, taken: set[str]) -> str | None:
    """The name, unless another column of the file has it already."""
    if name in taken:
        return None
    taken.add(name)
    return name


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _require_keys(file: str, read: FileRead, spec: TableSpec, names: Mapping[str, str]) -> None:
    keys = (column.header for column in spec.landed if column.name in spec.keys)
    missing = next((header for header in keys if header not in names.values()), None)
    if missing is None:
        return
    near = did_you_mean(missing, read.columns) if len(read.columns) > 1 else ""
    raise BadFileError(
        file,
        f"the header has no column '{missing}', which is (part of) the key of {spec.id}; it has {some(read.columns)}.{near}",
        f"If the file belongs to another table, move it there. If the column has another name in the file, declare it under `aliases`.{_read_with(read)}",
    )


def _read_with(read: FileRead) -> str:
    delimiter = read.as_dict().get("delimiter")
    return f" It was read with {delimiter!r} between cells; declare `delimiter` if that is wrong." if delimiter else ""


def _with_cells(columns: Sequence[str]) -> pl.Expr:
    """`_rescued` with the cells of some columns added to its JSON list."""
    import polars as pl

    cells = [
        pl.when(pl.col(name).is_not_null()).then(
            pl.struct(
                pl.lit(name).alias("column"), pl.col(name).alias("raw"), pl.lit(NOT_IN_THE_SCHEMA).alias("why")
            ).struct.json_encode()
        )
        for name in columns
    ]
    added = pl.concat_str(cells, separator=",", ignore_nulls=True)
    earlier = pl.col("_rescued").str.strip_suffix("]") + pl.lit(",")
    return (
        pl.when(added == "")
        .then(pl.col("_rescued"))
        .otherwise(pl.concat_str(earlier.fill_null("["), added, pl.lit("]")))
        .alias("_rescued")
    )


def some(names: Sequence[str], most: int = 12) -> str:
    """A few names for an error."""
    shown = ", ".join(f"'{name[:40]}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
