"""With `RUNGUARD_DISABLED=1`, or while a host tests: bodies run, and nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from .._events import LOCK_NOT_TAKEN, Events
from .._models import NO_ALERT, AlertVerdict, FinishedRun, Lease


class NoStore:
    """A `RunRepository` that keeps nothing, so that a run has no id.

    Args:
        events: Where to tell, once, that a lock keeps nobody out.
        why: What the event says of the reason.
    """

    has_hosts_clock = True
    denial = None
    is_denial_told = False
    relaxed_start = False

    def __init__(self, events: Events, why: str = "RUNGUARD_DISABLED is set") -> None:
        """Have told nothing yet."""
        self._events = events
        self._why = why
        self._fences = count(1)
        self._is_told = False

    def start_run(self, *_: Any, **__: Any) -> None:
        """Write no row."""

    def _finish(self, *_: Any, **__: Any) -> FinishedRun:
        return FinishedRun(recorded=True)

    finish_run = record_refused_run = replay_run = close_lost_run = _finish

    def beat(self, *_: Any, **__: Any) -> None:
        """Note nothing."""

    def find_lost_runs(self, **_: Any) -> Sequence[Any]:
        """Find none."""
        return ()

    def raise_alert(self, *_: Any, **__: Any) -> AlertVerdict:
        """Raise none."""
        return NO_ALERT

    def acquire_lock(self, job_name: str, owner: str, _ttl: timedelta, **_: Any) -> Lease:
        """Let everybody in, and say so once."""
        if not self._is_told:
            self._is_told = True
            self._events.emit(LOCK_NOT_TAKEN, job_name=job_name, why=self._why)
        return Lease(job_name, owner, next(self._fences))

    def renew_lock(self, *_: Any, **__: Any) -> bool:
        """Agree."""
        return True

    def release_lock(self, *_: Any, **__: Any) -> bool:
        """Agree."""
        return True

    def before_fork(self, **_: Any) -> bool:
        """Hold up nobody."""
        return True

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork(self) -> None:
        """Go on."""

    def close(self) -> None:
        """Close nothing."""
