"""A Parquet column of any type as text, losing nothing that a type can hold.

Integers and decimals by their digits, floats by the shortest text that reads back the same, dates, times and durations
as ISO 8601 (timestamps with their zone's offset), booleans as words, binary as base64, nested values as JSON text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from polars.datatypes import DataType

_NAIVE, _ZONED = "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%:z"
_WORDS: dict[type[DataType], str] = {
    pl.Int8: "tinyint",
    pl.Int16: "smallint",
    pl.Int32: "integer",
    pl.Int64: "bigint",
    pl.Int128: "hugeint",
    pl.UInt8: "utinyint",
    pl.UInt16: "usmallint",
    pl.UInt32: "uinteger",
    pl.UInt64: "ubigint",
    pl.Float32: "real",
    pl.Float64: "double",
    pl.Boolean: "boolean",
    pl.String: "text",
    pl.Categorical: "text",
    pl.Enum: "text",
    pl.Null: "",
    pl.Date: "date",
    pl.Datetime: "timestamp",
    pl.Time: "time",
    pl.Duration: "interval",
    pl.Binary: "binary",
}
_NESTED = (pl.List, pl.Array, pl.Struct, pl.Map)


def sql_word(dtype: DataType) -> str:
    """Return what SQL calls a type."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision or 38},{dtype.scale})"
    if isinstance(dtype, _NESTED):
        return "json"
    return _WORDS.get(type(dtype), str(dtype).lower())


def as_text(name: str, dtype: DataType) -> pl.Expr:
    """Return a column as text."""
    column = pl.col(name)
    if isinstance(dtype, _NESTED):
        return column.map_batches(_json, return_dtype=pl.String(), is_elementwise=True)
    return _leaf(column, dtype)


def _leaf(column: pl.Expr, dtype: DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        return column.dt.to_string(_ZONED if dtype.time_zone else _NAIVE)
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.Binary):
        return column.bin.encode("base64")
    return column.cast(pl.String)


def _json(series: pl.Series) -> pl.Series:
    """Return nested values as JSON text."""
    values = _plain(series.rechunk().to_arrow())
    texts = [
        None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values
    ]
    return pl.Series(series.name, texts, pl.String)


def _plain(array: pa.Array) -> list[object]:
    """Return an array's values as what JSON knows: what JSON has no type for as the text `as_text` gives."""
    kind = array.type
    if pa.types.is_map(kind):
        pairs = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return [_object(value) for value in _plain(array.cast(pairs))]
    if pa.types.is_struct(kind):
        return _structs(array)
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType | pa.ListViewType | pa.LargeListViewType):
        return _lists(array)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        return _numbers(array)
    leaf = pl.Series("leaf", array)
    return list(leaf.to_frame().select(_leaf(pl.col("leaf"), leaf.dtype)).to_series().to_list())


def _numbers(array: pa.Array) -> list[object]:
    """Return numbers; the narrow floats widened by their shortest text, not by their bits."""
    if not pa.types.is_floating(array.type) or array.type == pa.float64():
        return list(array.to_pylist())
    texts = pl.Series("leaf", array).cast(pl.String)
    return [None if text is None else float(text) for text in texts]


def _structs(array: pa.StructArray) -> list[object]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    fields = [_plain(field) for field in array.flatten()]
    rows = zip(*fields, strict=True) if fields else ((),) * len(array)
    return [
        dict(zip(names, row, strict=True)) if valid else None
        for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
    ]


def _lists(array: pa.Array) -> list[object]:
    lengths = array.value_lengths().to_pylist()
    items, found, at = _plain(array.flatten()), [], 0
    for length in lengths:
        found.append(None if length is None else items[at : at + length])
        at += length or 0
    return list(found)


def _object(pairs: object) -> object:
    """Return a map as a JSON object where its keys are distinct texts, else as its pairs."""
    if not isinstance(pairs, list):
        return pairs
    keys = [pair["key"] for pair in pairs]
    texts = all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys)
    return {pair["key"]: pair["value"] for pair in pairs} if texts else pairs
