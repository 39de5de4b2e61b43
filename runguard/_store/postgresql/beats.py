"""The heartbeats of runs. Loaded with the first one, when a run has lasted for a while."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, Uuid, any_, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY

from ..schema.tables import run_log
from .statements import RUNNING


@cache
def beat() -> Executable:
    """Note that runs are alive."""
    return (
        update(run_log)
        .where(
            run_log.c.run_key == any_(bindparam("in_run_keys", type_=ARRAY(Uuid()))),
            run_log.c.status == RUNNING,
        )
        .values({run_log.c.heartbeat_at: func.now()})
    )
