"""What processes with channels leave in a store, without one."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from runguard._store.schema.notice_tables import (
    alert,
    alert_cooldown,
    alert_delivery,
    channel_state,
)
from tests.support.stores import open_store

LONG_AGO = datetime(2026, 3, 1, 2, tzinfo=UTC)


def deliver(url: str, alert_id: int, **facts: Any) -> int:
    """Leave a delivery of an alert: told to `oncall` at two in the night, unless told otherwise."""
    values = {
        "alert_id": alert_id,
        "kind": "opened",
        "channel": "oncall",
        "state": "sent",
        "attempts": 1,
        "sent_at": LONG_AGO,
        **facts,
    }
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        route = update(alert).where(alert.c.id == alert_id).values(dispatch="routed")
        connection.execute(route)
        made = insert(alert_delivery).values(values).returning(alert_delivery.c.id)
        return int(connection.execute(made).scalar_one())


def look(url: str, channel: str = "oncall", **facts: Any) -> None:
    """Leave that a process with a channel looked, just now unless told otherwise."""
    values = {"channel": channel, "looked_at": datetime.now(UTC), **facts}
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        connection.execute(delete(channel_state).where(channel_state.c.channel == channel))
        connection.execute(insert(channel_state).values(values))


def open_incident(url: str, alert_id: int) -> None:
    """Open the incident that an alert begins."""
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        key = select(alert.c.source_type, alert.c.source_id, alert.c.alert_type)
        [(source_type, source_id, alert_type)] = connection.execute(
            key.where(alert.c.id == alert_id)
        )
        route = update(alert).where(alert.c.id == alert_id).values(dispatch="routed")
        connection.execute(route)
        guard = alert_cooldown.c
        connection.execute(
            update(alert_cooldown)
            .where(
                guard.source_type == source_type,
                guard.source_id == source_id,
                guard.alert_type == alert_type,
            )
            .values(open_alert_id=alert_id, opened_at=datetime.now(UTC) - timedelta(hours=1))
        )
