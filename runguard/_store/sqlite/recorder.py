"""The embedded store: a SQLite file of runguard's own, made with its schema on first use.

Every write is a short transaction that takes the write lock first (`BEGIN IMMEDIATE`), so processes
that write at once wait for each other instead of failing. The job may hold a lock on its own SQLite
file; this one is never the same.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Update,
    bindparam,
    func,
    insert,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import Pool
from sqlalchemy.types import Float

from ..._clock import ticks
from ..._errors import RecordRefused, StoreUnavailable
from ..._models import (
    AlertDraft,
    AlertOutcome,
    AlertVerdict,
    FinishedRun,
    Lease,
    LockHolder,
    LostRun,
    NewRun,
    RunEnding,
    SpooledRun,
)
from ..base import READ_TIMEOUT_SECONDS, BaseStore, schema_version_of
from ..retry import Attempt, Attempts
from ..rows import (
    FAILURE_COLUMNS,
    NO_ROW,
    Lacking,
    counter_values,
    earlier_ending,
    failure_values,
    lost_run_from,
    parameters,
    present,
    refusal_values,
    run_values,
)
from ..schema.indexes import metadata
from ..schema.tables import SCHEMA_VERSION, VERSION_TABLE, VERSIONS_BEFORE, job_lock, run_log
from ..schema.types import RELEASED, db_now, db_now_plus
from . import cooldown as sqlite_cooldown
from . import statements as sql
from .cooldown import raise_if_allowed
from .engine import OPENED_FILE

T = TypeVar("T")

_QUIET_OUTCOMES: Final = {True: AlertOutcome.NONE, False: AlertOutcome.EXCLUDED}


_LAST_HEARD_AT: Final = func.coalesce(
    run_log.c.heartbeat_at, run_log.c.started_at, type_=run_log.c.started_at.type
)
_NO_FAILURE: Final = dict.fromkeys(FAILURE_COLUMNS)


class SqliteRecorder(BaseStore):
    """Runs, alerts and locks in a SQLite file. See `RunRepository` for the methods."""

    def __init__(self, engine: Engine, *, upgrade: Callable[[Engine], None]) -> None:
        """Take an engine in autocommit, and what brings an older schema up to date.

        The file is opened when the first run needs it.
        """
        super().__init__(engine)
        self._upgrade = upgrade
        sql.build_endings()
        sqlite_cooldown.build_endings()
        self._attempts: _OneAtATime = _OneAtATime(engine, self._schema_error)
        self._schema_is_checked = False
        self._checked_file: object = None
        self._parents_pools: list[Pool] = []

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""

        def work(connection: Connection) -> int:
            values = parameters(run_values(run, self.lacking))
            run_id: int = connection.execute(sql.start(self.lacking), values).scalar_one()
            return run_id

        return self._write(work, timeout=timeout)

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run and raise its alert if the cooldown allows."""

        def work(connection: Connection) -> FinishedRun:
            run_id = _find_open(connection, ending.key)
            if run_id is None:
                return _found(connection, ending.key)
            return self._end(connection, run_id, ending)

        return self._write(work, timeout=timeout)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began; no reader sees it before it is FAILED."""

        def work(connection: Connection) -> FinishedRun:
            values = {
                **run_values(run, self.lacking),
                **refusal_values(ending, self.lacking),
                "started_at": db_now(),
                "status": "RUNNING",
            }
            statement = upsert(run_log).values(values).on_conflict_do_nothing()
            run_id = connection.execute(statement.returning(run_log.c.id)).scalar_one_or_none()
            if run_id is None:
                return _found(connection, run.key)
            return self._end(connection, run_id, ending)

        return self._write(work, timeout=timeout)

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run, with its host's times."""

        def work(connection: Connection) -> FinishedRun:
            start = upsert(run_log).values(
                **run_values(record.run, self.lacking),
                status="RUNNING",
                started_at=record.started_at,
                clock="host",
            )
            connection.execute(start.on_conflict_do_nothing())
            run_id = _find_open(connection, record.run.key)
            if run_id is None:
                found = _found(connection, record.run.key)
                if found.run_id is None:
                    raise RecordRefused(NO_ROW)
                return found
            if record.ending is None:
                return FinishedRun(recorded=True, run_id=run_id)
            finished = self._end(connection, run_id, record.ending)
            then = {
                "finished_at": record.finished_at,
                "clock": "host",
                **refusal_values(record.ending, self.lacking),
            }
            connection.execute(update(run_log).where(run_log.c.id == run_id).values(then))
            return finished

        return self._write(work, timeout=timeout)

    def beat(self, keys: Sequence[UUID], *, timeout: float) -> None:
        """Note that these runs are alive."""
        statement = (
            update(run_log)
            .where(run_log.c.run_key.in_(keys), run_log.c.status == "RUNNING")
            .values(heartbeat_at=db_now())
        )
        self._write(lambda connection: connection.execute(statement), timeout=timeout)

    def find_lost_runs(
        self, *, silent_for: timedelta, job_name: str | None, limit: int, timeout: float
    ) -> Sequence[LostRun]:
        """List open runs that were silent for longer; other programs' rows are none of ours."""

        def work(connection: Connection) -> Sequence[LostRun]:
            self._notice_upgrade(connection)
            query = (
                select(
                    run_log.c.id,
                    run_log.c.run_key,
                    run_log.c.job_name,
                    run_log.c.host,
                    run_log.c.pid,
                    _LAST_HEARD_AT,
                    _own_limit(self.lacking),
                )
                .where(run_log.c.run_key.is_not(None), _silent(silent_for, self.lacking))
                .order_by(run_log.c.id)
                .limit(limit)
            )
            if job_name is not None:
                query = query.where(run_log.c.job_name == job_name)
            return [lost_run_from(*row) for row in connection.execute(query)]

        return self._write(work, timeout=timeout)

    def close_lost_run(
        self, lost: LostRun, ending: RunEnding, *, silent_for: timedelta, timeout: float
    ) -> FinishedRun:
        """End a silent run, free its lock, raise its alert."""

        def work(connection: Connection) -> FinishedRun:
            still_silent = select(run_log.c.total_records, run_log.c.changed_records).where(
                run_log.c.run_key == lost.key, _silent(silent_for, self.lacking)
            )
            if connection.execute(still_silent).one_or_none() is None:
                return FinishedRun(recorded=False)
            finished = self._end(connection, lost.run_id, ending, lost=True)
            connection.execute(
                update(job_lock)
                .where(job_lock.c.job_name == lost.job_name)
                .where(job_lock.c.locked_by == lost.lock_owner)
                .values(lock_expires_at=RELEASED)
            )
            return finished

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
        """Let the lease have expired; the row stays, so the fence goes on from there."""
        return self._move_expiry(lease, RELEASED, timeout=timeout)

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

    def before_fork(self, *, timeout: float) -> bool:
        """Wait until no thread is inside SQLite: a child would find its mutexes locked for ever."""
        return self._attempts.turn.acquire(timeout=timeout)

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        self._attempts.turn.release()

    def after_fork(self) -> None:
        """Leave the parent's connections alone: SQLite forbids a child even to close them."""
        self._attempts.turn = threading.RLock()
        self._parents_pools.append(self.engine.pool)
        super().after_fork()

    def _write(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        deadline = ticks() + timeout

        def transaction(attempt: Attempt) -> T:
            connection = attempt.connection
            _wait_at_most(connection, deadline)
            self._make_schema_once(connection)
            with _immediate(connection):
                return work(connection)

        return self._adapting(transaction, timeout=timeout)

    def _end(
        self, connection: Connection, run_id: int, ending: RunEnding, *, lost: bool = False
    ) -> FinishedRun:
        verdict = AlertVerdict(_QUIET_OUTCOMES[ending.failure is None])
        if ending.alert is not None:
            verdict = raise_if_allowed(connection, ending.alert, run_id=run_id)
        raised = verdict.outcome is AlertOutcome.RAISED
        values = {
            **present(_NO_FAILURE, self.lacking),
            **failure_values(ending, self.lacking),
            "status": ending.status,
            "alert_outcome": verdict.outcome,
            "covered_by": None if raised else verdict.alert_id,
        }
        if lost:
            statement = update(run_log).values(
                **values,
                created_alerts=run_log.c.created_alerts + raised,
                **dict.fromkeys(("lost_at", "finished_at", "updated_at"), db_now()),
            )
            connection.execute(statement.where(run_log.c.id == run_id))
        else:
            values |= counter_values(ending)
            values["created_alerts"] += raised
            connection.execute(sql.end(self.lacking), parameters(values, {"id": run_id}))
        return FinishedRun(recorded=True, run_id=run_id, verdict=verdict)

    def _rows(self, query: Any, *, timeout: float = READ_TIMEOUT_SECONDS) -> Any:
        self.make_schema()
        return super()._rows(query, timeout=timeout)

    def make_schema(self) -> None:
        """Make the file and its tables, or bring them up to date."""

        def work(attempt: Attempt) -> None:
            _wait_at_most(attempt.connection, ticks() + READ_TIMEOUT_SECONDS)
            self._make_schema_once(attempt.connection)

        self._attempts.run(work, timeout=READ_TIMEOUT_SECONDS)

    def _make_schema_once(self, connection: Connection) -> None:
        file = connection.info.get(OPENED_FILE)
        if self._schema_is_checked and file == self._checked_file:
            return
        version = schema_version_of(connection)
        if version is None:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            with _immediate(connection):
                _create_tables(connection)
        elif version < SCHEMA_VERSION:
            self._bring_up_to_date(version)
        self._schema_is_checked = True
        self._checked_file = file

    def _bring_up_to_date(self, version: str) -> None:
        try:
            self._upgrade(self.engine)
        except StoreUnavailable:
            if version not in VERSIONS_BEFORE:
                raise
            self._can_adapt_to(version)  # the next process tries again


class _OneAtATime(Attempts):
    """One thread at a time, as SQLite writes anyway; so a fork can find none of them inside."""

    def __init__(self, engine: Engine, schema_error: Callable[[], Exception]) -> None:
        super().__init__(engine, schema_error)
        self.turn = threading.RLock()

    def run(
        self, work: Callable[[Attempt], T], *, timeout: float, patience: float | None = None
    ) -> T:
        """Do as `Attempts.run`, when it is this thread's turn."""
        deadline = ticks() + timeout
        if not self.turn.acquire(timeout=timeout):
            raise StoreUnavailable("the store could not be used: another thread is using it")
        try:
            return super().run(work, timeout=deadline - ticks(), patience=patience)
        finally:
            self.turn.release()


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


def _find_open(connection: Connection, key: UUID) -> int | None:
    found = connection.execute(sql.open_run(), parameters({"run_key": key}))
    return found.scalar_one_or_none()


def _own_limit(lacking: Lacking) -> ColumnElement[Any]:
    """A run's own limit of silence, in seconds."""
    own_limit = run_log.c.lost_after_seconds
    return null() if own_limit.name in lacking else own_limit


def _found(connection: Connection, key: UUID) -> FinishedRun:
    """Say how a run had ended before, or that there is none."""
    query = select(
        run_log.c.id, run_log.c.status, run_log.c.finished_at, run_log.c.alert_outcome
    ).where(run_log.c.run_key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return FinishedRun(recorded=False)
    earlier = earlier_ending(row.status, row.finished_at, row.alert_outcome)
    return FinishedRun(recorded=False, run_id=row.id, earlier=earlier)


def _silent(silent_for: timedelta, lacking: Lacking) -> ColumnElement[bool]:
    """An open run that was silent for longer than its own limit, or than ours where it has none."""
    ours = bindparam("ours", silent_for.total_seconds(), type_=Float(), unique=True)
    limit = func.coalesce(_own_limit(lacking), ours, type_=Float())
    return (run_log.c.status == "RUNNING") & (db_now_plus(-limit) > _LAST_HEARD_AT)


@contextmanager
def _immediate(connection: Connection) -> Iterator[None]:
    """A transaction that takes the write lock before it reads."""
    _execute(connection, "BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):  # on a dead connection: no reason to hide what killed it
            connection.exec_driver_sql("ROLLBACK")
        raise
    _execute(connection, "COMMIT")


def _execute(connection: Connection, statement: str) -> None:
    # Past SQLAlchemy, in a third of the time; its errors are told as SQLAlchemy tells them.
    driver_connection: Any = connection.connection.driver_connection
    try:
        driver_connection.execute(statement).close()
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error


def _wait_at_most(connection: Connection, deadline: float) -> None:
    milliseconds = max(1, round((deadline - ticks()) * 1000))
    # Past SQLAlchemy, in a tenth of the time: it touches no file and cannot fail.
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.execute(f"PRAGMA busy_timeout = {milliseconds}").close()


def _in(ttl: timedelta) -> db_now_plus:
    return db_now_plus(bindparam("ttl", ttl.total_seconds(), type_=Float(), unique=True))
