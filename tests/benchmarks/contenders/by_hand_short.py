"""The other yardstick: psycopg by hand, with statements as short as a person writes them.

The row holds what nobody can do without, it is found again by its id, and nothing is asked twice.
So they do less than runguard's: a repeated start writes a second row, a late end overwrites
another's, and two failures at the same moment both raise an alert.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..measuring import repeated
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from ..measuring import Contender

UNPREPARED = "psycopg, short, unprepared"
PREPARED = "psycopg, short, prepared"

START = """
insert into run_log (job_name, trigger_type, status, started_at, updated_at)
values (%s, 'MANUAL', 'RUNNING', now(), now())
returning id
"""
FINISH_SUCCESS = """
update run_log set status = 'SUCCESS', finished_at = now(), updated_at = now() where id = %s
"""
FINISH_FAILED = """
with ended as (
  update run_log set status = 'FAILED', finished_at = now(), updated_at = now(),
    error_message = %s, error_group = 'UNKNOWN'
  where id = %s
)
insert into alert
  (source_type, source_id, alert_type, severity, title, message, detail, created_at)
select 'run_log', %s, 'FAILED', 'medium', %s, %s, %s, now()
where not exists (
  select from alert where source_type = 'run_log' and source_id = %s and alert_type = 'FAILED'
    and created_at >= now() - interval '30 minutes'
)
"""


def contender(connection: psycopg.Connection, kind: Kind, name: str) -> Contender:
    """One connection, kept open."""
    execute = connection.execute

    def run(job: str, body: Callable[[], None]) -> None:
        row = execute(START, (job,)).fetchone()
        run_id = row[0] if row else None
        try:
            body()
        except ValueError as error:
            finish_failed(job, run_id, str(error))
        else:
            execute(FINISH_SUCCESS, (run_id,))

    def finish_failed(job: str, run_id: int | None, message: str) -> None:
        source_id = f"{job}:UNKNOWN"
        detail = json.dumps({"job_name": job, "run_id": run_id, "error_message": message})
        alert = (source_id, f"{job} failed", message, detail, source_id)
        execute(FINISH_FAILED, (message, run_id, *alert))

    def prepare() -> Callable[[], None]:
        job = job_name(kind, name)
        body = succeed if kind == "success" else fail
        return lambda: run(job, body)

    return repeated(name, prepare)
