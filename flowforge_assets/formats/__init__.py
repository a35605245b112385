"""Files of any format as text columns: pure transforms that know neither Dagster nor the lake."""

from flowforge_assets.formats.compression import Limits, opened, opened_parts
from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.csv_fast import is_another
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, CsvDialect, CsvOptions
from flowforge_assets.formats.csv_read import CsvRead, read_any
from flowforge_assets.formats.csv_robust import RobustRead, read_csv_robust
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.file_read import FileRead
from flowforge_assets.formats.read_file import read_file

__all__ = [
    "RESCUED",
    "ROW_NUMBER",
    "CsvAccount",
    "CsvDialect",
    "CsvOptions",
    "CsvRead",
    "FileOptions",
    "FileRead",
    "Limits",
    "RobustRead",
    "detect",
    "is_another",
    "opened",
    "opened_parts",
    "read_any",
    "read_csv_robust",
    "read_file",
]
