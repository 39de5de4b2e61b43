"""A run whose process died: what is known of it before it is closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from .._frozen import frozen
from .._models import lock_owner


@frozen
class LostRun:
    """An open run of which nothing was heard for too long. Times are aware, in UTC.

    `lost_after` is its own limit of silence, None where its start did not note one.
    """

    run_id: int
    key: UUID
    job_name: str
    host: str | None
    pid: int | None
    last_heard_at: datetime
    lost_after: timedelta | None = None
    environment: str | None = None

    @property
    def lock_owner(self) -> str:
        """The name under which the run would hold its job's lock."""
        return lock_owner(self.host, self.pid, self.key)
