"""The life of one run, as small steps over one state: open, enter, leave, ending_of, close, tell.

`open` and `close` do the database work and may be done by another thread; they return what went
wrong instead of raising it. The other steps belong to the caller's thread and context. Nothing of
runguard's own ever replaces what the body returns or raises.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Token
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from .._errors import JobLockActive, RunguardError, StoreUnavailable
from .._events import (
    LOCK_LOST,
    RUN_FINISHED,
    RUN_STARTED,
    Events,
    bind_context,
    restore_context,
)
from .._failure.alert import SEVERITY_OF, failure_alert
from .._failure.classify import classify
from .._failure.introspection import location_of, printable, qualified_name
from .._models import (
    NOBODY,
    Counters,
    ErrorGroup,
    Failure,
    FinishedRun,
    Lease,
    LockHolder,
    NewRun,
    RunEnding,
    RunStatus,
    SpooledRun,
    lock_owner,
)
from .._version import __version__
from . import outage
from .handle import DeclaredFailure, Run, innermost_run
from .options import RunOptions
from .outcome import Outcome, exit_message, interruption_alerts, outcome_of
from .reaper import reap
from .run_key import new_run_key

if TYPE_CHECKING:
    from .repository import RunRepository
    from .runtime import Runtime

VERSIONS: Final = "runguard {}, Python {}.{}.{}".format(__version__, *sys.version_info[:3])
LARGEST_COUNT: Final = 2**63 - 1
LEAST_PATIENCE_SECONDS: Final = 0.1

T = TypeVar("T")


class Opening(NamedTuple):
    """What became of the opening of a run.

    Attributes:
        trouble: what went wrong; None where all went well.
        refusal: where another run holds the lock, the ending of this one, and what the store said.
    """

    trouble: Exception | None = None
    refusal: tuple[RunEnding, FinishedRun | Exception] | None = None


class Lifecycle:
    """One run from its first row to its last."""

    def __init__(self, options: RunOptions, runtime: Runtime) -> None:
        """Make the handle; nothing is written yet."""
        settings = runtime.settings()
        self._options = options
        self._runtime = runtime
        self._settings = settings
        self._events = runtime.events
        self._cooldown = settings.cooldown if options.cooldown is None else options.cooldown
        self._lock_ttl = options.lock_ttl or settings.lock_ttl
        self._lease: Lease | None = None
        self._new = NewRun(
            key=new_run_key(),
            job_name=options.job_name,
            trigger_type=options.trigger_type or settings.trigger_type,
            host=printable(os.uname().nodename),
            pid=os.getpid(),
            lost_after=settings.lost_after,
        )
        self.run = Run(
            key=self._new.key,
            job_name=self._new.job_name,
            trigger_type=self._new.trigger_type,
            cooldown=self._cooldown,
            outer=innermost_run.get(),
            runtime=runtime,
        )
        self._started_at = datetime.now(UTC)  # kept only if the store's own clock is out of reach
        # The beginning may use up half, so that the ending always has the other.
        self._patience = settings.store_timeout.total_seconds() / 2
        self._opening = Opening()
        self._is_lost = False  # whether the disk took nothing either
        self._context: tuple[Token[Run | None], Any] | None = None

    def open(self) -> Opening:
        """Take the lock if asked to, and write the RUNNING row. Return what went wrong."""
        try:
            store = self._runtime.store()
            self._look_for_lost_runs(store)
            if self._options.lock and (holder := self._take_lock(store)) is not None:
                return self._refuse(store, JobLockActive(self._new.job_name, holder))
            self.run.id = self._patiently(store.start_run, self._new)
            self._runtime.hold_reserve()
        except Exception as trouble:  # `enter` says what it means for the body
            self._outlive(trouble)
            return Opening(trouble)
        return Opening()

    def enter(self, opening: Opening) -> Run:
        """Let the body begin, or raise what must keep it from running."""
        self._opening = opening
        if opening.refusal is not None:
            self.tell(*opening.refusal)
        elif opening.trouble is not None:
            self._events.internal_error("start", opening.trouble, **self._names())
        if opening.trouble is not None and (opening.refusal is not None or self._must_refuse()):
            raise _own_error(opening.trouble)
        self._patience += self._settings.store_timeout.total_seconds() / 2
        self._context = (innermost_run.set(self.run), bind_context(**self._names()))
        self._runtime.heartbeat.add(self.run, self._settings.heartbeat_interval)
        if self._lease is not None:
            self._runtime.heartbeat.add_lease(self.run, self._lease, self._lock_ttl)
        self._events.emit(RUN_STARTED, **self._names(), trigger_type=self.run.trigger_type.value)
        return self.run

    def declare(self, failure: Failure, *, interrupted: bool) -> None:
        """Let the run end FAILED without an exception."""
        alerts = not interrupted or interruption_alerts(self.run.trigger_type)
        self.run._declared = DeclaredFailure(failure, None, alerts)

    def leave(self) -> bool:
        """Leave the caller's context; False in a forked child, whose run it is not."""
        if self._context is not None:
            token, bound = self._context
            self._context = None
            try:
                innermost_run.reset(token)
                restore_context(bound)
            except ValueError:
                pass  # left in another context than entered, as async generators may be
        if self._new.pid != os.getpid():
            self.run.status = RunStatus.FAILED
            return False
        self._runtime.heartbeat.remove(self.run)
        return True

    def ending_of(self, exc: BaseException | None) -> RunEnding:
        """Judge how the body ended, and set the run's status. Never raises."""
        if issubclass(type(exc), MemoryError):
            self._runtime.release_reserve()
        try:
            ending = self._judge(exc)
        except Exception as bug:  # a run is never left RUNNING for a bug of ours
            self._events.internal_error("classify", bug, **self._names())
            ending = RunEnding(self._new.key, Counters(), _unjudged(exc))
        self.run.status = ending.status
        return ending

    def close(self, ending: RunEnding) -> FinishedRun | Exception:
        """Write the ending, then free the lock. Return what went wrong."""
        finished_at = datetime.now(UTC)
        try:
            return self._write(ending, finished_at)
        except Exception as trouble:  # the job's own result must go on
            self._keep(self._whole(ending, finished_at))
            return trouble
        except BaseException:  # of a signal's handler; nobody else will write what it cut off
            try:
                self._write(ending, finished_at)
            except BaseException:  # another signal: this one takes a millisecond
                self._keep(self._whole(ending, finished_at))
            raise
        finally:
            self._release_lock()

    def tell(self, ending: RunEnding, outcome: FinishedRun | Exception) -> None:
        """Log how the run ended, and what became of its alert."""
        if isinstance(outcome, Exception):
            if self._opening.refusal is not None or self._opening.trouble is None:
                self._events.internal_error("finish", outcome, **self._names())
            return  # a store that is away at the start and at the end is one trouble, told once
        group = ending.failure and ending.failure.error_group.value
        self._events.emit(
            RUN_FINISHED,
            **self._names(),
            status=ending.status.value,
            error_group=group,
            alert_outcome=outcome.verdict.outcome.value,
        )
        if ending.alert is not None:
            self._events.alert(
                outcome.verdict,
                **self._names(),
                alert_type=ending.alert.key.alert_type,
                source_id=ending.alert.key.source_id,
            )

    def _write(self, ending: RunEnding, finished_at: datetime) -> FinishedRun:
        store = self._runtime.store()
        if self.run.id is not None:
            finished = self._patiently(store.finish_run, ending)
        else:
            finished = self._patiently(store.replay_run, self._whole(ending, finished_at))
            self._runtime.spool().forget(self._new.key)
        try:
            outage.replay_waiting(
                self._runtime.spool(), store, self._events, seconds=self._patience
            )
        except Exception as trouble:  # this run is written, whatever becomes of the others
            self._events.internal_error("replay", trouble, **self._names())
        return finished

    def _judge(self, exc: BaseException | None) -> RunEnding:
        outcome = outcome_of(
            exc,
            trigger_type=self.run.trigger_type,
            no_alert_on=self._options.no_alert_on,
        )
        counters = _counters_of(self.run, self._events)
        if outcome is Outcome.SUCCESS:
            if (declared := self.run._declared) is None:
                return RunEnding(self._new.key, counters)
            failure, location, alerts = declared
        else:
            assert exc is not None  # noqa: S101 - no exception is a success
            clean = self._settings.redactor.clean
            failure = classify(exc, rules=self._settings.rules, clean=clean)
            if (message := exit_message(exc)) is not None:
                failure = replace(failure, error_message=message)
            location, alerts = location_of(exc), outcome is Outcome.FAILED
        return self._failed(failure, counters, location=location, alerts=alerts)

    def _failed(
        self, failure: Failure, counters: Counters, *, location: str | None, alerts: bool
    ) -> RunEnding:
        alert = failure_alert(
            run_key=self._new.key,
            job_name=self._new.job_name,
            failure=failure,
            location=location,
            cooldown=self._cooldown,
            versions=VERSIONS,
        )
        return RunEnding(self._new.key, counters, failure, location, alert if alerts else None)

    def _must_refuse(self) -> bool:
        """Whether the body must not run although nothing is wrong with the job."""
        lock_is_missing = self._options.lock and self._lease is None
        return lock_is_missing or self._settings.outage_policy == "refuse"

    def _outlive(self, trouble: Exception) -> None:
        """Keep on this machine what the store could not be told at the start."""
        if self._must_refuse():
            self._release_lock()
            ending = self.ending_of(_own_error(trouble))._replace(refused_by=NOBODY)
            self._keep(self._whole(ending, datetime.now(UTC)))
        else:
            self._keep(SpooledRun(self._new, self._started_at))

    def _keep(self, record: SpooledRun) -> None:
        self._is_lost = outage.keep(
            self._runtime.spool, record, self._events, is_told=self._is_lost, **self._names()
        )

    def _whole(self, ending: RunEnding, finished_at: datetime) -> SpooledRun:
        """The run as one record, with this host's times."""
        ending = outage.dated_ending(ending, finished_at)
        return SpooledRun(self._new, self._started_at, finished_at, ending)

    def _look_for_lost_runs(self, store: RunRepository) -> None:
        """Close this job's runs whose process died; before the lock, which they may hold."""
        if not self._runtime.lost_runs.is_due(self._new.job_name, self._settings.lost_after):
            return
        patience = max(LEAST_PATIENCE_SECONDS, self._patience)
        began = time.monotonic()
        with suppress(RunguardError):  # what stops this look stops the start, which tells it
            for _ in reap(store, self._settings, job_name=self._new.job_name, timeout=patience):
                pass
        self._patience -= time.monotonic() - began

    def _take_lock(self, store: RunRepository) -> LockHolder | None:
        """Take the job's lock; return who holds it where that is another run."""
        owner = lock_owner(self._new.host, self._new.pid, self._new.key)
        taken = self._patiently(store.acquire_lock, self._new.job_name, owner, self._lock_ttl)
        if isinstance(taken, LockHolder):
            return taken
        self._lease = taken
        self.run.fence = taken.fence
        return None

    def _refuse(self, store: RunRepository, conflict: JobLockActive) -> Opening:
        """Record a run whose body must not begin, since another one holds the lock."""
        holder = LockHolder(conflict.locked_by, conflict.lock_expires_at)
        ending = self.ending_of(conflict)._replace(refused_by=holder)
        outcome: FinishedRun | Exception
        try:
            outcome = self._patiently(store.record_refused_run, self._new, ending)
            self.run.id = conflict.run_id = outcome.run_id
        except Exception as trouble:  # the conflict must be told all the same
            self._keep(self._whole(ending, datetime.now(UTC)))
            outcome = trouble
        return Opening(conflict, (ending, outcome))

    def _release_lock(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            freed = self._patiently(self._runtime.store().release_lock, lease)
        except Exception as trouble:  # the lease expires by itself
            self._events.internal_error("release_lock", trouble, **self._names())
        else:
            if not freed and not self.run.lock_lost:
                self.run.lock_lost = True
                self._events.emit(LOCK_LOST, **self._names(), fence=lease.fence)

    def _patiently(self, work: Callable[..., T], *args: object) -> T:
        """Call the store, and take the wait off the run's patience."""
        began = time.monotonic()
        try:
            return work(*args, timeout=max(LEAST_PATIENCE_SECONDS, self._patience))
        finally:
            self._patience -= time.monotonic() - began

    def _names(self) -> dict[str, Any]:
        return {"job_name": self.run.job_name, "run_id": self.run.id}


def _counters_of(run: Run, events: Events) -> Counters:
    return Counters(
        total_records=_count(run, "total_records", events),
        changed_records=_count(run, "changed_records", events),
        created_alerts=_count(run, "created_alerts", events),
        retry_count=_count(run, "retry_count", events),
    )


def _count(run: Run, name: str, events: Events) -> int:
    """Read a counter that the job may have set to anything; what is no number counts as 0."""
    value = getattr(run, name)
    try:
        return max(0, min(LARGEST_COUNT, int(value)))
    except (TypeError, ValueError, OverflowError):
        found = TypeError(f"{name}: expected a whole number, found {type(value).__name__}")
        events.internal_error("counters", found, job_name=run.job_name, run_id=run.id)
        return 0


def _own_error(trouble: Exception) -> RunguardError:
    if isinstance(trouble, RunguardError):
        return trouble
    error = StoreUnavailable(f"the run could not be recorded: {qualified_name(type(trouble))}")
    error.__cause__ = trouble
    return error


def _unjudged(exc: BaseException | None) -> Failure | None:
    if exc is None:
        return None
    return Failure(
        error_group=ErrorGroup.UNKNOWN,
        severity=SEVERITY_OF[ErrorGroup.UNKNOWN],
        http_status_code=None,
        error_type=qualified_name(type(exc)),
        error_message=qualified_name(type(exc)),
        matched_by="nothing: the classification itself failed",
    )
