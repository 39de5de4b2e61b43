"""The cooldown on SQLite: who may raise an alert, decided under the file's write lock.

The same rule as in `postgresql_cooldown.py`, in steps. SQLite lets one writer in at a time; but a
transaction that begins with a read and writes later fails, or decides by what is no longer so. The
caller therefore holds `BEGIN IMMEDIATE` before it comes here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.types import Float

from .._models import AlertDraft, AlertKey, AlertOutcome, AlertVerdict
from .rows import alert_values
from .tables import alert, alert_cooldown
from .types import db_now, db_now_plus


def raise_if_allowed(
    connection: Connection, draft: AlertDraft, *, run_id: int | None = None
) -> AlertVerdict:
    """Write the alert unless its key has one inside the window; `run_id` goes into its detail."""
    if draft.cooldown > timedelta(0):
        covering = _covering(connection, draft)
        if covering is not None:
            return covering
    values = alert_values(draft)
    if run_id is not None:
        values["detail"]["run_id"] = run_id
    written = connection.execute(
        insert(alert)
        .values(**values, review_status="AUTO", resolved=False, created_at=db_now())
        .returning(alert.c.id, alert.c.created_at)
    ).one()
    _move_guard(connection, draft.key, written.created_at)
    return AlertVerdict(AlertOutcome.RAISED, written.id)


def _covering(connection: Connection, draft: AlertDraft) -> AlertVerdict | None:
    """Suppress where the window holds an alert, or the guard of one that was deleted."""
    seconds = bindparam("window", -draft.cooldown.total_seconds(), type_=Float())
    window_start = db_now_plus(seconds)
    youngest = connection.execute(
        select(alert.c.id, alert.c.created_at)
        .where(_is_key(alert, draft.key), alert.c.created_at >= window_start)
        .order_by(alert.c.created_at.desc())
        .limit(1)
    ).one_or_none()
    guard = connection.execute(
        select(alert_cooldown.c.last_alert_at).where(
            _is_key(alert_cooldown, draft.key), alert_cooldown.c.last_alert_at >= window_start
        )
    ).scalar_one_or_none()
    if youngest is None and guard is None:
        return None
    last_alert_at = max(at for at in (youngest and youngest.created_at, guard) if at is not None)
    return AlertVerdict(
        AlertOutcome.SUPPRESSED, youngest and youngest.id, last_alert_at + draft.cooldown
    )


def _move_guard(connection: Connection, key: AlertKey, alerted_at: datetime) -> None:
    statement = upsert(alert_cooldown).values(
        source_type=key.source_type,
        source_id=key.source_id,
        alert_type=key.alert_type,
        last_alert_at=alerted_at,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["source_type", "source_id", "alert_type"],
            set_={"last_alert_at": statement.excluded.last_alert_at},
        )
    )


def _is_key(table: Table, key: AlertKey) -> ColumnElement[Any]:
    return (
        (table.c.source_type == key.source_type)
        & (table.c.source_id == key.source_id)
        & (table.c.alert_type == key.alert_type)
    )
