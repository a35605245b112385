"""How a connection is declared: its fields, and what may not stand in them. Opens nothing (see `engine`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from flowforge_resources.databases import references
from flowforge_resources.databases.kinds import KINDS, Kind, KindName
from flowforge_resources.databases.references import HiddenText

if TYPE_CHECKING:
    from collections.abc import Iterator

TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)?$|pwd$|secret|token|api_?key", re.IGNORECASE)
_SECRET_INSIDE = re.compile(r"(?:^|[;&?\s])\s*(?:pwd|password|passwd)\s*=", re.IGNORECASE)
# What people put in the wrong place, by the first letters of the field.
_LOOKS_SECRET = {
    "hos": re.compile(r"@"),
    "dat": _SECRET_INSIDE,
    "use": re.compile(r":"),
    "tls": re.compile(r"-----BEGIN|\n"),
}
_MEANT = {
    "hos": "Write the server's name only.",
    "dat": "Write the database's name only.",
    "use": "Write the user's name only.",
    "tls": "Write the path of the file.",
}


class ConnectionFields(BaseModel):
    """One database, as declared. Any text may be a reference to where its value is."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a value may be a secret that stands in the wrong place

    name: str = Field(description="Name by which tables refer to it.", pattern=r"^[a-z][a-z0-9_]*$")
    kind: KindName = Field(description="Which database it is; `sqlalchemy` for any other that a `url` reaches.")
    description: str | None = Field(default=None, description="What the database is.")
    host: str | None = Field(default=None, description="Name or address of the server.")
    port: str | None = Field(default=None, description="Its port. Default: the usual one of the kind.")
    database: str | None = Field(
        default=None,
        description="The database; the path of the file for SQLite and DuckDB; the service name for Oracle.",
    )
    user: str | None = Field(default=None, description="Who logs in.")
    password: HiddenText | None = Field(
        default=None,
        description="Where the password is, never the password itself: `env('X')`, `file('/run/secrets/x')`, `aws_secret('name', 'key')` or `ssm('name')`. Looked up when the connection is opened.",
        examples=["env('SHOP_PASSWORD')"],
    )
    url: str | None = Field(
        default=None,
        description="An SQLAlchemy URL instead of host, port, database and user, without a password in it: that stays in `password`, or the whole URL is a reference.",
        examples=["postgresql+psycopg://app@db.example.com/shop"],
    )
    tls: TlsMode | None = Field(
        default=None,
        description="Whether the connection is encrypted, in PostgreSQL's words: `require` encrypts, `verify-ca` checks who signed the server's certificate, `verify-full` also its name. Default: the driver's.",
    )
    tls_ca: str | None = Field(default=None, description="File of the certificates that are trusted.")
    tls_cert: str | None = Field(default=None, description="File of the client's certificate.")
    tls_key: str | None = Field(default=None, description="File of the client's key.")
    connect_timeout_s: int = Field(default=10, ge=1, description="Seconds to wait for the server to answer.")
    statement_timeout_s: int | None = Field(
        default=None, ge=1, description="Seconds after which the server ends a statement. Default: the server's."
    )
    pool_size: int = Field(default=4, ge=1, description="Connections at once, at most.")
    read_only: bool = Field(
        default=True, description="Whether sessions are opened read-only. A database that is written to needs `false`."
    )
    application_name: str = Field(default="flowforge", description="What the server shows as the session's program.")

    @property
    def its_kind(self) -> Kind:
        """The kind of database."""
        return KINDS[self.kind]

    def resolved(self, field: str) -> str | None:
        """A text field, looked up where it is a reference.

        Raises:
            SecretError: there is nothing where the reference points.
        """
        written = getattr(self, field)
        return None if written is None else references.resolve(str(written), connection=self.name, field=field)

    def resolved_port(self) -> int | None:
        """The port, or the kind's usual one."""
        found = self.resolved("port")
        return int(found) if found else self.its_kind.port

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong with it: the field, the problem, the fix. No message holds a field's value that may be secret."""
        yield from self._literal_secrets()
        yield from self._broken_references()
        yield from self._incomplete()

    def _literal_secrets(self) -> Iterator[tuple[str, str, str]]:
        fix = f"Write a reference: {references.NOTATION}, without braces around it."
        if self.password is not None and not _is_reference(self.password):
            yield "password", f"connection '{self.name}' has a password written out in YAML.", fix
        if self.url is not None and not _is_reference(self.url) and _holds_secret(self.url):
            yield (
                "url",
                f"connection '{self.name}' has a password written out inside its `url`.",
                f"Take it out of the URL and write it as `password:`, by reference: {references.NOTATION}; or make the whole `url` a reference.",
            )

        for field in ("host", "database", "user", "tls_ca", "tls_cert", "tls_key"):
            written = getattr(self, field)
            if written is not None and not _is_reference(written) and _LOOKS_SECRET[field[:3]].search(written):
                yield (
                    field,
                    f"the `{field}` of connection '{self.name}' holds more than that; a password may be written out in it.",
                    f"{_MEANT[field[:3]]} A password stands in `password`, by reference: {references.NOTATION}.",
                )

    def _broken_references(self) -> Iterator[tuple[str, str, str]]:
        for field in ("host", "port", "database", "user", "password", "url", "tls_ca", "tls_cert", "tls_key"):
            try:
                references.parse(str(getattr(self, field) or ""))
            except ValueError as error:
                yield (
                    field,
                    f"in connection '{self.name}', {str(error).partition('. ')[0]}.",
                    str(error).partition(". ")[2],
                )

    def _incomplete(self) -> Iterator[tuple[str, str, str]]:
        if self.kind == "sqlalchemy" and self.url is None:
            yield "kind", f"connection '{self.name}' is of kind `sqlalchemy` and has no `url`.", "Add `url:`."
        if self.url is not None:
            return
        needed = "database" if self.its_kind.is_file else "host"
        if self.kind != "sqlalchemy" and getattr(self, needed) is None:
            yield needed, f"connection '{self.name}' has neither `{needed}` nor `url`.", f"Add `{needed}:`."
        port = self.port or "1"
        if not _is_reference(port) and not port.isdecimal():
            yield "port", f"connection '{self.name}' has a port that is no number.", "Write e.g. `port: 5432`."


def _is_reference(written: str) -> bool:
    try:
        return references.is_reference(written)
    except ValueError:
        return True  # said by itself


def _holds_secret(url: str) -> bool:
    """Whether a URL has a password: before the host, among its options, or inside an ODBC string."""
    try:
        parts = urlsplit(url)
        secret = parts.password
    except ValueError:
        return True  # not to be taken apart: rather refused than printed
    options = parse_qsl(parts.query, keep_blank_values=True)
    return (
        bool(secret)
        or any(_SECRET_NAME.search(name) or _SECRET_INSIDE.search(unquote(value)) for name, value in options)
        or bool(_SECRET_INSIDE.search(unquote(url)))
    )
