"""The store on PostgreSQL: one statement for each intent, each its own transaction.

A successful run is two round trips, and so is a failed one. Nothing depends on the session, so a
transaction pooler may stand in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Executable, Row

from ..._errors import RecordRefused
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
from ..base import BaseStore
from ..retry import Attempt
from ..rows import (
    NO_ROW,
    Lacking,
    alert_values,
    counter_values,
    earlier_ending,
    failure_values,
    lost_run_from,
    reason_values,
    refusal_values,
    run_values,
    verdict_from,
)
from ..rows import parameters as row_parameters
from . import statements as sql


class PostgreSqlRecorder(BaseStore):
    """Runs, alerts and locks on PostgreSQL 13 or newer. See `RunRepository` for the methods."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine in autocommit; build what must not wait until a run has failed."""
        super().__init__(engine)
        sql.build_endings()

    def start_run(self, run: NewRun, *, timeout: float) -> int:
        """Write the RUNNING row; a repeat finds its own."""

        def work(attempt: Attempt) -> int:
            values = row_parameters(run_values(run, self.lacking))
            row = attempt.connection.execute(sql.start(self.lacking), values).one()
            self._attempts.note_backend(attempt.connection, row.backend_pid)
            run_id: int = row.id
            return run_id

        return self._adapting(work, timeout=timeout)

    def finish_run(self, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """End an open run: one statement, whether it raises an alert or not."""
        by_reason = _is_by_reason(ending)

        def work(attempt: Attempt) -> FinishedRun:
            lacking = self.lacking
            if ending.failure is None:
                statement = sql.finish_success(lacking)
            elif ending.alert is None:
                statement = sql.finish_failed_quietly(lacking)
            else:
                statement = sql.finish_failed(lacking, by_reason=by_reason)
            parameters = _ending_parameters(ending, lacking)
            row = attempt.connection.execute(statement, parameters).one_or_none()
            if row is not None and row[0] is not None:
                return _finished(row, ending)
            return self._read_back(attempt, ending)

        return self._adapting(work, timeout=timeout)

    def record_refused_run(self, run: NewRun, ending: RunEnding, *, timeout: float) -> FinishedRun:
        """Write a run that never began: FAILED from the first moment, with its alert."""
        from . import locks

        statement = locks.record_refused_quietly if ending.alert is None else locks.record_refused

        def work(attempt: Attempt) -> FinishedRun:
            parameters = row_parameters(
                run_values(run, self.lacking), refusal_values(ending, self.lacking)
            ) | _ending_parameters(ending, self.lacking)
            row = attempt.connection.execute(statement(self.lacking), parameters).one_or_none()
            if row is not None and row[0] is not None:
                return _finished(row, ending)
            return self._read_back(attempt, ending)

        return self._adapting(work, timeout=timeout)

    def replay_run(self, record: SpooledRun, *, timeout: float) -> FinishedRun:
        """Write what is missing of a run, with its host's times: its start, then its end."""
        from . import replay as late

        by_reason = record.ending is not None and _is_by_reason(record.ending)

        def work(attempt: Attempt) -> FinishedRun:
            lacking, ending = self.lacking, record.ending
            start = row_parameters(
                run_values(record.run, lacking), {"started_at": record.started_at}
            )
            new_id = attempt.connection.execute(late.replay_start(lacking), start).scalar()
            if ending is None:
                return FinishedRun(recorded=True, run_id=new_id or self._known_id(attempt, record))
            if ending.failure is None:
                statement = late.replay_success(lacking)
            elif ending.alert is None:
                statement = late.replay_failed_quietly(lacking)
            else:
                statement = late.replay_failed(lacking, by_reason=by_reason)
            then = {"finished_at": record.finished_at, **refusal_values(ending, lacking)}
            end = {**_ending_parameters(ending, lacking), **row_parameters(then)}
            row = attempt.connection.execute(statement, end).one_or_none()
            if row is not None and row[0] is not None:
                return _finished(row, ending)
            found = self._read_back(attempt, ending)
            if found.run_id is None:
                raise RecordRefused(NO_ROW)
            return found

        return self._adapting(work, timeout=timeout)

    def beat(self, keys: Sequence[UUID], *, timeout: float) -> None:
        """Note that these runs are alive: one statement for all of them."""
        parameters = {"in_run_keys": list(keys)}
        self._attempts.run(
            lambda attempt: attempt.connection.execute(sql.beat(), parameters), timeout=timeout
        )

    def find_lost_runs(
        self, *, silent_for: timedelta, job_name: str | None, limit: int, timeout: float
    ) -> Sequence[LostRun]:
        """List open runs that were silent for longer; other programs' rows are none of ours."""
        parameters: dict[str, Any] = {"in_silent_for": silent_for, "in_limit": limit}
        statement = sql.find_lost
        if job_name is not None:
            statement = sql.find_lost_of_job
            parameters["in_job_name"] = job_name

        def work(attempt: Attempt) -> Sequence[LostRun]:
            self._notice_upgrade(attempt.connection)
            found = attempt.connection.execute(statement(self.lacking), parameters)
            return [lost_run_from(*row) for row in found]

        return self._adapting(work, timeout=timeout)

    def close_lost_run(
        self, lost: LostRun, ending: RunEnding, *, silent_for: timedelta, timeout: float
    ) -> FinishedRun:
        """End a silent run, free its lock, raise its alert: one statement."""
        from . import lost as lost_sql

        lost_run = {
            "in_silent_for": silent_for,
            "in_job_name": lost.job_name,
            "in_locked_by": lost.lock_owner,
        }
        by_reason = _is_by_reason(ending)

        def work(attempt: Attempt) -> FinishedRun:
            parameters = {**_ending_parameters(ending, self.lacking), **lost_run}
            statement = lost_sql.close_lost(self.lacking, by_reason=by_reason)
            row = attempt.connection.execute(statement, parameters).one()
            if row.run_id is None:
                return FinishedRun(recorded=False)
            return _finished(row, ending)

        return self._adapting(work, timeout=timeout)

    def raise_alert(self, alert_draft: AlertDraft, *, timeout: float) -> AlertVerdict:
        """Write an alert of a job's own, if its key's cooldown allows."""
        from . import replay as late

        parameters = _alert_parameters(alert_draft)

        def work(attempt: Attempt) -> AlertVerdict:
            row = attempt.connection.execute(sql.raise_alert(), parameters).one()
            if row.raised_id is None and attempt.answer_lost:
                written = attempt.connection.execute(
                    late.read_back_alert(), parameters
                ).scalar_one_or_none()
                if written is not None:
                    return AlertVerdict(AlertOutcome.RAISED, written)
            return _verdict_of(row, alert_draft)

        return self._attempts.run(work, timeout=timeout)

    def acquire_lock(
        self, job_name: str, owner: str, ttl: timedelta, *, timeout: float
    ) -> Lease | LockHolder:
        """Insert, take over when expired, or say who holds it: one statement."""
        from . import locks

        parameters = {"in_job_name": job_name, "in_locked_by": owner, "in_ttl": ttl}

        def work(attempt: Attempt) -> Lease | LockHolder:
            row = attempt.connection.execute(locks.acquire_lock(), parameters).one_or_none()
            if row is None:  # inserted after our snapshot by one that we then waited for
                return LockHolder(None, None)
            if row.fence is not None:
                return Lease(job_name, owner, row.fence)
            return LockHolder(row.locked_by, row.lock_expires_at)

        return self._attempts.run(work, timeout=timeout)

    def renew_lock(self, lease: Lease, ttl: timedelta, *, timeout: float) -> bool:
        """Extend the lease from now."""
        from . import locks

        parameters = {**_lease_parameters(lease), "in_ttl": ttl}
        return self._changes_a_row(locks.renew_lock(), parameters, timeout=timeout)

    def release_lock(self, lease: Lease, *, timeout: float) -> bool:
        """Let the lease have expired; the row stays, so the fence goes on from there."""
        from . import locks

        return self._changes_a_row(locks.release_lock(), _lease_parameters(lease), timeout=timeout)

    def _changes_a_row(
        self, statement: Executable, parameters: Mapping[str, Any], *, timeout: float
    ) -> bool:
        def work(attempt: Attempt) -> bool:
            return attempt.connection.execute(statement, parameters).one_or_none() is not None

        return self._attempts.run(work, timeout=timeout)

    def _known_id(self, attempt: Attempt, record: SpooledRun) -> int:
        """Return the id of a run whose row is there already."""
        from . import replay as late

        parameters = {"in_run_key": record.run.key}
        row = attempt.connection.execute(late.read_back_run(), parameters).one_or_none()
        if row is None:
            raise RecordRefused(NO_ROW)
        run_id: int = row.run_id
        return run_id

    def _read_back(self, attempt: Attempt, ending: RunEnding) -> FinishedRun:
        """Tell our own finish, whose answer was lost, from a run that another has ended."""
        from . import replay as late

        parameters = {"in_run_key": ending.key}
        row = attempt.connection.execute(late.read_back_run(), parameters).one_or_none()
        if row is None:
            return FinishedRun(recorded=False)
        if attempt.answer_lost and row.status == ending.status:
            verdict = verdict_from(row.alert_outcome, row.raised_id, row.covered_by)
            return FinishedRun(recorded=True, run_id=row.run_id, verdict=verdict)
        earlier = earlier_ending(row.status, row.finished_at, row.alert_outcome)
        return FinishedRun(recorded=False, run_id=row.run_id, earlier=earlier)


def _ending_parameters(ending: RunEnding, lacking: Lacking) -> dict[str, Any]:
    values = {"run_key": ending.key, **counter_values(ending), **failure_values(ending, lacking)}
    return (
        row_parameters(values)
        if ending.alert is None
        else {**row_parameters(values), **_alert_parameters(ending.alert)}
    )


def _is_by_reason(ending: RunEnding) -> bool:
    return ending.alert is not None and ending.alert.reason is not None


def _alert_parameters(draft: AlertDraft) -> dict[str, Any]:
    return row_parameters(alert_values(draft), reason_values(draft), {"cooldown": draft.cooldown})


def _lease_parameters(lease: Lease) -> dict[str, Any]:
    return {
        "in_job_name": lease.job_name,
        "in_locked_by": lease.owner,
        "in_fence": lease.fence,
    }


def _finished(row: Row[Any], ending: RunEnding) -> FinishedRun:
    if ending.failure is None:
        return FinishedRun(recorded=True, run_id=row.id)
    if ending.alert is None:
        verdict = AlertVerdict(AlertOutcome.EXCLUDED)
        return FinishedRun(recorded=True, run_id=row.id, verdict=verdict)
    return FinishedRun(recorded=True, run_id=row.run_id, verdict=_verdict_of(row, ending.alert))


def _verdict_of(row: Row[Any], draft: AlertDraft) -> AlertVerdict:
    if row.raised_id is not None:
        return AlertVerdict(AlertOutcome.RAISED, row.raised_id)
    last_alert_at: datetime | None = row.last_alert_at
    ends_at = None if last_alert_at is None else last_alert_at + draft.cooldown
    return AlertVerdict(AlertOutcome.SUPPRESSED, row.covering_id, ends_at)
