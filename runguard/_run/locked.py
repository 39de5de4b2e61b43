"""Runs that must hold the lock of their job. Loaded with the first one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from .._clock import now
from .._errors import JobLockActive
from .._events import LOCK_LOST
from .._models import LockHolder, in_environment, lock_owner

if TYPE_CHECKING:
    from .._events import Events
    from .._models import FinishedRun, Lease, NewRun, RunEnding, SpooledRun
    from .._settings import Settings
    from .handle import Run
    from .repository import RunRepository


class LockedLife(Protocol):
    """The life of a run that must hold a lock."""

    run: Run
    records_refusal: bool
    _pid: int
    _lease: Lease | None
    _lock_ttl: timedelta
    _settings: Settings
    _events: Events

    @property
    def _new(self) -> NewRun: ...

    def _ask(self, work: Callable[..., Any], *args: object) -> Any: ...

    def ending_of(self, exc: BaseException | None) -> RunEnding:
        """Judge how a body ended."""
        ...

    def _tell(self, ending: RunEnding, finished: FinishedRun) -> None: ...

    def _after_ending(self) -> None: ...

    def _keep(self, record: SpooledRun) -> None: ...

    def _whole(self, ending: RunEnding, finished_at: datetime) -> SpooledRun: ...

    def _names(self) -> dict[str, Any]: ...


def take(life: LockedLife, store: RunRepository) -> JobLockActive | None:
    """Take the lock of a run's job; return the conflict where another run holds it."""
    run = life.run
    owner = lock_owner(life._new.host, life._pid, run.key)
    name = in_environment(run.job_name, life._settings.environment)
    taken = life._ask(store.acquire_lock, name, owner, life._lock_ttl)
    if isinstance(taken, LockHolder):
        return JobLockActive(run.job_name, taken)
    life._lease = taken
    run.fence = taken.fence
    return None


def refuse(life: LockedLife, store: RunRepository, conflict: JobLockActive) -> JobLockActive:
    """Record a run whose body must not begin, since another one holds the lock."""
    if not life.records_refusal:
        return conflict
    holder = LockHolder(conflict.locked_by, conflict.lock_expires_at)
    ending = life.ending_of(conflict)._replace(refused_by=holder)
    try:
        finished = life._ask(store.record_refused_run, life._new, ending)
        life.run.id = conflict.run_id = finished.run_id
        life._tell(ending, finished)
        life._after_ending()
    except Exception as trouble:  # the conflict must be told all the same
        life._keep(life._whole(ending, now()))
        life._events.internal_error("finish", trouble, **life._names())
    return conflict


def release(life: LockedLife, store: RunRepository | None) -> None:
    """Free the lock; without a store, leave it to expire."""
    lease, life._lease = life._lease, None
    if lease is None:
        return
    try:
        freed = store is None or life._ask(store.release_lock, lease)
    except Exception as trouble:  # the lease expires by itself
        life._events.internal_error("release_lock", trouble, **life._names())
    else:
        if not freed and not life.run.lock_lost:
            life.run.lock_lost = True
            life._events.emit(LOCK_LOST, **life._names(), fence=lease.fence)
