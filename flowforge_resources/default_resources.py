"""The resources of a code location, under the keys the assets ask for."""

from __future__ import annotations

from typing import Any

from flowforge_resources.io_managers import BronzeIOManager, GoldIOManager, LakeResource
from flowforge_resources.silver_io_manager import SilverIOManager


def default_resources() -> dict[str, Any]:
    """The lake, and an IO manager a layer."""
    lake = LakeResource()
    return {
        "lake": lake,
        "bronze_io_manager": BronzeIOManager(lake=lake),
        "silver_io_manager": SilverIOManager(lake=lake),
        "gold_io_manager": GoldIOManager(lake=lake),
    }
