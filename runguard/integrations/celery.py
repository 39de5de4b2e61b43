"""Celery: every attempt at a task is a run.

The worker's signals before and after a task begin and end its run, in whatever process or thread
the pool has for it. The worker's main process gives each message that it receives the key of its
run, so that it can close the run of a pool process that died.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from celery import signals
from celery.concurrency.base import BasePool
from celery.exceptions import (
    Retry,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.schedules import crontab, schedule
from celery.utils.serialization import UnpickleableExceptionWrapper

from .._frozen import frozen
from .._models import TriggerType
from .._reasons import ErrorReason
from .._run.options import make_options
from .._run.run_key import new_run_key
from ._attempts import Attempt, Choice, close_by_key, is_tracked, unharmed
from ._schedules import CannotBeSaid, Rule, Schedules, clock_rule, zone_name

if TYPE_CHECKING:
    from celery import Celery

_NOT_WORK: Final = ("celery.chord_unlock", "celery.accumulate")  # what Celery does for its canvases
_KEY: Final = "runguard_key"  # in a request: the key of its run, until that begins
_IS_DUE: Final = "celery_beat_task"  # a header that Celery sets itself, from 5.7 on
_ATTEMPT: Final = "_runguard_attempt"
_STRIKE: Final = "_runguard_strike"
_ENDS_ITSELF: Final = "SIGUSR1"  # which raises SoftTimeLimitExceeded in the task
STRIKES_AGAIN_SECONDS: Final = 0.05
_DEATHS: Final = (WorkerLostError, TimeLimitExceeded, SystemExit, KeyboardInterrupt)


def install(
    app: Celery,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    expect_schedule: bool = True,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Make every attempt at a task of this app a run, and have its schedule watched.

    Call it where the app is made, so that workers and beat do too. A second call replaces what the
    first one said.

    Args:
        app: The Celery app.
        only: Names of the tasks that become runs, or patterns such as `reports.*`. None: all.
        skip: The same, of those that do not.
        name: From a task's name to its job's: a function, or a mapping of those that differ. None:
            the job is called as the task is.
        expect_schedule: Whether the process where beat runs declares its schedule as what is
            expected of the jobs.
        cooldown: As of `run_scope`.
        failures_to_alert: As of `run_scope`.
        no_alert_on: As of `run_scope`; a task's `throws` are added.

    Raises:
        ConfigurationError: An option cannot be used.

    Added in 0.2.
    """
    options: dict[str, Any] = {"cooldown": cooldown, "failures_to_alert": failures_to_alert}
    excluded = make_options("celery", no_alert_on=no_alert_on, **options).no_alert_on
    app = getattr(app, "_get_current_object", lambda: app)()  # what a proxy such as current_app has
    _installed[app] = _Installed(
        Choice(only=only, skip=skip, name=name), options, excluded, expect_schedule
    )
    signals.task_received.connect(_receive, weak=False)
    signals.task_prerun.connect(_begin, weak=False)
    signals.task_failure.connect(_end_failed, weak=False)
    signals.task_postrun.connect(_end, weak=False)
    signals.beat_init.connect(_begin_beat, weak=False)
    signals.before_task_publish.connect(_mark_as_due, weak=False)


@frozen
class _Installed:
    """What `install` was told for an app."""

    choice: Choice
    options: Mapping[str, Any]
    no_alert_on: tuple[type[BaseException], ...]
    expects_schedule: bool

    def job_name_of(self, task: Any) -> str | None:
        """Return the name of the job; None where attempts at this task get no run here."""
        if task.name in _NOT_WORK or is_tracked(task.run):
            return None
        return self.choice.job_name_of(task.name)

    def options_of(self, task: Any, request: Any) -> dict[str, Any]:
        """Return what the run of an attempt is begun with, and closed with in another process."""
        info = request.delivery_info or {}
        return {
            **self.options,
            "no_alert_on": (*self.no_alert_on, *_as_tuple(task.throws)),
            "attempt": request.retries or 0,
            "trigger_type": _trigger_of(request, info),
            "context": {
                "task_id": request.id,
                "queue": info.get("routing_key"),
                "attempt": (request.retries or 0) + 1,
            },
        }


_beats: Final[set[tuple[int, int]]] = set()  # processes and threads that send what is due
_installed: Final[weakref.WeakKeyDictionary[Celery, _Installed]] = weakref.WeakKeyDictionary()


def _as_tuple(types: Any) -> tuple[type[BaseException], ...]:
    return types if isinstance(types, tuple) else (types,) if isinstance(types, type) else ()


