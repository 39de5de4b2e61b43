"""Endings and alerts as parameters of statements, and the rows that come back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ..._models import AlertDraft, AlertOutcome, AlertVerdict, FinishedRun, RunEnding
from ..rows import NOTES, Lacking, alert_values, failure_values, note_values, parameters
from .cooldown import PLAINLY, How
from .statements import Kind


def ending_parameters(ending: RunEnding, lacking: Lacking) -> dict[str, Any]:
    """Return a run's ending as the parameters of the statement that writes it."""
    values = {"run_key": ending.key, **ending.counters._asdict(), **failure_values(ending, lacking)}
    if ending.note is not None and NOTES not in lacking:
        values |= note_values(ending.note)
    return (
        parameters(values)
        if ending.alert is None
        else {**parameters(values), **alert_parameters(ending.alert)}
    )


def kind_of(ending: RunEnding) -> Kind:
    """Say how a run ends."""
    if ending.failure is None:
        return "success"
    return "excluded" if ending.alert is None else "judged"


def how_of(alert: AlertDraft | None, lacking: Lacking) -> How:
    """Say how the cooldown is asked for an alert."""
    if alert is None:
        return PLAINLY
    has_environment = alert.environment is not None and "environment" not in lacking
    return How(alert.reason is not None, alert.failures_to_alert > 1, has_environment)


def alert_parameters(draft: AlertDraft) -> dict[str, Any]:
    """Return an alert as parameters."""
    values = alert_values(draft) | {"cooldown": draft.cooldown}
    if draft.reason is not None:
        from ..by_reason import reason_values

        values |= reason_values(draft)
    if draft.failures_to_alert > 1:
        from ..waiting import waiting_values

        values |= waiting_values(draft)
    return parameters(values)


def finished(row: Row[Any], ending: RunEnding) -> FinishedRun:
    """Say what a statement has done that ends a run, from its row."""
    if ending.failure is None:
        return FinishedRun(recorded=True, run_id=row.id)
    if ending.alert is None:
        verdict = AlertVerdict(AlertOutcome.EXCLUDED)
        return FinishedRun(recorded=True, run_id=row.id, verdict=verdict)
    return FinishedRun(recorded=True, run_id=row.run_id, verdict=verdict_of(row, ending.alert))


def verdict_of(row: Row[Any], draft: AlertDraft) -> AlertVerdict:
    """Say what became of an alert, from its row."""
    if row.raised_id is not None:
        return AlertVerdict(AlertOutcome.RAISED, row.raised_id)
    if draft.failures_to_alert > 1 and row.is_waiting:
        return AlertVerdict(AlertOutcome.WAITING)
    last_alert_at: datetime | None = row.last_alert_at
    ends_at = None if last_alert_at is None else last_alert_at + draft.cooldown
    return AlertVerdict(AlertOutcome.SUPPRESSED, row.covering_id, ends_at)
