"""A yardstick: psycopg by hand, sending the very statements that runguard sends.

Their text comes from runguard, so that both sides do the same work on the server; all around them
is what somebody would write who wants no library at all. Once more on a connection of runguard's
own pool: between the two lies what the pool and its bounded connection cost.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql import psycopg as dialects

from runguard._store.postgresql import statements
from runguard._store.postgresql.engine import make_postgresql_engine
from runguard._store.rows import UNKNOWN

from ..measuring import repeated
from ..servers import libpq
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from sqlalchemy import Engine, Executable

    from ..measuring import Contender

UNPREPARED = "psycopg, unprepared"
PREPARED = "psycopg, prepared"
POOLED = "psycopg, runguard's pool"

HOST = socket.gethostname()
COOLDOWN = timedelta(minutes=30)
PATIENCE = 30.0

Ask = Callable[[str, "dict[str, Any]"], Any]
"""Sends a statement and returns its one row."""


def contender(ask: Ask, kind: Kind, name: str) -> Contender:
    """Runs as somebody writes them who has these statements."""
    start = text_of(statements.start(UNKNOWN))
    finish_success = text_of(statements.finish("success"))
    finish_failed = text_of(statements.finish("judged"))

    def begin(job: str) -> Any:
        key = uuid4()
        ask(start, run_parameters(key, job))
        return key

    def success() -> None:
        key = begin(name)
        succeed()
        ask(finish_success, {"in_run_key": key, **COUNTERS})

    def failure(job: str) -> None:
        key = begin(job)
        try:
            fail()
        except ValueError as error:
            ask(finish_failed, _failed(key, job, error))

    def prepare() -> Callable[[], None]:
        if kind == "success":
            return success
        job = job_name(kind, name)
        return lambda: failure(job)

    return repeated(name, prepare)


def connect(url: str, *, prepared: bool) -> psycopg.Connection:
    """An open connection in autocommit; prepared means from the first execution on."""
    return psycopg.connect(libpq(url), autocommit=True, prepare_threshold=0 if prepared else None)


def on(connection: psycopg.Connection) -> Ask:
    """Send on one connection, kept open."""
    return lambda text, parameters: connection.execute(text, parameters).fetchone()


def on_the_pool(engine: Engine) -> Ask:
    """Send on the driver's connection that an engine's pool gives out, and give it back."""

    def ask(text: str, parameters: dict[str, Any]) -> Any:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(text, parameters)
            return cursor.fetchone()
        finally:
            connection.close()

    return ask


def runguards_engine(url: str) -> Engine:
    """An engine as runguard makes it: its pool, its bounded connection, prepared statements."""
    return make_postgresql_engine(make_url(url), max_connections=1, patience=PATIENCE)


def text_of(statement: Executable) -> str:
    return str(statement.compile(dialect=dialects.dialect()))


COUNTERS = {
    "in_total_records": 0,
    "in_changed_records": 0,
    "in_created_alerts": 0,
    "in_retry_count": 0,
}


def run_parameters(key: Any, job: str) -> dict[str, Any]:
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
        **COUNTERS,
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
