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
from ..schema.tables import run_log
from .endings import end_run, find_open


def replay(connection: Connection, lacking: Lacking, record: SpooledRun) -> FinishedRun:
    """Write what is missing of a run: its start, then its end."""
    start = upsert(run_log).values(
        **run_values(record.run, lacking),
        status="RUNNING",
        started_at=record.started_at,
        clock="host",
    )
    connection.execute(start.on_conflict_do_nothing())
    run_id = find_open(connection, record.run.key)
    if run_id is None:
        earlier = found(connection, record.run.key)
        if earlier.run_id is None:
            raise RecordRefused(NO_ROW)
        return earlier
    if record.ending is None:  # it may be alive: the store may have been away for long
        heard = update(run_log).where(run_log.c.id == run_id, run_log.c.status == "RUNNING")
        connection.execute(heard.values(heartbeat_at=db_now()))
        return FinishedRun(recorded=True, run_id=run_id)
    finished = end_run(connection, lacking, run_id, record.ending)
    then = {
        "finished_at": record.finished_at,
        "clock": "host",
        **refusal_values(record.ending, lacking),
    }
    connection.execute(update(run_log).where(run_log.c.id == run_id).values(then))
    return finished


def found(connection: Connection, key: UUID) -> FinishedRun:
    """Say how a run had ended before, or that there is none."""
    query = select(
        run_log.c.id, run_log.c.status, run_log.c.finished_at, run_log.c.alert_outcome
    ).where(run_log.c.run_key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return FinishedRun(recorded=False)
    earlier = earlier_ending(row.status, row.finished_at, row.alert_outcome)
    return FinishedRun(recorded=False, run_id=row.id, earlier=earlier)
