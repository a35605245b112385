"""What every kind of sink says of a delivery."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivered:
    """What a delivery did. `rows`: of the version; `counted`: of them, found in the target afterwards."""

    target: str
    rows: int
    counted: int
    changed: bool = True
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
