"""Who we are to an API: declared with secrets by reference, looked up when the first request goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from flowforge_resources.databases import references
from flowforge_resources.databases.references import HiddenText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AuthKind = Literal["bearer", "basic", "api_key", "oauth2"]
_NEEDS: dict[str, tuple[str, ...]] = {
    "bearer": ("token",),
    "basic": ("user", "password"),
    "api_key": ("key",),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_MAY: dict[str, tuple[str, ...]] = {"api_key": ("name", "place"), "oauth2": ("scope",)}
_SECRET = ("token", "password", "key", "client_secret")


class HttpAuth(BaseModel):
    """Who we are to an HTTP API. Any text may be a reference; a secret must be one."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    type: AuthKind = Field(
        description="`bearer` (a `token`), `basic` (`user`, `password`), `api_key` (a `key`), `oauth2` (client credentials: `token_url`, `client_id`, `client_secret`)."
    )
    token: HiddenText | None = Field(default=None, description="Where the bearer token is, e.g. `env('API_TOKEN')`.")
    user: HiddenText | None = Field(default=None, description="User of `basic`.")
    password: HiddenText | None = Field(default=None, description="Where the password of `basic` is.")
    key: HiddenText | None = Field(default=None, description="Where the API key is.")
    name: str = Field(default="X-API-Key", description="The header or parameter that carries the API key.")
    place: Literal["header", "query"] = Field(
        default="header", alias="in", description="Whether the API key goes into a header or the query."
    )
    token_url: str | None = Field(default=None, description="Where `oauth2` gets its token.")
    client_id: HiddenText | None = Field(default=None, description="Id of the `oauth2` client.")
    client_secret: HiddenText | None = Field(default=None, description="Where the secret of the `oauth2` client is.")
    scope: str | None = Field(default=None, description="Scope that `oauth2` asks for.")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: the problem, the fix. No message holds what is written as a secret."""
        needs, may = _NEEDS[self.type], _MAY.get(self.type, ())
        for name in needs:
            if getattr(self, name) is None:
                yield f"`auth` of type {self.type} has no `{name}`.", f"Add `{name}:`."
        for name in sorted(self.model_fields_set - {"type", *needs, *may}):
            shown = "in" if name == "place" else name
            yield f"`auth` of type {self.type} has `{shown}`, which is not of that type.", f"Take `{shown}` out."
        for name in (*needs, "scope"):
            written = getattr(self, name)
            if written is not None:
                yield from _wrong_reference(f"auth.{name}", written, secret=name in _SECRET)


def _wrong_reference(field_name: str, written: str, *, secret: bool) -> Iterator[tuple[str, str]]:
    try:
        literal = not references.is_reference(written)
    except ValueError as error:
        problem, _, fix = str(error).partition(". ")
        yield f"in `{field_name}`, {problem}.", fix
        return
    if literal and secret:
        yield f"`{field_name}` is written out in YAML.", f"Write a reference: {references.NOTATION}, without braces."


@dataclass
class Credentials:
    """What goes out with a request to the API's own host, and to no other."""

    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


class Identity:
    """An `HttpAuth` with its secrets looked up.

    Args:
        owner: how errors call it.
        auth: as declared; None for an API that asks nobody.
        ask_for_token: posts a form to a URL with basic credentials, and returns the token.
    """

    def __init__(
        self, owner: str, auth: HttpAuth | None, ask_for_token: Callable[[str, dict[str, str], tuple[str, str]], str]
    ) -> None:
        self._owner, self._auth, self._ask = owner, auth, ask_for_token
        self._found: Credentials | None = None

    @property
    def can_renew(self) -> bool:
        """Whether a token that is refused may be replaced by a new one."""
        return self._auth is not None and self._auth.type == "oauth2"

    def forget(self) -> None:
        """Get a new token for the next request."""
        self._found = None

    def credentials(self) -> Credentials:
        """What a request carries.

        Raises:
            SecretError: there is nothing where a reference points.
        """
        if self._found is None:
            self._found = Credentials() if self._auth is None else self._make(self._auth)
        return self._found

    def _make(self, auth: HttpAuth) -> Credentials:
        if auth.type == "api_key":
            found = {auth.name: self._value("key")}
            return Credentials(headers=found) if auth.place == "header" else Credentials(params=found)
        if auth.type == "basic":
            from base64 import b64encode

            pair = f"{self._value('user')}:{self._value('password')}"
            return Credentials(headers={"Authorization": f"Basic {b64encode(pair.encode()).decode()}"})
        if auth.type == "bearer":
            return Credentials(headers={"Authorization": f"Bearer {self._value('token')}"})
        form = {"grant_type": "client_credentials"} | ({"scope": self._value("scope")} if auth.scope else {})
        client = self._value("client_id"), self._value("client_secret")
        return Credentials(headers={"Authorization": f"Bearer {self._ask(self._value('token_url'), form, client)}"})

    def _value(self, name: str) -> str:
        return references.resolve_for(self._owner, str(getattr(self._auth, name) or ""), field=f"auth.{name}")
