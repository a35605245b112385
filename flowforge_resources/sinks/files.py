"""A delivery as files: written to a new folder, then made true by one manifest, so that nobody reads half an export.

`<folder>/<time>_<version>/…` holds the files of one version, `<folder>/manifest.json` says which is the newest. An export of
one file is also there under a name that stays, `<folder>/<name>.<ending>`, which is exchanged in one step.

Belongs here: that order, on any store. Does not: how a format is written (`file_formats`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import ConcurrentPublishError, SinkCountsError
from flowforge_resources.layout import utc_now
from flowforge_resources.settings import Setting
from flowforge_resources.sinks.delivered import Delivered
from flowforge_resources.sinks.file_formats import Written, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.sinks.file_formats import FileFormat
    from flowforge_resources.sinks.outgoing import Outgoing

MANIFEST = "manifest.json"
_VERSION_CHARS = 8
_STAMP = "%Y%m%d_%H%M%S_%f"
_VERSION_FOLDER = re.compile(r"\d{8}_\d{6}_\d{6}_.+")


@dataclass(frozen=True)
class FileTarget:
    """A folder of the lake, or of a store by its URL. `keep_last`: versions that stay there, the newest among them."""

    folder: str
    name: str
    format: FileFormat
    partition_by: tuple[str, ...] = ()
    keep_last: int = 3


def deliver_files(sink: str, target: FileTarget, fingerprint: str, outgoing: Outgoing, lake: Lake) -> Delivered:
    """Bring one version of a table to its folder.

    Args:
        sink: `workflow/name`.
        target: where to, and in which format.
        fingerprint: changes when the same version is to be delivered otherwise.
        outgoing: the rows.
        lake: the lake, for a folder that is no URL.

    Raises:
        SinkError: the format cannot hold the rows; the folder is as it was.
        ConcurrentPublishError: another run delivered at the same time.
        LakeAccessError, LakeUnreachableError: as any store.
    """
    return _Export(sink, target, fingerprint, outgoing, lake).run()


class _Export:
    def __init__(self, sink: str, target: FileTarget, fingerprint: str, outgoing: Outgoing, lake: Lake) -> None:
        self._sink, self._target, self._out, self._fingerprint = sink, target, outgoing, fingerprint
        self._store, self._folder = _opened(target.folder, lake)

    def run(self) -> Delivered:
        stored = self._store.read_stored(self._key(MANIFEST))
        before = json.loads(stored[1]) if stored else {"versions": []}
        newest = before["versions"][0] if before["versions"] else None
        if newest and (newest["version"], newest["fingerprint"]) == (self._out.version, self._fingerprint):
            self._show(newest)
            return Delivered(self._at, self._out.rows, int(newest["rows"]), changed=False)
        made = self._uploaded()
        versions = [made, *before["versions"]]
        kept, gone = versions[: self._target.keep_last], versions[self._target.keep_last :]
        self._publish(kept, stored[0] if stored else None)
        self._show(made)
        self._remove(gone)
        self._sweep(kept)
        return Delivered(self._at, self._out.rows, int(made["rows"]), inserted=self._out.rows)

    @property
    def _at(self) -> str:
        return self._store.uri(self._folder)

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _uploaded(self) -> dict[str, Any]:
        """The files of this version, in a folder of their own that nothing points to yet."""
        target, now = self._target, utc_now()
        folder = f"{now:{_STAMP}}_{self._out.version[:_VERSION_CHARS]}"
        with self._store.scratch() as scratch:
            parts, local = target.partition_by, scratch.path("")
            written = write(self._sink, self._out, target.format, parts=parts, name=target.name, folder=local)
            self._require_count(written)
            for one in written:
                self._store.publish(one.path, self._key(f"{folder}/{one.name}"))
        return {
            "version": self._out.version,
            "fingerprint": self._fingerprint,
            "delivered_at": now.isoformat(),
            "rows": sum(one.rows for one in written),
            "files": [{"key": f"{folder}/{one.name}", "rows": one.rows} for one in written],
        }

    def _require_count(self, written: Sequence[Written]) -> None:
        found = sum(one.rows for one in written)
        if found != self._out.rows:
            said = f"{self._out.rows:,} rows were to be delivered, and the files hold {found:,}."
            raise SinkCountsError(self._sink, said, "Please report this with this line.")

    def _publish(self, versions: Sequence[Mapping[str, Any]], expected: StoredObject | None) -> None:
        said = {"sink": self._sink, "versions": versions}
        content = json.dumps(said, indent=1, sort_keys=True).encode()
        if self._store.swap_content(self._key(MANIFEST), content, expected=expected) is None:
            raise ConcurrentPublishError(f"sink {self._sink}")

    def _show(self, version: Mapping[str, Any]) -> None:
        """The one file of a version under the name that stays; again after a crash, which costs a look."""
        files = version["files"]
        if not self._target.partition_by and len(files) == 1:
            self._store.show_as(self._key(files[0]["key"]), self._key(files[0]["key"].rsplit("/", 1)[-1]))

    def _remove(self, versions: Sequence[Mapping[str, Any]]) -> None:
        for version in versions:
            for file in version["files"]:
                self._store.delete(self._key(file["key"]))

    def _sweep(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Remove what runs that failed or were killed a day ago or earlier had uploaded; a younger one may be at work."""
        known = {file["key"].partition("/")[0] for version in kept for file in version["files"]}
        before = f"{utc_now() - timedelta(days=1):{_STAMP}}"
        for folder in self._store.folders(self._folder):
            if _VERSION_FOLDER.fullmatch(folder) and folder not in known and folder < before:
                for left in list(self._store.objects(self._key(f"{folder}/"))):
                    self._store.delete(left.key)


def _opened(folder: str, lake: Lake) -> tuple[Lake, str]:
    """The store of a folder, and the folder in it: an URL's last part is the folder."""
    if "://" not in folder:
        return lake, folder.strip("/")
    from flowforge_resources.lake import Lake as Store

    root, _, name = folder.rstrip("/").rpartition("/")
    return Store(Setting(root, "`files` of a sink")), name
