"""How jobs do: the overview, failures over time, durations, the lock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)

from ..._errors import ConfigurationError
from ..._models import in_environment
from ..._monitor.cadence import MOST_STARTS
from ..._monitor.changes import Changed
from ..._monitor.filters import environment_asked
from ..._monitor.health import describe, ended_at
from ..._monitor.records import FailureBucket, JobOverview, LockState, RunCell
from ..._monitor.watched import ExpectedJob
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.lock_table import job_lock
from ..schema.tables import alert, run_log
from ..schema.types import UtcDateTime
from .notes import NoteQueries
from .reports import every_job
from .terms import (
    BEGAN,
    CELL_COLUMNS,
    FAILED_RUN,
    FAILURE_ALERT,
    OPEN_RUN,
    REFUSED,
    RUN_PLACE,
    first_success,
    fits_any,
    has_place,
    in_order,
    is_in,
    key_parts,
    keys_of,
    of_job_in,
    speaks_sqlite,
    storable,
)

GLANCES_BACK: Final = 100  # runs of a job that are searched for a success, for the overview
MOST_REFUSED: Final = 10_000  # refused starts that are looked at, the newest first
_NEVER: Final = datetime(9999, 12, 30, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class JobKey(NamedTuple):
    """A job: its name, and its environment, None where it has none."""

    job_name: str
    environment: str | None = None


class JobQueries(NoteQueries):
    """The answers about jobs."""

    def overview(
        self,
        *,
        strip: int,
        job_name: str | None = None,
        jobs: Sequence[str] = (),
        environment: str | None = None,
    ) -> Sequence[JobOverview]:
        """Describe jobs by their last `strip` runs; in the order of the alphabet.

        `job_name` asks for one, `jobs` for those that fit any of these names and patterns. A job
        that never ran is there too where somebody expects it. A job of the same name in another
        environment is another job; `environment` is as in `RunFilter`.
        """
        environments = self.environments_asked(environment)
        is_shared = environment is not None or len(environments) > 1
        strips = self._strips(strip, job_name, jobs, environments, is_shared=is_shared)
        expected = {
            its: one
            for its, one in self._expected(job_name, jobs).items()
            if environment is None or its.environment in environments
        }
        awaited = [its for its, one in expected.items() if one.retired_at is None]
        keys = sorted({*strips, *awaited}, key=lambda its: (its.job_name, its.environment or ""))
        successes = self._last_successes(
            its
            for its, cells in strips.items()
            if len(cells) == strip and all(cell.status != "SUCCESS" for cell in cells)
        )
        alerts = self._open_alerts(job_name, environments)
        running = self._running(job_name)
        refused = self._refused_since(running)
        open_runs = {its: one for its in running if (one := _newest_open(strips.get(its, [])))}
        progress = self._progress_of(open_runs.values())
        return [
            describe(
                its.job_name,
                strips.get(its, []),
                last_success_at=successes.get(its),
                open_alerts=alerts.get(its),
                running=running.get(its, (0, None))[0],
                running_since=running.get(its, (0, None))[1],
                refused=refused.get(its, 0),
                expected=expected.get(its),
                environment=its.environment,
                progress=progress.get(open_runs.get(its, 0)),
            )
            for its in keys
        ]

    def failure_buckets(
        self,
        *,
        since: datetime,
        bucket: timedelta,
        job_name: str | None = None,
        jobs: Sequence[str] = (),
        environment: str | None = None,
    ) -> Sequence[FailureBucket]:
        """Count failures by group in stretches of time, the oldest first; none where none failed.

        A stretch starts at a whole multiple of `bucket` since the epoch. `job_name`, `jobs` and
        `environment` are those of `overview`.
        """
        seconds = round(bucket.total_seconds())
        if seconds < 1 or timedelta(seconds=seconds) != bucket:
            raise ConfigurationError(f"bucket: expected whole seconds, found {bucket}")
        whole = literal_column(str(seconds), BigInteger())
        number = self._epoch_of(run_log.c.started_at).op("/", return_type=BigInteger())(whole)
        query = (
            select(number.label("number"), run_log.c.error_group, func.count())
            .where(FAILED_RUN, run_log.c.started_at >= since, has_place(run_log.c.started_at))
            .group_by(literal_column("1"), run_log.c.error_group)
            .order_by(literal_column("1"), run_log.c.error_group)
        )
        if job_name is not None:
            query = query.where(run_log.c.job_name == storable(job_name))
        if jobs:
            query = query.where(fits_any(run_log.c.job_name, jobs, self.engine))
        if environment is not None:
            query = query.where(is_in(environment_asked(environment)))
        return [
            FailureBucket(_EPOCH + timedelta(seconds=number * seconds), group, failures)
            for number, group, failures in self._rows(query)
        ]

    def last_runs(
        self, job_name: str, environment: str | None = None, *, limit: int
    ) -> Sequence[RunCell]:
        """List the last runs of a job in its environment, for a chart."""
        its = select(*CELL_COLUMNS).where(of_job_in(job_name, environment))
        query = in_order(its, RUN_PLACE, ascending=False).limit(limit)
        return [RunCell(*row) for row in self._rows(query)]

    def what_changed(
        self,
        job_name: str,
        environment: str | None = None,
        *,
        first_failure: int,
        success: RunCell | None,
    ) -> Changed | None:
        """Compare the first failure of a row with the success before it, in one statement."""
        return self._what_changed(of_job_in(job_name, environment), first_failure, success)

    def starts(
        self,
        job_name: str,
        *,
        since: datetime,
        environment: str | EllipsisType | None = ...,
        limit: int = MOST_STARTS,
    ) -> Sequence[datetime]:
        """Return when a job started, the newest first; starts that its lock refused too.

        Of one `environment`; None means runs without one, `...` all.
        """
        its = and_(run_log.c.job_name == storable(job_name), has_place(run_log.c.started_at))
        if not isinstance(environment, EllipsisType):
            its = and_(its, is_in(environment))
        query = select(run_log.c.started_at).where(its, run_log.c.started_at >= since)
        newest = in_order(query, RUN_PLACE, ascending=False).limit(limit)
        return [started_at for (started_at,) in self._rows(newest)]

    def lock_state(self, job_name: str, environment: str | None = None) -> LockState | None:
        """Tell who holds, or last held, the job's lock; None where it was never taken."""
        held = job_lock.c.lock_expires_at > db_now()
        # No end is as good as one that nobody will see.
        columns = [
            func.coalesce(finite(column), _NEVER)
            if isinstance(column.type, UtcDateTime)
            else column
            for column in (job_lock.c[name] for name in LockState.__slots__ if name != "held")
        ]
        name = storable(in_environment(job_name, environment))
        rows = self._rows(select(*columns, held).where(job_lock.c.job_name == name))
        return LockState(*rows[0]) if rows else None

    def _expected(
        self,
        job_name: str | None,  # noqa: ARG002 - `WatchedJobs` reads it
        jobs: Sequence[str],  # noqa: ARG002
    ) -> Mapping[JobKey, ExpectedJob]:
        """Read what is expected of jobs and what is found of them, in one statement."""
        return {}

    def _strips(
        self,
        strip: int,
        job_name: str | None,
        jobs: Sequence[str],
        environments: Sequence[str | None],
        *,
        is_shared: bool,
    ) -> dict[JobKey, list[RunCell]]:
        """Read the last runs of each job, in one statement for each environment.

        Where the store `is_shared`, runs are asked for their environment.
        """
        strips: dict[JobKey, list[RunCell]] = {}
        for environment in environments:
            if job_name is not None:
                key = JobKey(job_name, environment)
                cells = self.last_runs(job_name, environment, limit=strip)
                if cells or self._ever_ran(key):
                    strips[key] = list(cells)
                continue
            its = (is_in(environment),) if is_shared else ()
            for name, *cell in self._last_of_all(strip, jobs, environment, its):
                if cell[0] is not None:
                    strips.setdefault(JobKey(name, environment), []).append(RunCell(*cell))
                elif environment is not None or not is_shared:  # else it runs elsewhere only
                    strips[JobKey(name, environment)] = []
        return strips

    def _ever_ran(self, key: JobKey) -> bool:
        """Whether there is any row of a job, if only of starts that were refused."""
        its = run_log.c.job_name == storable(key.job_name)
        row: Select[Any] = select(run_log.c.id).where(its, is_in(key.environment))
        return bool(self._rows(row.limit(1)))

    def last_runs_of(self, keys: Iterable[JobKey], *, limit: int) -> dict[JobKey, list[RunCell]]:
        """List the last runs of several jobs, the newest first, a statement an environment."""
        found: dict[JobKey, list[RunCell]] = {}
        for environment, names in by_environment(keys).items():
            asked, its = self._given([storable(name) for name in names]), is_in(environment)
            for name, *cell in self._last_of_each(limit, asked, true(), its):
                if cell[0] is not None:
                    found.setdefault(JobKey(name, environment), []).append(RunCell(*cell))
        return found

    def _given(self, job_names: Sequence[str]) -> FromClause:
        """Make a table of some names."""
        if speaks_sqlite(self.engine):
            document = bindparam("names", json.dumps(job_names), type_=Text())
            given = func.json_each(document).table_valued("value", name="given")
            return select(given.c.value.label("job_name")).subquery("asked")
        names = bindparam("names", job_names, type_=ARRAY(Text()))
        return func.unnest(names).table_valued("job_name", name="asked").render_derived()

    def _last_of_all(
        self,
        strip: int,
        jobs: Sequence[str],
        environment: str | None,
        its: Sequence[ColumnElement[bool]],
    ) -> Iterable[Sequence[Any]]:
        names = every_job() if environment is None else every_job(is_in(environment))
        is_asked: ColumnElement[bool] = names.c.job_name.is_not(None)
        if jobs:
            is_asked = and_(is_asked, fits_any(names.c.job_name, jobs, self.engine))
        return self._last_of_each(strip, names, is_asked, *its)

    def _last_of_each(
        self,
        strip: int,
        names: FromClause,
        is_asked: ColumnElement[bool],
        *its: ColumnElement[bool],
    ) -> Iterable[Sequence[Any]]:
        last = in_order(
            select(*CELL_COLUMNS).where(
                run_log.c.job_name == names.c.job_name, BEGAN, has_place(run_log.c.started_at), *its
            ),
            RUN_PLACE,
            ascending=False,
        ).limit(strip)
        if speaks_sqlite(self.engine):  # it has no LATERAL, and reads the ids anew for each name
            ids = last.with_only_columns(run_log.c.id).correlate(names)
            query = (
                select(names.c.job_name, *CELL_COLUMNS)
                .outerjoin_from(names, run_log, run_log.c.id.in_(ids))
                .where(is_asked)
                .order_by(names.c.job_name, *(column.desc() for column in RUN_PLACE))
            )
            return self._rows(query)
        cells = last.lateral("cell")
        times, more = (cells.c.started_at, cells.c.finished_at), ("error_reason", "version")
        query = (
            select(names.c.job_name, cells.c.id, cells.c.status, cells.c.error_group)
            .add_columns(*(microseconds(time) for time in times), *(cells.c[name] for name in more))
            .outerjoin_from(names, cells, true())
            .where(is_asked)
        )
        return [
            (name, run_id, status, group, instant_of(started_at), instant_of(finished_at), *rest)
            for name, run_id, status, group, started_at, finished_at, *rest in self._rows(query)
        ]

    def _last_successes(self, keys: Iterable[JobKey]) -> dict[JobKey, datetime | None]:
        """Look further back for those whose strip shows no success."""
        return {
            JobKey(name, environment): ended_at(RunCell(*cell))
            for environment, names in by_environment(keys).items()
            for name, *cell in self._successes(names, environment)
        }

    def _successes(self, names: Sequence[str], environment: str | None) -> Sequence[Any]:
        if speaks_sqlite(self.engine):
            queries = {
                name: first_success(
                    of_job_in(name, environment), ascending=False, within=GLANCES_BACK
                )
                for name in names
            }
            rows: Sequence[Any] = [
                (name, *row) for name, query in queries.items() for row in self._rows(query)
            ]
        else:
            asked = self._given(names)
            of_asked = and_(
                run_log.c.job_name == asked.c.job_name,
                is_in(environment),
                BEGAN,
                has_place(run_log.c.started_at),
            )
            success = first_success(
                of_asked, ascending=False, within=GLANCES_BACK, correlated=asked
            ).lateral("success")
            rows = self._rows(
                select(asked.c.job_name, *success.c).select_from(asked.join(success, true()))
            )
        return rows

    def _open_alerts(
        self, job_name: str | None, environments: Sequence[str | None]
    ) -> dict[JobKey, dict[str, int]]:
        """Count unresolved failure alerts by job and severity."""
        query = (
            select(alert.c.source_id, alert.c.severity, func.count())
            .where(FAILURE_ALERT, alert.c.resolved.is_not(True))
            .group_by(alert.c.source_id, alert.c.severity)
        )
        if job_name is not None:
            keys = [key for one in environments for key in keys_of(job_name, one)]
            query = query.where(alert.c.source_id.in_(keys))
        counts: dict[JobKey, dict[str, int]] = {}
        for source_id, severity, count in self._rows(query):
            if (key := key_parts(source_id)) is not None:
                of_this_job = counts.setdefault(JobKey(key.job_name, key.environment), {})
                of_this_job[severity] = of_this_job.get(severity, 0) + count
        return counts

    def _running(self, job_name: str | None) -> dict[JobKey, tuple[int, datetime | None]]:
        key, started_at = (run_log.c.job_name, run_log.c.environment), run_log.c.started_at
        query = (
            select(*key, func.count(), finite(func.min(started_at))).where(OPEN_RUN).group_by(*key)
        )
        if job_name is not None:
            query = query.where(run_log.c.job_name == storable(job_name))
        return {JobKey(*its): (count, since) for *its, count, since in self._rows(query)}

    def _refused_since(
        self, running: Mapping[JobKey, tuple[int, datetime | None]]
    ) -> dict[JobKey, int]:
        """Count the starts that were refused since the oldest open run of each job began."""
        since = {its: begun for its, (_, begun) in running.items() if begun is not None}
        if not since:
            return {}
        query = (
            select(run_log.c.job_name, run_log.c.environment, run_log.c.started_at)
            .where(REFUSED, run_log.c.started_at >= min(since.values()))
            .order_by(run_log.c.started_at.desc())
            .limit(MOST_REFUSED)
        )
        return dict(
            Counter(
                JobKey(*its)
                for *its, started_at in self._rows(query)
                if JobKey(*its) in since and started_at >= since[JobKey(*its)]
            )
        )

    def _epoch_of(self, column: ColumnElement[Any]) -> ColumnElement[int]:
        if speaks_sqlite(self.engine):
            return cast(func.strftime("%s", column), BigInteger)
        return cast(func.floor(func.date_part("epoch", column)), BigInteger)


def _newest_open(cells: Iterable[RunCell]) -> int | None:
    return next((cell.id for cell in cells if cell.status == "RUNNING"), None)


def by_environment(keys: Iterable[JobKey]) -> dict[str | None, list[str]]:
    """Return the names of jobs by their environment."""
    found: dict[str | None, list[str]] = {}
    for name, environment in dict.fromkeys(keys):
        found.setdefault(environment, []).append(name)
    return found


def microseconds(time: ColumnElement[Any]) -> ColumnElement[int]:
    """Since the epoch: thousands of times are read several times faster as numbers."""
    number = func.date_part("epoch", time) * literal_column("1000000")
    return cast(case((func.isfinite(time), number)), BigInteger)


def instant_of(number: int | None) -> datetime | None:
    """Read what `microseconds` counts."""
    return None if number is None else datetime.fromtimestamp(number / 1e6, UTC)
