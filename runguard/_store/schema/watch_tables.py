"""The tables of watching: what is expected of jobs, who looks, and when nobody did.

Apart from `tables`: a run that expects nothing loads none of it. `declaring` names the few columns
that a job's process writes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Double, Table, Text
from sqlalchemy.sql.schema import Identity

from .clock import db_now
from .notice_tables import alert, alert_cooldown
from .tables import MADE_BY_US, metadata
from .types import BIG_ID, JSON_DOCUMENT, JsonDocument, UtcDateTime

__all__ = ["alert", "alert_cooldown", "job", "metadata", "monitor", "monitor_gap"]


class _Declared(JsonDocument):
    """A document that is nothing where a hand has made it unreadable: other jobs are watched on."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], Any] | None:
        """Read it; only SQLite keeps what is no JSON."""
        read = super().result_processor(dialect, coltype)
        if read is None:
            return None

        def tolerant(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError, RecursionError):
                return None

        return tolerant


class _Noted(UtcDateTime):
    """A time that is none where a hand has made it unreadable; the next verdict notes another."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read it; only SQLite keeps what is no time."""
        try:
            return super().process_result_value(value, dialect)
        except (ValueError, AttributeError):
            return None


job = Table(
    "job",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("environment", Text, primary_key=True, server_default=""),  # '': none is set
    Column("expectation", _Declared()),  # what holds; NULL where only texts are declared
    Column("owner", Text),
    Column("runbook", Text),
    Column("description", Text),
    Column("declared_by", Text, nullable=False, server_default="code"),
    Column("declared_who", Text),
    Column("declarations", _Declared()),  # all that was declared, by who did
    Column("spec_hash", Text),
    Column("declared_at", _Noted(), nullable=False, server_default=db_now()),
    Column("retired_at", _Noted()),
    Column("next_due_at", _Noted()),
    Column("grace_seconds", Double),
    Column("look_at", _Noted()),
    Column("judged_at", _Noted()),
    Column("updated_at", UtcDateTime, nullable=False, server_default=db_now()),
    comment=MADE_BY_US,
)

monitor = Table(
    "monitor",
    metadata,
    Column("who", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("last_round_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("rounds", BigInteger, nullable=False, server_default="0"),
    Column("seconds", Double),
    Column("version", Text),
    Column("report", JSON_DOCUMENT),
    comment=MADE_BY_US,
)

monitor_gap = Table(
    "monitor_gap",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False, server_default=db_now()),
    comment=MADE_BY_US,
)
