"""The statements of the PostgreSQL store: one for each intent, built once, when first needed.

A failed run is closed, the cooldown asked and the alert written by the same statement, so there is
no moment at which a killed client could leave one without the other.

What takes `lacking` is built without those columns: see `BaseStore.lacking`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Interval,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from ..rows import FAILURE_COLUMNS, NOTHING, REFUSAL_COLUMNS, Lacking
from ..schema.tables import alert, job_lock, run_log
from ..schema.types import RELEASED, UtcDateTime, finite
from .cooldown import Claim, claim_alert

Values = dict[Column[Any], Any]

_RUNNING: Final = literal_column("'RUNNING'", Text())
_FAILED: Final = literal_column("'FAILED'", Text())
_SUCCESS: Final = literal_column("'SUCCESS'", Text())
_ONE: Final[ColumnElement[int]] = literal_column("1")


def _given(column: Column[Any]) -> ColumnElement[Any]:
    """A parameter for a column; `in_` because Core keeps the bare name for itself."""
    return bindparam(f"in_{column.name}", type_=column.type)


_RUN_KEY: Final = _given(run_log.c.run_key)
_NEW_RUN: Final = {
    column: _given(column)
    for column in (
        run_log.c.run_key,
        run_log.c.job_name,
        run_log.c.trigger_type,
        run_log.c.host,
        run_log.c.pid,
        run_log.c.lost_after_seconds,
    )
}
_COUNTERS: Final = {
    column: _given(column)
    for column in (
        run_log.c.total_records,
        run_log.c.changed_records,
        run_log.c.created_alerts,
        run_log.c.retry_count,
    )
}
_FAILURE: Final = {run_log.c[name]: _given(run_log.c[name]) for name in FAILURE_COLUMNS}
_REFUSAL: Final = {run_log.c[name]: _given(run_log.c[name]) for name in REFUSAL_COLUMNS}
_ENDED_NOW: Final[Values] = {
    run_log.c.finished_at: func.now(),
    run_log.c.updated_at: func.now(),
}
# A run that was declared lost takes its real ending, once: that moves `finished_at` on.
_DECLARED_LOST: Final = (run_log.c.status == _FAILED) & (run_log.c.lost_at == run_log.c.finished_at)
_ENDED_THEN: Final[Values] = {
    run_log.c.finished_at: _given(run_log.c.finished_at),
    run_log.c.updated_at: func.now(),
    run_log.c.clock: literal_column("'host'"),
    **_REFUSAL,
}
_STILL_OPEN: Final = (run_log.c.run_key == _RUN_KEY) & (
    (run_log.c.status == _RUNNING) | _DECLARED_LOST
)


def _present(values: Mapping[Column[Any], Any], lacking: Lacking) -> Values:
    return {column: value for column, value in values.items() if column.name not in lacking}


# The base columns may belong to an installation without defaults, so each is given its value.


@cache
def start(lacking: Lacking = NOTHING) -> Executable:
    """Write the RUNNING row; a repeat finds its own."""
    values = {
        **_NEW_RUN,
        run_log.c.status: _RUNNING,
        run_log.c.started_at: func.now(),
        run_log.c.updated_at: func.now(),
        **dict.fromkeys(_COUNTERS, literal_column("0")),
    }
    return (
        upsert(run_log)
        .values(_present(values, lacking))
        .on_conflict_do_update(index_elements=[run_log.c.run_key], set_={"run_key": _RUN_KEY})
        .returning(run_log.c.id, func.pg_backend_pid().label("backend_pid"))
    )


_SECOND: Final = literal_column("interval '1 second'", Interval())


def _silent(lacking: Lacking) -> ColumnElement[bool]:
    """An open run that was silent for longer than its own limit, or than ours where it has none."""
    limit: ColumnElement[Any] = bindparam("in_silent_for", type_=Interval(native=True))
    if run_log.c.lost_after_seconds.name not in lacking:
        limit = func.coalesce(run_log.c.lost_after_seconds * _SECOND, limit)
    last_heard_at = func.coalesce(run_log.c.heartbeat_at, run_log.c.started_at)
    return (run_log.c.status == _RUNNING) & (last_heard_at < func.now() - limit)


_JOBS_COUNTS: Final = (
    run_log.c.total_records,
    run_log.c.changed_records,
    run_log.c.retry_count,
)


@cache
def beat() -> Executable:
    """Note that runs are alive."""
    return (
        update(run_log)
        .where(
            run_log.c.run_key == any_(bindparam("in_run_keys", type_=ARRAY(Uuid()))),
            run_log.c.status == _RUNNING,
        )
        .values({run_log.c.heartbeat_at: func.now()})
    )


@cache
def find_lost(lacking: Lacking = NOTHING) -> Select[Any]:
    """List open runs of ours that were silent for too long."""
    own_limit = run_log.c.lost_after_seconds
    return (
        select(
            run_log.c.id,
            run_log.c.run_key,
            run_log.c.job_name,
            run_log.c.host,
            run_log.c.pid,
            func.coalesce(run_log.c.heartbeat_at, run_log.c.started_at, type_=UtcDateTime()),
            null() if own_limit.name in lacking else own_limit,
        )
        .where(run_log.c.run_key.is_not(None), _silent(lacking))
        .order_by(run_log.c.id)
        .limit(bindparam("in_limit", type_=Integer()))
    )


@cache
def find_lost_of_job(lacking: Lacking = NOTHING) -> Select[Any]:
    """The same for one job."""
    return find_lost(lacking).where(run_log.c.job_name == _given(run_log.c.job_name))


# The cooldown stays: an alert of the time when the run seemed lost has its window by it.
_CLEARED: Final = [column for column in _FAILURE if column is not run_log.c.cooldown_seconds]
_SUCCEEDED: Final[Values] = {
    run_log.c.status: _SUCCESS,
    run_log.c.alert_outcome: literal_column("'none'"),
    **_COUNTERS,
    **dict.fromkeys((*_CLEARED, run_log.c.covered_by), null()),
}
_EXCLUDED: Final[Values] = {
    run_log.c.status: _FAILED,
    run_log.c.alert_outcome: literal_column("'excluded'"),
    **_COUNTERS,
    **_FAILURE,
}


def _finish(values: Mapping[Column[Any], Any], lacking: Lacking) -> Executable:
    there = _present(values, lacking)
    return update(run_log).where(_STILL_OPEN).values(there).returning(run_log.c.id)


def _failed_values(claim: Claim) -> Values:
    """The columns of a failed run whose alert was asked for: they depend on the claim."""
    raised = select(func.count()).select_from(claim.claimed).scalar_subquery()
    covering = select(claim.covering.c.id).scalar_subquery()
    return {
        run_log.c.status: _FAILED,
        **_COUNTERS,
        **_FAILURE,
        run_log.c.created_alerts: _COUNTERS[run_log.c.created_alerts] + raised,
        run_log.c.alert_outcome: case(
            (raised == _ONE, literal_column("'raised'")), else_=literal_column("'suppressed'")
        ),
        run_log.c.covered_by: case((raised == _ONE, null()), else_=covering),
    }


def _write_alert(claim: Claim, run: CTE | None) -> CTE:
    """The alert itself, for the row that was claimed; its detail names the run."""
    detail: ColumnElement[Any] = bindparam("in_detail", type_=JSONB())
    source: FromClause = claim.claimed
    if run is not None:
        detail = detail.concat(func.jsonb_build_object(literal_column("'run_id'"), run.c.id))
        source = source.join(run, true())
    values = {
        alert.c.source_type: _given(alert.c.source_type),
        alert.c.source_id: _given(alert.c.source_id),
        alert.c.alert_type: _given(alert.c.alert_type),
        alert.c.severity: _given(alert.c.severity),
        alert.c.title: _given(alert.c.title),
        alert.c.message: _given(alert.c.message),
        alert.c.detail: detail,
        alert.c.review_status: literal_column("'AUTO'"),
        alert.c.resolved: literal_column("false"),
        alert.c.created_at: claim.claimed.c.last_alert_at,
        alert.c.alert_key: _given(alert.c.alert_key),
    }
    return (
        insert(alert)
        .from_select(list(values), select(*values.values()).select_from(source))
        .returning(alert.c.id)
        .cte("raised")
    )


def _verdict(claim: Claim, raised: CTE, run: CTE | None) -> Select[Any]:
    """The one row that comes back: what was written, and what covers what was not."""
    run_id = null() if run is None else select(run.c.id).scalar_subquery()
    covering = select(claim.covering.c.created_at).scalar_subquery()
    guarded = select(claim.guarded.c.last_alert_at).scalar_subquery()
    return select(
        run_id.label("run_id"),
        select(raised.c.id).scalar_subquery().label("raised_id"),
        select(claim.covering.c.id).scalar_subquery().label("covering_id"),
        func.greatest(covering, guarded, type_=UtcDateTime()).label("last_alert_at"),
    )


def _finish_failed(ended: Mapping[Column[Any], Any], lacking: Lacking) -> Executable:
    open_run = select(run_log.c.id).where(_STILL_OPEN).with_for_update().cte("open_run")
    claim = claim_alert(open_run)
    ended_run = (
        update(run_log)
        # The id names the row, the key its partition where the table has any.
        .where(run_log.c.id == open_run.c.id, run_log.c.run_key == _RUN_KEY)
        .values(_present({**_failed_values(claim), **ended}, lacking))
        .returning(run_log.c.id)
        .cte("ended")
    )
    return _verdict(claim, _write_alert(claim, ended_run), ended_run)


@cache
def close_lost(lacking: Lacking = NOTHING) -> Executable:
    """The end of a run that fell silent: as any failure, and its job's lock is freed with it."""
    silent_run = (
        select(run_log.c.id)
        .where(run_log.c.run_key == _RUN_KEY, _silent(lacking))
        .with_for_update(skip_locked=True)  # whoever holds it is closing it, or it is alive
        .cte("silent_run")
    )
    claim = claim_alert(silent_run)
    raised = _write_alert(claim, silent_run)
    values = {
        **_failed_values(claim),
        **_ENDED_NOW,
        run_log.c.lost_at: func.now(),
        run_log.c.created_alerts: func.coalesce(run_log.c.created_alerts, literal_column("0"))
        + select(func.count()).select_from(claim.claimed).scalar_subquery(),
        run_log.c.covered_by: func.coalesce(
            select(raised.c.id).scalar_subquery(), select(claim.covering.c.id).scalar_subquery()
        ),
    }
    for column in _JOBS_COUNTS:
        del values[column]
    ended = (
        update(run_log)
        .where(run_log.c.id == silent_run.c.id, run_log.c.run_key == _RUN_KEY)
        .values(_present(values, lacking))
        .returning(run_log.c.id)
        .cte("ended")
    )
    freed = (
        update(job_lock)
        .where(
            job_lock.c.job_name == _given(job_lock.c.job_name),
            job_lock.c.locked_by == _given(job_lock.c.locked_by),
            exists(select(_ONE).select_from(ended)),
        )
        .values({job_lock.c.lock_expires_at: RELEASED})
        .cte("freed")
    )
    return _verdict(claim, raised, ended).add_cte(freed)


