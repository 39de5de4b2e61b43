"""The yardstick: psycopg by hand, sending the very statements that runguard sends.

Their text comes from runguard, so that both sides do the same work on the server; all around them
is what somebody would write who wants no library at all.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from sqlalchemy.dialects.postgresql import psycopg as dialects

from runguard._store.postgresql import statements
from runguard._store.rows import UNKNOWN

from ..measuring import Contender, repeated
from ..servers import libpq
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Executable

UNPREPARED = "psycopg by hand"
PREPARED = "psycopg by hand, prepared"

HOST = socket.gethostname()
COOLDOWN = timedelta(minutes=30)


def contender(connection: psycopg.Connection, kind: Kind, name: str) -> Contender:
    """One connection, kept open."""
    start = _text(statements.start(UNKNOWN))
    finish_success = _text(statements.finish("success"))
    finish_failed = _text(statements.finish("judged"))
    execute = connection.execute

    def begin(job: str) -> Any:
        key = uuid4()
        execute(start, _run(key, job)).fetchone()
        return key

    def success() -> None:
        key = begin(name)
        succeed()
        execute(finish_success, {"in_run_key": key, **_COUNTERS}).fetchone()

    def failure(job: str) -> None:
        key = begin(job)
        try:
            fail()
        except ValueError as error:
            execute(finish_failed, _failed(key, job, error)).fetchone()

    def prepare() -> Callable[[], None]:
        if kind == "success":
            return success
        job = job_name(kind, name)
        return lambda: failure(job)

    return Contender(name, repeated(prepare))


def connect(url: str, *, prepared: bool) -> psycopg.Connection:
    """An open connection in autocommit; prepared means from the first execution on."""
    return psycopg.connect(libpq(url), autocommit=True, prepare_threshold=0 if prepared else None)


def _text(statement: Executable) -> str:
    return str(statement.compile(dialect=dialects.dialect()))


_COUNTERS = {
    "in_total_records": 0,
    "in_changed_records": 0,
    "in_created_alerts": 0,
    "in_retry_count": 0,
}


def _run(key: Any, job: str) -> dict[str, Any]:
    return {
        "in_run_key": key,
        "in_job_name": job,
        "in_trigger_type": "MANUAL",
        "in_host": HOST,
        "in_pid": os.getpid(),
        "in_lost_after_seconds": 300,
    }


def _failed(key: Any, job: str, error: Exception) -> dict[str, Any]:
    message = str(error)
    return {
        **_COUNTERS,
        "in_run_key": key,
        "in_error_message": message,
        "in_error_group": "UNKNOWN",
        "in_http_status_code": None,
        "in_error_type": "ValueError",
        "in_error_location": "by_hand.py",
        "in_error_reason": None,
        "in_matched_by": "nothing",
        "in_matched_depth": None,
        "in_matched_rule": None,
        "in_upstream": None,
        "in_cooldown_seconds": 1800,
        "in_cooldown": COOLDOWN,
        "in_source_type": "run_log",
        "in_source_id": f"{job}:UNKNOWN",
        "in_alert_type": "FAILED",
        "in_severity": "medium",
        "in_title": f"{job} failed",
        "in_message": message,
        "in_detail": json.dumps({"job_name": job, "error_message": message}),
        "in_alert_key": key,
    }
