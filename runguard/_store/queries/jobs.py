"""How jobs do: the overview, failures over time, durations, the lock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
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
from ..._monitor.cadence import MOST_STARTS
from ..._monitor.health import describe, ended_at
from ..._monitor.records import FailureBucket, JobOverview, LockState, RunCell
from ..._monitor.watched import ExpectedJob
from ..schema.expressions import finite
from ..schema.lock_table import job_lock
from ..schema.tables import alert, run_log
from ..schema.types import UtcDateTime, db_now
from .reports import Reports, every_job
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
    job_and_group,
    keys_of,
    of_job,
    speaks_sqlite,
    storable,
)

GLANCES_BACK: Final = 100  # runs of a job that are searched for a success, for the overview
MOST_REFUSED: Final = 10_000  # refused starts that are looked at, the newest first
_NEVER: Final = datetime(9999, 12, 30, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class JobQueries(Reports):
    """The answers about jobs."""

    def overview(
        self, *, strip: int, job_name: str | None = None, jobs: Sequence[str] = ()
    ) -> Sequence[JobOverview]:
        """Describe jobs by their last `strip` runs; in the order of the alphabet.

        `job_name` asks for one, `jobs` for those that fit any of these names and patterns. A job
        that never ran is there too where somebody expects it.
        """
        strips = self._strips(strip, job_name, jobs)
        expected = self._expected(job_name, jobs)
        awaited = [name for name, one in expected.items() if one.retired_at is None]
        if not strips.keys() >= set(awaited):
            strips = {name: strips.get(name, []) for name in sorted({*strips, *awaited})}
        successes = self._last_successes(
            name
            for name, cells in strips.items()
            if len(cells) == strip and all(cell.status != "SUCCESS" for cell in cells)
        )
        alerts = self._open_alerts(job_name)
        running = self._running(job_name)
        refused = self._refused_since(running)
        return [
            describe(
                name,
                cells,
                last_success_at=successes.get(name),
                open_alerts=alerts.get(name),
                running=running.get(name, (0, None))[0],
                running_since=running.get(name, (0, None))[1],
                refused=refused.get(name, 0),
                expected=expected.get(name),
            )
            for name, cells in strips.items()
        ]

    def failure_buckets(
        self,
        *,
        since: datetime,
        bucket: timedelta,
        job_name: str | None = None,
        jobs: Sequence[str] = (),
    ) -> Sequence[FailureBucket]:
        """Count failures by group in stretches of time, the oldest first; none where none failed.

        A stretch starts at a whole multiple of `bucket` since the epoch. `job_name` and `jobs` are
        those of `overview`.
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
        return [
            FailureBucket(_EPOCH + timedelta(seconds=number * seconds), group, failures)
            for number, group, failures in self._rows(query)
        ]

    def last_runs(self, job_name: str, *, limit: int) -> Sequence[RunCell]:
        """List a job's last runs for a chart."""
        query = in_order(
            select(*CELL_COLUMNS).where(of_job(job_name)), RUN_PLACE, ascending=False
        ).limit(limit)
        return [RunCell(*row) for row in self._rows(query)]

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

    def lock_state(self, job_name: str) -> LockState | None:
        """Tell who holds, or last held, the job's lock; None where it was never taken."""
        held = job_lock.c.lock_expires_at > db_now()
        # No end is as good as one that nobody will see.
        columns = [
            func.coalesce(finite(column), _NEVER)
            if isinstance(column.type, UtcDateTime)
            else column
            for column in (job_lock.c[name] for name in LockState.__slots__ if name != "held")
        ]
        query = select(*columns, held).where(job_lock.c.job_name == storable(job_name))
        rows = self._rows(query)
        return LockState(*rows[0]) if rows else None

    def _expected(
        self,
        job_name: str | None,  # noqa: ARG002 - `WatchedJobs` reads it
        jobs: Sequence[str],  # noqa: ARG002
    ) -> Mapping[str, ExpectedJob]:
        """Read what is expected of jobs and what is found of them, in one statement."""
        return {}

    def _strips(
        self, strip: int, job_name: str | None, jobs: Sequence[str]
    ) -> dict[str, list[RunCell]]:
        """Read the last runs of each job, in one statement."""
        if job_name is not None:
            cells = self.last_runs(job_name, limit=strip)
            return {job_name: list(cells)} if cells or self._ever_ran(job_name) else {}
        strips: dict[str, list[RunCell]] = {}
        for name, *cell in self._last_of_all(strip, jobs):
            cells_of_job = strips.setdefault(name, [])
            if cell[0] is not None:
                cells_of_job.append(RunCell(*cell))
        return strips

    def _ever_ran(self, job_name: str) -> bool:
        """Whether there is any row of a job, if only of starts that were refused."""
        row: Select[Any] = select(run_log.c.id).where(run_log.c.job_name == storable(job_name))
        return bool(self._rows(row.limit(1)))

    def last_runs_of(self, job_names: Iterable[str], *, limit: int) -> dict[str, list[RunCell]]:
        """List the last runs of several jobs, the newest first, in one statement."""
        asked = [storable(name) for name in dict.fromkeys(job_names)]
        if not asked:
            return {}
        found: dict[str, list[RunCell]] = {}
        for name, *cell in self._last_of_each(limit, self._given(asked), true()):
            if cell[0] is not None:
                found.setdefault(name, []).append(RunCell(*cell))
        return found

    def _given(self, job_names: Sequence[str]) -> FromClause:
        """Make a table of some names."""
        if speaks_sqlite(self.engine):
            document = bindparam("names", json.dumps(job_names), type_=Text())
            given = func.json_each(document).table_valued("value", name="given")
            return select(given.c.value.label("job_name")).subquery("asked")
        names = bindparam("names", job_names, type_=ARRAY(Text()))
        return func.unnest(names).table_valued("job_name", name="asked").render_derived()

    def _last_of_all(self, strip: int, jobs: Sequence[str]) -> Iterable[Sequence[Any]]:
        names = every_job()
        is_asked: ColumnElement[bool] = names.c.job_name.is_not(None)
        if jobs:
            is_asked = and_(is_asked, fits_any(names.c.job_name, jobs, self.engine))
        return self._last_of_each(strip, names, is_asked)

    def _last_of_each(
        self, strip: int, names: FromClause, is_asked: ColumnElement[bool]
    ) -> Iterable[Sequence[Any]]:
        last = in_order(
            select(*CELL_COLUMNS).where(
                run_log.c.job_name == names.c.job_name, BEGAN, has_place(run_log.c.started_at)
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
        times = (cells.c.started_at, cells.c.finished_at)
        query = (
            select(names.c.job_name, cells.c.id, cells.c.status, cells.c.error_group)
            .add_columns(*(microseconds(time) for time in times), cells.c.error_reason)
            .outerjoin_from(names, cells, true())
            .where(is_asked)
        )
        return [
            (name, run_id, status, group, instant_of(started_at), instant_of(finished_at), reason)
            for name, run_id, status, group, started_at, finished_at, reason in self._rows(query)
        ]

    def _last_successes(self, job_names: Iterable[str]) -> dict[str, datetime | None]:
        """Look further back for those whose strip shows no success."""
        names = list(job_names)
        if not names:
            return {}
        if speaks_sqlite(self.engine):
            queries = {
                name: first_success(of_job(name), ascending=False, within=GLANCES_BACK)
                for name in names
            }
            rows: Sequence[Any] = [
                (name, *row) for name, query in queries.items() for row in self._rows(query)
            ]
        else:
            asked = self._given(names)
            of_asked = and_(
                run_log.c.job_name == asked.c.job_name, BEGAN, has_place(run_log.c.started_at)
            )
            success = first_success(
                of_asked, ascending=False, within=GLANCES_BACK, correlated=asked
            ).lateral("success")
            rows = self._rows(
                select(asked.c.job_name, *success.c).select_from(asked.join(success, true()))
            )
        return {name: ended_at(RunCell(*cell)) for name, *cell in rows}

    def _open_alerts(self, job_name: str | None) -> dict[str, dict[str, int]]:
        """Count unresolved failure alerts by job and severity."""
        query = (
            select(alert.c.source_id, alert.c.severity, func.count())
            .where(FAILURE_ALERT, alert.c.resolved.is_not(True))
            .group_by(alert.c.source_id, alert.c.severity)
        )
        if job_name is not None:
            query = query.where(alert.c.source_id.in_(keys_of(job_name)))
        counts: dict[str, dict[str, int]] = {}
        for source_id, severity, count in self._rows(query):
            if (key := job_and_group(source_id)) is not None:
                of_this_job = counts.setdefault(key[0], {})
                of_this_job[severity] = of_this_job.get(severity, 0) + count
        return counts

    def _running(self, job_name: str | None) -> dict[str, tuple[int, datetime | None]]:
        started_at = run_log.c.started_at
        query = (
            select(run_log.c.job_name, func.count(), finite(func.min(started_at)))
            .where(OPEN_RUN)
            .group_by(run_log.c.job_name)
        )
        if job_name is not None:
            query = query.where(run_log.c.job_name == storable(job_name))
        return {name: (count, since) for name, count, since in self._rows(query)}

    def _refused_since(self, running: Mapping[str, tuple[int, datetime | None]]) -> dict[str, int]:
        """Count the starts that were refused since the oldest open run of each job began."""
        since = {name: begun for name, (_, begun) in running.items() if begun is not None}
        if not since:
            return {}
        query = (
            select(run_log.c.job_name, run_log.c.started_at)
            .where(REFUSED, run_log.c.started_at >= min(since.values()))
            .order_by(run_log.c.started_at.desc())
            .limit(MOST_REFUSED)
        )
        return dict(
            Counter(
                name
                for name, started_at in self._rows(query)
                if name in since and started_at >= since[name]
            )
        )

    def _epoch_of(self, column: Column[Any]) -> ColumnElement[int]:
        if speaks_sqlite(self.engine):
            return cast(func.strftime("%s", column), BigInteger)
        return cast(func.floor(func.date_part("epoch", column)), BigInteger)


def microseconds(time: ColumnElement[Any]) -> ColumnElement[int]:
    """Since the epoch: thousands of times are read several times faster as numbers."""
    number = func.date_part("epoch", time) * literal_column("1000000")
    return cast(case((func.isfinite(time), number)), BigInteger)


def instant_of(number: int | None) -> datetime | None:
    """Read what `microseconds` counts."""
    return None if number is None else datetime.fromtimestamp(number / 1e6, UTC)
