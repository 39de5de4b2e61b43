"""`Run`, the handle that the body of a run is given."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from .. import _events
from .._errors import ConfigurationError, did_you_mean
from .._failure.classify import classify_text
from .._failure.introspection import place_of, text_from
from .._models import (
    AlertDraft,
    AlertKey,
    AlertOutcome,
    AlertVerdict,
    Failure,
    RunStatus,
    Severity,
    SeverityName,
    SpooledAlert,
    TriggerType,
)
from . import outage
from .run_key import new_run_key
from .threads import run_uncancelled

if TYPE_CHECKING:
    import structlog

    from .runtime import Runtime

LONGEST_KEY_PART: Final = 512  # bytes: three of them must fit into one index row


class DeclaredFailure(NamedTuple):
    """A failure that is not an exception, and where it was declared."""

    failure: Failure
    location: str | None
    alerts: bool = True


innermost_run: ContextVar[Run | None] = ContextVar("runguard_run", default=None)


class Run:
    """The handle of a run.

    Attributes:
        id: the row's id in `run_log`; None while no row exists (the store is away).
        key: made by the client, and the same in `run_log.run_key`.
        job_name: as given.
        trigger_type: what started it.
        status: RUNNING inside the scope, then how it ended.
        fence: with `lock=True`, a number that grows with every holder of the job's lock.
        lock_lost: whether the lock has gone to another run meanwhile.
        total_records: a counter of the job's, 0 or more; likewise the other three.
        changed_records: how many the job changed.
        created_alerts: alerts of this run; `emit_alert` adds to it.
        retry_count: how often the job tried again.
    """

    def __init__(
        self,
        *,
        key: UUID,
        job_name: str,
        trigger_type: TriggerType,
        cooldown: timedelta,
        outer: Run | None,
        runtime: Runtime,
    ) -> None:
        """Made by `run_scope`, not by users."""
        self.id: int | None = None
        self.key = key
        self.job_name = job_name
        self.trigger_type = trigger_type
        self.status = RunStatus.RUNNING
        self.fence: int | None = None
        self.lock_lost = False
        self.total_records = 0
        self.changed_records = 0
        self.created_alerts = 0
        self.retry_count = 0
        self._cooldown = cooldown
        self._declared: DeclaredFailure | None = None
        self._outer = outer
        self._runtime = runtime
        self._log: structlog.stdlib.BoundLogger | None = None

    def __repr__(self) -> str:
        """Say which run it is and how it stands."""
        return f"<Run {self.job_name!r} id={self.id} {self.status}>"

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        """A structlog logger bound to this run; made, and structlog imported, on first use."""
        if self._log is None:
            self._log = _events.bound_logger(run_id=self.id, job_name=self.job_name)
        return self._log

    def fail(self, reason: str, *, http_status_code: int | None = None) -> None:
        """Mark the run FAILED at exit, although nothing is raised: a partial failure.

        The last call counts; an exception that leaves the scope counts more. `reason` is
        classified as text, `http_status_code` (400-599) as an answer of the upstream.

        >>> with run_scope("enrolment_sync") as run:
        ...     run.fail("3 of 10 pages failed: HTTP 503")
        """
        self._must_be_open("fail")
        caller = sys._getframe(1)
        failure = classify_text(
            text_from(reason),
            http_status_code=http_status_code,
            clean=self._runtime.settings().redactor.clean,
        )
        self._declared = DeclaredFailure(failure, place_of(caller, caller.f_lineno))

    def emit_alert(
        self,
        alert_type: str,
        *,
        source_type: str,
        source_id: str,
        severity: Severity | SeverityName,
        title: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Raise an alert of the job's own, at once and whatever becomes of the run.

        Args:
            alert_type: what kind, such as `NEW`; with the two below, the cooldown's key.
            source_type: what it is about, such as `student`.
            source_id: which one.
            severity: `low`, `medium` or `high`.
            title: one line.
            message: the text.
            detail: what JSON can hold.

        Returns:
            True where it was written; False where the cooldown suppressed it, or the store is
            away (which is logged).

        Raises:
            ConfigurationError: `severity` is none of the three.
            RuntimeError: the run is finished.
        """
        key = self._key_of(source_type, source_id, alert_type)
        work = self._alert_work(key, severity=severity, title=title, message=message, detail=detail)
        return self._count_alert(work(), key)

    async def aemit_alert(
        self,
        alert_type: str,
        *,
        source_type: str,
        source_id: str,
        severity: Severity | SeverityName,
        title: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Do as `emit_alert`, off the event loop."""
        key = self._key_of(source_type, source_id, alert_type)
        work = self._alert_work(key, severity=severity, title=title, message=message, detail=detail)
        outcome, interruption = await run_uncancelled(self._runtime.writers, work)
        raised = self._count_alert(outcome, key)
        if interruption is not None:
            raise interruption
        return raised

    def _alert_work(
        self,
        key: AlertKey,
        *,
        severity: Severity | SeverityName,
        title: str,
        message: str,
        detail: Mapping[str, Any] | None,
    ) -> Callable[[], AlertVerdict | Exception]:
        self._must_be_open("emit_alert")
        settings = self._runtime.settings()
        clean = settings.redactor.clean
        cleaned_detail = settings.redactor.clean_json(dict(detail or {}))
        draft = AlertDraft(
            uuid=new_run_key(),
            key=key,
            severity=_severity_of(severity),
            title=clean(text_from(title)),
            message=clean(text_from(message)),
            detail=cleaned_detail if isinstance(cleaned_detail, dict) else {},
            cooldown=self._cooldown,
        )
        timeout = settings.store_timeout.total_seconds() / 2

        def work() -> AlertVerdict | Exception:
            try:
                return self._runtime.store().raise_alert(draft, timeout=timeout)
            except Exception as trouble:  # the job goes on: see SPEC 8
                late = outage.dated(draft, datetime.now(UTC))
                outage.keep(
                    self._runtime.spool, SpooledAlert(late), job_name=self.job_name, run_id=self.id
                )
                return trouble

        return work

    def _count_alert(self, outcome: AlertVerdict | Exception, key: AlertKey) -> bool:
        if isinstance(outcome, Exception):
            _events.internal_error("emit_alert", outcome, job_name=self.job_name, run_id=self.id)
            return False
        raised = outcome.outcome is AlertOutcome.RAISED
        self.created_alerts += raised
        _events.alert(
            outcome,
            job_name=self.job_name,
            run_id=self.id,
            alert_type=key.alert_type,
            source_id=key.source_id,
        )
        return raised

    def _key_of(self, *parts: object) -> AlertKey:
        """Clean the parts of a key; one that is no text, such as a number, counts as its text."""
        clean = partial(self._runtime.settings().redactor.clean, limit=LONGEST_KEY_PART)
        source_type, source_id, alert_type = (clean(text_from(part)) for part in parts)
        return AlertKey(source_type, source_id, alert_type)

    def _must_be_open(self, what: str) -> None:
        if self.status is not RunStatus.RUNNING:
            raise RuntimeError(f"{what}() was called on a run that is finished: {self!r}")


def current_run() -> Run | None:
    """Return the innermost open run of this thread or task, or None.

    Child tasks and `asyncio.to_thread` inherit it; a run that has ended is never returned.
    """
    run = innermost_run.get()
    while run is not None and run.status is not RunStatus.RUNNING:
        run = run._outer
    return run


def _severity_of(severity: Severity | str) -> Severity:
    try:
        return Severity(severity)
    except ValueError:
        known = ", ".join(Severity)
        raise ConfigurationError(
            f"severity: expected one of {known}, found {severity!r}"
            f"{did_you_mean(str(severity), list(Severity))}"
        ) from None
