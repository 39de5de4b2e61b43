"""The end of a run, inside a transaction."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from ..._models import AlertOutcome, AlertVerdict, FinishedRun, RunEnding
from ..rows import (
    FAILURE_COLUMNS,
    NOTES,
    Lacking,
    failure_values,
    note_values,
    parameters,
    present,
)
from . import statements as sql
from .cooldown import raise_if_allowed

_QUIET_OUTCOMES: Final = {True: AlertOutcome.NONE, False: AlertOutcome.EXCLUDED}
_NO_FAILURE: Final = dict.fromkeys(FAILURE_COLUMNS)


def find_open(connection: Connection, key: UUID) -> int | None:
    """Return the id of a run that may still be ended."""
    found = connection.execute(sql.open_run(), parameters({"run_key": key}))
    return found.scalar_one_or_none()


def end_run(
    connection: Connection, lacking: Lacking, run_id: int, ending: RunEnding
) -> FinishedRun:
    """Write how a run ended, and raise its alert if the cooldown allows."""
    verdict = alerted(connection, lacking, run_id, ending)
    values = ended_values(ending, verdict, lacking) | ending.counters._asdict()
    values["created_alerts"] += verdict.outcome is AlertOutcome.RAISED
    connection.execute(sql.end(lacking), parameters(values, {"id": run_id}))
    if ending.note is not None and NOTES not in lacking:
        note = parameters(note_values(ending.note), {"run_key": ending.key})
        connection.execute(sql.keep_note(), note)
    return FinishedRun(recorded=True, run_id=run_id, verdict=verdict)


def alerted(
    connection: Connection, lacking: Lacking, run_id: int, ending: RunEnding
) -> AlertVerdict:
    """Raise the alert of an ending, where it has one."""
    if ending.alert is None:
        return AlertVerdict(_QUIET_OUTCOMES[ending.failure is None])
    if ending.alert.failures_to_alert > 1:
        from ..waiting import verdict_if_waiting

        if (verdict := verdict_if_waiting(connection, lacking, ending)) is not None:
            return verdict
    return raise_if_allowed(connection, lacking, ending.alert, run_id=run_id)


def ended_values(ending: RunEnding, verdict: AlertVerdict, lacking: Lacking) -> dict[str, Any]:
    """Return the columns that say how a run ended, but for what it counted."""
    raised = verdict.outcome is AlertOutcome.RAISED
    return {
        **present(_NO_FAILURE, lacking),
        **failure_values(ending, lacking),
        "status": ending.status,
        "alert_outcome": verdict.outcome,
        "covered_by": None if raised else verdict.alert_id,
    }
