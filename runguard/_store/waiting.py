"""A pool whose connections are all in use: waiting within the run's own time, and saying so."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy.pool import Pool, QueuePool

from .._clock import ticks
from .._errors import StoreUnavailable

LOOK_EVERY_SECONDS: Final = 0.01


def wait_for_free_connection(pool: Pool, deadline: float) -> None:
    """Return when a connection is free.

    A pool waits by itself, but by its own limit: 30 seconds in an engine of a user's, whose only
    connection the job may hold.

    Raises:
        StoreUnavailable: none was free in time.
    """
    if not isinstance(pool, QueuePool):
        return
    most = pool.size() + pool._max_overflow
    if pool._max_overflow < 0:  # no limit
        return
    while pool.checkedout() >= most:
        if ticks() >= deadline:
            raise StoreUnavailable(
                f"the store could not be used: no connection was free in time, all {most} are busy;"
                " raise max_connections, or the pool_size of the engine that you gave"
            )
        time.sleep(LOOK_EVERY_SECONDS)
