"""The lake: one object store seen through one interface, whatever backs it (local folder, S3, Azure, Google).

Belongs here: moving bytes, listing, atomic create and swap, staging files in and out, and saying clearly what the
store refused. Does not: what an object means (see `layout`, `ledger`, `tables`).

Where local disks differ from object stores only `transfer` knows: a file is staged in by a hard link instead of a
download, and published by a rename instead of an upload.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, from_url

from flowforge_resources.errors import (
    LakeAccessError,
    LakeUnreachableError,
    ScratchSpaceError,
    SettingError,
)
from flowforge_resources.scratch import Scratch, disk_is_full
from flowforge_resources.settings import Setting, lake_url, scratch_dir, user_cache
from flowforge_resources.transfer import (
    LARGEST_CONDITIONAL_PUT_BYTES,
    LocalTransfer,
    RemoteTransfer,
    Transfer,
    etag_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from obstore.store import ObjectStore

REMOTE_SCHEMES = ("s3", "s3a", "az", "azure", "abfs", "abfss", "gs")
# How long a remote store may take, and how often its client asks again before a step is told.
CLIENT = {"connect_timeout": "5s", "timeout": "300s"}
RETRIES: dict[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}


@dataclass(frozen=True)
class StoredObject:
    """One object as the store lists it. `etag` identifies its content, or its version where the store has none."""

    key: str
    etag: str
    size_bytes: int
    last_modified: datetime

    @property
    def uploaded_s(self) -> int:
        """When it was uploaded, in whole seconds: some stores say more in a listing than of one object."""
        return int(self.last_modified.timestamp())

    @classmethod
    def of(cls, meta: Any) -> StoredObject:
        """From obstore's metadata."""
        return cls(meta["path"], etag_of(meta), meta["size"], meta["last_modified"])