@cache
def record_refused(lacking: Lacking = NOTHING) -> Executable:
    """Write a run that never began: FAILED from the first moment, with its alert."""
    known = select(_ONE).select_from(run_log).where(run_log.c.run_key == _RUN_KEY)
    new_run = select(_ONE.label("one")).where(~exists(known)).cte("new_run")
    claim = claim_alert(new_run)
    values = _present(
        {
            **_NEW_RUN,
            run_log.c.started_at: func.now(),
            **_failed_values(claim),
            **_REFUSAL,
            **_ENDED_NOW,
        },
        lacking,
    )
    ended = (
        insert(run_log)
        .from_select(list(values), select(*values.values()).select_from(new_run))
        .returning(run_log.c.id)
        .cte("ended")
    )
    return _verdict(claim, _write_alert(claim, ended), ended)


@cache
def raise_alert() -> Executable:
    """Write an alert of a job's own if its cooldown allows."""
    known = select(_ONE).select_from(alert).where(alert.c.alert_key == _given(alert.c.alert_key))
    new_alert = select(_ONE.label("one")).where(~exists(known)).cte("new_alert")
    claim = claim_alert(new_alert)
    return _verdict(claim, _write_alert(claim, None), None)


@cache
def record_refused_quietly(lacking: Lacking = NOTHING) -> Executable:
    """Write a run that never began, without an alert."""
    began = {**_NEW_RUN, run_log.c.started_at: func.now()}
    values = {**began, **_EXCLUDED, **_REFUSAL, **_ENDED_NOW}
    return (
        upsert(run_log)
        .values(_present(values, lacking))
        .on_conflict_do_nothing(index_elements=[run_log.c.run_key])
        .returning(run_log.c.id)
    )


