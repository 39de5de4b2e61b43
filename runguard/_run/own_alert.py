"""An alert of a job's own: written or kept by a thread of runguard's, and told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from .._clock import now, ticks
from .._errors import ConfigurationError, RecordRefused, did_you_mean
from .._events import Events
from .._failure.introspection import text_from
from .._models import (
    AlertDraft,
    AlertKey,
    AlertOutcome,
    AlertVerdict,
    Severity,
    SpooledAlert,
    in_environment,
)

if TYPE_CHECKING:
    from .._settings import Settings
    from .repository import RunRepository
    from .spool import Spool

LONGEST_KEY_PART: Final = 512  # bytes: three of them must fit into one index row


class Shared(Protocol):
    """What the runs of a process share."""

    events: Events

    def settings(self) -> Settings:
        """Return the settings."""
        ...

    def store(self) -> RunRepository:
        """Return the store."""
        ...

    def spool(self) -> Spool:
        """Return where records wait."""
        ...

    def see_to_delivery(self, job_name: str, timeout: float, *, raised: bool = False) -> None:
        """Have alerts told."""
        ...


class AlertingRun(Protocol):
    """What is told of the run that raises an alert of its own."""

    id: int | None
    job_name: str


def raise_or_keep(
    run: AlertingRun,
    runtime: Shared,
    deadline: float,
    trouble: Exception | None,
    *,
    uuid: UUID,
    cooldown: timedelta,
    key: tuple[object, object, object],
    severity: Severity | str,
    title: object,
    message: object,
    detail: Mapping[str, Any] | None,
) -> AlertVerdict | None:
    """Write the alert, or without the store keep it; tell what became of it.

    Args:
        run: The run that raises it.
        runtime: Where stores and settings are.
        deadline: When to give up, in ticks.
        trouble: What is wrong with the store; None where nothing is known to be.
        uuid: The alert's key, the same where it is tried again.
        cooldown: Silence after the last alert of its key.
        key: Source type, source id and alert type.
        severity: One of the three; another word counts as high, and is told.
        title: One line.
        message: The text.
        detail: More, as JSON can hold it.
    """
    names: dict[str, Any] = {"job_name": run.job_name, "run_id": run.id}
    events, settings = runtime.events, runtime.settings()
    redactor = settings.redactor
    whole = detail if isinstance(detail, Mapping) else {"detail": detail}
    cleaned = redactor.clean_json({} if detail is None else whole)
    alert = AlertDraft(
        uuid=uuid,
        key=_key_of(key, settings),
        severity=_severity_of(severity, events, **names),
        title=redactor.clean(text_from(title)),
        message=redactor.clean(text_from(message)),
        detail=cleaned if isinstance(cleaned, dict) else {"detail": cleaned},
        cooldown=cooldown,
        environment=settings.environment,
    )
    if trouble is None:
        try:
            verdict = _raised(alert, runtime, deadline, names)
        except Exception as error:  # of ours or of the store: the job goes on
            trouble = error
        else:
            kind = {"alert_type": alert.key.alert_type, "source_id": alert.key.source_id}
            events.alert(verdict, **names, **kind)
            if verdict.outcome is AlertOutcome.RAISED:
                runtime.see_to_delivery(run.job_name, deadline - ticks(), raised=True)
            return verdict
    from . import outage

    late = outage.dated(alert, now())
    outage.keep(runtime.spool, SpooledAlert(late), events, **names)
    events.internal_error("emit_alert", trouble, **names)
    return None


def _raised(
    alert: AlertDraft, runtime: Shared, deadline: float, names: dict[str, Any]
) -> AlertVerdict:
    write = runtime.store().raise_alert
    try:
        return write(alert, timeout=deadline - ticks())
    except RecordRefused as refusal:
        from .reduction import record_less

        verdict, _, told = record_less(write, (alert,), refusal, lambda: deadline - ticks())
        runtime.events.internal_error("record", told, **names)
        return verdict


def _key_of(parts: tuple[object, object, object], settings: Settings) -> AlertKey:
    """Clean the parts of a key; one that is no text, such as a number, counts as its text."""
    clean = partial(settings.redactor.clean, limit=LONGEST_KEY_PART)
    source_type, source_id, alert_type = (clean(text_from(part)) for part in parts)
    return AlertKey(source_type, in_environment(source_id, settings.environment), alert_type)


def _severity_of(severity: Severity | str, events: Events, **names: object) -> Severity:
    """Read a severity; tell one that is none, and take it as high: the alert must not be lost."""
    try:
        return Severity(text_from(severity).lower())
    except ValueError:
        known = ", ".join(Severity)
        wrong = ConfigurationError(
            f"severity: expected one of {known}, found {text_from(severity)!r}"
            f"{did_you_mean(text_from(severity), list(Severity))}; the alert is written as high"
        )
        events.internal_error("emit_alert", wrong, **names)
        return Severity.HIGH