def _trigger_of(request: Any, info: Mapping[str, Any]) -> TriggerType | None:
    if info.get("redelivered"):
        return TriggerType.RETRY
    return TriggerType.SCHEDULER if request.get(_IS_DUE) else None


def _receive(request: Any, **_: object) -> None:
    """In the worker's main process: let the run have a key that this process knows too."""
    task = request.task
    with unharmed("start", job_name=task.name):
        installed = _installed.get(task.app)
        if installed is not None and installed.job_name_of(task) is not None:
            request.request_dict[_KEY] = str(new_run_key())
            # Signals tell nothing of a lost worker whose message goes back into its queue, and of
            # a revoked task only when its process may have ended already.
            for method, close in _WATCHED.items():
                setattr(request, method, partial(_call, weakref.ref(request), method, close))


def _begin(sender: Any, **_: object) -> None:
    with unharmed("start", job_name=sender.name):
        request = sender.request
        key = _take_key(request)
        installed = _installed.get(sender.app)
        if installed is None or (job_name := installed.job_name_of(sender)) is None:
            return
        attempt = Attempt(job_name, key=key, **installed.options_of(sender, request))
        try:
            attempt.begin()
        except SoftTimeLimitExceeded:  # which struck meanwhile, and has ended the run
            setattr(request, _STRIKE, _strike_again())
        else:
            setattr(request, _ATTEMPT, (attempt, sys.exception()))


def _strike_again() -> threading.Timer:
    """Have the soft time limit strike the task: Celery drops what a signal's receiver raises."""
    strike = (os.getpid(), Signals[_ENDS_ITSELF])
    again = threading.Timer(STRIKES_AGAIN_SECONDS, os.kill, strike)
    again.daemon = True
    again.start()
    return again


def _end_failed(sender: Any, exception: BaseException, **_: object) -> None:
    """End the run before Celery logs the failure, which is none of the job's last words."""
    with unharmed("finish", job_name=sender.name), suppress(SoftTimeLimitExceeded):
        attempt, around = vars(sender.request).pop(_ATTEMPT, (None, None))
        if attempt is not None:
            error = sys.exception()  # what was raised; Celery's own may be a copy to be pickled
            attempt.end(exception if error is None or error is around else error)


def _end(sender: Any, state: str | None, retval: Any, **_: object) -> None:
    with unharmed("finish", job_name=sender.name), suppress(SoftTimeLimitExceeded):
        if (strike := vars(sender.request).pop(_STRIKE, None)) is not None:
            strike.cancel()  # it would strike the next task
        attempt, around = vars(sender.request).pop(_ATTEMPT, (None, None))
        if attempt is None:
            return
        # Celery names no state for what it lets go on, such as SystemExit.
        error = sys.exception()
        if error is None or error is around:
            error = retval if state != "SUCCESS" and isinstance(retval, BaseException) else None
        if isinstance(error, SystemExit):
            error = _as_shells_say(error)
        if isinstance(error, Retry):
            attempt.end(_why(error), is_tried_again=True)
        else:
            attempt.end(error)


def _as_shells_say(error: SystemExit) -> BaseException:
    """Return what a signal has made of a pool's process, with the code that a shell gives it."""
    code = error.code
    if not (isinstance(code, int) and -256 < code <= -192):
        return error
    return SystemExit(128 + 256 + code).with_traceback(error.__traceback__)


def _why(retry: Retry) -> BaseException:
    """Return what a task is tried again for, where that is known."""
    error: Any = retry.exc
    if error is None or isinstance(error, UnpickleableExceptionWrapper):
        error = retry.__context__ or error or retry
    if error.__traceback__ is None:  # it was made for `retry(exc=…)`, and never raised
        error.__traceback__ = retry.__traceback__
    return cast("BaseException", error)


def _take_key(request: Any) -> UUID | None:
    """Return the key that `_receive` gave; a further attempt must not inherit it."""
    if isinstance(request.headers, dict):
        request.headers.pop(_KEY, None)
    key = vars(request).pop(_KEY, None)
    return None if key is None or request.is_eager else UUID(key)


def _call(request: weakref.ref[Any], method: str, close: Any, *args: Any, **options: Any) -> Any:
    """In the worker's main process: close the run of a process that dies, then do as Celery."""
    if (its := request()) is None:
        return None
    with unharmed("finish", job_name=its.task.name):
        close(its, *args, **options)
    return getattr(type(its), method)(its, *args, **options)


def _close_dead(request: Any, exc_info: Any, **_: object) -> None:
    error = exc_info.exception
    if not isinstance(error, _DEATHS):
        error = getattr(error, "exc", error)  # of ExceptionWithTraceback
    if isinstance(error, TimeLimitExceeded):
        words = f"the time limit of {error.args[0]:g} s was exceeded: the process was killed"
        _close(request, error, message=words)
    elif isinstance(error, _DEATHS):
        _close(request, error, alerts=not _is_tried_again(request, error))


