"""The types a silver column can have, each a small class that owns its cast from the text that landed."""

from flowforge_assets.column_types.base import ColumnType, Text
from flowforge_assets.column_types.parse import parse_type

__all__ = ["ColumnType", "Text", "parse_type"]
