"""Upload files to landing: named right, whole or not at all, and not twice."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from flowforge_assets.catalog import Declared, UnknownNameError, declared_workflows, find_workflow, require_match
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_resources.lake import StoredObject

_CHUNK_BYTES = 8 * 1024**2


class AlreadyLandedError(FlowForgeError):
    """Other content stands in landing under that name."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key} is in landing already, with other content. Nothing was uploaded. Use another name (--as), or --replace to upload a new version of it."
        )


@dataclass(frozen=True)
class Landed:
    """One file and what became of it."""

    file: str
    key: str
    uri: str
    size_bytes: int
    uploaded: bool

    def __str__(self) -> str:
        return f"{'landed' if self.uploaded else 'already there'}: {self.uri} ({self.size_bytes:,} bytes)"

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def land_files(
    files: Sequence[Path], *, workflow: str | None, table: str, rename: str | None = None, replace: bool = False
) -> list[Landed]:
    """Upload files in the given order. Every name is checked before the first byte moves.

    With `replace` also what is there with the same content: a file that was set aside is tried again then.

    Raises:
        UnknownNameError: no such workflow or table, or a name the table would not take.
        AlreadyLandedError: other content has that name, and `replace` is false.
    """
    if rename and len(files) != 1:
        raise UnknownNameError("--as names one file; give one. Nothing was uploaded.")
    declared = find_workflow(workflow, declared_workflows())
    targets = [(file, _target(declared, table, rename or file.name)) for file in files]
    lake = Lake()
    known = {key: lake.head(key) for _, key in targets}
    same = {
        key: found is not None and _same(lake, file, found)
        for (file, key), found in zip(targets, known.values(), strict=True)
    }
    for key, found in known.items():
        if found is not None and not same[key] and not replace:
            raise AlreadyLandedError(key)
    return [_land(lake, file, key, uploaded=replace or not same[key]) for file, key in targets]


def _target(workflow: Declared, table: str, name: str) -> str:
    require_match(workflow, table, name)
    return f"{TableId(workflow.name, table).landing}{name}"


def _land(lake: Lake, file: Path, key: str, *, uploaded: bool) -> Landed:
    if uploaded:
        lake.upload(file, key)
    return Landed(str(file), key, lake.uri(key), file.stat().st_size, uploaded)


def _same(lake: Lake, file: Path, found: StoredObject) -> bool:
    """Whether landing holds these very bytes; sizes first, content only where they agree."""
    if file.stat().st_size != found.size_bytes:
        return False
    with lake.scratch() as scratch:
        return _digest(lake.stage_in(found.key, scratch)) == _digest(file)


def _digest(path: Path) -> bytes:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()