@cache
def finish_success(lacking: Lacking = NOTHING) -> Executable:
    """End a run that went well."""
    return _finish({**_SUCCEEDED, **_ENDED_NOW}, lacking)


@cache
def finish_failed_quietly(lacking: Lacking = NOTHING) -> Executable:
    """End a failed run that raises no alert."""
    return _finish({**_EXCLUDED, **_ENDED_NOW}, lacking)


@cache
def finish_failed(lacking: Lacking = NOTHING) -> Executable:
    """End a failed run, ask the cooldown, write the alert."""
    return _finish_failed(_ENDED_NOW, lacking)


@cache
def replay_start(lacking: Lacking = NOTHING) -> Executable:
    """Write the RUNNING row of a record that comes late, with its host's times."""
    values = {
        **_NEW_RUN,
        run_log.c.status: _RUNNING,
        run_log.c.started_at: _given(run_log.c.started_at),
        run_log.c.updated_at: func.now(),
        run_log.c.clock: literal_column("'host'"),
        **dict.fromkeys(_COUNTERS, literal_column("0")),
    }
    return (
        upsert(run_log)
        .values(_present(values, lacking))
        .on_conflict_do_nothing(index_elements=[run_log.c.run_key])
        .returning(run_log.c.id)
    )


@cache
def replay_success(lacking: Lacking = NOTHING) -> Executable:
    """End such a run that went well."""
    return _finish({**_SUCCEEDED, **_ENDED_THEN}, lacking)


