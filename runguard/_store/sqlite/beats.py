"""The heartbeats of runs. Loaded with the first one, when a run has lasted for a while."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from ..progress import keep_progress
from ..rows import NOTES, Lacking, Progress
from ..schema.clock import db_now
from ..schema.tables import run_log


def beat(
    connection: Connection, lacking: Lacking, keys: Sequence[UUID], progress: Progress
) -> None:
    """Note that runs are alive, and how far they are, inside a transaction."""
    is_alive = (run_log.c.run_key.in_(keys), run_log.c.status == "RUNNING")
    connection.execute(update(run_log).where(*is_alive).values(heartbeat_at=db_now()))
    if progress and NOTES not in lacking:
        alive = select(run_log.c.run_key).where(*is_alive).subquery("alive")
        with suppress(IntegrityError):  # a trigger may refuse notes, and no run is lost
            connection.execute(keep_progress(connection, progress, alive, upsert))
