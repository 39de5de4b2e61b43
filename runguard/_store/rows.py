"""Records as column values: the one place that knows which field goes into which column."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from .._models import AlertDraft, AlertOutcome, AlertVerdict, NewRun, RunEnding

FAILURE_COLUMNS: Final = (
    "error_message",
    "error_group",
    "http_status_code",
    "error_type",
    "error_location",
    "matched_by",
    "cooldown_seconds",
)


def parameters(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as parameters of a statement: Core keeps the bare names for itself."""
    return {f"in_{column}": value for part in values for column, value in part.items()}


def run_values(run: NewRun) -> dict[str, Any]:
    """The columns of a run that begins."""
    return {
        "run_key": run.key,
        "job_name": run.job_name,
        "trigger_type": run.trigger_type,
        "host": run.host,
        "pid": run.pid,
    }


def counter_values(ending: RunEnding) -> dict[str, Any]:
    """What the job counted."""
    counters = ending.counters
    return {
        "total_records": counters.total_records,
        "changed_records": counters.changed_records,
        "created_alerts": counters.created_alerts,
        "retry_count": counters.retry_count,
    }


def failure_values(ending: RunEnding) -> dict[str, Any]:
    """Why a run failed; nothing for a success."""
    failure = ending.failure
    if failure is None:
        return {}
    return {
        "error_message": failure.error_message,
        "error_group": failure.error_group,
        "http_status_code": failure.http_status_code,
        "error_type": failure.error_type,
        "error_location": ending.error_location,
        "matched_by": failure.matched_by,
        "cooldown_seconds": ending.alert and ceil(ending.alert.cooldown.total_seconds()),
    }


def alert_values(draft: AlertDraft) -> dict[str, Any]:
    """The columns of an alert, its `detail` without the run's id."""
    return {
        "alert_key": draft.uuid,
        "source_type": draft.key.source_type,
        "source_id": draft.key.source_id,
        "alert_type": draft.key.alert_type,
        "severity": draft.severity,
        "title": draft.title,
        "message": draft.message,
        "detail": dict(draft.detail),
    }


def verdict_from(alert_outcome: str, raised_id: int | None, covered_by: int | None) -> AlertVerdict:
    """The verdict of a run that is finished, from its row."""
    outcome = AlertOutcome(alert_outcome)
    return AlertVerdict(outcome, raised_id if outcome is AlertOutcome.RAISED else covered_by)
