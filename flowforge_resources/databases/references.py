"""Secrets by reference: `env('X')`, `file('/run/secrets/x')`, `aws_secret('name', 'key')`, `ssm('name')`.

A reference is text in YAML that says where a value is. It is looked up when a connection is opened, never when
definitions are loaded, so that the value is in no definition, no configuration, no metadata and no log.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from flowforge_resources.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTATION = "`env('X')`, `file('/run/secrets/x')`, `aws_secret('name', 'key')` or `ssm('name')`"
_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\((.*)\)\s*", re.DOTALL)


def as_text(written: object) -> str:
    """What stands where a text should, as one: an error about its type would print it, and it may be a secret."""
    if isinstance(written, bool):
        return str(written).lower()
    return str(written) if isinstance(written, str | int | float) else ""


def parse(written: str) -> tuple[str, tuple[str, ...]] | None:
    """The kind and arguments of a reference; None for a text that is none.

    Raises:
        ValueError: a reference that is not written right; the text is not in the message, it may be a secret.
    """
    call = _CALL.fullmatch(written)
    if call is None or call[1] not in _LOOKUPS:
        return None
    kind, inside = call[1], call[2]
    try:
        arguments = ast.literal_eval(f"({inside},)")
    except (SyntaxError, ValueError):
        arguments = ()
    least, most = _ARGUMENTS[kind]
    if not least <= len(arguments) <= most or not all(isinstance(one, str) and one for one in arguments):
        raise ValueError(f"the reference {kind}(…) is not written right. Write {_EXAMPLES[kind]}.")
    return kind, arguments


def is_reference(written: str) -> bool:
    """Whether a text says where a value is, and is not the value."""
    return parse(written) is not None


def resolve(written: str, *, connection: str, field: str) -> str:
    """What a reference of a connection refers to; any other text as it is.

    Raises:
        SecretError: there is nothing where the reference points, or it cannot be reached.
    """
    return resolve_for(f"connection '{connection}'", written, field=field)


def resolve_for(owner: str, written: str, *, field: str) -> str:
    """As `resolve`, for any owner: how the error calls it, e.g. `webhook of shop.orders`.

    Raises:
        SecretError: there is nothing where the reference points, or it cannot be reached.
    """
    found = parse(written)
    if found is None:
        return written
    kind, arguments = found
    try:
        return _LOOKUPS[kind](*arguments)
    except _NotThereError as error:
        raise SecretError(owner, field, written.strip(), str(error)) from None


def resolve_each(owner: str, written: Mapping[str, str], *, field: str) -> dict[str, str]:
    """As `resolve_for`, for every value of a mapping such as headers.

    Raises:
        SecretError: see `resolve_for`.
    """
    return {name: resolve_for(owner, value, field=f"{field}.{name}") for name, value in written.items()}


# A field of a model that may hold a secret in the wrong place.
HiddenText = Annotated[str, BeforeValidator(as_text)]


class _NotThereError(Exception):
    """Says what is missing; never holds a value."""


def _env(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise _NotThereError(f"the environment variable {name} is {'empty' if value == '' else 'not set'}.")
    return value


def _file(path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise _NotThereError(f"the file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _NotThereError(f"the file {path} is not UTF-8 text.") from None
    if not value:
        raise _NotThereError(f"the file {path} is empty.")
    return value


def _aws_secret(name: str, key: str | None = None) -> str:
    found = _asked(
        "secretsmanager", lambda client: client.get_secret_value(SecretId=name), f"AWS Secrets Manager's '{name}'"
    )
    value = str(found.get("SecretString", ""))
    if key is None:
        return value
    try:
        return str(json.loads(value)[key])
    except (ValueError, KeyError, TypeError):
        raise _NotThereError(f"the secret '{name}' is no JSON object with the key '{key}'.") from None


def _ssm(name: str) -> str:
    found = _asked(
        "ssm", lambda client: client.get_parameter(Name=name, WithDecryption=True), f"the SSM parameter '{name}'"
    )
    return str(found["Parameter"]["Value"])


def _asked(service: str, ask: Callable[[Any], Any], what: str) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask(boto3.client(service))
    except ClientError as error:
        raise _NotThereError(f"{what} was refused: {error.response['Error']['Code']}.") from None
    except BotoCoreError as error:
        raise _NotThereError(f"{what} cannot be reached: {error}.") from None


_LOOKUPS: dict[str, Callable[..., str]] = {"env": _env, "file": _file, "aws_secret": _aws_secret, "ssm": _ssm}
_ARGUMENTS = {"env": (1, 1), "file": (1, 1), "aws_secret": (1, 2), "ssm": (1, 1)}
_EXAMPLES = {
    "env": "env('SHOP_PASSWORD')",
    "file": "file('/run/secrets/shop_password')",
    "aws_secret": "aws_secret('shop/db', 'password')",
    "ssm": "ssm('/shop/password')",
}
