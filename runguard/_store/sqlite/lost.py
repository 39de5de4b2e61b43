"""Closing a lost run."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, select, update

from ..._models import FinishedRun, RunEnding, in_environment
from ..._monitor.lost_run import LostRun
from ..rows import Lacking
from ..schema.clock import db_now
from ..schema.expressions import RELEASED
from ..schema.lock_table import job_lock
from ..schema.tables import run_log
from .endings import ended_values, verdict_before, write_alert_of
from .statements import silent


def close(
    connection: Connection,
    lacking: Lacking,
    lost: LostRun,
    ending: RunEnding,
    silent_for: timedelta,
) -> FinishedRun:
    """End a silent run, free its lock, raise its alert."""
    still_silent = select(run_log.c.id).where(
        run_log.c.run_key == lost.key, silent(silent_for, lacking)
    )
    if connection.execute(still_silent).one_or_none() is None:
        return FinishedRun(recorded=False)
    verdict = verdict_before(connection, lacking, ending)
    connection.execute(
        update(run_log)
        .where(run_log.c.id == lost.run_id)
        .values(
            **ended_values(ending, verdict, lacking),
            created_alerts=run_log.c.created_alerts + (verdict is None),
            **dict.fromkeys(("lost_at", "finished_at", "updated_at"), db_now()),
        )
    )
    if verdict is None:
        verdict = write_alert_of(connection, lacking, ending, lost.run_id)
    connection.execute(
        update(job_lock)
        .where(job_lock.c.job_name == in_environment(lost.job_name, lost.environment))
        .where(job_lock.c.locked_by == lost.lock_owner)
        .values(lock_expires_at=RELEASED)
    )
    return FinishedRun(recorded=True, run_id=lost.run_id, verdict=verdict)