class Lake:
    """One object store. Keys are relative to its root and use `/`.

    Every method raises `LakeUnreachableError` when the store does not answer, `LakeAccessError` when it refuses, and
    `ScratchSpaceError` when a disk is full; none leaves a half-written object visible.
    """

    def __init__(self, url: str | Setting | None = None) -> None:
        """Open (and for a local folder create) the lake; nothing is asked of a remote store yet."""
        given = url if isinstance(url, Setting) else lake_url(url)
        self.local_root = _local_root(given)
        self.url = f"file://{self.local_root}" if self.local_root else given.value.rstrip("/")
        self.store: ObjectStore = _open_local(self.local_root) if self.local_root else _open_remote(given)
        default_scratch = self.local_root / ".scratch" if self.local_root else user_cache() / "scratch"
        self.scratch_root = scratch_dir(default_scratch)
        self._transfer: Transfer = LocalTransfer(self.local_root) if self.local_root else RemoteTransfer(self.store)

    def __repr__(self) -> str:
        return f"Lake({self.url!r})"

    def uri(self, key: str) -> str:
        """The object's full URI, e.g. `s3://bucket/prefix/gold/retail/fact_sales.parquet`."""
        return f"{self.url}/{key}"

    def scratch(self) -> Scratch:
        """A private folder for work in progress, removed on exit."""
        return Scratch(self.scratch_root)

    # -- asking ---------------------------------------------------------------------------------------------------

    def objects(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        """Every object under a prefix, in no promised order; `after` is an exclusive key to start from."""
        with self.clear_errors(f"list {prefix}"):
            for page in obstore.list(self.store, prefix.rstrip("/"), offset=after, chunk_size=1000):
                yield from (StoredObject.of(meta) for meta in page)

    def pages(self, prefix: str, *, after: str | None = None, keys: int = 1000) -> Iterator[list[StoredObject]]:
        """As `objects`, in lists of `keys`; the store is asked for a page only when it is wanted."""
        with self.clear_errors(f"list {prefix}"):
            for page in obstore.list(self.store, prefix.rstrip("/"), offset=after, chunk_size=keys):
                yield [StoredObject.of(meta) for meta in page]

    def files(self, prefix: str) -> list[StoredObject]:
        """Objects directly under a prefix, without those of its folders."""
        with self.clear_errors(f"list {prefix}"):
            found = obstore.list_with_delimiter(self.store, prefix.rstrip("/"))["objects"]
        return [StoredObject.of(meta) for meta in found]

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly under a prefix, sorted."""
        with self.clear_errors(f"list {prefix}"):
            found = obstore.list_with_delimiter(self.store, prefix.rstrip("/"))["common_prefixes"]
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    def head(self, key: str) -> StoredObject | None:
        """What the store knows of one object, or None where there is none."""
        with self.clear_errors(f"look at {key}"):
            try:
                return StoredObject.of(obstore.head(self.store, key))
            except FileNotFoundError:
                return None

    def read(self, key: str) -> bytes | None:
        """A small object's bytes, or None where there is none."""
        with self.clear_errors(f"read {key}"):
            try:
                return bytes(obstore.get(self.store, key).bytes())
            except FileNotFoundError:
                return None

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Part of an object's bytes."""
        if not length:
            return b""
        with self.clear_errors(f"read {key}"):
            return bytes(obstore.get_range(self.store, key, start=start, length=length))

    # -- small objects --------------------------------------------------------------------------------------------

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that must not exist yet, atomically; False where another's does.

        Content that two writers may share must carry who wrote it: on a remote store, one that is there already with
        this very content is ours, written by a request whose answer was lost. A local disk loses no answers.
        """
        with self.clear_errors(f"create {key}"):
            try:
                self._put(key, content, mode="create")
            except AlreadyExistsError:
                return self.local_root is None and self.read(key) == content
        return True

    def read_stored(self, key: str) -> tuple[StoredObject, bytes] | None:
        """A small object's bytes with what the store knows of this very content, for one who will swap it."""
        while (stored := self.head(key)) is not None:
            content = self.read(key)
            if content is not None and self.head(key) == stored:
                return stored, content
        return None

    def swap_content(self, key: str, content: bytes, *, expected: StoredObject | None) -> StoredObject | None:
        """As `swap`, of a small object."""
        with self.scratch() as scratch:
            path = scratch.path(Path(key).suffix)
            path.write_bytes(content)
            return self.swap(path, key, expected=expected)

    def write(self, key: str, content: bytes) -> None:
        """Write an object, replacing what was there, atomically."""
        with self.clear_errors(f"write {key}"):
            self._put(key, content, mode="overwrite")

    def _put(self, key: str, content: bytes, *, mode: Literal["create", "overwrite"]) -> None:
        """Given as a file, which this thread reads. Of `bytes`, a thread of obstore's own would let go, inside Python."""
        obstore.put(self.store, key, BytesIO(content), mode=mode, use_multipart=False)

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with self.clear_errors(f"delete {key}"):
            try:
                obstore.delete(self.store, key)
            except FileNotFoundError:
                return

    # -- whole files ----------------------------------------------------------------------------------------------

    def stage_in(self, key: str, scratch: Scratch) -> Path:
        """A local path to the object's content as it is now; a later publish does not change what is read there."""
        target = scratch.path(Path(key).suffix)
        with self.clear_errors(f"fetch {key}"):
            self._transfer.fetch(key, target)
        return target

    def upload(self, path: Path, key: str) -> StoredObject:
        """Copy a person's file into the lake, visible only when it is whole; the file itself stays."""
        with self.clear_errors(f"upload {key}"), self.scratch() as scratch:
            source = path
            if self.local_root is not None:
                source = scratch.path(path.suffix)
                shutil.copyfile(path, source)
            self._transfer.put(source, key)
        return self._published(key)

    def publish(self, path: Path, key: str) -> StoredObject:
        """Move a local file into the lake under `key`, replacing what was there in one step."""
        with self.clear_errors(f"publish {key}"):
            self._transfer.put(path, key)
        return self._published(key)

    def publish_new(self, path: Path, key: str) -> StoredObject | None:
        """Move a local file into the lake; None (and nothing done) where `key` exists."""
        return self._published(key) if self.put_new(path, key) else None

    def put_new(self, path: Path, key: str) -> bool:
        """As `publish_new`, for a file that counts once it is committed: another run may have removed it by now."""
        with self.clear_errors(f"publish {key}"):
            return self._transfer.create(path, key)

    def swap(self, path: Path, key: str, *, expected: StoredObject | None) -> StoredObject | None:
        """Move a local file into the lake only if `key` still holds `expected` (None: nothing); else None."""
        if expected is None:
            return self.publish_new(path, key)
        with self.clear_errors(f"publish {key}"):
            swapped = self._transfer.swap(path, key, expected.etag)
        return self._published(key) if swapped else None

    def copy(self, source: str, target: str) -> None:
        """Keep a second name for an object's content; repeating it is harmless."""
        with self.clear_errors(f"copy {source} to {target}"):
            self._transfer.copy(source, target)

    def show_as(self, source: str, target: str) -> None:
        """Give an object's content a second name, replacing in one step what had that name."""
        with self.clear_errors(f"copy {source} to {target}"):
            self._transfer.show_as(source, target)

    def copy_new(self, source: str, target: str) -> None:
        """As `copy`, and one that stands under `target` already stays as it is, whatever `source` holds by now."""
        found = self.head(source) if self.local_root is None else None
        if found is not None and found.size_bytes > LARGEST_CONDITIONAL_PUT_BYTES:  # nor copied in one request
            with self.scratch() as scratch:
                self.publish_new(self.stage_in(source, scratch), target)
            return
        with self.clear_errors(f"copy {source} to {target}"):
            self._transfer.copy_new(source, target)

    def _published(self, key: str) -> StoredObject:
        stored = self.head(key)
        if stored is None:
            raise LakeAccessError(self.url, f"show {key}", "the object was written and is not there.")
        return stored

    @contextmanager
    def clear_errors(self, action: str) -> Iterator[None]:
        """Turn what the store or disk raises in the block into an error that says who, what, and what to do."""
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise LakeAccessError(self.url, action, _reason(error)) from error
        except PermissionError as error:
            raise LakeAccessError(self.url, action, str(error)) from error
        except FileNotFoundError as error:
            raise LakeAccessError(self.url, action, f"{_reason(error)} (no such bucket or object).") from error
        except (BaseError, OSError) as error:
            raise self._explain(error, action) from error

    def _explain(self, error: Exception, action: str) -> Exception:
        text = str(error)
        if disk_is_full(error):
            return ScratchSpaceError(str(self.local_root or self.scratch_root), action)
        if any(sign in text for sign in ("os error 13", "403 Forbidden", "InvalidAccessKeyId", "NoSuchBucket")):
            return LakeAccessError(self.url, action, _reason(error))
        return LakeUnreachableError(self.url, action, _reason(error))


def _local_root(given: Setting) -> Path | None:
    scheme = urlsplit(given.value).scheme if "://" in given.value else ""
    if scheme in REMOTE_SCHEMES:
        return None
    if scheme not in ("", "file"):
        known = ", ".join(f"{name}://" for name in ("file", *REMOTE_SCHEMES))
        raise SettingError(given.supplied_by, given.value, "no such kind of lake.", f"Use a folder or one of {known}.")
    return Path(given.value.removeprefix("file://")).expanduser().resolve()


def _open_local(root: Path) -> ObjectStore:
    try:
        return LocalStore(root, mkdir=True)
    except (OSError, BaseError) as error:
        raise LakeAccessError(f"file://{root}", "be opened", _reason(error)) from error


def _open_remote(given: Setting) -> ObjectStore:
    config: dict[str, Any] = {
        "client_options": {**CLIENT, "allow_http": _plain_http()},
        "retry_config": RETRIES,
    }
    if given.value.startswith("s3") and os.environ.get("AWS_PROFILE"):
        from obstore.auth.boto3 import Boto3CredentialProvider

        config["credential_provider"] = Boto3CredentialProvider()
    if given.value.startswith("s3"):
        config["copy_if_not_exists"] = "multipart"
    try:
        return from_url(given.value, **config)
    except (BaseError, ValueError) as error:
        raise SettingError(given.supplied_by, given.value, _reason(error), "Use e.g. s3://bucket/prefix.") from error


def _plain_http() -> bool:
    return os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")


def _reason(error: Exception) -> str:
    """The first line of obstore's text: the rest is a debug dump."""
    return str(error).split("\n", 1)[0].strip()
