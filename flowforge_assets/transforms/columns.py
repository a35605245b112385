"""Which bronze column each column of a file is, and what becomes of columns the table has not had before.

Names: a header that differs from a declared one in case or blanks only, or is one of its aliases, is that column; a
file without a header, as wide as the table, has the table's columns in order; order never matters.
New columns, and values that do not fit the type the column had: by the table's `schema_evolution`, whose words and meaning are Databricks Auto Loader's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_assets.bronze.type_ladder import holds_all_of, kind_of
from flowforge_resources.errors import BadFileError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.table_spec import TableSpec

NOT_IN_THE_SCHEMA = "the table has no such column"
_INTEGERS = {8: "Int8", 16: "Int16", 32: "Int32", 64: "Int64", 128: "Int128"}
_MOMENTS = {"date": r"^\d{4,}-\d\d-\d\d$", "timestamp": r"^\d{4,}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"}


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file.

    `names`: header to bronze name, of those that become columns. `types`: bronze name to the type in the file, of typed
    ones. `fitting`: header to the type that its values must have; those that do not go into `_rescued`.
    """

    names: Mapping[str, str]
    rescued: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    fitting: Mapping[str, str] = field(default_factory=dict)

    @property
    def rescues(self) -> bool:
        """Whether cells of its rows may go into `_rescued`."""
        return bool(self.rescued or self.fitting)

    def shape(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Bring a file's rows (its headers, `_rescued`) into bronze's columns."""
        if self.rescues:
            frame = frame.with_columns(*self._fitting(), _with_cells(self._cells()))
        gone = (*self.rescued, *self.ignored)
        return frame.drop(gone).rename({written: name for written, name in self.names.items() if written != name})

    def _fitting(self) -> list[pl.Expr]:
        import polars as pl

        return [pl.when(_fits(name, kind)).then(pl.col(name)).alias(name) for name, kind in self.fitting.items()]

    def _cells(self) -> dict[str, tuple[pl.Expr, str]]:
        """By header: where a cell goes into `_rescued`, and why."""
        import polars as pl

        unknown = {name: (pl.col(name).is_not_null(), NOT_IN_THE_SCHEMA) for name in self.rescued}
        misfits = {
            name: (~_fits(name, kind), f"not of the type {kind}, which the column had so far")
            for name, kind in self.fitting.items()
        }
        return {**unknown, **misfits}


def columns_of(
    file: str, read: FileRead, spec: TableSpec, known: frozenset[str], types: Mapping[str, str]
) -> FileColumns:
    """Decide what each column of a file is.

    Args:
        file: landing key, for errors.
        read: the file.
        spec: the table.
        known: columns that bronze has had so far; empty for a table that never took a file.
        types: the types that columns had so far, of those that came typed.

    Raises:
        BadFileError: a column of the key is missing, or `fail_on_new_columns` and there is a new one.
    """
    from flowforge_assets.formats.file_read import types_of

    names = named(file, read, spec, known)
    allowed = known | set(spec.landed_headers)
    new = {written: name for written, name in names.items() if known and name not in allowed}
    typed = {names[written]: word for written, word in types_of(read).items()}
    if not new or spec.schema_evolution.startswith("add_new_columns"):
        return FileColumns(names, types=typed, fitting=_misfits(spec, names, typed, types))
    if spec.schema_evolution == "fail_on_new_columns":
        raise BadFileError(
            file,
            f"the header has {'columns' if len(new) > 1 else 'a column'} {some(list(new))} that {spec.id} never had, and its `schema_evolution` is `fail_on_new_columns`.",
            "Declare the column, choose another `schema_evolution`, or remove the file.",
        )
    kept = {written: name for written, name in names.items() if written not in new}
    rescues = spec.schema_evolution == "rescue"
    return FileColumns(
        kept,
        rescued=tuple(new) if rescues else (),
        ignored=() if rescues else tuple(new),
        types={name: word for name, word in typed.items() if name in kept.values()},
        fitting=_misfits(spec, kept, typed, types),
    )


def _misfits(
    spec: TableSpec, names: Mapping[str, str], found: Mapping[str, str], types: Mapping[str, str]
) -> dict[str, str]:
    """The headers whose values may not have the type the column had so far, with that type; where they are rescued."""
    if spec.schema_evolution != "rescue":
        return {}
    pairs = ((written, types.get(name), found.get(name)) for written, name in names.items())
    return {written: had for written, had, has in pairs if had and has and not holds_all_of(had, has)}


def _fits(name: str, kind: str) -> pl.Expr:
    """Whether a text is a value of a type; null is, and so is any text of a type that has no form of its own."""
    import polars as pl

    text, said = pl.col(name), kind_of(kind)
    if said.family == "integer":
        signed = next((dtype for bits, dtype in _INTEGERS.items() if bits >= said.size), "Int128")
        fits = text.cast(getattr(pl, signed), strict=False).is_not_null()
    elif said.family in {"float", "decimal"}:
        fits = text.cast(pl.Float64, strict=False).is_not_null()
    elif said.family == "boolean":
        fits = text.str.to_lowercase().is_in(["true", "false"])
    elif said.family in _MOMENTS:
        fits = text.str.contains(_MOMENTS[said.family])
    else:
        fits = pl.lit(value=True)
    return text.is_null() | fits


def named(file: str, read: FileRead, spec: TableSpec, known: frozenset[str]) -> dict[str, str]:
    """Header to bronze name, of a file or of one member of a zip.

    Raises:
        BadFileError: a column of the key is missing.
    """
    names = _named(read, spec)
    _require_keys(file, read, spec, names, known)
    return names


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


def _require_keys(file: str, read: FileRead, spec: TableSpec, names: Mapping[str, str], known: frozenset[str]) -> None:
    keys = (column.header for column in spec.landed if column.name in spec.keys)
    missing = next((header for header in keys if header not in names.values()), None)
    if missing is None:
        return
    raise BadFileError(
        file,
        f"the header has no column '{missing}', which is (part of) the key of {spec.id}; {_has(missing, read, spec, names, known)}",
        f"If the file belongs to another table, move it there. If the column has another name in the file, declare it under `aliases`.{_read_with(read)}",
    )


def _has(missing: str, read: FileRead, spec: TableSpec, names: Mapping[str, str], known: frozenset[str]) -> str:
    """What the header has. Where the table knows none of it, it may be a row of data, and personal."""
    if spec.holds_pii and not (known | set(spec.landed_headers)).intersection(names.values()):
        return f"the table knows none of its {len(read.columns)} names, which may be data and are not shown."
    return f"it has {some(read.columns)}.{nearest(missing, read.columns)}"


def _read_with(read: FileRead) -> str:
    delimiter = read.as_dict().get("delimiter")
    return f" It was read with {delimiter!r} between cells; declare `delimiter` if that is wrong." if delimiter else ""


def _with_cells(columns: Mapping[str, tuple[pl.Expr, str]]) -> pl.Expr:
    """`_rescued` with cells added to its JSON list: by header, where they go there, and why."""
    import polars as pl

    cells = [
        pl.when(where).then(
            pl.struct(
                pl.lit(name).alias("column"), pl.col(name).alias("raw"), pl.lit(why).alias("why")
            ).struct.json_encode()
        )
        for name, (where, why) in columns.items()
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
    """A few names for an error; what cannot be printed is escaped."""
    shown = ", ".join(f"'{_printable(name[:40])}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
