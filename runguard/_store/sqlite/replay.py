"""What comes late: a record of the spool, and the end of a run that had ended before."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ..._errors import RecordRefused
from ..._models import FinishedRun, SpooledRun
from ..read_back import NO_ROW, earlier_ending
from ..refusal import refusal_values
from ..rows import Lacking, run_values
from ..schema.clock import db_now
from ..schema.tables import alert, run_log
from .endings import end_run
from .statements import STILL_OPEN


def replay(connection: Connection, lacking: Lacking, record: SpooledRun) -> FinishedRun:
    """Write what is missing of a run: its start, then its end."""
    start = upsert(run_log).values(
        **run_values(record.run, lacking),
        status="RUNNING",
        started_at=record.started_at,
        clock="host",
    )
    connection.execute(start.on_conflict_do_nothing())
    if record.ending is None:
        finished = _heard_of(connection, record.run.key)
    else:
        finished = end_run(connection, lacking, record.ending)
    if finished is None:
        earlier = found(connection, record.run.key)
        if earlier.run_id is None:
            raise RecordRefused(NO_ROW)
        return earlier
    if record.ending is None:
        return finished
    then = {
        "finished_at": record.finished_at,
        "clock": "host",
        **refusal_values(record.ending, lacking),
    }
    connection.execute(update(run_log).where(run_log.c.id == finished.run_id).values(then))
    return finished


def _heard_of(connection: Connection, key: UUID) -> FinishedRun | None:
    """Let an open run live: the store may have been away for long."""
    open_run = select(run_log.c.id).where(run_log.c.run_key == key, STILL_OPEN)
    run_id = connection.execute(open_run).scalar_one_or_none()
    if run_id is None:
        return None
    heard = update(run_log).where(run_log.c.id == run_id, run_log.c.status == "RUNNING")
    connection.execute(heard.values(heartbeat_at=db_now()))
    return FinishedRun(recorded=True, run_id=run_id)


def found(connection: Connection, key: UUID) -> FinishedRun:
    """Say how a run had ended before, or that there is none."""
    query = (
        select(
            run_log.c.id,
            run_log.c.status,
            run_log.c.finished_at,
            run_log.c.alert_outcome,
            alert.c.id.label("raised_id"),
            run_log.c.covered_by,
        )
        .select_from(run_log.outerjoin(alert, alert.c.alert_key == run_log.c.run_key))
        .where(run_log.c.run_key == key)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return FinishedRun(recorded=False)
    return FinishedRun(recorded=False, run_id=row.id, earlier=earlier_ending(row))
