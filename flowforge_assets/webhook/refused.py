"""Why a delivery is not taken, as HTTP says it."""

from __future__ import annotations


class RefusedError(Exception):
    """A delivery is not taken; nothing was written. The message holds nothing of its body and no secret.

    Args:
        status: the HTTP status.
        code: a word for programs.
        message: a sentence for people.
        retry_after_s: when to come again, if that helps.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s
        super().__init__(message)
