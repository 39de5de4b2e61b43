"""The operator's views, read through Core from either database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Executable,
    bindparam,
    distinct,
    func,
    literal_column,
    select,
)
from sqlalchemy.types import Float

from ..._errors import SchemaOutOfDate, StoreUnavailable
from ..._failure.alert import SEVERITY_OF
from ..._frozen import field_names
from ..._models import AlertOutcome, ErrorGroup
from ..._monitor.filters import environment_asked
from ..._monitor.records import (
    AlertRecord,
    GroupCount,
    OpenRuns,
    Prunable,
    PrunedBatch,
    Purpose,
    RunRecord,
    RunWithAlert,
    StoreDiagnosis,
    StoreReport,
)
from ..base import BaseStore
from ..faults import sqlstate_of
from ..retry import Attempt
from ..schema.clock import db_now
from ..schema.found import schema_error_of, schema_version_of
from ..schema.moments import db_now_plus
from ..schema.tables import SCHEMA_VERSION, alert, run_log
from ..schema.versions import VERSIONS_BEFORE
from ..schema.watch_tables import job
from . import prune as pruning
from .terms import ALERT_COLUMNS, FAILED_RUN, OPEN_RUN, alert_of, fits_any, is_in, readable

READ_TIMEOUT_SECONDS: Final = 30.0
COUNT_TIMEOUT_SECONDS: Final = 600.0  # of all that is old

T = TypeVar("T")
_NOT_ALLOWED: Final = "42501"


def is_not_allowed(error: StoreUnavailable) -> bool:
    """Whether the role may not read what it asked for."""
    return error.__cause__ is not None and sqlstate_of(error.__cause__) == _NOT_ALLOWED


class Reports(BaseStore):
    """What an operator reads, newest first. Part of a whole store only: no run loads it."""

    def _rows(self, query: Executable, *, timeout: float = READ_TIMEOUT_SECONDS) -> Sequence[Any]:
        return self._attempts.run(
            lambda attempt: attempt.connection.execute(query).all(), timeout=timeout
        )

    def _tuples(self, query: Executable) -> Sequence[Any]:
        """Return the driver's own rows, for columns whose values need no processing."""

        def work(attempt: Attempt) -> Sequence[Any]:
            cursor = attempt.connection.execute(query).cursor
            return () if cursor is None else cursor.fetchall()

        return self._read(work)

    def _readable(self, query: Executable) -> Sequence[Any] | None:
        """Return the rows; None where this role may not read the table."""
        try:
            return self._rows(query)
        except StoreUnavailable as error:
            if not is_not_allowed(error):
                raise
            return None

    def _read(self, work: Callable[[Attempt], T]) -> T:
        return self._attempts.run(work, timeout=READ_TIMEOUT_SECONDS)

    def now(self) -> datetime:
        """Return the database's clock."""
        [(now,)] = self._rows(select(db_now()))
        instant: datetime = now
        return instant

    def failures_by_group(
        self, *, since: timedelta, jobs: Sequence[str] = (), environment: str | None = None
    ) -> Sequence[GroupCount]:
        """Count failures by group and reason, with the group's severity; most first.

        `jobs` are names and patterns, of which one must fit; without any it counts all. An
        `environment` is as in `RunFilter`.
        """
        raised = func.count().filter(run_log.c.alert_outcome == AlertOutcome.RAISED)
        failures = func.count()
        query = (
            select(
                run_log.c.error_group,
                failures,
                raised,
                func.count(distinct(run_log.c.job_name)),
                func.max(run_log.c.started_at, type_=run_log.c.started_at.type),
                run_log.c.error_reason,
            )
            .where(FAILED_RUN, run_log.c.started_at >= _ago(since))
            .group_by(run_log.c.error_group, run_log.c.error_reason)
            .order_by(failures.desc(), run_log.c.error_group, run_log.c.error_reason)
        )
        if jobs:
            query = query.where(fits_any(run_log.c.job_name, jobs, self.engine))
        if environment is not None:
            query = query.where(is_in(environment_asked(environment)))
        return [
            GroupCount(
                error_group=group,
                severity=None if group is None else SEVERITY_OF[ErrorGroup(group)],
                failures=count,
                alerts=alerts,
                jobs=jobs,
                last_failure_at=last,
                error_reason=reason,
            )
            for group, count, alerts, jobs, last, reason in self._rows(query)
        ]

    def failed_runs_with_alerts(
        self, *, limit: int, job_name: str | None = None
    ) -> Sequence[RunWithAlert]:
        """List failed runs, each beside the alert that it raised or that covers it."""
        failed = select(run_log).where(FAILED_RUN)
        if job_name is not None:
            failed = failed.where(run_log.c.job_name == job_name)
        newest = (
            failed.order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(limit)
            .subquery()
        )
        query = select(
            *readable(newest.c[name] for name in field_names(RunRecord)), alert_of(newest)
        ).order_by(newest.c.started_at.desc(), newest.c.id.desc())
        runs = [(RunRecord(*row[:-1]), row[-1]) for row in self._rows(query)]
        # A statement of its own: joined, the planner may read the whole of `alert` for a few rows.
        ids = {alert_id for _, alert_id in runs if alert_id is not None}
        wanted = select(*ALERT_COLUMNS).where(alert.c.id.in_(ids))
        alerts = {row[0]: AlertRecord(*row) for row in self._rows(wanted)} if ids else {}
        return [RunWithAlert(run, alerts.get(alert_id)) for run, alert_id in runs]

    def job_names(self) -> Sequence[str]:
        """List every job that ever ran, in the order of the alphabet."""
        names = every_job()
        query = select(names.c.job_name).where(names.c.job_name.is_not(None))
        return [name for (name,) in self._rows(query)]

    def environments(self) -> Sequence[str]:
        """List the environments of runs and of jobs that are expected, in alphabetical order."""
        environment = run_log.c.environment
        names = _each_value_of(environment, environment.is_not(None))
        query = select(names.c.environment).where(names.c.environment.is_not(None))
        expected = select(job.c.environment).where(job.c.environment != literal_column("''"))
        rows = self._readable(query.union(expected))
        return sorted(name for (name,) in (self._rows(query) if rows is None else rows))

    def environments_asked(self, asked: str | None) -> Sequence[str | None]:
        """Return what a filter asks for, one by one: None stands for what has no environment."""
        return [None, *self.environments()] if asked is None else [environment_asked(asked)]

    def foreign_open_runs(self, *, older_than: timedelta) -> OpenRuns:
        """Count the open runs of other programs that began longer ago; nobody reaps those."""
        started_at = run_log.c.started_at
        query = select(func.count(), func.min(started_at, type_=started_at.type)).where(
            OPEN_RUN, run_log.c.run_key.is_(None), started_at < _ago(older_than)
        )
        [(count, oldest)] = self._rows(query)
        return OpenRuns(count, oldest)

    def longest_cooldown(self) -> timedelta:
        """Return the longest cooldown that a recorded failure had; 0 where there is none."""
        query = select(func.max(run_log.c.cooldown_seconds)).where(FAILED_RUN)
        [(seconds,)] = self._rows(query, timeout=COUNT_TIMEOUT_SECONDS)
        return timedelta(seconds=seconds or 0)

    def count_prunable(
        self,
        what: Prunable,
        *,
        older_than: timedelta,
        include_foreign: bool,
        environment: str | None = None,
    ) -> int:
        """Count what `prune_batch` would delete, with rows of other programs or without."""
        query = pruning.count(
            what, _ago(older_than), include_foreign=include_foreign, environment=environment
        )
        [(count,)] = self._rows(query, timeout=COUNT_TIMEOUT_SECONDS)
        return int(count)

    def prune_batch(
        self,
        what: Prunable,
        *,
        older_than: timedelta,
        include_foreign: bool,
        limit: int,
        after: tuple[Any, ...] | None,
        environment: str | None = None,
    ) -> PrunedBatch:
        """Delete up to `limit` rows, the oldest first: one statement, its own transaction."""
        statement = pruning.delete_batch(
            what,
            _ago(older_than),
            include_foreign=include_foreign,
            environment=environment,
            limit=limit,
            after=after,
        )
        deleted = [tuple(row) for row in self._rows(statement)]
        return PrunedBatch(len(deleted), max(deleted, default=after))

    def inspect(self, *, reads_version: bool = True) -> StoreReport:
        """Say which store this is and which schema it has.

        A role that may not read the version asks without it, and is told of none.
        """
        from ..schema.diagnosis import location_of  # it loads the PostgreSQL dialect

        def work(attempt: Attempt) -> StoreReport:
            connection = attempt.connection
            version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
            return StoreReport(
                dialect=connection.dialect.name,
                location=location_of(self.engine.url),
                server_version=version,
                found=schema_version_of(connection) if reads_version else None,
                needed=SCHEMA_VERSION,
                recorded_on=VERSIONS_BEFORE,
            )

        return self._read(work)

    def diagnose(self, purpose: Purpose = Purpose.JOB) -> StoreDiagnosis:
        """Say what may stop this role from what it is for."""
        from ..schema.diagnosis import diagnose

        return self._read(lambda attempt: diagnose(attempt.connection, purpose))

    def schema_error(self) -> SchemaOutOfDate:
        """Say what is wrong with the schema, for those who have found that something is."""
        return self._read(lambda attempt: schema_error_of(attempt.connection))


def every_job(*its: ColumnElement[bool]) -> CTE:
    """The names of all jobs, one look into the index for each, and one NULL after them.

    `its` asks for jobs that have such runs, in the words of an index.
    """
    return _each_value_of(run_log.c.job_name, *its)


def _each_value_of(column: Column[Any], *its: ColumnElement[bool]) -> CTE:
    least = func.min(column)
    first = select(least.label(column.name)).where(*its).cte("name", recursive=True)
    its_place = first.c[column.name]
    following = select(least).where(column > its_place, *its).scalar_subquery()
    return first.union_all(select(following).where(its_place.is_not(None)))


def _ago(since: timedelta) -> db_now_plus:
    return db_now_plus(bindparam("ago", -since.total_seconds(), type_=Float(), unique=True))
