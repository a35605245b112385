"""What each request on an S3 wire must be allowed to do, by AWS's list of actions, and whether a policy allows it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """An action on a bucket or object (`bucket/key`); `prefix`: of `s3:prefix`, which AWS also fills with a key it looks for."""

    action: str
    resource: str
    prefix: str | None = None


@dataclass
class Recorder:
    """Notes what reaches a server, in front of its application."""

    asked: set[Asked] = field(default_factory=set)

    def note(self, environ: dict[str, Any]) -> None:
        """Note one request; its body can be read again afterwards."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if "delete" in environ["QUERY_STRING"] and length else b""
        if body:
            environ["wsgi.input"] = BytesIO(body)
        bucket, _, key = unquote(environ["PATH_INFO"].lstrip("/")).partition("/")
        query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        self.asked |= set(_actions(environ, bucket, key, query, body))


def _actions(
    environ: dict[str, Any], bucket: str, key: str, query: dict[str, list[str]], body: bytes
) -> Iterator[Asked]:
    method, here = environ["REQUEST_METHOD"], f"{bucket}/{key}"
    if not key:
        yield from _on_bucket(method, bucket, query, body)
    elif method in ("GET", "HEAD") and "uploadId" in query:
        yield Asked("s3:ListMultipartUploadParts", here)
    elif method in ("GET", "HEAD"):
        yield Asked("s3:GetObject", here)
        yield Asked("s3:ListBucket", bucket, key)  # else a key that is not there is answered with 403
    elif method == "DELETE":
        yield Asked("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", here)
    elif method in ("PUT", "POST"):  # objects, their parts, and the beginning and end of those
        yield Asked("s3:PutObject", here)
        if "HTTP_IF_MATCH" in environ:
            yield Asked("s3:GetObject", here)
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            yield Asked("s3:GetObject", unquote(source).lstrip("/"))
    else:
        raise AssertionError(f"{method} {here} {query}: say which action this is")


def _on_bucket(method: str, bucket: str, query: dict[str, list[str]], body: bytes) -> Iterator[Asked]:
    if method == "GET" and "uploads" in query:
        yield Asked("s3:ListBucketMultipartUploads", bucket)
    elif method == "GET" and ("list-type" in query or "prefix" in query):
        yield Asked("s3:ListBucket", bucket, query.get("prefix", [""])[0])
    elif method == "POST" and "delete" in query:
        for key in re.findall(rb"<Key>(.*?)</Key>", body):
            yield Asked("s3:DeleteObject", f"{bucket}/{key.decode()}")
    elif method == "PUT" and not query:
        yield Asked("s3:CreateBucket", bucket)
    elif method == "HEAD":
        yield Asked("s3:ListBucket", bucket, None)
    else:
        raise AssertionError(f"{method} {bucket} {query}: say which action this is")


def refused(policy: Path, asked: Iterable[Asked], *, bucket: str, prefix: str) -> list[Asked]:
    """What a policy for `flowforge/lake` would not allow, were it written for another bucket and prefix."""
    text = policy.read_text().replace("lake/*", f"{prefix}/*").replace('"lake"', f'"{prefix}"')
    statements = json.loads(text.replace(":::flowforge", f":::{bucket}"))["Statement"]
    return sorted((one for one in asked if not any(_allows(rule, one) for rule in statements)), key=repr)


def _allows(statement: dict[str, Any], asked: Asked) -> bool:
    prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
    return (
        asked.action in statement["Action"]
        and any(fnmatchcase(f"arn:aws:s3:::{asked.resource}", one) for one in statement["Resource"])
        and (prefixes is None or (asked.prefix is not None and any(fnmatchcase(asked.prefix, one) for one in prefixes)))
    )
