"""Which failures Dagster tries again: ours that say they are transient, with backoff and jitter, and no others."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_resources.errors import ConcurrentPublishError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RETRIES = 3
# Whoever lost a race lost it to one that published: among many runs each gets there, one after the other.
MAX_LOST_RACES = 50
_FIRST_WAIT_S = 1.0
_DOUBLED_AT_MOST = 3


@contextmanager
def clear_failure(attempt: int) -> Iterator[None]:
    """Around a step's work or a publish: a permanent error ends the step at once, a transient one repeats it.

    Args:
        attempt: how often the step was tried before; waits are about 1, 2, 4 and then 8 seconds.
    """
    try:
        yield
    except TransientError as error:
        longer = 2 ** min(attempt, _DOUBLED_AT_MOST)
        wait_s = _FIRST_WAIT_S * longer * random.uniform(0.75, 1.25)  # noqa: S311  # jitter, not a secret
        most = MAX_LOST_RACES if isinstance(error, ConcurrentPublishError) else MAX_RETRIES
        raise dg.RetryRequested(max_retries=most, seconds_to_wait=wait_s) from error
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
