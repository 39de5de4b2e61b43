"""The job lock, and the starts that it refused."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Insert,
    Update,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.types import Float

from ..._models import FinishedRun, Lease, LockHolder, NewRun, RunEnding
from ..refusal import refusal_values
from ..rows import Lacking, run_values
from ..schema.clock import db_now
from ..schema.expressions import RELEASED
from ..schema.lock_table import job_lock
from ..schema.moments import db_now_plus
from ..schema.tables import run_log
from .endings import end_run
from .replay import found

# Clocks differ a little; a time further ahead is one of before the clock stepped back.
_A_MINUTE: Final = literal_column("60", Float())


def acquire(
    connection: Connection, job_name: str, owner: str, ttl: timedelta
) -> Lease | LockHolder:
    """Insert, take over when expired, or say who holds it."""
    lease = {"locked_by": owner, "locked_at": db_now(), "lock_expires_at": _in(ttl)}
    row = connection.execute(
        select(
            job_lock.c.locked_by,
            job_lock.c.lock_expires_at,
            (job_lock.c.lock_expires_at <= db_now()).label("expired"),
            (job_lock.c.locked_at > db_now_plus(_A_MINUTE)).label("is_ahead"),
        ).where(job_lock.c.job_name == job_name)
    ).one_or_none()
    statement: Insert | Update
    if row is None:
        # Microseconds, so that a fence never repeats, not even if the row was deleted.
        statement = insert(job_lock).values(
            job_name=job_name, fence=time.time_ns() // 1000, **lease
        )
    elif row.expired or row.locked_by == owner:
        statement = (
            update(job_lock)
            .where(job_lock.c.job_name == job_name)
            .values(fence=job_lock.c.fence + 1, **lease)
        )
    else:
        expires_at = _rein_in(connection, job_name) if row.is_ahead else row.lock_expires_at
        return LockHolder(row.locked_by, expires_at)
    fence = connection.execute(statement.returning(job_lock.c.fence)).scalar_one()
    return Lease(job_name, owner, fence)


def _rein_in(connection: Connection, job_name: str) -> datetime:
    """Date anew a lease of before the clock stepped back, as long as it was from its beginning.

    Its holder, if alive, renews it; of one that has died it would last as long as the step.
    """
    days = func.julianday(job_lock.c.lock_expires_at) - func.julianday(job_lock.c.locked_at)
    dated_anew = (
        update(job_lock)
        .where(job_lock.c.job_name == job_name)
        .values(locked_at=db_now(), lock_expires_at=db_now_plus(days * 86_400))
    )
    expiry = connection.execute(dated_anew.returning(job_lock.c.lock_expires_at))
    expires_at: datetime = expiry.scalar_one()
    return expires_at


def renew(connection: Connection, lease: Lease, ttl: timedelta) -> bool:
    """Extend a lease from now; False where it is no longer ours."""
    return _move_expiry(connection, lease, _in(ttl))


def release(connection: Connection, lease: Lease) -> bool:
    """Let a lease have expired; False where it is no longer ours."""
    return _move_expiry(connection, lease, RELEASED)


def record_refused(
    connection: Connection, lacking: Lacking, run: NewRun, ending: RunEnding
) -> FinishedRun:
    """Write a run that never began, or find that it is written."""
    values = {
        **run_values(run, lacking),
        **refusal_values(ending, lacking),
        "started_at": db_now(),
        "status": "RUNNING",
    }
    statement = upsert(run_log).values(values).on_conflict_do_nothing()
    run_id = connection.execute(statement.returning(run_log.c.id)).scalar_one_or_none()
    finished = None if run_id is None else end_run(connection, lacking, ending)
    return finished or found(connection, run.key)


def _move_expiry(connection: Connection, lease: Lease, expiry: Any) -> bool:
    statement = (
        update(job_lock)
        .where(
            job_lock.c.job_name == lease.job_name,
            job_lock.c.locked_by == lease.owner,
            job_lock.c.fence == lease.fence,
            job_lock.c.lock_expires_at > db_now(),
        )
        .values(lock_expires_at=expiry)
    )
    return connection.execute(statement).rowcount == 1


def _in(ttl: timedelta) -> db_now_plus:
    return db_now_plus(bindparam("ttl", ttl.total_seconds(), type_=Float(), unique=True))
