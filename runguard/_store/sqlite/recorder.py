"""The embedded store: a SQLite file of runguard's own, made with its schema on first use.

Every write is one statement, or a short transaction that takes the write lock first (`BEGIN
IMMEDIATE`), so processes that write at once wait for each other instead of failing. The job may
hold a lock on its own SQLite file; this one is never the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, select
from sqlalchemy.pool import Pool, PoolProxiedConnection

from ..._clock import ticks
from ..._errors import StoreUnavailable
from ..._models import (
    AlertDraft,
    AlertVerdict,
    FinishedRun,
    Lease,
    LockHolder,
    NewRun,
    RunEnding,
    SpooledRun,
)
from ..._monitor.lost_run import LostRun
from ..base import BaseStore
from ..retry import Attempt, Attempts
from ..rows import Progress, lacking_of, parameters, run_values
from ..schema.found import schema_version_of
from ..schema.tables import SCHEMA_VERSION, run_log
from . import cooldown as sqlite_cooldown
from . import statements as sql
from .cooldown import raise_if_allowed
from .descriptors import Descriptors
from .direct import DirectExecution
from .endings import end_run
from .engine import OPENED_FILE
from .statements import LAST_HEARD_AT, own_limit, silent
from .transaction import immediate

WAITS: Final = "runguard_waits"  # in a connection's info: how many milliseconds it waits

T = TypeVar("T")


class SqliteRecorder(BaseStore):
    """Runs, alerts and locks in a SQLite file. See `RunRepository` for the methods."""

    has_hosts_clock = True

    def __init__(self, engine: Engine, *, upgrade: Callable[[Engine], None]) -> None:
        """Take an engine in autocommit, and what brings an older schema up to date."""
        super().__init__(engine)
        self._upgrade = upgrade
        sql.build_endings()
        sqlite_cooldown.build_endings()
        self._attempts: _OneAtATime = _OneAtATime(engine)
        self._execution = DirectExecution()
        self._schema_is_checked = False
        self._checked_file: object = None

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""
        return self._directly(lambda attempt: self.start_on(attempt, run), timeout=timeout)

    def start_on(self, attempt: Any, run: NewRun) -> int:
        """Write the RUNNING row on a connection: one statement, its own transaction."""
        lacking = lacking_of(run, self.lacking)
        values = parameters(run_values(run, lacking))
        row: Any = self._execution.on(attempt).execute(sql.start(lacking), values).one_or_none()
        return int(row[0])

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run and raise its alert if the cooldown allows."""

        def work(attempt: Attempt) -> FinishedRun:
            if (done := self.finish_on(attempt, ending)) is not None:
                return done
            from .replay import found

            return found(attempt.connection, ending.key)

        return self._directly(work, timeout=timeout)

    def finish_on(self, attempt: Any, ending: RunEnding) -> FinishedRun | None:
        """End a run on a connection; None where it was not open."""
        connection = self._execution.on(attempt)
        if ending.failure is None and ending.note is None:  # then it is one statement
            return end_run(connection, self.lacking, ending)
        with immediate(connection):
            return end_run(connection, self.lacking, ending)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began; no reader sees it before it is FAILED."""
        from . import locks

        return self._write(locks.record_refused, self.lacking, run, ending, timeout=timeout)

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run, with its host's times."""
        from .replay import replay

        return self._write(replay, self.lacking, record, timeout=timeout)

    def beat(
        self, keys: Sequence[UUID], *, timeout: float, progress: Progress | None = None
    ) -> None:
        """Note that these runs are alive, and how far."""
        from .beats import beat

        self._write(beat, self.lacking, keys, progress or {}, timeout=timeout)

    def find_lost_runs(
        self, *, silent_for: timedelta, job_name: str | None, limit: int, timeout: float
    ) -> Sequence[LostRun]:
        """List open runs that were silent for longer; other programs' rows are none of ours."""

        def work(connection: Connection) -> Sequence[LostRun]:
            if self.lacking:
                from ..schema.versions import notice_upgrade

                notice_upgrade(self, connection)
            query = (
                select(
                    run_log.c.id,
                    run_log.c.run_key,
                    run_log.c.job_name,
                    run_log.c.host,
                    run_log.c.pid,
                    LAST_HEARD_AT,
                    own_limit(self.lacking),
                )
                .where(run_log.c.run_key.is_not(None), silent(silent_for, self.lacking))
                .order_by(run_log.c.id)
                .limit(limit)
            )
            if job_name is not None:
                query = query.where(run_log.c.job_name == job_name)
            rows = connection.execute(query).all()
            if not rows:
                return ()
            from ..read_back import lost_runs_from

            return lost_runs_from(connection, self.lacking, rows)

        return self._write(work, timeout=timeout)

    def close_lost_run(
        self, lost: LostRun, ending: RunEnding, *, silent_for: timedelta, timeout: float
    ) -> FinishedRun:
        """End a silent run, free its lock, raise its alert."""
        from .lost import close

        return self._write(close, self.lacking, lost, ending, silent_for, timeout=timeout)

    def raise_alert(self, alert_draft: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert of a job's own, if its key's cooldown allows."""
        return self._write(raise_if_allowed, self.lacking, alert_draft, timeout=timeout)

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Insert, take over when expired, or say who holds it."""
        from . import locks

        return self._write(locks.acquire, job_name, owner, ttl, timeout=timeout)

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend the lease from now."""
        from . import locks

        return self._write(locks.renew, lease, ttl, timeout=timeout)

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Let the lease have expired; the row stays, so the fence goes on from there."""
        from . import locks

        return self._write(locks.release, lease, timeout=timeout)

    def before_fork(self, *, timeout: float) -> bool:
        """Wait until no thread is inside SQLite: a child would find its mutexes locked for ever."""
        return self._attempts.turn.acquire(timeout=timeout)

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        self._attempts.turn.release()

    def after_fork(self) -> None:
        """Leave the parent's connections alone: SQLite forbids a child even to close them."""
        self._attempts.turn = threading.RLock()
        self._attempts.parents_pools.append(self.engine.pool)
        super().after_fork()

    def _write(self, work: Callable[..., T], *args: object, timeout: float) -> T:
        """Do the work by Core, in a transaction."""

        def transaction(attempt: Attempt) -> T:
            with immediate(attempt.connection):
                return work(attempt.connection, *args)

        return self._directly(transaction, timeout=timeout)

    def _directly(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Do the work, which is one statement or begins a transaction."""
        deadline = ticks() + timeout

        def attempted(attempt: Attempt) -> T:
            wait_at_most(attempt.pooled, deadline)
            if not self._has_schema(attempt.pooled.info):
                self.make_schema_once(attempt.connection)
            return work(attempt)

        return self._adapting(attempted, timeout=timeout)

    def _has_schema(self, info: Mapping[Any, Any]) -> bool:
        return self._schema_is_checked and info.get(OPENED_FILE) == self._checked_file

    def make_schema_once(self, connection: Connection) -> None:
        """Make the file's tables, or bring them up to date."""
        if self._has_schema(connection.info):
            return
        version = schema_version_of(connection)
        if version != SCHEMA_VERSION:
            from . import first_use

            if version is None:
                first_use.make_tables(connection)
            elif version < SCHEMA_VERSION:
                first_use.bring_up_to_date(self, version, self._upgrade)
        self._schema_is_checked = True
        self._checked_file = connection.info.get(OPENED_FILE)


class _OneAtATime(Attempts):
    """One thread at a time, as SQLite writes anyway; so a fork can find none of them inside."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.descriptors = Descriptors(engine)
        self.parents_pools: list[Pool] = []
        self.turn = threading.RLock()

    def run(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Do as `Attempts.run`, when it is this thread's turn."""
        deadline = ticks() + timeout
        if not self.turn.acquire(timeout=timeout):
            raise StoreUnavailable("the store could not be used: another thread is using it")
        try:
            if self.descriptors.lost():
                from .reopening import connect_anew

                connect_anew(self.engine, self.descriptors, self.parents_pools)
            return super().run(work, timeout=deadline - ticks())
        finally:
            self.turn.release()


def wait_at_most(connection: PoolProxiedConnection, deadline: float) -> None:
    """Let statements wait for other writers until the deadline, or for a good part of that.

    What is tried again then waits for the rest. The start of a run has less time than its end, and
    both go by the same limit, which costs a statement to set.
    """
    left = max(1, round((deadline - ticks()) * 1000))
    if left <= 4 * connection.info.get(WAITS, 0) <= 4 * left:
        return
    milliseconds = 1 << (left.bit_length() - 1)
    # Past SQLAlchemy, in a tenth of the time: it touches no file and cannot fail.
    driver_connection: Any = connection.driver_connection
    driver_connection.execute(f"PRAGMA busy_timeout = {milliseconds}").close()
    connection.info[WAITS] = milliseconds


def upgrade_schema(engine: Engine) -> None:
    """Bring a SQLite file's schema up to date."""
    from ..migrate import upgrade  # Alembic is slow to import, and seldom needed here

    upgrade(engine)
