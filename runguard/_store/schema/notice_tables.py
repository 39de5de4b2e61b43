"""The tables of delivery, and what delivery adds to the tables of alerts.

Apart from `tables`: a run that ends writes none of it, and loads none of it. SQLite would give an
added column's default to the rows that are there, and old alerts would be sent: a trigger marks
the new ones instead.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.schema import Identity

from .clock import db_now
from .tables import MADE_BY_US, alert, alert_cooldown, metadata
from .types import BIG_ID, UtcDateTime

__all__ = ["alert", "alert_cooldown", "alert_delivery", "channel_state", "metadata", "silence"]


class _default_of_new_alerts(FunctionElement[str]):  # noqa: N801 - reads as a SQL function
    """`pending`, where the database can give it to new rows only."""

    type = Text()
    inherit_cache = True


@compiles(_default_of_new_alerts)
def _of_postgresql(_element: Any, _compiler: SQLCompiler, **_: Any) -> str:
    return "'pending'"


@compiles(_default_of_new_alerts, "sqlite")
def _of_sqlite(_element: Any, _compiler: SQLCompiler, **_: Any) -> str:
    return "NULL"


for _column in (
    # NULL: older than delivery, and never sent
    Column("dispatch", Text, server_default=_default_of_new_alerts()),
    Column("incident", BigInteger),  # id of the incident's first alert; NULL: it is this one
    Column("told_at", UtcDateTime),
):
    alert.append_column(_column)

# An incident's state stands in the guard row of its key.
for _column in (
    Column("open_alert_id", BigInteger),
    Column("opened_at", UtcDateTime),
    Column("reopened", Integer),
    Column("acked_until", UtcDateTime),
    Column("acked_by", Text),
    Column("ack_reason", Text),
    Column("closed_alert_id", BigInteger),  # the incident before, which may be reopened
    Column("closed_at", UtcDateTime),
):
    alert_cooldown.append_column(_column)

alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("incident", BigInteger),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),  # also the fence of a claim
    Column("next_attempt_at", UtcDateTime),
    Column("claimed_by", Text),
    Column("claim_expires_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("last_error", Text),
    Column("receipt", Text),
    Column("covered_by", BigInteger),  # the delivery that tells it instead
    Column("created_at", UtcDateTime, nullable=False, server_default=db_now()),
    UniqueConstraint("alert_id", "channel", "kind", name="runguard_alert_delivery_key"),
    CheckConstraint(
        "kind in ('opened','reminder','raised','recovered','digest','undelivered','test')",
        name="kind",
    ),
    CheckConstraint(
        "state in ('pending','sending','sent','unknown','dead','skipped','replaced')", name="state"
    ),
    comment=MADE_BY_US,
)

channel_state = Table(
    "channel_state",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("failing_since", UtcDateTime),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("not_before", UtcDateTime),
    Column("sent_in_window", Integer, nullable=False, server_default="0"),
    Column("window_started_at", UtcDateTime),
    Column("last_sent_at", UtcDateTime),
    Column("last_error", Text),
    Column("disabled_at", UtcDateTime),
    Column("config_hash", Text),
    Column("added_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("looked_at", UtcDateTime),
    comment=MADE_BY_US,
)

silence = Table(
    "silence",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    Column("job", Text, nullable=False),
    Column("error_group", Text),
    Column("alert_type", Text),
    Column("starts_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("until_recovered", Boolean, nullable=False, server_default=false()),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Column("matched", BigInteger, nullable=False, server_default="0"),
    Column("last_matched_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False, server_default=db_now()),
    CheckConstraint("ends_at > starts_at", name="ends_at"),
    comment=MADE_BY_US,
)


MARK_NEW_ALERTS: Final = (
    "CREATE TRIGGER runguard_alert_dispatch AFTER INSERT ON alert WHEN new.dispatch IS NULL"
    " BEGIN UPDATE alert SET dispatch = 'pending' WHERE id = new.id; END"
)
_MARK: Final[DDL] = DDL(MARK_NEW_ALERTS)  # type: ignore[no-untyped-call]
event.listen(alert, "after_create", _MARK.execute_if(dialect="sqlite"))
