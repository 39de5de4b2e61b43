"""Endings and alerts as parameters of statements, and the rows that come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._models import NO_ALERT, AlertDraft, AlertOutcome, AlertVerdict, FinishedRun, RunEnding
from ..rows import NOTES, Lacking, alert_values, failure_values, note_values, parameters
from .cooldown import PLAINLY, How
from .statements import Kind


def ending_parameters(ending: RunEnding, lacking: Lacking) -> dict[str, Any]:
    """Return a run's ending as the parameters of the statement that writes it."""
    values = {"run_key": ending.key, **ending.counters._asdict(), **failure_values(ending, lacking)}
    if ending.note is not None and NOTES not in lacking:
        values |= note_values(ending.note)
    alert = {} if ending.alert is None else alert_parameters(ending.alert)
    return parameters(values) | alert


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


def finished(row: Sequence[Any], ending: RunEnding) -> FinishedRun:
    """Say what a statement has done that ends a run, from its row; the run's id stands first."""
    verdict = NO_ALERT
    if ending.alert is not None:
        verdict = verdict_of(row, ending.alert)
    elif ending.failure is not None:
        verdict = AlertVerdict(AlertOutcome.EXCLUDED)
    return FinishedRun(recorded=True, run_id=row[0], verdict=verdict)


def verdict_of(row: Sequence[Any], draft: AlertDraft) -> AlertVerdict:
    """Say what became of an alert, from the row that `verdict` selects."""
    _, raised_id, covering_id, last_alert_at, *waiting = row
    if raised_id is not None:
        return AlertVerdict(AlertOutcome.RAISED, raised_id)
    if draft.failures_to_alert > 1 and waiting[0]:
        return AlertVerdict(AlertOutcome.WAITING)
    ends_at = None if last_alert_at is None else last_alert_at + draft.cooldown
    return AlertVerdict(AlertOutcome.SUPPRESSED, covering_id, ends_at)
