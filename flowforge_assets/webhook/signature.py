"""Whether a delivery was signed by one who knows the secret, and when. The body passes by piece by piece.

`flowforge`: the header is `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`; what is signed, by HMAC-SHA-256, is `<t>.<body>` (as
Stripe does it), and with an idempotency key `idempotency-key:<key>` and a line feed before that: whoever has seen a
delivery can then neither repeat it under another key nor take its key away.
`github`: `sha256=<hex>` over the body alone (https://docs.github.com/webhooks). It knows no moment and signs no key, so
the body itself is the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from flowforge_assets.webhook.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.webhook.options import Scheme

_HEX = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,11}")
_MOST_SIGNATURES = 8
LONGEST_KEY = 255


class Claim(NamedTuple):
    """What a signature's header says: when, if at all, and the signatures of which one must be right."""

    at_s: int | None
    signatures: tuple[str, ...]


class Verifier:
    """Signs what passes by with every secret, and compares at the end in constant time."""

    def __init__(self, claim: Claim, secrets: Sequence[str], idempotency_key: str | None) -> None:
        self._claim = claim
        before = signed_before(claim.at_s, idempotency_key)
        self._macs = [hmac.new(secret.encode(), before, hashlib.sha256) for secret in secrets]
        self._content = hashlib.sha256(before)

    def update(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        self._content.update(piece)
        for mac in self._macs:
            mac.update(piece)

    @property
    def content_digest(self) -> str:
        """SHA-256 of what was signed, in hex."""
        return self._content.hexdigest()

    def require_signed(self) -> None:
        """One signature is one secret's.

        Raises:
            RefusedError: none is.
        """
        right = False
        for mac in self._macs:
            for one in self._claim.signatures:
                right |= hmac.compare_digest(mac.hexdigest(), one)
        if not right:
            raise RefusedError(401, "wrong_signature", "the signature is not one of this body by a secret we know.")


def signed_before(at_s: int | None, idempotency_key: str | None) -> bytes:
    """The bytes that are signed before the body."""
    if at_s is None:
        return b""
    key = f"idempotency-key:{idempotency_key}\n" if idempotency_key is not None else ""
    return f"{key}{at_s}.".encode()


def claim_of(scheme: Scheme, header: str | None) -> Claim:
    """Read a signature's header.

    Raises:
        RefusedError: there is none, or it is not written right.
    """
    if not header:
        raise RefusedError(401, "no_signature", "the delivery is not signed.")
    found = _github(header) if scheme == "github" else _stamped(header)
    if found is None:
        wanted = "sha256=<hex>" if scheme == "github" else "t=<unix seconds>,v1=<hex>"
        raise RefusedError(401, "bad_signature", f"the signature's header is not written as `{wanted}`.")
    return found


def require_recent(claim: Claim, now_s: float, tolerance_s: int) -> None:
    """The signature is of now.

    Raises:
        RefusedError: it is older, or from the future.
    """
    if claim.at_s is not None and abs(now_s - claim.at_s) > tolerance_s:
        raise RefusedError(
            403, "old_signature", f"the signature's moment is more than {tolerance_s} seconds away from now: sign anew."
        )


def require_key(idempotency_key: str | None) -> None:
    """An idempotency key is short and printable.

    Raises:
        RefusedError: it is not.
    """
    if idempotency_key is None:
        return
    if not 0 < len(idempotency_key) <= LONGEST_KEY or not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise RefusedError(
            400, "bad_idempotency_key", f"`Idempotency-Key` must be 1 to {LONGEST_KEY} printable ASCII characters."
        )


def _github(header: str) -> Claim | None:
    name, _, signature = header.strip().partition("=")
    return Claim(None, (signature.lower(),)) if name == "sha256" and _HEX.fullmatch(signature.lower()) else None


def _stamped(header: str) -> Claim | None:
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    moments = [value for name, value in parts if name == "t"]
    signatures = tuple(value.lower() for name, value in parts if name == "v1")
    if len(moments) != 1 or not _SECONDS.fullmatch(moments[0]) or not 0 < len(signatures) <= _MOST_SIGNATURES:
        return None
    return Claim(int(moments[0]), signatures) if all(_HEX.fullmatch(one) for one in signatures) else None
