"""What a row tells of a run that was there before: one that had ended, or that fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select

from .._errors import RecordRefused
from .._models import NO_ALERT, AlertOutcome, AlertVerdict, EarlierEnding, RunStatus
from .._monitor.lost_run import LostRun
from .rows import Lacking
from .schema.tables import run_log

NO_ROW: Final = (
    "the store took the run and kept no row of it: is there a trigger or a policy on run_log?"
)

_OUTCOMES: Final = frozenset(one.value for one in AlertOutcome)
_ENVIRONMENT: Final = run_log.c.environment


def lost_runs_from(
    connection: Connection, lacking: Lacking, rows: Sequence[Any]
) -> Sequence[LostRun]:
    """The runs that were found to be silent, from their rows, with their environments."""
    environments: dict[int, str] = {}
    # Asked here, so that no start of a run asks for it.
    if rows and _ENVIRONMENT.name not in lacking:
        of_these = run_log.c.id.in_([row[0] for row in rows]) & _ENVIRONMENT.is_not(None)
        found = connection.execute(select(run_log.c.id, _ENVIRONMENT).where(of_these))
        environments = {row.id: row.environment for row in found}
    return [_lost_run_from(environments.get(row[0]), *row) for row in rows]


def _lost_run_from(environment: str | None, run_id: int, key: UUID, *row: Any) -> LostRun:
    job_name, host, pid, last_heard_at, seconds = row
    limit = None if seconds is None else timedelta(seconds=seconds)
    return LostRun(run_id, key, job_name, host, pid, last_heard_at, limit, environment)


def verdict_from(alert_outcome: str, raised_id: int | None, covered_by: int | None) -> AlertVerdict:
    """The verdict of a run that is finished, from its row."""
    outcome = AlertOutcome(alert_outcome)
    return AlertVerdict(outcome, raised_id if outcome is AlertOutcome.RAISED else covered_by)


def earlier_ending(row: Any) -> EarlierEnding:
    """How a run was found, from its row.

    Raises:
        RecordRefused: it is open, though a statement has just ended it.
    """
    if row.status == RunStatus.RUNNING:
        raise RecordRefused(
            "the store took the end of the run and left it RUNNING: is it a trigger?"
        )
    by = "another program" if row.alert_outcome is None else "runguard"
    verdict = NO_ALERT
    if row.alert_outcome in _OUTCOMES:
        verdict = verdict_from(row.alert_outcome, row.raised_id, row.covered_by)
    return EarlierEnding(row.status, row.finished_at, by, verdict)
