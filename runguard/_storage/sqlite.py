"""The embedded store: a SQLite file of runguard's own, made with its schema on first use.

Every write is a short transaction that takes the write lock first (`BEGIN IMMEDIATE`), so processes
that write at once wait for each other instead of failing. The job may hold a lock on its own SQLite
file; this one is never the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Insert, Update, bindparam, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.types import Float

from .._models import (
    AlertDraft,
    AlertOutcome,
    AlertVerdict,
    FinishedRun,
    Lease,
    LockHolder,
    NewRun,
    RunEnding,
)
from .engines import Attempt
from .rows import counter_values, failure_values, run_values
from .sqlite_cooldown import raise_if_allowed
from .tables import SCHEMA_VERSION, VERSION_TABLE, job_lock, metadata, run_log
from .types import db_now, db_now_plus
from .views import READ_TIMEOUT_SECONDS, Views, schema_version_of

T = TypeVar("T")

_QUIET_OUTCOMES: Final = {True: AlertOutcome.NONE, False: AlertOutcome.EXCLUDED}


class SqliteStore(Views):
    """Runs, alerts and locks in a SQLite file. See `_ports` for what each method does."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine in autocommit; the file is opened when the first run needs it."""
        super().__init__(engine)
        self._schema_is_checked = False

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""

        def work(connection: Connection) -> int:
            statement = upsert(run_log).values(
                **run_values(run), status="RUNNING", started_at=db_now(), updated_at=db_now()
            )
            run_id: int = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["run_key"], set_={"run_key": run.key}
                ).returning(run_log.c.id)
            ).scalar_one()
            return run_id

        return self._write(work, timeout=timeout)

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run and raise its alert if the cooldown allows."""

        def work(connection: Connection) -> FinishedRun:
            row = connection.execute(
                select(run_log.c.id, run_log.c.status).where(run_log.c.run_key == ending.key)
            ).one_or_none()
            if row is None or row.status != "RUNNING":
                return FinishedRun(recorded=False)
            return _end(connection, row.id, ending)

        return self._write(work, timeout=timeout)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began; no reader sees it before it is FAILED."""

        def work(connection: Connection) -> FinishedRun:
            values = {**run_values(run), "started_at": db_now(), "status": "RUNNING"}
            statement = upsert(run_log).values(values).on_conflict_do_nothing()
            run_id = connection.execute(statement.returning(run_log.c.id)).scalar_one_or_none()
            if run_id is None:
                return FinishedRun(recorded=False)
            return _end(connection, run_id, ending)

        return self._write(work, timeout=timeout)

    def raise_alert(self, alert_draft: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert of a job's own, if its key's cooldown allows."""
        return self._write(
            lambda connection: raise_if_allowed(connection, alert_draft), timeout=timeout
        )

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Insert, take over when expired, or say who holds it."""
        lease = {
            "locked_by": owner,
            "locked_at": db_now(),
            "lock_expires_at": _in(ttl),
        }

        def work(connection: Connection) -> Lease | LockHolder:
            row = connection.execute(
                select(
                    job_lock.c.locked_by,
                    job_lock.c.lock_expires_at,
                    (job_lock.c.lock_expires_at <= db_now()).label("expired"),
                ).where(job_lock.c.job_name == job_name)
            ).one_or_none()
            statement: Insert | Update
            if row is None:
                # Microseconds, so that a fence never repeats, not even if the row was deleted.
                statement = insert(job_lock).values(
                    job_name=job_name, fence=time.time_ns() // 1000, **lease
                )
            elif row.expired or row.locked_by == owner:
                statement = (
                    update(job_lock)
                    .where(job_lock.c.job_name == job_name)
                    .values(fence=job_lock.c.fence + 1, **lease)
                )
            else:
                return LockHolder(row.locked_by, row.lock_expires_at)
            fence = connection.execute(statement.returning(job_lock.c.fence)).scalar_one()
            return Lease(job_name, owner, fence)

        return self._write(work, timeout=timeout)

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend the lease from now."""
        return self._move_expiry(lease, _in(ttl), timeout=timeout)

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Let the lease expire now; the row stays, so the fence goes on from there."""
        return self._move_expiry(lease, db_now(), timeout=timeout)

    def _move_expiry(self, lease: Lease, expiry: Any, *, timeout: float) -> bool:
        statement = (
            update(job_lock)
            .where(
                job_lock.c.job_name == lease.job_name,
                job_lock.c.locked_by == lease.owner,
                job_lock.c.fence == lease.fence,
                job_lock.c.lock_expires_at > db_now(),
            )
            .values(lock_expires_at=expiry)
        )
        return self._write(
            lambda connection: connection.execute(statement).rowcount == 1, timeout=timeout
        )

    def _write(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        deadline = time.monotonic() + timeout

        def transaction(attempt: Attempt) -> T:
            connection = attempt.connection
            _wait_at_most(connection, deadline)
            self._make_schema_once(connection)
            with _immediate(connection):
                return work(connection)

        return self._attempts.run(transaction, timeout=timeout)

    def _rows(self, query: Any) -> Any:
        self.make_schema()
        return super()._rows(query)

    def make_schema(self) -> None:
        """Make the file and its tables, or bring them up to date."""

        def work(attempt: Attempt) -> None:
            _wait_at_most(attempt.connection, time.monotonic() + READ_TIMEOUT_SECONDS)
            self._make_schema_once(attempt.connection)

        self._attempts.run(work, timeout=READ_TIMEOUT_SECONDS)

    def _make_schema_once(self, connection: Connection) -> None:
        if self._schema_is_checked:
            return
        version = schema_version_of(connection)
        if version is None:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            with _immediate(connection):
                _create_tables(connection)
        elif version < SCHEMA_VERSION:
            from .migrations import upgrade  # Alembic is slow to import, and seldom needed here

            upgrade(self.engine)
        self._schema_is_checked = True


def _create_tables(connection: Connection) -> None:
    if schema_version_of(connection) is not None:  # another process was faster
        return
    metadata.create_all(connection)
    connection.execute(
        text(
            f"create table {VERSION_TABLE} (version_num varchar(32) not null,"
            f" constraint {VERSION_TABLE}_pkc primary key (version_num))"
        )
    )
    connection.execute(
        text(f"insert into {VERSION_TABLE} (version_num) values (:version)"),  # noqa: S608
        {"version": SCHEMA_VERSION},
    )


def _end(connection: Connection, run_id: int, ending: RunEnding) -> FinishedRun:
    verdict = AlertVerdict(_QUIET_OUTCOMES[ending.failure is None])
    if ending.alert is not None:
        verdict = raise_if_allowed(connection, ending.alert, run_id=run_id)
    raised = verdict.outcome is AlertOutcome.RAISED
    values = {**counter_values(ending), **failure_values(ending)}
    values["created_alerts"] += raised
    connection.execute(
        update(run_log)
        .where(run_log.c.id == run_id)
        .values(
            **values,
            status=ending.status,
            finished_at=db_now(),
            updated_at=db_now(),
            alert_outcome=verdict.outcome,
            covered_by=None if raised else verdict.alert_id,
        )
    )
    return FinishedRun(recorded=True, run_id=run_id, verdict=verdict)


@contextmanager
def _immediate(connection: Connection) -> Iterator[None]:
    """A transaction that takes the write lock before it reads."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _wait_at_most(connection: Connection, deadline: float) -> None:
    milliseconds = max(1, round((deadline - time.monotonic()) * 1000))
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")


def _in(ttl: timedelta) -> db_now_plus:
    return db_now_plus(bindparam("ttl", ttl.total_seconds(), type_=Float(), unique=True))
