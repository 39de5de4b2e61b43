"""Statements for what comes late: a record of the spool, and an answer that was lost."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import Executable, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ..rows import NOTHING, Lacking
from ..schema.tables import alert, run_log
from ..schema.types import finite
from .statements import (
    COUNTERS,
    EXCLUDED,
    NEW_RUN,
    REFUSAL,
    RUN_KEY,
    RUNNING,
    SUCCEEDED,
    Values,
    finish_as,
    finish_failed_as,
    given,
    present,
)

_ENDED_THEN: Final[Values] = {
    run_log.c.finished_at: given(run_log.c.finished_at),
    run_log.c.updated_at: func.now(),
    run_log.c.clock: literal_column("'host'"),
    **REFUSAL,
}


@cache
def replay_start(lacking: Lacking = NOTHING) -> Executable:
    """Write the RUNNING row of a record that comes late, with its host's times."""
    values = {
        **NEW_RUN,
        run_log.c.status: RUNNING,
        run_log.c.started_at: given(run_log.c.started_at),
        run_log.c.updated_at: func.now(),
        run_log.c.clock: literal_column("'host'"),
        **dict.fromkeys(COUNTERS, literal_column("0")),
    }
    return (
        upsert(run_log)
        .values(present(values, lacking))
        .on_conflict_do_nothing(index_elements=[run_log.c.run_key])
        .returning(run_log.c.id)
    )


@cache
def replay_success(lacking: Lacking = NOTHING) -> Executable:
    """End such a run that went well."""
    return finish_as({**SUCCEEDED, **_ENDED_THEN}, lacking)


@cache
def replay_failed_quietly(lacking: Lacking = NOTHING) -> Executable:
    """End such a failed run that raises no alert."""
    return finish_as({**EXCLUDED, **_ENDED_THEN}, lacking)


@cache
def replay_failed(lacking: Lacking, *, by_reason: bool) -> Executable:
    """End such a failed run, and write its alert if the cooldown allows now."""
    return finish_failed_as(_ENDED_THEN, lacking, by_reason=by_reason)


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


@cache
def read_back_alert() -> Executable:
    """Find an alert whose answer was lost."""
    return select(alert.c.id).where(alert.c.alert_key == given(alert.c.alert_key))
