"""What a row tells of a run that was there before: one that had ended, or that fell silent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from .._errors import RecordRefused
from .._models import AlertOutcome, AlertVerdict, EarlierEnding, LostRun, RunStatus

NO_ROW: Final = (
    "the store took the run and kept no row of it: is there a trigger or a policy on run_log?"
)


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
