"""How whole files enter and leave a store: by link and rename on a local disk, by request on an object store.

Belongs here: the only differences between the two. Does not: what a caller is told when a store fails (`lake`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import LocalStore

from flowforge_resources.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

# S3 takes at most 5 GiB in one PUT, and only one PUT can be conditional.
LARGEST_CONDITIONAL_PUT_BYTES = 5 * 1024**3
DOWNLOAD_CHUNK_BYTES = 8 * 1024**2


def etag_of(meta: Any) -> str:
    """What identifies an object's content, or its version where the store has them, in obstore's metadata."""
    return meta["version"] or meta["e_tag"] or ""


class Transfer(Protocol):
    """How whole files enter and leave the store."""

    def fetch(self, key: str, to: Path) -> None: ...
    def put(self, path: Path, key: str) -> None: ...
    def create(self, path: Path, key: str) -> bool: ...
    def swap(self, path: Path, key: str, etag: str) -> bool: ...
    def copy(self, source: str, target: str) -> None: ...
    def show_as(self, source: str, target: str) -> None: ...
    def copy_new(self, source: str, target: str) -> None: ...


class LocalTransfer:
    """A folder of a local disk: link in, rename out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, key: str, to: Path) -> None:
        """Link, so that the name in scratch keeps this content when the original is replaced."""
        source = self.root / key
        try:
            os.link(source, to)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            shutil.copyfile(source, to)

    def put(self, path: Path, key: str) -> None:
        with self._near(path) as near:
            near.replace(self._target(key))

    def create(self, path: Path, key: str) -> bool:
        with self._near(path) as near:
            try:
                os.link(near, self._target(key))
            except FileExistsError:
                return False
            near.unlink()
        return True

    def swap(self, path: Path, key: str, etag: str) -> bool:
        """Compare and rename under a lock that every FlowForge process on this machine takes."""
        with self._near(path) as near, self._lock(key):
            if etag_of(obstore.head(LocalStore(self.root), key)) != etag:
                return False
            near.replace(self._target(key))
        return True

    def copy(self, source: str, target: str) -> None:
        try:
            os.link(self.root / source, self._target(target))
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EMLINK):
                raise
            with Scratch(self.root / ".scratch") as scratch:
                near = scratch.path(Path(target).suffix)
                shutil.copyfile(self.root / source, near)
                near.replace(self._target(target))

    copy_new = copy

    def show_as(self, source: str, target: str) -> None:
        with Scratch(self.root / ".scratch") as scratch:
            near = scratch.path(".link")
            self.fetch(source, near)
            near.replace(self._target(target))

    def _target(self, key: str) -> Path:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @contextmanager
    def _near(self, path: Path) -> Iterator[Path]:
        """The file itself where a rename can reach the lake, else a copy on the lake's own disk, removed if unused."""
        if path.stat().st_dev == self.root.stat().st_dev:
            yield path
            return
        with Scratch(self.root / ".scratch") as scratch:
            near = scratch.path(path.suffix)
            shutil.copyfile(path, near)
            yield near

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        lock = self.root / ".scratch" / "locks" / f"{key.replace('/', '~')}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


class RemoteTransfer:
    """An object store: download in, upload out, conditions by ETag.

    A write that was done and whose answer was lost is asked for again, and then its condition fails by our own object.
    So a refused condition is a conflict only where another content is there: every version has its nonce.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def fetch(self, key: str, to: Path) -> None:
        answer = obstore.get(self.store, key)
        with to.open("wb") as handle:
            for chunk in answer.stream(min_chunk_size=DOWNLOAD_CHUNK_BYTES):
                handle.write(chunk)
        if to.stat().st_size != answer.meta["size"]:
            raise ConnectionError(f"{key} ended after {to.stat().st_size} of {answer.meta['size']} bytes")

    def put(self, path: Path, key: str) -> None:
        obstore.put(self.store, key, path)

    def create(self, path: Path, key: str) -> bool:
        if path.stat().st_size > LARGEST_CONDITIONAL_PUT_BYTES:
            return self._put_unless(self._exists(key), path, key)
        try:
            obstore.put(self.store, key, path, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return self._holds(key, path)
        return True

    def swap(self, path: Path, key: str, etag: str) -> bool:
        if path.stat().st_size > LARGEST_CONDITIONAL_PUT_BYTES:
            now = etag_of(obstore.head(self.store, key))
            return self._put_unless(now != etag, path, key)
        try:
            obstore.put(self.store, key, path, mode={"e_tag": etag}, use_multipart=False)
        except PreconditionError:
            return self._holds(key, path)
        return True

    def copy(self, source: str, target: str) -> None:
        obstore.copy(self.store, source, target)

    def show_as(self, source: str, target: str) -> None:
        obstore.copy(self.store, source, target)

    def copy_new(self, source: str, target: str) -> None:
        try:
            obstore.copy(self.store, source, target, overwrite=False)
        except (AlreadyExistsError, FileNotFoundError):  # a repeated completion of an upload finds the upload gone
            if not self._exists(target):
                raise

    def _holds(self, key: str, path: Path) -> bool:
        """Whether an object's content is the file's."""
        try:
            answer = obstore.get(self.store, key)
        except FileNotFoundError:
            return False
        if answer.meta["size"] != path.stat().st_size:
            return False
        with path.open("rb") as handle:
            same = all(handle.read(len(chunk)) == bytes(chunk) for chunk in answer.stream())
            return same and not handle.read(1)

    def _exists(self, key: str) -> bool:
        try:
            obstore.head(self.store, key)
        except FileNotFoundError:
            return False
        return True

    def _put_unless(self, refused: bool, path: Path, key: str) -> bool:
        if not refused:
            obstore.put(self.store, key, path)
        return not refused
