"""A store's connection to its database: what recording and reading have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine

from .._clock import ticks
from .._errors import SchemaOutOfDate, StoreUnavailable
from .retry import Attempt, Attempts
from .rows import NOTHING, Lacking

T = TypeVar("T")


class BaseStore:
    """Runs statements on an engine. The base of every store.

    Attributes:
        lacking: columns that this release writes and the store has not got yet. Nothing, until a
            statement fails for one of them; then what came with the newest schema version.
        denial: why notes are not written, where the role may not or their table is gone.
    """

    has_hosts_clock = is_denial_told = relaxed_start = False
    denial: StoreUnavailable | None = None

    def __init__(self, engine: Engine) -> None:
        """Take an engine in autocommit."""
        self.engine = engine
        self.lacking: Lacking = NOTHING
        self.look_for_upgrade_at = 0.0
        self._attempts = Attempts(engine)

    def before_fork(self, *, timeout: float) -> bool:  # noqa: ARG002 - for stores that need it
        """Hold up nobody: a child gets on without what a thread of its parent was doing."""
        return True

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork(self) -> None:
        """Leave the parent's sockets alone; connect anew when asked."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()

    def _adapting(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Do the work; once more without the newest columns where the store lacks them."""
        deadline, lacking = ticks() + timeout, self.lacking
        try:
            return self._attempts.run(work, timeout=timeout)
        except (SchemaOutOfDate, StoreUnavailable) as error:
            from .schema.versions import adapts

            if not adapts(self, error, lacking):
                raise
        return self._attempts.run(work, timeout=max(0.1, deadline - ticks()))
