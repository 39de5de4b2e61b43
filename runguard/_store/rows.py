"""Records as column values: the one place that knows which field goes into which column."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

from .._errors import RecordRefused
from .._models import (
    AlertDraft,
    AlertOutcome,
    AlertVerdict,
    EarlierEnding,
    LostRun,
    NewRun,
    RunEnding,
    RunStatus,
)

NO_ROW: Final = (
    "the store took the run and kept no row of it: is there a trigger or a policy on run_log?"
)
FAILURE_COLUMNS: Final = (
    "error_message",
    "error_group",
    "http_status_code",
    "error_type",
    "error_location",
    "error_reason",
    "matched_by",
    "matched_depth",
    "matched_rule",
    "cooldown_seconds",
)
REFUSAL_COLUMNS: Final = ("refused", "lock_holder", "lock_held_until")

# Columns of this release that the store has not got yet: see `BaseStore.lacking`.
Lacking = frozenset[str]
NOTHING: Final[Lacking] = frozenset()


def parameters(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as parameters of a statement: Core keeps the bare names for itself."""
    return {f"in_{column}": value for part in values for column, value in part.items()}


def run_values(run: NewRun, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """The columns of a run that begins."""
    values = {
        "run_key": run.key,
        "job_name": run.job_name,
        "trigger_type": run.trigger_type,
        "host": run.host,
        "pid": run.pid,
        "lost_after_seconds": run.lost_after and _whole_seconds(run.lost_after),
    }
    return present(values, lacking)


def counter_values(ending: RunEnding) -> dict[str, Any]:
    """What the job counted."""
    counters = ending.counters
    return {
        "total_records": counters.total_records,
        "changed_records": counters.changed_records,
        "created_alerts": counters.created_alerts,
        "retry_count": counters.retry_count,
    }


def failure_values(ending: RunEnding, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """Why a run failed; nothing for a success."""
    failure = ending.failure
    if failure is None:
        return {}
    values = {
        "error_message": failure.error_message,
        "error_group": failure.error_group,
        "http_status_code": failure.http_status_code,
        "error_type": failure.error_type,
        "error_location": ending.error_location,
        "error_reason": failure.error_reason,
        "matched_by": failure.matched_by,
        "matched_depth": failure.matched_depth,
        "matched_rule": failure.matched_rule,
        "cooldown_seconds": ending.alert and _whole_seconds(ending.alert.cooldown),
    }
    return present(values, lacking)


def refusal_values(ending: RunEnding, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """Whether the body was kept from beginning, and by whose lock."""
    holder = ending.refused_by
    if holder is None:
        return present(dict.fromkeys(REFUSAL_COLUMNS), lacking)
    values = dict(zip(REFUSAL_COLUMNS, (True, *holder), strict=True))
    return present(values, lacking)


def present(values: dict[str, Any], lacking: Lacking) -> dict[str, Any]:
    """Keep the columns that the store has."""
    if not lacking:
        return values
    return {name: value for name, value in values.items() if name not in lacking}


def reason_values(draft: AlertDraft) -> dict[str, Any]:
    """What a cooldown is kept by beside the key: the reason, and a guard row of its own for it."""
    if draft.reason is None:
        return {}
    return {"reason": draft.reason, "guard_id": guard_id(draft)}


def guard_id(draft: AlertDraft) -> str:
    """The `source_id` of an alert's guard row."""
    source_id = draft.key.source_id
    return source_id if draft.reason is None else f"{source_id}/{draft.reason}"


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


def lost_run_from(run_id: int, key: UUID, *row: Any) -> LostRun:
    """A run that was found to be silent, from its row."""
    job_name, host, pid, last_heard_at, seconds = row
    limit = None if seconds is None else timedelta(seconds=seconds)
    return LostRun(run_id, key, job_name, host, pid, last_heard_at, limit)


def verdict_from(alert_outcome: str, raised_id: int | None, covered_by: int | None) -> AlertVerdict:
    """The verdict of a run that is finished, from its row."""
    outcome = AlertOutcome(alert_outcome)
    return AlertVerdict(outcome, raised_id if outcome is AlertOutcome.RAISED else covered_by)


def earlier_ending(status: str, finished_at: datetime | None, outcome: object) -> EarlierEnding:
    """How a run was found, from its row.

    Raises:
        RecordRefused: it is open, though a statement has just ended it.
    """
    if status == RunStatus.RUNNING:
        raise RecordRefused(
            "the store took the end of the run and left it RUNNING: is it a trigger?"
        )
    by = "runguard" if outcome is not None else "another program"
    return EarlierEnding(status, finished_at, by)


def _whole_seconds(length: timedelta) -> int:
    return ceil(length.total_seconds())
