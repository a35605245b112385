"""A received delivery becomes one landing object: whole or not at all, and once, whoever is killed when.

The object's key follows from what was signed, and is created only where it is not there. So the store itself decides
between a delivery and its repetition, and nothing else has to be remembered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.webhook.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_resources.lake import Lake


@dataclass(frozen=True)
class Landed:
    """What became of a delivery. `created`: false for one that was there already."""

    key: str
    size_bytes: int
    created: bool


def land(lake: Lake, path: Path, key: str, *, repeatable: bool, rivals: Sequence[str] = ()) -> Landed:
    """Create the landing object of a delivery.

    Args:
        lake: where landing is.
        path: the delivery's body, on local disk; it may be gone afterwards.
        key: the object's key.
        repeatable: whether the sender may send the same again; otherwise that is a replay.
        rivals: keys that the same delivery would have had with another content type.

    Raises:
        RefusedError: it is a replay, or other content came under the same idempotency key.
    """
    size_bytes = path.stat().st_size
    taken = next((one for one in (key, *rivals) if lake.head(one) is not None), None)
    if taken is None:
        if lake.put_new(path, key):
            return Landed(key, size_bytes, created=True)
        taken = key
    if not repeatable:
        raise RefusedError(403, "replayed", "this very delivery was received before; nothing was written.")
    if taken == key and _same(lake, path, key):
        return Landed(key, size_bytes, created=False)
    raise RefusedError(
        409,
        "conflict",
        "another delivery came under the same Idempotency-Key with other content; nothing was written. Use a new key.",
    )


def _same(lake: Lake, path: Path, key: str) -> bool:
    with lake.scratch() as scratch:
        return _digest(lake.stage_in(key, scratch)) == _digest(path)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
