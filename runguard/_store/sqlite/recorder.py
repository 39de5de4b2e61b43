"""The embedded store: a SQLite file of runguard's own, made with its schema on first use.

Every write is a short transaction that takes the write lock first (`BEGIN IMMEDIATE`), so processes
that write at once wait for each other instead of failing. The job may hold a lock on its own SQLite
file; this one is never the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, select
from sqlalchemy.pool import Pool

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
from .endings import end_run, find_open
from .engine import OPENED_FILE
from .faults import fault_of
from .statements import LAST_HEARD_AT, own_limit, silent
from .transaction import immediate

T = TypeVar("T")


class SqliteRecorder(BaseStore):
    """Runs, alerts and locks in a SQLite file. See `RunRepository` for the methods."""

    has_hosts_clock = True

    def __init__(self, engine: Engine, *, upgrade: Callable[[Engine], None]) -> None:
        """Take an engine in autocommit, and what brings an older schema up to date."""
        super().__init__(engine, fault_of)
        self._upgrade = upgrade
        sql.build_endings()
        sqlite_cooldown.build_endings()
        self._attempts: _OneAtATime = _OneAtATime(engine, self._schema_error)
        self._schema_is_checked = False
        self._checked_file: object = None

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""

        def work(connection: Connection) -> int:
            lacking = lacking_of(run, self.lacking)
            values = parameters(run_values(run, lacking))
            run_id: int = connection.execute(sql.start(lacking), values).scalar_one()
            return run_id

        return self._write(work, timeout=timeout)

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run and raise its alert if the cooldown allows."""

        def work(connection: Connection) -> FinishedRun:
            run_id = find_open(connection, ending.key)
            if run_id is not None:
                return end_run(connection, self.lacking, run_id, ending)
            from .replay import found

            return found(connection, ending.key)

        return self._write(work, timeout=timeout)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began; no reader sees it before it is FAILED."""
        from . import locks

        return self._write(
            lambda connection: locks.record_refused(connection, self.lacking, run, ending),
            timeout=timeout,
        )

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run, with its host's times."""
        from . import replay

        return self._write(
            lambda connection: replay.replay(connection, self.lacking, record), timeout=timeout
        )

    def beat(
        self, keys: Sequence[UUID], *, timeout: float, progress: Progress | None = None
    ) -> None:
        """Note that these runs are alive, and how far."""
        from .beats import beat

        self._write(
            lambda connection: beat(connection, self.lacking, keys, progress or {}),
            timeout=timeout,
        )

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

        return self._write(
            lambda connection: close(connection, self.lacking, lost, ending, silent_for),
            timeout=timeout,
        )

    def raise_alert(self, alert_draft: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert of a job's own, if its key's cooldown allows."""
        return self._write(
            lambda connection: raise_if_allowed(connection, self.lacking, alert_draft),
            timeout=timeout,
        )

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Insert, take over when expired, or say who holds it."""
        from . import locks

        return self._write(
            lambda connection: locks.acquire(connection, job_name, owner, ttl), timeout=timeout
        )

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend the lease from now."""
        from . import locks

        return self._write(lambda connection: locks.renew(connection, lease, ttl), timeout=timeout)

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Let the lease have expired; the row stays, so the fence goes on from there."""
        from . import locks

        return self._write(lambda connection: locks.release(connection, lease), timeout=timeout)

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

    def _write(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        deadline = ticks() + timeout

        def transaction(attempt: Attempt) -> T:
            connection = attempt.connection
            wait_at_most(connection, deadline)
            self.make_schema_once(connection)
            with immediate(connection):
                return work(connection)

        return self._adapting(transaction, timeout=timeout)

    def make_schema_once(self, connection: Connection) -> None:
        """Make the file's tables, or bring them up to date."""
        file = connection.info.get(OPENED_FILE)
        if self._schema_is_checked and file == self._checked_file:
            return
        version = schema_version_of(connection)
        if version != SCHEMA_VERSION:
            from . import first_use

            if version is None:
                first_use.make_tables(connection)
            elif version < SCHEMA_VERSION:
                first_use.bring_up_to_date(self, version, self._upgrade)
        self._schema_is_checked = True
        self._checked_file = file


class _OneAtATime(Attempts):
    """One thread at a time, as SQLite writes anyway; so a fork can find none of them inside."""

    def __init__(self, engine: Engine, schema_error: Callable[[], Exception]) -> None:
        super().__init__(engine, schema_error, fault_of)
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


def wait_at_most(connection: Connection, deadline: float) -> None:
    """Let statements wait for other writers until the deadline."""
    milliseconds = max(1, round((deadline - ticks()) * 1000))
    # Past SQLAlchemy, in a tenth of the time: it touches no file and cannot fail.
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.execute(f"PRAGMA busy_timeout = {milliseconds}").close()


def upgrade_schema(engine: Engine) -> None:
    """Bring a SQLite file's schema up to date."""
    from ..migrate import upgrade  # Alembic is slow to import, and seldom needed here

    upgrade(engine)