@cache
def replay_failed_quietly(lacking: Lacking = NOTHING) -> Executable:
    """End such a failed run that raises no alert."""
    return _finish({**_EXCLUDED, **_ENDED_THEN}, lacking)


@cache
def replay_failed(lacking: Lacking = NOTHING) -> Executable:
    """End such a failed run, and write its alert if the cooldown allows now."""
    return _finish_failed(_ENDED_THEN, lacking)


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
        .where(run_log.c.run_key == _RUN_KEY)
    )


@cache
def read_back_alert() -> Executable:
    """Find an alert whose answer was lost."""
    return select(alert.c.id).where(alert.c.alert_key == _given(alert.c.alert_key))


# A lease is judged by clock_timestamp(): now() is when the statement began, before it waited.
_CLOCK: Final = func.clock_timestamp()
_OWNER: Final = _given(job_lock.c.locked_by)
_LOCK_EXPIRES: Final = _CLOCK + bindparam("in_ttl", type_=Interval(native=True))


@cache
def acquire_lock() -> Executable:
    """Take a lock that is free, expired or ours; else say who holds it."""
    job_name = _given(job_lock.c.job_name)
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
                    "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
                ),
            }
        )
        .on_conflict_do_update(
            index_elements=[job_lock.c.job_name],
            set_={
                "locked_by": _OWNER,
                "locked_at": _CLOCK,
                "lock_expires_at": _LOCK_EXPIRES,
                "fence": job_lock.c.fence + _ONE,
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
        ),
        select(null(), job_lock.c.locked_by, job_lock.c.lock_expires_at).where(
            job_lock.c.job_name == job_name,
            ~exists(select(_ONE).select_from(taken)),
        ),
    )


_OUR_LEASE: Final = (
    (job_lock.c.job_name == _given(job_lock.c.job_name))
    & (job_lock.c.locked_by == _OWNER)
    & (job_lock.c.fence == _given(job_lock.c.fence))
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


# What ends a run is built before the first one begins: a process may end short of memory.
ENDINGS: Final = (finish_success, finish_failed, finish_failed_quietly)
