"""The cooldown on SQLite: who may raise an alert, decided under the file's write lock.

The same rule as in `postgresql_cooldown.py`, in steps. SQLite lets one writer in at a time; but a
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
    Connection,
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
from ..schema.tables import alert, alert_cooldown
from .statements import given, parameter

_KEY: Final = ("source_type", "source_id", "alert_type")
_GIVEN: Final = (*_KEY, "alert_key", "severity", "title", "message", "detail")


def raise_if_allowed(
    connection: Connection, lacking: Lacking, draft: AlertDraft, *, run_id: int | None = None
) -> AlertVerdict:
    """Write the alert unless its key has one inside the window; `run_id` goes into its detail."""
    if draft.cooldown > timedelta(0):
        covering = _covering(connection, draft)
        if covering is not None:
            return covering
    values = present(alert_values(draft), lacking)
    if run_id is not None:
        values["detail"]["run_id"] = run_id
    new = _write_alert(has_environment="environment" in values)
    written = connection.execute(new, parameters(values)).one_or_none()
    if written is None:  # a record that comes again: its alert has been written before
        own = connection.execute(_own_alert(), parameters({"alert_key": draft.uuid}))
        return AlertVerdict(AlertOutcome.RAISED, own.scalar_one())
    guard = {**_guard_values(draft), "last_alert_at": written.created_at}
    connection.execute(_move_guard(), parameters(guard))
    return AlertVerdict(AlertOutcome.RAISED, written.id)


def _covering(connection: Connection, draft: AlertDraft) -> AlertVerdict | None:
    """Suppress where the window holds an alert, or the guard of one that was deleted."""
    window = {"window": -draft.cooldown.total_seconds()}
    values = parameters(draft.key._asdict(), window, reason_values(draft))
    covering = _covering_alert(by_reason=draft.reason is not None)
    youngest = connection.execute(covering, values).one_or_none()
    values = parameters(_guard_values(draft), window)
    guard: datetime | None = connection.execute(_guard_inside(), values).scalar_one_or_none()
    if youngest is None and guard is None:
        return None
    alerted = [] if youngest is None else [youngest.created_at]
    last_alert_at = max(alerted if guard is None else [*alerted, guard])
    return AlertVerdict(
        AlertOutcome.SUPPRESSED,
        None if youngest is None else youngest.id,
        last_alert_at + draft.cooldown,
    )


def _guard_values(draft: AlertDraft) -> dict[str, Any]:
    """The key of the guard: where a cooldown is kept by reason, each has one of its own."""
    return {**draft.key._asdict(), "source_id": guard_id(draft)}


@cache
def _covering_alert(*, by_reason: bool) -> Select[Any]:
    """Find the youngest alert of a key inside the window, or of one reason of it."""
    query = (
        select(alert.c.id, alert.c.created_at)
        .where(_is_key(alert), _is_inside_window(alert.c.created_at))
        .order_by(alert.c.created_at.desc())
        .limit(1)
    )
    if not by_reason:
        return query
    # Other programs may have written what is no JSON.
    reason = case(
        (func.json_valid(alert.c.detail) == 1, func.json_extract(alert.c.detail, "$.reason"))
    )
    return query.where(reason == bindparam("in_reason", type_=Text()))


@cache
def _guard_inside() -> Select[Any]:
    """Find the guard of a key inside the window: an alert of it may have been deleted."""
    guard = alert_cooldown
    return select(guard.c.last_alert_at).where(
        _is_key(guard), _is_inside_window(guard.c.last_alert_at)
    )


@cache
def _write_alert(*, has_environment: bool = False) -> Executable:
    """Write an alert, once for each key of its own."""
    names = (*_GIVEN, "environment") if has_environment else _GIVEN
    return (
        upsert(alert)
        .values(**given(alert, *names), review_status="AUTO", resolved=False, created_at=db_now())
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


def _is_key(table: Table) -> ColumnElement[bool]:
    source_type, source_id, alert_type = given(table, *_KEY).values()
    return (
        (table.c.source_type == source_type)
        & (table.c.source_id == source_id)
        & (table.c.alert_type == alert_type)
    )


def _is_inside_window(time: Column[Any]) -> ColumnElement[bool]:
    """Younger than the cooldown, and not of the future; a minute is left for the file's writers."""
    start = db_now_plus(bindparam("in_window", type_=Float()))
    return (time >= start) & (time <= db_now_plus(literal_column("60", Float())))


def build_endings() -> None:
    """Build what ends a run before the first one begins: a process may end short of memory."""
    _covering_alert(by_reason=False)
    _write_alert(has_environment=False)
    for statement in (_guard_inside, _move_guard):
        statement()
