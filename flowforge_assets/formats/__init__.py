"""Files of any format as text columns: pure transforms that know neither Dagster nor the lake."""

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.csv_fast import is_another
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, CsvDialect, CsvOptions
from flowforge_assets.formats.csv_read import CsvRead, read_any
from flowforge_assets.formats.csv_robust import RobustRead, read_csv_robust

__all__ = [
    "RESCUED",
    "ROW_NUMBER",
    "CsvAccount",
    "CsvDialect",
    "CsvOptions",
    "CsvRead",
    "RobustRead",
    "detect",
    "is_another",
    "read_any",
    "read_csv_robust",
]
