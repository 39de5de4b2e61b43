"""The life of one run, as four steps over one state: open, enter, leave, close.

`open` and `close` do whatever may fail or take time, in a thread of runguard's own; given a
trouble, they do without the store. `enter` and `leave` belong to the caller's thread and context.
Nothing of runguard's own ever replaces what the body returns or raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import Token
from datetime import datetime
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._clock import now, ticks
from .._errors import RecordRefused, RunguardError, StoreUnavailable
from .._events import RUN_FINISHED, RUN_STARTED, bind_context, restore_context
from .._models import (
    AlertOutcome,
    Counters,
    FinishedRun,
    Lease,
    NewRun,
    RunEnding,
    RunStatus,
    SpooledAlert,
    SpooledRun,
)
from .handle import DeclaredFailure, Run, current_run, innermost_run, open_run_from
from .host import host_name
from .options import EXPECTED, RunOptions
from .run_key import new_run_key
from .task import Opening

if TYPE_CHECKING:
    from .here import Hand
    from .repository import RunRepository
    from .runtime import Runtime

HERE: Final = "here"  # what serves plain runs, from the second one of a process on
LEAST_PATIENCE_SECONDS: Final = 0.1
LONGEST_TURN_SECONDS: Final = 60.0
STORES_PART: Final = 0.9  # of the time that a run may wait; the rest is for its record

T = TypeVar("T")


class Lifecycle:
    """One run from its first row to its last."""

    records_refusal = True

    def __init__(self, options: RunOptions, runtime: Runtime) -> None:
        """Make the handle; nothing is written yet."""
        settings = runtime.first_use()
        self._options = options
        self._runtime = runtime
        self._settings = settings
        self._events = runtime.events
        self._cooldown = settings.cooldown if options.cooldown is None else options.cooldown
        self._lock_ttl = options.lock_ttl or settings.lock_ttl
        self._lease: Lease | None = None
        self._pid = os.getpid()
        self.run = Run(
            key=options.key or new_run_key(),
            job_name=options.job_name,
            trigger_type=options.trigger_type or settings.trigger_type,
            cooldown=self._cooldown,
            outer=outer_run(),
            runtime=runtime,
        )
        if options.context is not None:
            self.run._keeping().add(options.context, settings.redactor)
        self._capture = capture = runtime.capture
        self._trace_id = None if capture is None else capture.start(self.run)
        self._ending: RunEnding | None = None
        self.is_open = False
        self._started_at = now()  # kept only if the store's own clock is out of reach
        # The beginning may use up half, so that the ending always has the other.
        self._patience = settings.store_timeout.total_seconds() / 2
        self._deadline = inf
        self._opening: Opening | None = None
        self.alert_outcome: AlertOutcome | None = None
        self._is_lost = False  # whether the disk took nothing either
        self._judge: Callable[..., RunEnding] | None = None
        self._hand: Hand | None = None  # of the caller's own thread: see `here`
        self._struck_as: RunStatus | None = None  # the end that it may have written
        self._finished: tuple[RunEnding, FinishedRun] | None = None
        self._context: tuple[Token[Run | None], Any] | None = None

    def time_to_open(self) -> tuple[float, float]:
        """Return the seconds that `open` may take from now, and those that it may wait first.

        A busy store is not away: a run that must not begin without its lock waits for its turn.
        """
        seconds = self._begin_to_count(self._patience)
        return seconds, max(seconds, LONGEST_TURN_SECONDS) if self._options.lock else seconds

    def time_to_close(self) -> float:
        """Return the seconds that `close` may take from now: its half, and what `open` has left."""
        return self._begin_to_count(self._patience)

    def open(self, trouble: Exception | None = None, /) -> Opening:
        """Take the lock if asked to, and write the RUNNING row."""
        refusal: RunguardError | None = None
        if trouble is None:
            try:
                self._empty_hand()
                self._judge = load_judge()  # a run may end when nothing can be imported any more
                refusal = self._open_in_store()
            except Exception as error:  # of ours or of the store: the job goes on
                trouble = error
            if self._opening is not None:  # so late that the caller has done without us
                self._release_lock()
                return self._opening
        if trouble is not None:
            with suppress(Exception):  # the body may go on for hours without what others wait for
                self._empty_hand()
            from .outage import outlive

            refusal = outlive(self, trouble)
            self._events.internal_error("start", trouble, **self._names())
        self._opening = Opening(trouble, refusal)
        if refusal is None:
            self._begin_to_live()
        return self._opening

    def enter(self, opening: Opening | None) -> Run:
        """Let the body begin, or raise what must keep it from running."""
        if opening is not None and opening.refusal is not None:
            self.finish()
            raise opening.refusal
        if self._capture is not None:
            self._capture.begin(self.run, innermost_run)
        self._context = (innermost_run.set(self.run), bind_context(**self._names()))
        return self.run

    def leave(self, exc: BaseException | None = None) -> None:
        """Leave the caller's context. A forked child leaves the run alone: it is its parent's."""
        if exc is not None and (reserve := self._runtime._reserve) is not None:
            reserve.release_memory(exc)  # before anything takes memory, which may have run out
        if self._pid != os.getpid():
            self.run.status = RunStatus.FAILED
            self.is_open = False
        if self._capture is not None:
            self._capture.leave(self.run)
        self._leave_context()

    def _leave_context(self) -> None:
        if self._context is not None:
            token, bound = self._context
            self._context = None
            try:
                innermost_run.reset(token)
                restore_context(bound)
            except ValueError:
                pass  # left in another context than entered, as async generators may be

    def close(self, exc: BaseException | None, trouble: Exception | None = None, /) -> None:
        """Judge how the body ended, write and tell it, and free the lock."""
        self.is_open = False
        self._empty_hand()
        self.run._outer = open_run_from(self.run._outer)  # let go of those that are closed
        finished_at = now()
        self._runtime.heartbeat.remove(self.run)
        ending, finished = self._finished or (self.ending_of(exc), None)
        was_handed_in = trouble is not None
        trouble = None if finished is not None else trouble  # then it is only to be told
        if trouble is None:
            try:
                self._tell(ending, finished or self._write(ending, finished_at))
            except Exception as error:  # the job's own result must go on
                trouble = error
        if trouble is not None:
            self._keep(self._whole(ending, finished_at))
            if self._opening is None or self._opening.trouble is None:
                # A store that is away at the start and at the end is one trouble, told once.
                self._events.internal_error("finish", trouble, **self._names())
        self._release_lock(asks=not was_handed_in)
        self._after_ending(written=trouble is None)

    def finish(self) -> None:
        """Let others know that the run has ended; in the caller's context."""
        if self._ending is not None and self._capture is not None:
            self.run._lines = None  # the program may keep the handle
            self._capture.end(self.run, self._ending)

    def close_abandoned(self) -> None:
        """End a run whose block was entered and never left: an interruption came in between."""
        if self.is_open and self._pid == os.getpid():
            from .outcome import ABANDONED

            self.run._declared = DeclaredFailure(ABANDONED, None)
            self.time_to_close()
            self.close(None)
            self.finish()

    def ending_of(self, exc: BaseException | None) -> RunEnding:
        """Judge how the body ended, and set the run's status. Never raises."""
        try:
            if exc is not None:
                self._runtime.release_reserve(exc)
            ending = (self._judge or load_judge())(
                exc,
                run=self.run,
                events=self._events,
                settings=self._settings,
                no_alert_on=self._options.no_alert_on,
                cooldown=self._cooldown,
                failures_to_alert=self._options.failures_to_alert
                or self._settings.failures_to_alert,
            )
        except Exception as bug:  # a run is never left RUNNING for a bug of ours
            self._events.internal_error("classify", bug, **self._names())
            from .outcome import unjudged

            ending = RunEnding(self.run.key, Counters(), unjudged(exc, self.run))
        self.run.status = ending.status
        self._ending = ending
        return ending

    def _begin_to_count(self, seconds: float) -> float:
        # The store gives up a little earlier, so that there is time to keep the record.
        self._deadline = ticks() + STORES_PART * seconds
        return seconds

    def _open_in_store(self) -> RunguardError | None:
        """Write the run's first row; return what refuses the run where the lock is held."""
        if self._options.lock:  # it may have waited for its turn
            self._begin_to_count(self._patience)
        store = self._runtime.store()
        self._look_for_lost_runs(store)
        if self._options.lock:
            with self._runtime._lock:  # a fork waits for what is imported
                from . import locked

            if (conflict := locked.take(self, store)) is not None:
                return locked.refuse(self, store, conflict)
        self.run.id = self._ask(store.start_run, self._new)
        if HERE not in self._runtime.made_late and self._runtime.heartbeat.is_awake:
            with self._runtime._lock, suppress(Exception):
                self._runtime.made_late[HERE] = None
                from .here import here_of

                self._runtime.made_late[HERE] = here_of(self._runtime)
        self._runtime.reserve().hold()
        return None

    def _begin_to_live(self) -> None:
        """What the time of the body begins with."""
        self._save_time()
        self.is_open = True
        self._runtime.heartbeat.add(self.run, self._settings.heartbeat_interval)
        if self._lease is not None:
            self._runtime.heartbeat.add_lease(self.run, self._lease, self._lock_ttl)
        self._events.emit(RUN_STARTED, **self._names(), trigger_type=self.run.trigger_type.value)

    def _save_time(self) -> None:
        """Let the ending have what the beginning has left of its time."""
        left = max(0.0, self._deadline - ticks()) if self._deadline < inf else 0.0
        self._patience += min(left, self._patience)

    def _empty_hand(self) -> None:
        """Do away with what was struck in the caller's own thread."""
        if self._hand is not None:
            self._hand.recover()
            self._runtime.heartbeat.remove(self.run)

    def _tell(self, ending: RunEnding, finished: FinishedRun) -> None:
        """Log how the run ended, and what became of its alert."""
        self.alert_outcome = finished.verdict.outcome
        if (store := self._runtime.store()).denial is not None and not store.is_denial_told:
            store.is_denial_told = True
            self._events.internal_error("note", store.denial, **self._names())
        group = ending.failure and ending.failure.error_group.value
        self._events.emit(
            RUN_FINISHED,
            **self._names(),
            status=ending.status.value,
            error_group=group,
            alert_outcome=finished.verdict.outcome.value,
        )
        if ending.alert is not None:
            self._events.alert(
                finished.verdict,
                **self._names(),
                alert_type=ending.alert.key.alert_type,
                source_id=ending.alert.key.source_id,
            )

    def _write(self, ending: RunEnding, finished_at: datetime) -> FinishedRun:
        store = self._runtime.store()
        finished = None
        if self.run.id is not None:
            finished = self._ask(store.finish_run, ending)
            if finished.earlier is not None and finished.earlier.status == self._struck_as:
                verdict = finished.earlier.verdict  # it was this thread, before it was struck
                finished = finished._replace(recorded=True, verdict=verdict)
            if not finished.recorded and (self._options.key is None or finished.earlier is None):
                from .outcome import not_open

                self._events.internal_error("finish", not_open(finished), **self._names())
        if finished is None or (not finished.recorded and finished.earlier is None):
            finished = self._ask(store.replay_run, self._whole(ending, finished_at))
            if self._runtime.may_hold_records():
                from .spool_replay import forget

                forget(self._runtime.spool(), self.run.key)
            self.run.id = finished.run_id or self.run.id
        try:
            if self._runtime.may_hold_records() and (spool := self._runtime.spool()).is_due():
                from .spool_replay import replay_waiting

                replay_waiting(spool, store, self._events, seconds=self._deadline - ticks())
        except Exception as trouble:  # this run is written, whatever becomes of the others
            self._events.internal_error("replay", trouble, **self._names())
        return finished

    @property
    def _new(self) -> NewRun:
        return NewRun(
            key=self.run.key,
            job_name=self.run.job_name,
            trigger_type=self.run.trigger_type,
            host=host_name(),
            pid=self._pid,
            lost_after=self._settings.lost_after,
            environment=self._settings.environment,
            version=None if self._capture is None else self._capture.version,
            trace_id=self._trace_id,
        )

    def _keep(self, record: SpooledRun | SpooledAlert) -> None:
        from . import outage

        self._is_lost = outage.keep(
            self._runtime.spool, record, self._events, is_told=self._is_lost, **self._names()
        )

    def _whole(self, ending: RunEnding, finished_at: datetime) -> SpooledRun:
        """The run as one record, with this host's times."""
        from .outage import dated_ending

        ending = dated_ending(ending, finished_at)
        return SpooledRun(self._new, self._started_at, finished_at, ending)

    def _look_for_lost_runs(self, store: RunRepository) -> None:
        """Close this job's runs whose process died; before the lock, which they may hold."""
        if self._runtime.lost_runs.is_due(self.run.job_name, self._settings.lost_after):
            from .reaper import reap_at_start

            name, seconds = self.run.job_name, self._seconds_left()
            if reap_at_start(store, self._settings, self._runtime.heartbeat, name, timeout=seconds):
                self._runtime.see_to_delivery(name, seconds, raised=True)

    def _release_lock(self, *, asks: bool = True) -> None:
        if self._lease is not None:
            from .locked import release

            release(self, self._runtime.store() if asks else None)

    def _after_ending(self, *, written: bool = True) -> None:
        name = self.run.job_name
        if (expect := self._options.expect or EXPECTED.get(name)) is not None:
            try:
                from .declaring import declare_after  # where it still can be imported

                declare_after(self._runtime, name, expect, self._seconds_left, written=written)
            except Exception as trouble:  # the run is written, whatever becomes of this
                self._events.internal_error("declare", trouble, **self._names())
        if written:
            raised = self.alert_outcome is AlertOutcome.RAISED
            self._runtime.see_to_delivery(name, self._seconds_left(), raised=raised)

    def _ask(self, work: Callable[..., T], *args: object) -> T:
        """Call the store with the time that is left, and note whether it answers."""
        breaker = self._runtime.writers().breaker
        try:
            answer = work(*args, timeout=self._seconds_left())
        except RecordRefused as refusal:
            breaker.note_answer()
            from .outage import dated
            from .reduction import record_less

            answer, alert, told = record_less(work, args, refusal, self._seconds_left)
            self._events.internal_error("record", told, **self._names())
            if alert is not None:
                self._keep(SpooledAlert(dated(alert, now())))
            return answer
        except StoreUnavailable as fault:
            if fault.is_away:
                breaker.note_fault(fault)
            else:
                breaker.note_answer()
            raise
        breaker.note_answer()
        return answer

    def _seconds_left(self) -> float:
        return max(LEAST_PATIENCE_SECONDS, self._deadline - ticks())

    def _names(self) -> dict[str, Any]:
        return {"job_name": self.run.job_name, "run_id": self.run.id}


def outer_run() -> Run | None:
    """Return the run that encloses a new one, and let it forget those around it that are closed.

    A task that starts its own successor would else keep all its predecessors alive.
    """
    outer = current_run()
    if outer is not None:
        outer._outer = open_run_from(outer._outer)
    return outer


@cache
def load_judge() -> Callable[..., RunEnding]:
    from . import own_alert  # noqa: F401 - later it may be too late to import
    from .outcome import judge

    return judge
