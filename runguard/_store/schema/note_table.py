"""The table of what is kept beside a run.

Apart from `tables`: a run that goes well, and notes nothing, loads none of it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text, Uuid

from .tables import MADE_BY_US, metadata
from .types import JSON_DOCUMENT, UtcDateTime, db_now

run_note = Table(
    "run_note",
    metadata,
    Column("run_key", Uuid, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("traceback", Text),
    Column("log_tail", Text),
    Column("context", JSON_DOCUMENT),
    Column("links", JSON_DOCUMENT),  # a list of {"name", "url"}
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("progress_at", UtcDateTime),
    comment=MADE_BY_US,
)
