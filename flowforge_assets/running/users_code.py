"""Which steps call Python that a user wrote: nobody promised that it may run in a thread beside other steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.running.steps_at_once import QUERIES
from flowforge_assets.transforms.reshaping import Python as PythonTransform
from flowforge_checks.rules.python import Python as PythonRule

if TYPE_CHECKING:
    from collections.abc import Iterable


def beside_others(declared: Iterable[object]) -> str | None:
    """What a step with these transforms, rules or tests is marked with; None where one of them is a user's function."""
    return None if any(isinstance(one, PythonTransform | PythonRule) for one in declared) else QUERIES
