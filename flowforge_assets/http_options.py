"""What YAML says of any HTTP address we talk to: where it is, who we are to it, and how patient we are with it.

Belongs here: options that reading (`extraction.http_source`) and delivering (`sinks.targets`) share, and what is wrong
with them before anything is sent. Does not: sending (`flowforge_resources.web`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flowforge_resources.databases import references
from flowforge_resources.databases.references import HiddenText
from flowforge_resources.web.auth import HttpAuth
from flowforge_resources.web.client import Patience
from flowforge_resources.web.waiting import rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECRET_NAME = re.compile(r"auth|pass(word|wd|phrase)?$|secret|token|api[_-]?key|cookie", re.IGNORECASE)


class HttpOptions(BaseModel):
    """An HTTP address, who we are to it, and how patient we are."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    url: HiddenText = Field(description="The address; a text or a reference.")
    headers: dict[str, HiddenText] = Field(
        default={}, description="Headers of every request; a value may be a reference, and one that is secret must be."
    )
    auth: HttpAuth | None = Field(default=None, description="Who we are to it, with secrets by reference.")
    rate_limit: str | None = Field(default=None, description="Requests at most, e.g. `5/s` or `100/m`.")
    timeout_s: float = Field(
        default=30, gt=0, description="Seconds without a sign of life before a request is given up."
    )
    deadline_s: float = Field(default=3600, gt=0, description="Seconds for all requests of a run, with all waiting.")
    retries: int = Field(
        default=5,
        ge=0,
        le=20,
        description="How often a request is tried again that met a busy or broken server (408, 425, 429, 500, 502, 503, 504, connection lost), as `Retry-After` says or with growing pauses.",
    )

    @field_validator("rate_limit")
    @classmethod
    def _a_rate(cls, written: str | None) -> str | None:
        if written is not None:
            rate(written)
        return written

    @property
    def patience(self) -> Patience:
        """How long is waited and how often is tried."""
        return Patience(
            self.timeout_s, self.deadline_s, self.retries, rate(self.rate_limit) if self.rate_limit else None
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: the problem, the fix. No message holds a value that may be secret."""
        yield from self._wrong_url()
        if self.auth is not None:
            yield from self.auth.problems()
        if self.auth is not None and holds_secret(self.auth.token_url or ""):
            yield "`auth.token_url` holds a password or a key.", "Use `client_id` and `client_secret`, by reference."
        yield from written_out("headers", self.headers)

    def _wrong_url(self) -> Iterator[tuple[str, str]]:
        if _is_reference(self.url):
            return
        try:
            parts = urlsplit(self.url)
            wrong = parts.scheme not in ("http", "https") or not parts.hostname
        except ValueError:
            wrong = True
        if wrong:
            yield (
                "`url` is no address that begins with http:// or https://.",
                "Write e.g. https://api.example.com/v1/orders.",
            )
            return
        if holds_secret(self.url):
            yield "`url` holds a password or a key.", "Take it out of the URL, and use `auth` with a reference."


def holds_secret(url: str, *, a_user_is: bool = True) -> bool:
    """Whether a URL that is no reference has something secret before its host, or among its parameters.

    `a_user_is`: whether a name alone is; a container of Azure's stands in the same place.
    """
    if _is_reference(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return True  # not to be taken apart: rather refused than printed
    return bool(parts.password or (a_user_is and parts.username)) or any(
        _SECRET_NAME.search(name) for name, _ in parse_qsl(parts.query)
    )


def written_out(kind: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Headers or parameters that look like secrets and are no references: the problem, the fix."""
    for name, value in given.items():
        if _SECRET_NAME.search(name) and not _is_reference(value):
            yield (
                f"`{kind}.{name}` looks like a secret that is written out in YAML.",
                f"Use `auth`, or write a reference: {references.NOTATION}.",
            )


def _is_reference(written: str) -> bool:
    try:
        return references.is_reference(written)
    except ValueError:
        return False
