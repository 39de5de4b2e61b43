"""The store on PostgreSQL: one statement for each intent, each its own transaction.

A successful run is two round trips, and so is a failed one. Nothing depends on the session, so a
transaction pooler may stand in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Engine

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
from ..base import BaseStore, T
from ..retry import Attempt
from ..rows import Progress, lacking_at_end, lacking_of, parameters, run_values
from . import statements as sql
from .answers import ending_parameters, finished, how_of, kind_of

if TYPE_CHECKING:
    from .here import Here


class PostgreSqlRecorder(BaseStore):
    """Runs, alerts and locks on PostgreSQL 13 or newer. See `RunRepository` for the methods."""

    def __init__(self, engine: Engine, patience: float) -> None:
        """Take an engine in autocommit; build what must not wait until a run has failed.

        Each call waits `patience` seconds for a server that is away.
        """
        super().__init__(engine)
        self.patience = self._attempts.patience = patience
        self._first_row: Callable[..., Any] = Attempt.first_row
        if engine.dialect.driver == "psycopg":
            with suppress(ImportError):  # a psycopg of another make
                from .direct import DirectExecution

                self._first_row = DirectExecution().first_row
        sql.build_endings()

    def here(self) -> Here | None:
        """Return what works in a thread that may be struck; None on a pool that is not ours."""
        if self._first_row is Attempt.first_row or not hasattr(self.engine.pool, "idle"):
            return None
        from .here import Here

        return Here(self._attempts)

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""
        return self._adapting(lambda attempt: self.start_on(attempt, run), timeout=timeout)

    def start_on(self, attempt: Any, run: NewRun) -> int:
        """Write the RUNNING row on a connection."""
        lacking = lacking_of(run, self.lacking)
        values = parameters(run_values(run, lacking))
        statement = sql.start(lacking, relaxed=self.relaxed_start)
        run_id, backend_pid, *_ = self._first_row(attempt, statement, values)
        info = getattr(attempt.pooled.driver_connection, "info", None)
        if getattr(info, "backend_pid", backend_pid) != backend_pid:  # a pooler's session
            self._attempts.may_prepare = False
        return int(run_id)

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run: one statement, whether it raises an alert or not."""

        def work(attempt: Attempt) -> FinishedRun:
            if (done := self.finish_on(attempt, ending)) is not None:
                return done
            from .replay import read_back

            return read_back(attempt, ending)

        return self._adapting(work, timeout=timeout)

    def finish_on(self, attempt: Any, ending: RunEnding) -> FinishedRun | None:
        """End a run on a connection; None where it was not open."""
        lacking = lacking_at_end(ending, self.lacking)
        statement = sql.finish(kind_of(ending), lacking, how_of(ending.alert, lacking))
        row = self._first_row(attempt, statement, ending_parameters(ending, lacking))
        return None if row is None or row[0] is None else finished(row, ending)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began: FAILED from the first moment, with its alert."""
        from . import locks

        return self._having(locks.record_refused, run, ending, timeout=timeout)

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run, with its host's times: its start, then its end."""
        from .replay import replay

        return self._having(replay, record, timeout=timeout)

    def beat(
        self, keys: Sequence[UUID], *, timeout: float, progress: Progress | None = None
    ) -> None:
        """Note that these runs are alive, and how far: one statement for all of them."""
        from .beats import beat

        self._having(beat, keys, progress or {}, timeout=timeout)

    def find_lost_runs(
        self, *, silent_for: timedelta, job_name: str | None, limit: int, timeout: float
    ) -> Sequence[LostRun]:
        """List open runs that were silent for longer; other programs' rows are none of ours."""
        asked = {"in_silent_for": silent_for, "in_limit": limit, "in_job_name": job_name}

        def work(attempt: Attempt) -> Sequence[LostRun]:
            if self.lacking:
                from ..schema.versions import notice_upgrade

                notice_upgrade(self, attempt.connection)
            statement = sql.find_lost(self.lacking, of_job=job_name is not None)
            if self._first_row(attempt, statement, asked) is None:  # as at nearly every start
                return ()
            from ..read_back import lost_runs_from

            found = attempt.connection.execute(statement, asked).all()
            return lost_runs_from(attempt.connection, self.lacking, found)

        return self._adapting(work, timeout=timeout)

    def close_lost_run(
        self, lost: LostRun, ending: RunEnding, *, silent_for: timedelta, timeout: float
    ) -> FinishedRun:
        """End a silent run, free its lock, raise its alert: one statement."""
        from .lost import close

        return self._having(close, lost, ending, silent_for, timeout=timeout)

    def raise_alert(self, alert_draft: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert of a job's own, if its key's cooldown allows."""
        from .own_alert import raise_own

        return self._having(raise_own, alert_draft, timeout=timeout)

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Insert, take over when expired, or say who holds it: one statement."""
        from . import locks

        return self._attempts.run(
            lambda attempt: locks.acquire(attempt, job_name, owner, ttl), timeout=timeout
        )

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend the lease from now."""
        from . import locks

        return self._attempts.run(lambda attempt: locks.renew(attempt, lease, ttl), timeout=timeout)

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Let the lease have expired; the row stays, so the fence goes on from there."""
        from . import locks

        return self._attempts.run(lambda attempt: locks.release(attempt, lease), timeout=timeout)

    def _having(self, work: Callable[..., T], *args: object, timeout: float) -> T:
        return self._adapting(lambda attempt: work(attempt, self.lacking, *args), timeout=timeout)
