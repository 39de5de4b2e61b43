"""Closing a lost run."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Final

from sqlalchemy import Executable, exists, func, literal_column, select, update

from ..._models import FinishedRun, RunEnding, in_environment
from ..._monitor.lost_run import LostRun
from ..retry import Attempt
from ..rows import Lacking
from ..schema.expressions import RELEASED
from ..schema.lock_table import job_lock
from ..schema.tables import run_log
from .answers import ending_parameters, finished, how_of
from .cooldown import How, claim_alert
from .statements import (
    ENDED_NOW,
    ONE,
    RUN_KEY,
    failed_values,
    given,
    present,
    silent,
    verdict,
    write_alert,
)

_JOBS_COUNTS: Final = (
    run_log.c.total_records,
    run_log.c.changed_records,
    run_log.c.retry_count,
)


@cache
def close_lost(lacking: Lacking, how: How) -> Executable:
    """The end of a run that fell silent: as any failure, and its job's lock is freed with it."""
    silent_run = (
        select(run_log.c.id)
        .where(run_log.c.run_key == RUN_KEY, silent(lacking))
        .with_for_update(skip_locked=True)  # whoever holds it is closing it, or it is alive
        .cte("silent_run")
    )
    claim = claim_alert(silent_run, how, lacking)
    raised = write_alert(claim, silent_run)
    values = {
        **failed_values(claim),
        **ENDED_NOW,
        run_log.c.lost_at: func.now(),
        run_log.c.created_alerts: func.coalesce(run_log.c.created_alerts, literal_column("0"))
        + select(func.count()).select_from(claim.claimed).scalar_subquery(),
    }
    for column in _JOBS_COUNTS:
        del values[column]
    ended = (
        update(run_log)
        .where(run_log.c.id == silent_run.c.id, run_log.c.run_key == RUN_KEY)
        .values(present(values, lacking))
        .returning(run_log.c.id)
        .cte("ended")
    )
    freed = (
        update(job_lock)
        .where(
            job_lock.c.job_name == given(job_lock.c.job_name),
            job_lock.c.locked_by == given(job_lock.c.locked_by),
            exists(select(ONE).select_from(ended)),
        )
        .values({job_lock.c.lock_expires_at: RELEASED})
        .cte("freed")
    )
    return verdict(claim, raised, ended).add_cte(freed)


def close(
    attempt: Attempt, lacking: Lacking, lost: LostRun, ending: RunEnding, silent_for: timedelta
) -> FinishedRun:
    """End a silent run, free its lock, raise its alert: one statement."""
    values = {
        **ending_parameters(ending, lacking),
        "in_silent_for": silent_for,
        "in_job_name": in_environment(lost.job_name, lost.environment),
        "in_locked_by": lost.lock_owner,
    }
    statement = close_lost(lacking, how_of(ending.alert, lacking))
    row = attempt.connection.execute(statement, values).one()
    return FinishedRun(recorded=False) if row.run_id is None else finished(row, ending)
