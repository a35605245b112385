"""How a delivery's landing object is called: from what the sender signed, so that the same delivery has one name."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256

# The first suffix that fits the table's `files` is taken. What a file is, is decided by its content, not by its name.
_SUFFIXES = {
    "application/json": (".json",),
    "application/x-ndjson": (".ndjson", ".jsonl"),
    "application/ndjson": (".ndjson", ".jsonl"),
    "application/jsonl": (".jsonl", ".ndjson"),
    "application/x-jsonlines": (".jsonl", ".ndjson"),
    "text/csv": (".csv",),
    "application/csv": (".csv",),
    "text/tab-separated-values": (".tsv",),
    "text/plain": (".txt",),
    "application/vnd.apache.parquet": (".parquet",),
    "application/x-parquet": (".parquet",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/zip": (".zip",),
    "application/gzip": (".gz", ".csv.gz", ".json.gz", ".ndjson.gz"),
}
_ID_CHARS = 32


def accepted(prefix: str, files: str) -> dict[str, str]:
    """Content types whose objects fit a table's `files`, with the suffix that each gets."""
    found = {}
    for kind, suffixes in _SUFFIXES.items():
        for suffix in suffixes:
            if fnmatchcase(object_name(prefix, "0" * _ID_CHARS, suffix), files):
                found[kind] = suffix
                break
    return found


def media_type(header: str) -> str:
    """The content type without its parameters; every `…+json` is JSON."""
    kind = header.partition(";")[0].strip().lower()
    return "application/json" if kind.startswith("application/") and kind.endswith("+json") else kind


def object_name(prefix: str, identity: str, suffix: str, at_s: int | None = None) -> str:
    """Name of a landing object: the prefix, the moment that was signed if one was, what identifies the delivery, the suffix."""
    moment = f"{datetime.fromtimestamp(at_s, UTC):%Y%m%d_%H%M%S}_" if at_s is not None else ""
    return f"{prefix}{moment}{identity}{suffix}"


def identity_of_key(idempotency_key: str) -> str:
    """What identifies the deliveries of one idempotency key."""
    return sha256(f"key:{idempotency_key}".encode()).hexdigest()[:_ID_CHARS]


def identity_of_content(digest: str) -> str:
    """What identifies a delivery without an idempotency key: SHA-256 of what was signed."""
    return digest[:_ID_CHARS]
