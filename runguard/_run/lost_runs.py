"""When a starting run looks for those of its job that are lost."""

from __future__ import annotations

import threading
from datetime import timedelta

from .._clock import ticks


class LostRunWatch:
    """Looks for a job's lost runs when it starts: at most once a process, job and limit."""

    def __init__(self) -> None:
        """Have looked for none yet."""
        self._lock = threading.Lock()
        self._look_again_at: dict[str, float] = {}

    def is_due(self, job_name: str, limit: timedelta) -> bool:
        """Whether this start shall look; if so, the next ones within the limit need not."""
        now = ticks()
        with self._lock:
            if self._look_again_at.get(job_name, now) > now:
                return False
            self._look_again_at[job_name] = now + limit.total_seconds()
        return True
