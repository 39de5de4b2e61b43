"""How a body ended: which endings are failures, and which failures raise an alert.

Control flow that travels as an exception is told from failure here, by type name where the type
belongs to a library that may not be installed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import Enum
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._errors import RunguardError
from .._failure.alert import failure_alert
from .._failure.classify import classify
from .._failure.introspection import attribute, location_of, qualified_name
from .._failure.repeated import Judged, Mark, mark_of, recall, remember
from .._failure.type_names import type_names
from .._models import (
    AlertDraft,
    Counters,
    ErrorGroup,
    Failure,
    FinishedRun,
    RunEnding,
    RunNote,
    Severity,
    TriggerType,
)
from .._version import __version__
from .surroundings import home_folder

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from .._events import Events
    from .._settings import Settings
    from .run_note import Kept

VERSIONS: Final = "runguard {}, Python {}.{}.{}".format(__version__, *sys.version_info[:3])
LARGEST_COUNT: Final = 2**63 - 1
TIERS: Final = "runguard._failure.tiers"  # what sorts failures, where it could be loaded
ABANDONED: Final = Failure(
    error_group=ErrorGroup.UNKNOWN,
    severity=Severity.MEDIUM,
    http_status_code=None,
    error_type="runguard.AbandonedRun",
    error_message="the block was left without its end: an exception came before `__exit__` began",
    matched_by="the run was forgotten while it was open",
)


class EndedRun(Protocol):
    """What is judged of a run besides its exception."""

    id: int | None
    key: UUID
    job_name: str
    trigger_type: TriggerType
    _is_tried_again: bool
    _ids: Any
    _lines: Any
    _progress: Any

    @property
    def _kept(self) -> Kept | None: ...

    @property
    def _declared(self) -> tuple[Failure, str | None, bool, RunNote | None] | None: ...


class Outcome(Enum):
    """How a body ended."""

    SUCCESS = "success"
    FAILED = "failed, and alerts"
    FAILED_QUIETLY = "failed, recorded without an alert"


SIGNALLED: Final = 128  # and the number of the signal: the exit code of what a signal ended
_BY_NAME: Final = {
    # The task runs again, or goes on later: the last attempt alerts.
    "airflow.exceptions.AirflowRescheduleException": Outcome.FAILED_QUIETLY,
    "airflow.exceptions.TaskDeferred": Outcome.FAILED_QUIETLY,
    "airflow.sdk.exceptions.AirflowRescheduleException": Outcome.FAILED_QUIETLY,
    "airflow.sdk.exceptions.TaskDeferred": Outcome.FAILED_QUIETLY,
    "arq.worker.Retry": Outcome.FAILED_QUIETLY,
    "arq.worker.RetryJob": Outcome.FAILED_QUIETLY,
    "celery.exceptions.Retry": Outcome.FAILED_QUIETLY,
    "dagster._core.definitions.events.RetryRequested": Outcome.FAILED_QUIETLY,
    "dramatiq.errors.Retry": Outcome.FAILED_QUIETLY,
    "huey.exceptions.RetryTask": Outcome.FAILED_QUIETLY,
    "procrastinate.exceptions.JobRetry": Outcome.FAILED_QUIETLY,
    "spinach.task.RetryException": Outcome.FAILED_QUIETLY,
    "tasktiger.exceptions.RetryException": Outcome.FAILED_QUIETLY,
    # It did not do its work, as somebody wanted or another one does it.
    "huey.exceptions.TaskLockedException": Outcome.FAILED_QUIETLY,
    "procrastinate.exceptions.JobAborted": Outcome.FAILED_QUIETLY,
    # The task says that there is no more to do, or no result to keep.
    "airflow.exceptions.AirflowSkipException": Outcome.SUCCESS,
    "airflow.sdk.exceptions.AirflowSkipException": Outcome.SUCCESS,
    "celery.exceptions.Ignore": Outcome.SUCCESS,
    "celery.exceptions.Reject": Outcome.SUCCESS,
    "greenlet.GreenletExit": Outcome.SUCCESS,
    "huey.exceptions.CancelExecution": Outcome.SUCCESS,
    "spinach.task.AbortException": Outcome.SUCCESS,
    "taskiq.exceptions.NoResultError": Outcome.SUCCESS,
    "taskiq.exceptions.TaskRejectedError": Outcome.SUCCESS,
    "temporalio.workflow.ContinueAsNewError": Outcome.SUCCESS,
}
# Exceptions that end a program with an exit code, and where each keeps it.
_EXITS: Final = {
    "SystemExit": "code",
    "click.exceptions.Exit": "exit_code",
    "typer.exceptions.Exit": "exit_code",
}
_SPECIAL: Final = frozenset({*_EXITS, *_BY_NAME})
# How command line frameworks pass a Ctrl-C on.
_INTERRUPTIONS: Final = frozenset(
    {"KeyboardInterrupt", "click.exceptions.Abort", "typer.exceptions.Abort"}
)


def judge(
    exc: BaseException | None,
    *,
    run: EndedRun,
    events: Events,
    settings: Settings,
    no_alert_on: tuple[type[BaseException], ...],
    cooldown: timedelta,
    failures_to_alert: int = 1,
) -> RunEnding:
    """Say what is to be written of a run whose body raised `exc`, or None."""
    outcome = outcome_of(exc, trigger_type=run.trigger_type, no_alert_on=no_alert_on)
    counters = _counters_of(run, events)
    mark = known = None
    if outcome is Outcome.SUCCESS:
        if (declared := run._declared) is None:
            note = None
            if run._kept is not None or run._progress is not None:
                note = _note_of(run, settings=settings, events=events)
            return RunEnding(run.key, counters, note=note)
        failure, location, alerts, said = declared
    else:
        assert exc is not None  # noqa: S101 - no exception is a success
        mark = _mark_of(exc, settings)
        known = mark and recall(mark, settings)
        failure, location, _ = known or _judged(exc, settings)
        alerts, said = outcome is Outcome.FAILED, None
    alert = None
    if alerts and not run._is_tried_again:
        alert = alert_of(
            run,
            Judged(failure, location, None),
            settings=settings,
            cooldown=cooldown,
            failures_to_alert=failures_to_alert,
        )
    how = {"exc": exc, "said": said, "known": known and known.traceback}
    note = _note_of(run, settings=settings, events=events, has_failed=True, **how)
    if mark is not None and known is None:
        _remember(mark, settings, failure, location, note)
    return RunEnding(run.key, counters, failure, location, alert, note=note)


def alert_of(
    run: EndedRun,
    judged: Judged,
    *,
    settings: Settings,
    cooldown: timedelta,
    failures_to_alert: int,
) -> AlertDraft:
    """Draft the alert of a run that has failed."""
    return failure_alert(
        run_key=run.key,
        job_name=run.job_name,
        failure=judged.failure,
        location=judged.location,
        cooldown=cooldown,
        cooldown_by=settings.cooldown_by,
        failures_to_alert=failures_to_alert,
        versions=VERSIONS,
        environment=settings.environment,
    )


def _judged(exc: BaseException, settings: Settings) -> Judged:
    failure = classify(exc, rules=settings.rules, clean=settings.redactor.clean)
    if (message := exit_message(exc)) is not None:
        failure = replace(failure, error_message=message)
    return Judged(failure, location_of(exc), None)


def _mark_of(exc: BaseException, settings: Settings) -> Mark | None:
    """Return by what this failure is known again; None where what users wrote is to be asked."""
    if settings.rules or any(map(callable, settings.redactor.extra)):
        return None
    try:
        return mark_of(exc, home_folder())
    except Exception:  # such as no file that is left to load it from
        return None


def _remember(
    mark: Mark, settings: Settings, failure: Failure, location: str | None, note: RunNote | None
) -> None:
    traceback = note and note.traceback
    whole = settings.capture_traceback is (traceback is not None)
    if whole and TIERS in sys.modules:  # else it was not sorted, or only in part
        remember(mark, settings, Judged(failure, location, traceback))


@cache
def _notes() -> ModuleType:
    from . import run_note  # a success that says nothing does without

    return run_note


def _note_of(run: EndedRun, **how: Any) -> RunNote | None:
    try:
        note: RunNote | None = _notes().note_of(run, **how)
        return note
    except Exception as fault:  # such as no file that is left to load it from
        how["events"].internal_error("note", fault, job_name=run.job_name, run_id=run.id)
        return None


def outcome_of(
    exc: BaseException | None,
    *,
    trigger_type: TriggerType,
    no_alert_on: tuple[type[BaseException], ...] = (),
) -> Outcome:
    """Say how a body ended that raised `exc`, or None."""
    if exc is None or issubclass(type(exc), GeneratorExit):
        return Outcome.SUCCESS
    names = type_names(exc)
    if not _SPECIAL.isdisjoint(names):
        if any(name in _EXITS and _exits_cleanly(_exit_code(exc, name)) for name in names):
            return Outcome.SUCCESS
        for name in names:
            if (ending := _BY_NAME.get(name)) is not None:
                return ending
    if issubclass(type(exc), no_alert_on):
        return Outcome.FAILED_QUIETLY
    if not (interruption_alerts(trigger_type) or _INTERRUPTIONS.isdisjoint(names)):
        return Outcome.FAILED_QUIETLY
    return Outcome.FAILED


def exit_message(exc: BaseException) -> str | None:
    """Say the exit code of an exception that ends the program; None for any other exception.

    >>> exit_message(SystemExit(3)), exit_message(SystemExit(143))
    ('exit code 3', 'SIGTERM (exit code 143)')
    """
    for name in type_names(exc):
        if name in _EXITS:
            code = _exit_code(exc, name)
            return _exit_words(int(code)) if isinstance(code, int) else None
    return None


def interruption_alerts(trigger_type: TriggerType) -> bool:
    """Whether an interruption such as Ctrl-C raises an alert: who started a run by hand knows."""
    return trigger_type is not TriggerType.MANUAL


def _exit_code(exc: BaseException, name: str) -> object:
    return attribute(exc, _EXITS[name])


def _exit_words(code: int) -> str:
    from signal import Signals

    words = f"exit code {code}"
    try:  # as a shell says which signal ended a program
        return f"{Signals(code - SIGNALLED).name} ({words})"
    except ValueError:
        return words


def _exits_cleanly(code: object) -> bool:
    # As the interpreter does: what is no integer is printed, and the process ends with 1.
    return code is None or (isinstance(code, int) and code == 0)


def _counters_of(run: EndedRun, events: Events) -> Counters:
    return Counters(
        total_records=_count(run, "total_records", events),
        changed_records=_count(run, "changed_records", events),
        created_alerts=_count(run, "created_alerts", events),
        retry_count=_count(run, "retry_count", events),
    )


def _count(run: EndedRun, name: str, events: Events) -> int:
    """Read a counter that the job may have set to anything; what is no number counts as 0."""
    value: Any = None
    try:
        value = getattr(run, name)
        if type(value) is int and 0 <= value <= LARGEST_COUNT:
            return value
        return max(0, min(LARGEST_COUNT, int(value)))
    except BaseException:  # hostile code may raise anything
        found = TypeError(f"{name}: expected a whole number, found {type(value).__name__}")
        events.internal_error("counters", found, job_name=run.job_name, run_id=run.id)
        return 0


def unjudged(exc: BaseException | None, run: EndedRun) -> Failure | None:
    """Return the failure of a body, as far as it is known where judging it has failed."""
    if exc is None:
        return run._declared and run._declared[0]
    return Failure(
        error_group=ErrorGroup.UNKNOWN,
        severity=Severity.MEDIUM,
        http_status_code=None,
        error_type=qualified_name(type(exc)),
        error_message=qualified_name(type(exc)),
        matched_by="nothing: the classification itself failed",
    )


def not_open(finished: FinishedRun) -> RunguardError:
    """Say what became of the row that the run had when it began."""
    if (earlier := finished.earlier) is None:
        return RunguardError(
            "the run's row is gone, deleted or lost with a server: the whole run is written again"
        )
    when = "" if earlier.finished_at is None else f" at {earlier.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    return RunguardError(
        f"the run had been ended before as {earlier.status}{when} by {earlier.by}: its row keeps"
        " that end"
    )
