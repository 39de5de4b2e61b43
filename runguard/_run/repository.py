"""What a run asks of a store; `_store` answers.

A store raises `StoreUnavailable` or `SchemaOutOfDate`, chained to what its driver said, and
nothing else. Every write is committed when the call returns, and may be repeated safely: runs are
known by their client-made key, leases by their owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from .._errors import StoreUnavailable
    from .._models import (
        AlertDraft,
        AlertVerdict,
        FinishedRun,
        Lease,
        LockHolder,
        NewRun,
        RunEnding,
        SpooledRun,
        StoreIdentity,
    )
    from .._monitor.expectations import JobDeclaration
    from .._monitor.lost_run import LostRun


class RunRepository(Protocol):
    """Where runs, alerts and locks are written.

    `timeout` is in seconds: how long a call may take before it gives up with `StoreUnavailable`.
    `has_hosts_clock` says that its times are those of the host that asks. `denial` is why notes are
    not written, where the role may not; it is to be told once. With `relaxed_start`, a start need
    not wait until its row is on the disk.
    """

    has_hosts_clock: bool
    denial: StoreUnavailable | None
    is_denial_told: bool
    relaxed_start: bool

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; return its id."""
        ...

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run and raise its alert if the cooldown allows, in one transaction."""
        ...

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that ended before its body began, FAILED from the first moment."""
        ...

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run that could not be written when it happened.

        Its rows keep its host's times; its alert is judged and dated now.
        """
        ...

    def beat(
        self,
        keys: Sequence[UUID],
        *,
        timeout: float,
        progress: Mapping[UUID, tuple[int, int | None]] | None = None,
    ) -> None:
        """Note that these open runs are alive, all in one statement.

        `progress` says by key how many are done, and how many there are (None: not known).
        """
        ...

    def find_lost_runs(
        self, *, silent_for: timedelta, job_name: str | None, limit: int, timeout: float
    ) -> Sequence[LostRun]:
        """List open runs of ours that were silent for longer, the oldest first."""
        ...

    def close_lost_run(
        self, lost: LostRun, ending: RunEnding, *, silent_for: timedelta, timeout: float
    ) -> FinishedRun:
        """End a run if it is still open and still silent; free its lock, raise its alert."""
        ...

    def raise_alert(self, alert: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert if its key's cooldown allows."""
        ...

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Take the job's lock if it is free or expired; else say who holds it."""
        ...

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend our lease; False where it is no longer ours."""
        ...

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Free our lease; False where it is no longer ours."""
        ...

    def before_fork(self, *, timeout: float) -> bool:
        """Keep other threads out of what a child could not go on with; False where that failed."""
        ...

    def after_fork_in_parent(self) -> None:
        """Let them in again, if `before_fork` has kept them out."""
        ...

    def after_fork(self) -> None:
        """Forget every connection, without closing what the parent still uses."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class Declaring(Protocol):
    """What a job's process writes so that its job is watched."""

    def declare_jobs(
        self, store: Any, declarations: Sequence[JobDeclaration], /, *, timeout: float
    ) -> None:
        """Write what is expected of jobs, in one statement."""
        ...

    def raise_unwatched(
        self, store: Any, /, *, after: timedelta, cooldown: timedelta, timeout: float
    ) -> bool:
        """Raise an alert where jobs are expected and no monitor has looked; say whether it did."""
        ...


class StoreFactory(Protocol):
    """Where a runtime gets its store from. Nothing is connected here."""

    def check(self, *, url: str | None, engine: Any, source: str) -> None:
        """Raise a `ConfigurationError` unless this URL, or this engine, can be used."""
        ...

    def identity(self, *, url: str | None, engine: Any) -> StoreIdentity:
        """Name a store without its secrets; the records of its outages wait under that name."""
        ...

    def is_delivery_due(
        self,
        store: RunRepository,
        job_names: Sequence[str],
        *,
        timeout: float,
        environment: str | None,
    ) -> bool:
        """Whether an alert or a notice waits, or an incident of these jobs is open."""
        ...

    def declaring(self) -> Declaring:
        """Return what tells a store of the jobs' expectations."""
        ...

    def open(
        self, *, url: str | None, engine: Any, max_connections: int, patience: float
    ) -> RunRepository:
        """Return a store; `patience` is in seconds, for a busy pool or a server that is away."""
        ...
