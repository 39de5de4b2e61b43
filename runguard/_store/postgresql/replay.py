"""What comes late: a record of the spool, and an answer that was lost."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import Executable, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ..._errors import RecordRefused
from ..._models import FinishedRun, RunEnding, SpooledRun
from ..read_back import NO_ROW, earlier_ending, verdict_from
from ..refusal import refusal_values
from ..retry import Attempt
from ..rows import NOTHING, Lacking, lacking_at_end, lacking_of, parameters, run_values
from ..schema.expressions import finite
from ..schema.tables import alert, run_log
from .answers import ending_parameters, finished, how_of, kind_of
from .cooldown import How
from .statements import (
    COUNTERS,
    NEW_RUN,
    REFUSAL,
    RUN_KEY,
    RUNNING,
    Kind,
    Values,
    finish_as,
    given,
    present,
)

_ENDED_THEN: Final[Values] = {
    run_log.c.finished_at: given(run_log.c.finished_at),
    run_log.c.updated_at: func.now(),
    run_log.c.clock: literal_column("'host'"),
    **REFUSAL,
}
_STARTED_THEN: Final[Values] = {
    **NEW_RUN,
    run_log.c.status: RUNNING,
    run_log.c.started_at: given(run_log.c.started_at),
    run_log.c.updated_at: func.now(),
    run_log.c.clock: literal_column("'host'"),
    **dict.fromkeys(COUNTERS, literal_column("0")),
}


@cache
def replay_start(lacking: Lacking = NOTHING) -> Executable:
    """Write the row of a run that has ended, with its host's times, to be ended next."""
    return (
        upsert(run_log)
        .values(present(_STARTED_THEN, lacking))
        .on_conflict_do_nothing(index_elements=[run_log.c.run_key])
        .returning(run_log.c.id)
    )


@cache
def replay_open(lacking: Lacking = NOTHING) -> Executable:
    """Write the RUNNING row of a run that may be alive, or find it; it is heard of now.

    The store may have been away for longer than the run's limit of silence.
    """
    heard = {run_log.c.heartbeat_at: func.now()}
    values = {**_STARTED_THEN, **heard}
    return (
        upsert(run_log)
        .values(present(values, lacking))
        .on_conflict_do_update(
            index_elements=[run_log.c.run_key], set_=heard, where=run_log.c.status == RUNNING
        )
        .returning(run_log.c.id)
    )


@cache
def replay_end(kind: Kind, lacking: Lacking, how: How) -> Executable:
    """End such a run, and write its alert if the cooldown allows now."""
    return finish_as(kind, _ENDED_THEN, lacking, how)


@cache
def read_back_run() -> Executable:
    """Read what became of a run that was not found open."""
    return (
        select(
            run_log.c.id.label("run_id"),
            run_log.c.status,
            finite(run_log.c.finished_at).label("finished_at"),
            run_log.c.alert_outcome,
            alert.c.id.label("raised_id"),
            run_log.c.covered_by,
        )
        .select_from(run_log.outerjoin(alert, alert.c.alert_key == run_log.c.run_key))
        .where(run_log.c.run_key == RUN_KEY)
    )


def replay(attempt: Attempt, lacking: Lacking, record: SpooledRun) -> FinishedRun:
    """Write what is missing of a run: its start, then its end."""
    ending = record.ending
    written = lacking_of(record.run, lacking)
    start = parameters(run_values(record.run, written), {"started_at": record.started_at})
    if ending is None:
        found_id = attempt.connection.execute(replay_open(written), start).scalar()
        return FinishedRun(recorded=True, run_id=found_id or _known_id(attempt, record))
    attempt.connection.execute(replay_start(written), start)
    lacking = lacking_at_end(ending, lacking)
    statement = replay_end(kind_of(ending), lacking, how_of(ending.alert, lacking))
    then = {"finished_at": record.finished_at, **refusal_values(ending, lacking)}
    end = {**ending_parameters(ending, lacking), **parameters(then)}
    row = attempt.connection.execute(statement, end).one_or_none()
    if row is not None and row[0] is not None:
        return finished(row, ending)
    found = read_back(attempt, ending)
    if found.run_id is None:
        raise RecordRefused(NO_ROW)
    return found


def _known_id(attempt: Attempt, record: SpooledRun) -> int:
    """Return the id of a run whose row is there already."""
    values = {"in_run_key": record.run.key}
    row = attempt.connection.execute(read_back_run(), values).one_or_none()
    if row is None:
        raise RecordRefused(NO_ROW)
    run_id: int = row.run_id
    return run_id


def read_back(attempt: Attempt, ending: RunEnding) -> FinishedRun:
    """Tell our own finish, whose answer was lost, from a run that another has ended."""
    row = attempt.connection.execute(read_back_run(), {"in_run_key": ending.key}).one_or_none()
    if row is None:
        return FinishedRun(recorded=False)
    if attempt.answer_lost and row.status == ending.status:
        verdict = verdict_from(row.alert_outcome, row.raised_id, row.covered_by)
        return FinishedRun(recorded=True, run_id=row.run_id, verdict=verdict)
    return FinishedRun(recorded=False, run_id=row.run_id, earlier=earlier_ending(row))
