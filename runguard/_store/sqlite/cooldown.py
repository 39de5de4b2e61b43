"""The cooldown on SQLite: who may raise an alert, decided under the file's write lock.

The same rule as in `postgresql/cooldown.py`, in steps. SQLite lets one writer in at a time; but a
transaction that begins with a read and writes later fails, or decides by what is no longer so. The
caller therefore holds `BEGIN IMMEDIATE` before it comes here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Select,
    Table,
    bindparam,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.types import Float, Text

from ..._models import AlertDraft, AlertOutcome, AlertVerdict
from ..by_reason import guard_id, reason_values
from ..rows import Lacking, alert_values, parameters, present
from ..schema.clock import db_now
from ..schema.moments import db_now_plus
from ..schema.tables import alert, alert_cooldown, run_log
from .direct import RunConnection
from .statements import given, parameter

_KEY: Final = ("source_type", "source_id", "alert_type")
_GIVEN: Final = (*_KEY, "alert_key", "severity", "title", "message", "detail")


def raise_if_allowed(
    connection: RunConnection, lacking: Lacking, draft: AlertDraft
) -> AlertVerdict:
    """Write an alert unless its key has one inside the window."""
    return find_covering(connection, draft) or write_alert(connection, lacking, draft)


def find_covering(connection: RunConnection, draft: AlertDraft) -> AlertVerdict | None:
    """Suppress where the window holds an alert, or the guard of one that was deleted."""
    if draft.cooldown <= timedelta(0):
        return None
    own = {"guard_id": guard_id(draft), "window": -draft.cooldown.total_seconds()}
    values = parameters(draft.key._asdict(), own, reason_values(draft))
    # Two looks take half of the time that SQLite needs for both in one statement.
    covering = _covering_alert(by_reason=draft.reason is not None)
    alert_id, alerted_at = connection.execute(covering, values).one_or_none() or (None, None)
    guarded_at = connection.execute(_guard_inside(), values).scalar_one_or_none()
    times: list[datetime] = [time for time in (alerted_at, guarded_at) if time is not None]
    if not times:
        return None
    return AlertVerdict(AlertOutcome.SUPPRESSED, alert_id, max(times) + draft.cooldown)


def write_alert(
    connection: RunConnection, lacking: Lacking, draft: AlertDraft, *, run_id: int | None = None
) -> AlertVerdict:
    """Write an alert, and note when its key alerted.

    The `run_id` goes into its detail, and its time is when that run has ended.
    """
    values = present(alert_values(draft), lacking)
    if run_id is not None:
        values["detail"]["run_id"] = run_id
    new = _write_alert(has_environment="environment" in values)
    written = connection.execute(new, parameters(values, {"run_id": run_id})).one_or_none()
    if written is None:  # a record that comes again: its alert has been written before
        own = connection.execute(_own_alert(), parameters({"alert_key": draft.uuid}))
        return AlertVerdict(AlertOutcome.RAISED, own.scalar_one_or_none())
    alert_id, created_at = written
    guard = {**draft.key._asdict(), "source_id": guard_id(draft), "last_alert_at": created_at}
    connection.execute(_move_guard(), parameters(guard))
    return AlertVerdict(AlertOutcome.RAISED, alert_id)


@cache
def _covering_alert(*, by_reason: bool) -> Select[Any]:
    """Find the youngest alert of a key inside the window, or of one reason of it."""
    query = (
        select(alert.c.id, alert.c.created_at)
        .where(_is_key(alert, parameter(alert.c.source_id)), _is_inside_window(alert.c.created_at))
        .order_by(alert.c.created_at.desc())
        .limit(literal_column("1"))
        .offset(literal_column("0"))
    )
    if not by_reason:
        return query
    # Other programs may have written what is no JSON.
    is_json = func.json_valid(alert.c.detail) == literal_column("1")
    reason = case((is_json, func.json_extract(alert.c.detail, literal_column("'$.reason'"))))
    return query.where(reason == bindparam("in_reason", type_=Text()))


@cache
def _guard_inside() -> Select[Any]:
    """Find the guard of a key inside the window, since an alert of it may have been deleted.

    Where the cooldown is kept by reason, each has one of its own.
    """
    guard = alert_cooldown
    own = _is_key(guard, bindparam("in_guard_id", type_=Text()))
    return select(guard.c.last_alert_at).where(own, _is_inside_window(guard.c.last_alert_at))


@cache
def _write_alert(*, has_environment: bool = False) -> Executable:
    """Write an alert, once for each key of its own."""
    names = (*_GIVEN, "environment") if has_environment else _GIVEN
    own_run = run_log.c.id == bindparam("in_run_id", type_=run_log.c.id.type)
    ended_at = select(run_log.c.finished_at).where(own_run).scalar_subquery()
    created_at = func.coalesce(ended_at, db_now(), type_=alert.c.created_at.type)
    return (
        upsert(alert)
        .values(**given(alert, *names), review_status="AUTO", resolved=False)
        .values(created_at=created_at)
        .on_conflict_do_nothing(index_elements=["alert_key"])
        .returning(alert.c.id, alert.c.created_at)
    )


@cache
def _own_alert() -> Select[Any]:
    """Find an alert that was written before."""
    own = alert.c.alert_key == parameter(alert.c.alert_key)
    return select(alert.c.id).where(own)


@cache
def _move_guard() -> Executable:
    """Note when a key last alerted."""
    statement = upsert(alert_cooldown).values(**given(alert_cooldown, *_KEY, "last_alert_at"))
    return statement.on_conflict_do_update(
        index_elements=list(_KEY), set_={"last_alert_at": statement.excluded.last_alert_at}
    )


def _is_key(table: Table, source_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return (
        (table.c.source_type == parameter(alert.c.source_type))
        & (table.c.source_id == source_id)
        & (table.c.alert_type == parameter(alert.c.alert_type))
    )


def _is_inside_window(time: Column[Any]) -> ColumnElement[bool]:
    """Younger than the cooldown, and not of the future; a minute is left for the file's writers."""
    start = db_now_plus(bindparam("in_window", type_=Float()))
    return (time >= start) & (time <= db_now_plus(literal_column("60", Float())))


def build_endings() -> None:
    """Build what ends a run before the first one begins: a process may end short of memory."""
    _covering_alert(by_reason=False)
    _guard_inside()
    _write_alert(has_environment=False)
    _move_guard()
