"""The table of job locks: a run that takes none loads none of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from .clock import db_now
from .tables import MADE_BY_US, metadata
from .types import UtcDateTime

__all__ = ["job_lock", "metadata"]

job_lock = Table(
    "job_lock",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("locked_by", Text, nullable=False),
    Column("locked_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("lock_expires_at", UtcDateTime, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default="0"),  # ours
    comment=MADE_BY_US,
)
