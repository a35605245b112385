"""Which failures Dagster tries again: ours that say they are transient, with backoff and jitter, and no others."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_resources.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RETRIES = 3
_FIRST_WAIT_S = 1.0


@contextmanager
def clear_failure(attempt: int) -> Iterator[None]:
    """Around a step's work or a publish: a permanent error ends the step at once, a transient one repeats it.

    Args:
        attempt: how often the step was tried before; waits are about 1, 2 and 4 seconds.
    """
    try:
        yield
    except TransientError as error:
        wait_s = _FIRST_WAIT_S * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311  # jitter, not a secret
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait_s) from error
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
