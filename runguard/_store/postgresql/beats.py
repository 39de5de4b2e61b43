"""The heartbeats of runs. Loaded with the first one, when a run has lasted for a while."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Update, Uuid, any_, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from ..faults import Fault
from ..progress import keep_progress
from ..retry import Attempt
from ..rows import NOTES, Lacking, Progress
from ..schema.tables import run_log
from .faults import fault_of
from .statements import RUNNING


def beat(attempt: Attempt, lacking: Lacking, keys: Sequence[UUID], progress: Progress) -> None:
    """Note that runs are alive, and how far they are: one statement."""
    connection, parameters = attempt.connection, {"in_run_keys": list(keys)}
    if not progress or NOTES in lacking:
        connection.execute(heard(), parameters)
        return
    alive = heard().returning(run_log.c.run_key).cte("alive")
    try:
        connection.execute(keep_progress(connection, progress, alive, upsert), parameters)
    except DBAPIError as error:
        if fault_of(error) is not Fault.DATA:
            raise
        connection.execute(heard(), parameters)  # a trigger may refuse notes, and no run is lost


@cache
def heard() -> Update:
    """Note that runs are alive."""
    return (
        update(run_log)
        .where(
            run_log.c.run_key == any_(bindparam("in_run_keys", type_=ARRAY(Uuid()))),
            run_log.c.status == RUNNING,
        )
        .values({run_log.c.heartbeat_at: func.now()})
    )