def _close_revoked(request: Any, pool: Any, signal: Any = None) -> None:
    name = _name_of(signal)
    if _dies(request, pool) and name != _ENDS_ITSELF:
        error = TaskRevokedError(f"revoked while it was running: terminated by {name}")
        _close(request, error, reason=ErrorReason.CANCELLED, alerts=False)  # somebody wanted it


def _close_cancelled(request: Any, pool: Any, *_: object, **__: object) -> None:
    """Close what the worker gives up with its connection; its message comes again if it can."""
    if _dies(request, pool):
        error = TaskRevokedError("cancelled by the worker, which lost its broker or shuts down")
        _close(request, error, reason=ErrorReason.CANCELLED, alerts=request.acknowledged)


def _dies(request: Any, pool: Any) -> bool:
    """Whether a task is running that its pool can end; a thread just goes on."""
    can_kill = getattr(pool.terminate_job, "__func__", None) is not BasePool.terminate_job
    return bool(request.time_start and can_kill)


_WATCHED: Final[Mapping[str, Callable[..., None]]] = {
    "on_failure": _close_dead,
    "terminate": _close_revoked,
    "cancel": _close_cancelled,
}


def _close(
    request: Any,
    error: BaseException,
    *,
    message: str | None = None,
    reason: ErrorReason | None = None,
    alerts: bool = True,
) -> None:
    task, its = request.task, request._context
    installed, key = _installed.get(task.app), vars(its).get(_KEY)
    if installed is None or key is None or (job_name := installed.job_name_of(task)) is None:
        return
    began = request.time_start
    close_by_key(
        UUID(key),
        job_name,
        error,
        message=message,
        reason=reason,
        is_tried_again=not alerts,
        started_at=datetime.fromtimestamp(began, UTC) if began else None,
        **installed.options_of(task, its),
    )


def _is_tried_again(request: Any, error: BaseException) -> bool:
    """Whether Celery counts a lost worker as an attempt of several.

    A message that just goes back into its queue may come back for ever, so that would be no reason
    to keep quiet.
    """
    task = request.task
    if not (isinstance(error, WorkerLostError) and getattr(task, "retry_on_worker_lost", False)):
        return False
    return task.max_retries is None or request._context.retries < task.max_retries


def _name_of(signum: Any) -> str:
    """Return the name of a signal, which Celery takes as a number or a name."""
    if signum is None:
        return "SIGTERM"
    try:
        return Signals(int(signum)).name
    except ValueError:
        name = str(signum).upper()
        return name if name.startswith("SIG") else f"SIG{name}"


def _begin_beat(sender: Any, **_: object) -> None:
    """In the process where beat runs: know its thread, and declare when it will send tasks."""
    _beats.add((os.getpid(), threading.get_ident()))
    installed = _installed.get(sender.app)
    if installed is not None and installed.expects_schedule:
        _expect_schedule(sender, installed)


def _mark_as_due(headers: Any, **_: object) -> None:
    if _beats and (os.getpid(), threading.get_ident()) in _beats and isinstance(headers, dict):
        headers.setdefault(_IS_DUE, True)


def _expect_schedule(beat: Any, installed: _Installed) -> None:
    app = beat.app
    with unharmed("declare"):
        schedules = Schedules()
        for entry in beat.scheduler.schedule.values():
            task = app.tasks.get(entry.task)  # beat may send tasks that it does not know
            if task is not None and is_tracked(task.run):
                reason = "its function is tracked on its own: say `expect=` there"
                schedules.tell(entry.task, entry.schedule, reason)
            elif (job_name := installed.choice.job_name_of(entry.task)) is not None:
                try:
                    schedules.expect(entry.name, job_name, _rule_of(entry.schedule))
                except CannotBeSaid as why:
                    schedules.tell(job_name, entry.schedule, str(why))


def _rule_of(when: Any) -> Rule:
    """Say when a schedule is due.

    Raises:
        CannotBeSaid: No expectation says that.
    """
    if isinstance(when, crontab):
        return clock_rule(
            tz=zone_name(when.tz),
            minutes=when.minute,
            hours=when.hour,
            days=when.day_of_month,
            months=when.month_of_year,
            weekdays={(day - 1) % 7 for day in when.day_of_week},  # 0 is Sunday there
        )
    if isinstance(when, schedule):
        return {"every": when.run_every}
    raise CannotBeSaid(f"a schedule of type {type(when).__name__} is not watched")
