"""Which tables take deliveries, read from the YAML alone, and their secrets, looked up when they are needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowforge_assets.bronze.landing_options import IGNORED, LandingOptions
from flowforge_assets.catalog import documents
from flowforge_assets.webhook.naming import accepted
from flowforge_assets.webhook.options import WebhookOptions
from flowforge_resources.databases import references
from flowforge_resources.errors import DefinitionError
from flowforge_resources.layout import TableId

if TYPE_CHECKING:
    from pathlib import Path

# A secret that is replaced is used after this long, without a restart.
_SECRETS_HOLD_S = 60.0


@dataclass
class Endpoint:
    """A table that takes deliveries. `suffixes`: the content types it takes, with the suffix of each."""

    table: TableId
    options: WebhookOptions
    suffixes: dict[str, str]
    _secrets: tuple[str, ...] = field(default=(), repr=False)
    _looked_up: float = 0.0

    def secrets(self) -> tuple[str, ...]:
        """The secrets, as they were a minute ago at the latest.

        Raises:
            SecretError: there is nothing where a reference points.
        """
        if not self._secrets or monotonic() - self._looked_up > _SECRETS_HOLD_S:
            owner = f"webhook of {self.table}"
            found = tuple(references.resolve_for(owner, one, field="secret") for one in self.options.secrets)
            self._secrets, self._looked_up = found, monotonic()
        return self._secrets


def declared_endpoints(defs: Path | None = None) -> dict[tuple[str, str], Endpoint]:
    """Every table with a `webhook`, by workflow and table.

    Raises:
        DefinitionError: one is declared wrongly; nothing that is written as a secret is in the message.
    """
    found: dict[tuple[str, str], Endpoint] = {}
    for workflow, where, attributes in documents("Table", defs):
        if attributes.get("webhook") is not None:
            one = _endpoint(where, workflow, attributes)
            found[one.table.workflow, one.table.name] = one
    return found


def _endpoint(where: str, workflow: str, attributes: dict[str, Any]) -> Endpoint:
    from pydantic import ValidationError

    table, files = str(attributes.get("name", "")), str(attributes.get("files", "*.csv"))
    try:
        options = WebhookOptions(**attributes["webhook"])
    except (ValidationError, TypeError) as error:
        said = error.errors(include_input=False, include_url=False)[0] if isinstance(error, ValidationError) else None
        problem = f"`{'.'.join(map(str, said['loc']))}`: {said['msg']}" if said else "it is no mapping"
        raise DefinitionError(where, f"`webhook` of table '{table}': {problem}.", "Correct it.") from None
    landing = LandingOptions(ignore=tuple(attributes.get("ignore", IGNORED)))
    for problem, fix in options.problems(table, files, landing):
        raise DefinitionError(where, problem, fix)
    return Endpoint(TableId(workflow, table), options, accepted(options.prefix, files))
