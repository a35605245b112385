"""Whether a document is what the standard's own JSON schema says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowforge_checks.contracts import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "v3.1.0"
_SCHEMA = Path(__file__).parent / f"odcs-json-schema-{API_VERSION}.json"


def require_valid(document: Mapping[str, Any], name: str) -> None:
    """Check a document.

    Raises:
        ContractError: naming the place in the document that is wrong, and what it should be.
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(document))
    if error is not None:
        raise ContractError(
            f"{name} is no ODCS {API_VERSION} contract: at `{error.json_path}`: {error.message[:300]}. Correct it there."
        )


@cache
def _validator() -> Any:
    from jsonschema import Draft201909Validator

    return Draft201909Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))
