"""The yardstick on SQLite: the standard library's module, two short writes, each commit synced."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from ..measuring import repeated
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..measuring import Contender

NAME = "sqlite3 by hand"

START = """
insert into run_log (job_name, trigger_type, status, started_at, updated_at)
values (?, 'MANUAL', 'RUNNING', current_timestamp, current_timestamp)
"""
FINISH_SUCCESS = """
update run_log set status = 'SUCCESS', finished_at = current_timestamp, alert_outcome = 'none',
    updated_at = current_timestamp
where id = ? and status = 'RUNNING'
"""
FINISH_FAILED = """
update run_log set status = 'FAILED', finished_at = current_timestamp, error_message = ?,
    error_group = 'UNKNOWN', updated_at = current_timestamp
where id = ? and status = 'RUNNING'
"""
COVERING = """
select id from alert where source_type = 'run_log' and source_id = ? and alert_type = 'FAILED'
    and created_at >= datetime('now', '-30 minutes')
limit 1
"""
RAISE = """
insert into alert (source_type, source_id, alert_type, severity, title, message, detail, created_at)
values ('run_log', ?, 'FAILED', 'medium', ?, ?, ?, current_timestamp)
"""


def connect(url: str) -> sqlite3.Connection:
    """The file as runguard has it: a write-ahead log, synced at each commit."""
    connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    connection.execute("pragma synchronous = full")
    return connection


def contender(connection: sqlite3.Connection, kind: Kind) -> Contender:
    """One connection, kept open; a transaction only where there is more than one statement."""
    execute = connection.execute

    def run(job: str, body: Callable[[], None]) -> None:
        run_id = execute(START, (job,)).lastrowid
        try:
            body()
        except ValueError as error:
            finish_failed(job, run_id, str(error))
        else:
            execute(FINISH_SUCCESS, (run_id,))

    def finish_failed(job: str, run_id: int | None, message: str) -> None:
        source_id = f"{job}:UNKNOWN"
        execute("begin immediate")
        execute(FINISH_FAILED, (message, run_id))
        if execute(COVERING, (source_id,)).fetchone() is None:
            detail = json.dumps({"job_name": job, "run_id": run_id, "error_message": message})
            execute(RAISE, (source_id, f"{job} failed", message, detail))
        execute("commit")

    def prepare() -> Callable[[], None]:
        job = job_name(kind, "by-hand")
        body = succeed if kind == "success" else fail
        return lambda: run(job, body)

    return repeated(NAME, prepare)
