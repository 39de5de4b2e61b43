"""What the processes of a race do. Run by `tests.support.processes.race`, one of them a process.

Beside runguard itself stand the known-wrong ways to keep a cooldown: a race test that these pass
proves nothing.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

INSERT = (
    "insert into alert (source_type, source_id, alert_type, severity, title)"
    " select 'run_log', {source_id}, 'FAILED', 'medium', 'a test'"
)
RECENT = (
    "select 1 from alert where source_type = 'run_log' and source_id = {source_id}"
    " and alert_type = 'FAILED' and created_at >= {window_start}"
)


def runguard_fails(url: str, jobs: list[str], wait: Callable[[], None], rounds: int) -> None:
    """Fail every job in every round, with runguard as a user has it."""
    from runguard import configure, run_scope

    configure(database_url=url, store_timeout=timedelta(minutes=2))
    with run_scope("warm-up"):
        pass
    for this_round in range(rounds):
        wait()
        for job in jobs:
            try:
                with run_scope(f"{job}-{this_round}"):
                    raise ValueError("bad input")
            except ValueError:
                pass


def runguard_contends(url: str, wait: Callable[[], None], rounds: int) -> list[list[int]]:
    """Ask for one job's lock in every round; return [round, fence] of each time inside.

    Inside, a witness table that takes one row at a time proves that nobody else is there.
    """
    from sqlalchemy import create_engine, text

    from runguard import JobLockActive, configure, run_scope

    configure(database_url=url, store_timeout=timedelta(minutes=2))
    with run_scope("warm-up"):
        pass
    # Unprepared, for the pooler's sake.
    connect_args = {"prepare_threshold": None}
    witness = create_engine(url, isolation_level="AUTOCOMMIT", connect_args=connect_args)
    inside = []
    for this_round in range(rounds):
        wait()
        try:
            with run_scope("contended", lock=True) as run, witness.connect() as connection:
                connection.execute(text("insert into witness values (1)"))  # unique: or it fails
                connection.execute(text("delete from witness"))
                inside.append([this_round, run.fence or 0])
        except JobLockActive:
            pass
    return inside


def check_then_insert(url: str, jobs: list[str], wait: Callable[[], None], rounds: int) -> None:
    """Wrong: look, and then insert."""
    with psycopg.connect(url, autocommit=True) as connection:
        for this_round in range(rounds):
            wait()
            for job in jobs:
                source_id = f"'{job}-{this_round}:UNKNOWN'"
                window = "now() - interval '30 minutes'"
                recent = RECENT.format(source_id=source_id, window_start=window)
                if connection.execute(recent).fetchone() is None:
                    connection.execute(INSERT.format(source_id=source_id))


def where_not_exists(url: str, jobs: list[str], wait: Callable[[], None], rounds: int) -> None:
    """Wrong: look and insert in one statement, whose snapshot is as old as its start."""
    with psycopg.connect(url, autocommit=True) as connection:
        for this_round in range(rounds):
            wait()
            for job in jobs:
                source_id = f"'{job}-{this_round}:UNKNOWN'"
                window = "now() - interval '30 minutes'"
                recent = RECENT.format(source_id=source_id, window_start=window)
                connection.execute(
                    f"{INSERT.format(source_id=source_id)} where not exists ({recent})"
                )


def deferred_transaction(path: str, jobs: list[str], wait: Callable[[], None], rounds: int) -> int:
    """Wrong: a SQLite transaction that reads first and asks for the write lock later."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    refused = 0
    for this_round in range(rounds):
        wait()
        for job in jobs:
            source_id = f"'{job}-{this_round}:UNKNOWN'"
            window = "datetime('now', '-30 minutes')"
            recent = RECENT.format(source_id=source_id, window_start=window)
            try:
                connection.execute("begin")
                if connection.execute(recent).fetchone() is None:
                    connection.execute(INSERT.format(source_id=source_id))
                connection.execute("commit")
            except sqlite3.OperationalError:
                refused += 1
                if connection.in_transaction:
                    connection.execute("rollback")
    connection.close()
    return refused


def runguard_fails_for_reasons(url: str, wait: Callable[[], None], rounds: int) -> None:
    """Fail for two reasons in every round, with a cooldown by reason."""
    from runguard import configure, run_scope

    configure(database_url=url, cooldown_by="reason", store_timeout=timedelta(minutes=2))
    with run_scope("warm-up"):
        pass
    for this_round in range(rounds):
        wait()
        for failure in (
            ConnectionRefusedError(111, "Connection refused"),
            OSError(28, "No space left on device"),
        ):
            try:
                with run_scope(f"job-{this_round}"):
                    raise failure
            except OSError:
                pass
