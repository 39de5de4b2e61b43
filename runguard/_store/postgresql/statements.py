"""The statements of the PostgreSQL store: one for each intent, built once, when first needed.

A failed run is closed, the cooldown asked and the alert written by the same statement, so there is
no moment at which a killed client could leave one without the other.

What takes `lacking` is built without those columns: see `BaseStore.lacking`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, get_args

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
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from ..._models import AlertKey, Counters, RunNote
from ..rows import FAILURE_COLUMNS, NO_NOTE, NOTES, NOTHING, REFUSAL_COLUMNS, RUN_COLUMNS, Lacking
from ..schema.tables import alert, run_log, run_note
from ..schema.types import UtcDateTime
from .cooldown import PLAINLY, Claim, How, claim_alert

Values = dict[Column[Any], Any]
# How a run ends; where it is judged, the cooldown decides whether its alert is raised.
Kind = Literal["success", "excluded", "judged"]

RUNNING: Final = literal_column("'RUNNING'", Text())
_FAILED: Final = literal_column("'FAILED'", Text())
_SUCCESS: Final = literal_column("'SUCCESS'", Text())
ONE: Final[ColumnElement[int]] = literal_column("1")
_SECOND: Final = literal_column("interval '1 second'", Interval())
# For the statement's own transaction alone: nothing of it stays in a session, or in a pooler's.
_RELAX: Final = literal_column("pg_catalog.set_config('synchronous_commit', 'off', true)", Text())


def given(column: Column[Any]) -> ColumnElement[Any]:
    """A parameter for a column; `in_` because Core keeps the bare name for itself."""
    return bindparam(f"in_{column.name}", type_=column.type)


RUN_KEY: Final = given(run_log.c.run_key)
NEW_RUN: Final = {run_log.c[name]: given(run_log.c[name]) for name in RUN_COLUMNS}
COUNTERS: Final = {run_log.c[name]: given(run_log.c[name]) for name in Counters._fields}
_FAILURE: Final = {run_log.c[name]: given(run_log.c[name]) for name in FAILURE_COLUMNS}
REFUSAL: Final = {run_log.c[name]: given(run_log.c[name]) for name in REFUSAL_COLUMNS}
ENDED_NOW: Final[Values] = {run_log.c.finished_at: func.now(), run_log.c.updated_at: func.now()}
# A run that was declared lost takes its real ending, once: that moves `finished_at` on.
_DECLARED_LOST: Final = (run_log.c.status == _FAILED) & (run_log.c.lost_at == run_log.c.finished_at)
_STILL_OPEN: Final = (run_log.c.run_key == RUN_KEY) & (
    (run_log.c.status == RUNNING) | _DECLARED_LOST
)


def present(values: Mapping[Column[Any], Any], lacking: Lacking) -> Values:
    return {column: value for column, value in values.items() if column.name not in lacking}


# The base columns may belong to an installation without defaults, so each is given its value.


@cache
def start(lacking: Lacking = NOTHING, *, relaxed: bool = False) -> Executable:
    """Write the RUNNING row; a repeat finds its own. Relaxed, its commit waits for no disk."""
    values = {
        **NEW_RUN,
        run_log.c.status: RUNNING,
        run_log.c.started_at: func.now(),
        run_log.c.updated_at: func.now(),
        **dict.fromkeys(COUNTERS, literal_column("0")),
    }
    return (
        upsert(run_log)
        .values(present(values, lacking))
        .on_conflict_do_update(index_elements=[run_log.c.run_key], set_={"run_key": RUN_KEY})
        .returning(run_log.c.id, func.pg_backend_pid().label("backend_pid"), *[_RELAX] * relaxed)
    )


def silent(lacking: Lacking) -> ColumnElement[bool]:
    """An open run that was silent for longer than its own limit, or than ours where it has none."""
    limit: ColumnElement[Any] = bindparam("in_silent_for", type_=Interval(native=True))
    if run_log.c.lost_after_seconds.name not in lacking:
        limit = func.coalesce(run_log.c.lost_after_seconds * _SECOND, limit)
    last_heard_at = func.coalesce(run_log.c.heartbeat_at, run_log.c.started_at)
    return (run_log.c.status == RUNNING) & (last_heard_at < func.now() - limit)


@cache
def find_lost(lacking: Lacking = NOTHING, *, of_job: bool = False) -> Select[Any]:
    """List open runs of ours that were silent for too long, perhaps of one job."""
    own_limit = run_log.c.lost_after_seconds
    its = [run_log.c.job_name == given(run_log.c.job_name)] if of_job else []
    return (
        select(
            *(run_log.c[name] for name in ("id", "run_key", "job_name", "host", "pid")),
            func.coalesce(run_log.c.heartbeat_at, run_log.c.started_at, type_=UtcDateTime()),
            null() if own_limit.name in lacking else own_limit,
        )
        .where(run_log.c.run_key.is_not(None), silent(lacking), *its)
        .order_by(run_log.c.id)
        .limit(bindparam("in_limit", type_=Integer()))
    )


# The cooldown stays: an alert of the time when the run seemed lost has its window by it. An
# upstream is known of no run that seemed lost.
_STAYING: Final = (run_log.c.cooldown_seconds, run_log.c.upstream)
_CLEARED: Final = [column for column in _FAILURE if column not in _STAYING]
SUCCEEDED: Final[Values] = {
    run_log.c.status: _SUCCESS,
    run_log.c.alert_outcome: literal_column("'none'"),
    **COUNTERS,
    **dict.fromkeys((*_CLEARED, run_log.c.covered_by), null()),
}
EXCLUDED: Final[Values] = {
    run_log.c.status: _FAILED,
    run_log.c.alert_outcome: literal_column("'excluded'"),
    **COUNTERS,
    **_FAILURE,
}


_NOTE: Final[Values] = {
    **{column: given(column) for column in run_note.c},
    run_note.c.created_at: func.now(),
    run_note.c.progress_at: case((given(run_note.c.done).is_not(None), func.now())),
}


def noted(run: CTE, answer: Select[Any] | None = None) -> Select[Any]:
    """Write what stands beside a run, with the answer about it; its progress may be there."""
    new = upsert(run_note).from_select(list(_NOTE), select(*_NOTE.values()).select_from(run))
    names = (*RunNote._fields, run_note.c.progress_at.name)
    both = {name: func.coalesce(new.excluded[name], run_note.c[name]) for name in names}
    kept = new.on_conflict_do_update(index_elements=[run_note.c.run_key], set_=both)
    return (select(run.c.id) if answer is None else answer).add_cte(kept.cte("note"))


def failed_values(claim: Claim) -> Values:
    """The columns of a failed run whose alert was asked for: they depend on the claim."""
    raised = select(func.count()).select_from(claim.claimed).scalar_subquery()
    covering = select(claim.covering.c.id).scalar_subquery()
    return {
        run_log.c.status: _FAILED,
        **COUNTERS,
        **_FAILURE,
        run_log.c.created_alerts: COUNTERS[run_log.c.created_alerts] + raised,
        run_log.c.alert_outcome: case(
            (raised == ONE, literal_column("'raised'")),
            *claim.waiting,
            else_=literal_column("'suppressed'"),
        ),
        run_log.c.covered_by: case(
            (raised == ONE, null()),
            *((waits, null()) for waits, _ in claim.waiting),
            else_=covering,
        ),
    }


_ALERT_COLUMNS: Final = (*AlertKey._fields, "severity", "title", "message")


def write_alert(claim: Claim, run: CTE | None) -> CTE:
    """The alert itself, for the row that was claimed; its detail names the run."""
    detail: ColumnElement[Any] = bindparam("in_detail", type_=JSONB())
    source: FromClause = claim.claimed
    if run is not None:
        detail = detail.concat(func.jsonb_build_object(literal_column("'run_id'"), run.c.id))
        source = source.join(run, true())
    values = {
        **{alert.c[name]: given(alert.c[name]) for name in _ALERT_COLUMNS},
        alert.c.detail: detail,
        alert.c.review_status: literal_column("'AUTO'"),
        alert.c.resolved: literal_column("false"),
        alert.c.created_at: claim.claimed.c.last_alert_at,
        alert.c.alert_key: given(alert.c.alert_key),
    }
    if claim.has_environment:
        values[alert.c.environment] = given(alert.c.environment)
    return (
        insert(alert)
        .from_select(list(values), select(*values.values()).select_from(source))
        .returning(alert.c.id)
        .cte("raised")
    )


def verdict(claim: Claim, raised: CTE, run: CTE | None) -> Select[Any]:
    """The one row that comes back: what was written, and what covers what was not."""
    run_id = null() if run is None else select(run.c.id).scalar_subquery()
    covering = select(claim.covering.c.created_at).scalar_subquery()
    guarded = select(claim.guarded.c.last_alert_at).scalar_subquery()
    return select(
        run_id.label("run_id"),
        select(raised.c.id).scalar_subquery().label("raised_id"),
        select(claim.covering.c.id).scalar_subquery().label("covering_id"),
        func.greatest(covering, guarded, type_=UtcDateTime()).label("last_alert_at"),
        *(waits.label("is_waiting") for waits, _ in claim.waiting),
    )


def finish_as(kind: Kind, ended: Values, lacking: Lacking, how: How) -> Executable:
    if kind == "judged":
        judged = _judged(tuple(ended.items()), lacking - NO_NOTE, how)
        return judged[1] if NOTES in lacking else noted(*judged)
    values = present({**(SUCCEEDED if kind == "success" else EXCLUDED), **ended}, lacking)
    change = update(run_log).where(_STILL_OPEN).values(values).returning(run_log.c.id)
    return change if NOTES in lacking else noted(change.cte("ended"))


@cache
def _judged(ended: tuple[Any, ...], lacking: Lacking, how: How) -> tuple[CTE, Select[Any]]:
    """The run as it ended, and the answer; both are the same with a note and without."""
    open_run = select(run_log.c.id).where(_STILL_OPEN).with_for_update().cte("open_run")
    claim = claim_alert(open_run, how, lacking)
    ended_run = (
        update(run_log)
        # The id names the row, the key its partition where the table has any.
        .where(run_log.c.id == open_run.c.id, run_log.c.run_key == RUN_KEY)
        .values(present({**failed_values(claim), **dict(ended)}, lacking))
        .returning(run_log.c.id)
        .cte("ended")
    )
    return ended_run, verdict(claim, write_alert(claim, ended_run), ended_run)


@cache
def finish(kind: Kind, lacking: Lacking = NO_NOTE, how: How = PLAINLY) -> Executable:
    """End an open run, with its alert and its note."""
    return finish_as(kind, ENDED_NOW, lacking, how)


def build_endings() -> None:
    """Build what ends a run before the first one begins: a process may end short of memory."""
    for lacking in (NOTHING, NO_NOTE):
        for kind in get_args(Kind):
            finish(kind, lacking, PLAINLY)
