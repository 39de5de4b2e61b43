"""What the machinery asks of a store; `_storage` answers.

A store raises `StoreUnavailable` or `SchemaOutOfDate`, chained to what its driver said, and
nothing else. Every write is committed when the call returns, and may be repeated safely: runs are
known by their client-made key, leases by their owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from ._models import (
        AlertDraft,
        AlertVerdict,
        FinishedRun,
        Lease,
        LockHolder,
        LostRun,
        NewRun,
        RunEnding,
        SpooledRun,
    )
    from ._records import (
        AlertDetails,
        AlertFilter,
        AlertOrder,
        AlertPage,
        AlertRecord,
        CooldownState,
        Cursor,
        FailureBucket,
        GroupCount,
        JobOverview,
        LockState,
        OpenRuns,
        Prunable,
        PrunedBatch,
        RunCell,
        RunDetails,
        RunFilter,
        RunPage,
        RunRecord,
        RunWithAlert,
        StoreDiagnosis,
        StoreReport,
    )


class RunRepository(Protocol):
    """Where runs, alerts and locks are written.

    `timeout` is in seconds: how long a call may take before it gives up with `StoreUnavailable`.
    """

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

    def beat(self, keys: Sequence[UUID], *, timeout: float) -> None:
        """Note that these open runs are alive, all in one statement."""
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


class OperatorViews(Protocol):
    """What an operator reads. Newest first; times are aware, in UTC."""

    def recent_runs(
        self,
        *,
        limit: int,
        job_name: str | None = None,
        status: str | None = None,
        error_group: str | None = None,
        since: timedelta | None = None,
    ) -> Sequence[RunRecord]:
        """List runs."""
        ...

    def recent_alerts(
        self,
        *,
        limit: int,
        job_name: str | None = None,
        alert_type: str | None = None,
        open_only: bool = False,
        since: timedelta | None = None,
    ) -> Sequence[AlertRecord]:
        """List alerts."""
        ...

    def failures_by_group(
        self, *, since: timedelta, job_name: str | None = None
    ) -> Sequence[GroupCount]:
        """Count failures by group and severity."""
        ...

    def failed_runs_with_alerts(
        self, *, limit: int, job_name: str | None = None
    ) -> Sequence[RunWithAlert]:
        """List failed runs, each beside the alert that it raised or that covers it."""
        ...

    def job_names(self) -> Sequence[str]:
        """List every job that ever ran, in the order of the alphabet."""
        ...

    def inspect(self) -> StoreReport:
        """Say which store this is and which schema it has."""
        ...

    def foreign_open_runs(self, *, older_than: timedelta) -> OpenRuns:
        """Count the open runs of other programs that began longer ago; nobody reaps those."""
        ...

    def diagnose(self) -> StoreDiagnosis:
        """Say what may stop this role from recording its runs."""
        ...


class OperatorInsight(Protocol):
    """What a page, or `show` and `explain`, reads: answers in a bounded time at millions of rows.

    Newest first; times are aware, in UTC. A row without a start, as another program may write it,
    has no place in time and is found by its id alone. What is not as it must be (two cursors, a
    `bucket` that is no whole number of seconds) is a `ConfigurationError`.
    """

    def now(self) -> datetime:
        """Return the database's clock."""
        ...

    def overview(self, *, strip: int, job_name: str | None = None) -> Sequence[JobOverview]:
        """Describe every job, or one, by its last `strip` runs; in the order of the alphabet."""
        ...

    def failure_buckets(
        self, *, since: datetime, bucket: timedelta, job_name: str | None = None
    ) -> Sequence[FailureBucket]:
        """Count failures by group in stretches of time, the oldest first; none where none failed.

        A stretch starts at a whole multiple of `bucket` since the epoch.
        """
        ...

    def run_page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        older_than: Cursor | None = None,
        newer_than: Cursor | None = None,
    ) -> RunPage:
        """List one page of runs, from the newest, or next to a cursor.

        Looking for what is rare has an end: a page may hold fewer runs than asked for, even none,
        and still say where older ones go on.
        """
        ...

    def alert_page(
        self,
        wanted: AlertFilter,
        *,
        limit: int,
        order: AlertOrder = ...,
        following: Cursor | None = None,
        preceding: Cursor | None = None,
    ) -> AlertPage:
        """List one page of alerts, from the first in that order, or next to a cursor.

        It may be short, as a page of runs.
        """
        ...

    def run_details(self, run_id: int) -> RunDetails | None:
        """Tell everything about one run; None where there is no such run."""
        ...

    def run_id_of(self, run_key: UUID) -> int | None:
        """Find a run by the key that its client made; None where there is no such run."""
        ...

    def alert_details(self, alert_id: int, *, limit: int = 20) -> AlertDetails | None:
        """Tell everything about one alert; None where there is no such alert."""
        ...

    def last_runs(self, job_name: str, *, limit: int) -> Sequence[RunCell]:
        """List a job's last runs for a chart."""
        ...

    def cooldowns(self, job_name: str) -> Sequence[CooldownState]:
        """Tell for each group of a job that ever alerted how its cooldown stands."""
        ...

    def lock_state(self, job_name: str) -> LockState | None:
        """Tell who holds, or last held, the job's lock; None where it was never taken."""
        ...


class AlertDesk(Protocol):
    """What an operator does about alerts.

    Returns the alerts as they are now, in the order of the ids; unknown ids are left out, and what
    is so already stays as it is, with its first `by` and time. Raises `ConfigurationError` where
    nobody is named in `by`.
    """

    def resolve_alerts(
        self, alert_ids: Sequence[int], *, by: str, resolved: bool = True
    ) -> Sequence[AlertRecord]:
        """Mark alerts resolved, or open again."""
        ...

    def review_alerts(
        self, alert_ids: Sequence[int], *, by: str, review_status: str
    ) -> Sequence[AlertRecord]:
        """Set the review status of alerts: 1 to 32 characters of A to Z and `_`.

        Usual words are AUTO, ACKNOWLEDGED, IN_PROGRESS, FALSE_ALARM and DONE.
        """
        ...


class Housekeeping(Protocol):
    """Deleting what is old. Open runs and the newest run of each job are never deleted."""

    def longest_cooldown(self) -> timedelta:
        """Return the longest cooldown that a recorded failure had; 0 where there is none."""
        ...

    def count_prunable(
        self, what: Prunable, *, older_than: timedelta, include_foreign: bool
    ) -> int:
        """Count what `prune_batch` would delete, with rows of other programs or without."""
        ...

    def prune_batch(
        self,
        what: Prunable,
        *,
        older_than: timedelta,
        include_foreign: bool,
        limit: int,
        after: tuple[Any, ...] | None,
    ) -> PrunedBatch:
        """Delete up to `limit` rows, the oldest first, going on after an earlier batch."""
        ...


class Store(RunRepository, OperatorViews, OperatorInsight, AlertDesk, Housekeeping, Protocol):
    """A whole store."""
