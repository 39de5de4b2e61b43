"""The job lock, and the starts that it refused: their statements, and who runs them."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Executable,
    Interval,
    Text,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ..._models import FinishedRun, Lease, LockHolder, NewRun, RunEnding
from ..refusal import refusal_values
from ..retry import Attempt
from ..rows import NOTES, NOTHING, Lacking, lacking_at_end, lacking_of, parameters, run_values
from ..schema.expressions import RELEASED
from ..schema.lock_table import job_lock
from ..schema.tables import run_log
from ..schema.types import UtcDateTime
from .answers import ending_parameters, finished, how_of
from .cooldown import PLAINLY, How, claim_alert
from .replay import read_back
from .statements import (
    ENDED_NOW,
    EXCLUDED,
    NEW_RUN,
    ONE,
    REFUSAL,
    RUN_KEY,
    failed_values,
    given,
    noted,
    present,
    verdict,
    write_alert,
)

_CLOCK: Final = func.clock_timestamp()
_OWNER: Final = given(job_lock.c.locked_by)
# Clocks differ a little; a time further ahead is one of before the clock stepped back.
_IS_AHEAD: Final = job_lock.c.locked_at > _CLOCK + literal_column("interval '1 minute'", Interval())
_LOCK_EXPIRES: Final = _CLOCK + bindparam("in_ttl", type_=Interval(native=True))


@cache
def acquire_lock() -> Executable:
    """Take a lock that is free, expired or ours; else say who holds it."""
    job_name = given(job_lock.c.job_name)
    taken = (
        upsert(job_lock)
        .values(
            {
                job_lock.c.job_name: job_name,
                job_lock.c.locked_by: _OWNER,
                job_lock.c.locked_at: _CLOCK,
                job_lock.c.lock_expires_at: _LOCK_EXPIRES,
                # Microseconds, so that a fence never repeats, not even if the row was deleted.
                job_lock.c.fence: literal_column(
                    "(extract(epoch from pg_catalog.clock_timestamp())"
                    " OPERATOR(pg_catalog.*) 1000000)::bigint"
                ),
            }
        )
        .on_conflict_do_update(
            index_elements=[job_lock.c.job_name],
            set_={
                "locked_by": _OWNER,
                "locked_at": _CLOCK,
                "lock_expires_at": _LOCK_EXPIRES,
                "fence": job_lock.c.fence + ONE,
            },
            where=(job_lock.c.lock_expires_at <= _CLOCK) | (job_lock.c.locked_by == _OWNER),
        )
        .returning(job_lock.c.fence)
        .cte("taken")
    )
    return union_all(
        select(
            taken.c.fence,
            type_coerce(null(), Text()).label("locked_by"),
            type_coerce(null(), UtcDateTime()).label("lock_expires_at"),
            literal_column("false", Boolean()).label("is_ahead"),
        ),
        select(null(), job_lock.c.locked_by, job_lock.c.lock_expires_at, _IS_AHEAD).where(
            job_lock.c.job_name == job_name,
            ~exists(select(ONE).select_from(taken)),
        ),
    )


@cache
def rein_in() -> Executable:
    """Date anew a lease of before the clock stepped back, as long as it was from its beginning.

    Its holder, if alive, renews it; of one that has died it would last as long as the step.
    """
    length = job_lock.c.lock_expires_at - job_lock.c.locked_at
    return (
        update(job_lock)
        .where(
            job_lock.c.job_name == given(job_lock.c.job_name),
            job_lock.c.locked_by == _OWNER,
            _IS_AHEAD,
        )
        .values({job_lock.c.locked_at: _CLOCK, job_lock.c.lock_expires_at: _CLOCK + length})
        .returning(job_lock.c.lock_expires_at)
    )


_OUR_LEASE: Final = (
    (job_lock.c.job_name == given(job_lock.c.job_name))
    & (job_lock.c.locked_by == _OWNER)
    & (job_lock.c.fence == given(job_lock.c.fence))
    & (job_lock.c.lock_expires_at > _CLOCK)
)


@cache
def renew_lock() -> Executable:
    """Extend our lease from now."""
    return (
        update(job_lock)
        .where(_OUR_LEASE)
        .values({job_lock.c.lock_expires_at: _LOCK_EXPIRES})
        .returning(job_lock.c.fence)
    )


@cache
def release_lock() -> Executable:
    """Let our lease have expired; the row stays, and its fence."""
    return (
        update(job_lock)
        .where(_OUR_LEASE)
        .values({job_lock.c.lock_expires_at: RELEASED})
        .returning(job_lock.c.fence)
    )


@cache
def _refused(lacking: Lacking = NOTHING, how: How = PLAINLY) -> Executable:
    """Write a run that never began: FAILED from the first moment, with its alert."""
    known = select(ONE).select_from(run_log).where(run_log.c.run_key == RUN_KEY)
    new_run = select(ONE.label("one")).where(~exists(known)).cte("new_run")
    claim = claim_alert(new_run, how, lacking)
    values = present(
        {
            **NEW_RUN,
            run_log.c.started_at: func.now(),
            **failed_values(claim),
            **REFUSAL,
            **ENDED_NOW,
        },
        lacking,
    )
    ended = (
        insert(run_log)
        .from_select(list(values), select(*values.values()).select_from(new_run))
        .returning(run_log.c.id)
        .cte("ended")
    )
    answer = verdict(claim, write_alert(claim, ended), ended)
    return answer if NOTES in lacking else noted(ended, answer)


@cache
def _refused_quietly(lacking: Lacking = NOTHING) -> Executable:
    """Write a run that never began, without an alert."""
    began = {**NEW_RUN, run_log.c.started_at: func.now()}
    values = {**began, **EXCLUDED, **REFUSAL, **ENDED_NOW}
    ended = (
        upsert(run_log)
        .values(present(values, lacking))
        .on_conflict_do_nothing(index_elements=[run_log.c.run_key])
        .returning(run_log.c.id)
    )
    return ended if NOTES in lacking else noted(ended.cte("ended"))


def acquire(attempt: Attempt, job_name: str, owner: str, ttl: timedelta) -> Lease | LockHolder:
    """Insert, take over when expired, or say who holds it."""
    given_values = {"in_job_name": job_name, "in_locked_by": owner, "in_ttl": ttl}
    row = attempt.connection.execute(acquire_lock(), given_values).one_or_none()
    if row is None:  # inserted after our snapshot by one that we then waited for
        return LockHolder(None, None)
    if row.fence is not None:
        return Lease(job_name, owner, row.fence)
    expires_at = row.lock_expires_at
    if row.is_ahead:
        holder = {"in_job_name": job_name, "in_locked_by": row.locked_by}
        expires_at = attempt.connection.execute(rein_in(), holder).scalar() or expires_at
    return LockHolder(row.locked_by, expires_at)


def renew(attempt: Attempt, lease: Lease, ttl: timedelta) -> bool:
    """Extend a lease from now; False where it is no longer ours."""
    values = {**_lease_parameters(lease), "in_ttl": ttl}
    return attempt.connection.execute(renew_lock(), values).one_or_none() is not None


def release(attempt: Attempt, lease: Lease) -> bool:
    """Let a lease have expired; False where it is no longer ours."""
    values = _lease_parameters(lease)
    return attempt.connection.execute(release_lock(), values).one_or_none() is not None


def record_refused(
    attempt: Attempt, lacking: Lacking, run: NewRun, ending: RunEnding
) -> FinishedRun:
    """Write a run that never began, or find that it is written."""
    lacking = lacking_at_end(ending, lacking_of(run, lacking))
    how = how_of(ending.alert, lacking)
    statement = _refused_quietly(lacking) if ending.alert is None else _refused(lacking, how)
    values = parameters(run_values(run, lacking), refusal_values(ending, lacking))
    values |= ending_parameters(ending, lacking)
    row = attempt.connection.execute(statement, values).one_or_none()
    if row is not None and row[0] is not None:
        return finished(row, ending)
    return read_back(attempt, ending)


def _lease_parameters(lease: Lease) -> dict[str, Any]:
    return {"in_job_name": lease.job_name, "in_locked_by": lease.owner, "in_fence": lease.fence}
