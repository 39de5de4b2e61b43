"""How jobs do: the overview, failures over time, durations, the lock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Select,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from ..._errors import ConfigurationError
from ..._frozen import field_names
from ..._models import in_environment
from ..._monitor.cadence import MOST_STARTS
from ..._monitor.changes import Changed
from ..._monitor.filters import environment_asked
from ..._monitor.health import describe, ended_at, may_wait
from ..._monitor.records import FailureBucket, JobOverview, LockState, RunCell
from ..._monitor.strips import strips_of
from ..._monitor.watched import ExpectedJob
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.lock_table import job_lock
from ..schema.moments import db_now_plus
from ..schema.tables import alert, run_log
from ..schema.types import UtcDateTime
from .notes import NoteQueries
from .reports import every_job
from .strip_memory import Seen, StripMemory, Strips
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

FEW_RUNS: Final = 5  # of a job, which show that it is not quiet: at least FEWEST_STARTS
GLANCES_BACK: Final = 100  # runs of a job that are searched for a success, for the overview
MOST_LENGTHS: Final = 3  # of strips that are remembered
MOST_REFUSED: Final = 10_000  # refused starts that are looked at, the newest first
_NEVER: Final = datetime(9999, 12, 30, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class JobKey(NamedTuple):
    """A job: its name, and its environment, None where it has none."""

    job_name: str
    environment: str | None = None


_Counts: TypeAlias = Mapping[JobKey, Mapping[str, int]]  # by severity


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
        asks_all = job_name is None and not jobs and environment is None
        if asks_all:
            reader = _Strips(self, strip, environments, is_shared=is_shared)
            strips = self._memory_of(strip).strips(reader, tuple(environments))
        else:
            strips = self._strips(strip, job_name, jobs, environments, is_shared=is_shared)
        expected = self._expected_in(environments, environment, job_name, jobs)
        keys = _known_jobs(strips, expected)
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
        facts = {
            its: (
                strips.get(its, ()),
                successes.get(its),
                alerts.get(its),
                *running.get(its, (0, None)),
                refused.get(its, 0),
                expected.get(its),
                progress.get(open_runs.get(its, 0)),
            )
            for its in keys
        }
        if not asks_all:
            return [_described(its, its_facts) for its, its_facts in facts.items()]
        return self._memory_of(strip).describe(facts, _described)

    def waiting(
        self,
        *,
        strip: int,
        now: datetime,
        jobs: Sequence[str] = (),
        environment: str | None = None,
    ) -> Sequence[JobOverview]:
        """Describe the jobs that may be missed, late or quiet, as `overview` does.

        Their alerts, refused starts and progress are not read: none of that decides whether a job
        waits. Of the others, which are most, only a few runs are read.
        """
        environments = self.environments_asked(environment)
        is_shared = environment is not None or len(environments) > 1
        few = self._strips(FEW_RUNS, None, jobs, environments, is_shared=is_shared)
        expected = self._expected_in(environments, environment, None, jobs)
        running = self._running(None)

        def described(its: JobKey, cells: Sequence[RunCell]) -> JobOverview:
            count, since = running.get(its, (0, None))
            return describe(
                its.job_name,
                cells,
                running=count,
                running_since=since,
                expected=expected.get(its),
                environment=its.environment,
            )

        waiting = [
            its
            for its in _known_jobs(few, expected)
            if may_wait(described(its, few.get(its, ())), now=now)
        ]
        strips = self.last_runs_of(waiting, limit=strip)
        return [described(its, strips.get(its, ())) for its in waiting]

    def after_fork(self) -> None:
        """Forget what a thread of the parent may have been reading."""
        for name in ("_remembered", "_alert_sums"):
            vars(self).pop(name, None)
        super().after_fork()

    def _memory_of(self, length: int) -> StripMemory[JobKey]:
        """Return what is known of strips of a length: a page has another than metrics."""
        memories: dict[int, StripMemory[JobKey]] = vars(self).setdefault("_remembered", {})
        memory = memories.setdefault(length, StripMemory())
        for other in [*memories][: max(0, len(memories) - MOST_LENGTHS)]:
            memories.pop(other, None)
        return memory

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
            for column in (job_lock.c[name] for name in field_names(LockState) if name != "held")
        ]
        name = storable(in_environment(job_name, environment))
        rows = self._rows(select(*columns, held).where(job_lock.c.job_name == name))
        return LockState(*rows[0]) if rows else None

    def _expected_in(
        self,
        environments: Sequence[str | None],
        asked: str | None,
        job_name: str | None,
        jobs: Sequence[str],
    ) -> Mapping[JobKey, ExpectedJob]:
        return {
            its: one
            for its, one in self._expected(job_name, jobs).items()
            if asked is None or its.environment in environments
        }

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
    ) -> Strips[JobKey]:
        """Read the last runs of each job, in one statement for each environment.

        Where the store `is_shared`, runs are asked for their environment.
        """
        strips: Strips[JobKey] = {}
        for environment in environments:
            if job_name is not None:
                key = JobKey(job_name, environment)
                cells = self.last_runs(job_name, environment, limit=strip)
                if cells or self._ever_ran(key):
                    strips[key] = cells
                continue
            its = (is_in(environment),) if is_shared else ()
            found = self._last_of_all(strip, jobs, environment, its)
            for name, cells in found.items():
                # Without a run there, it runs elsewhere only.
                if cells or environment is not None or not is_shared:
                    strips[JobKey(name, environment)] = cells
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
            for name, cells in self._last_of_each(limit, asked, true(), its).items():
                if cells:
                    found[JobKey(name, environment)] = cells
        return found

    def _runs_since(
        self, after: int, ids: Collection[int], *, seconds: float, limit: int
    ) -> Sequence[Seen[JobKey]]:
        """Read the runs with these ids, those that came after an id, and those begun lately.

        One row whose id is far beyond all others would hide what comes after the others.
        """
        number, started_at = run_log.c.id, run_log.c.started_at
        seen = select(
            *(run_log.c.job_name, run_log.c.environment),
            finite(started_at).label("started_at"),
            *(number, run_log.c.status, run_log.c.error_group, run_log.c.error_reason),
            finite(run_log.c.finished_at).label("finished_at"),
        )
        named = self._given_ids(list(ids))
        begun_lately = started_at >= db_now_plus(literal(-seconds, Float()))
        parts = union_all(
            seen.where(number > after),
            seen.join_from(named, run_log, number == named.c.id).where(number <= after),
            seen.where(begun_lately, number <= after),
        ).subquery("seen")
        return [
            Seen(JobKey(name, environment), *row)
            for name, environment, *row in self._rows(select(*parts.c).limit(limit))
        ]

    def _given_ids(self, ids: Sequence[int]) -> FromClause:
        """Make a table of some ids."""
        if speaks_sqlite(self.engine):
            document = bindparam("ids", json.dumps(ids), type_=Text())
            given = func.json_each(document).table_valued("value", name="given_id")
            return select(given.c.value.label("id")).subquery("named")
        array = bindparam("ids", ids, type_=ARRAY(BigInteger()))
        return func.unnest(array).table_valued("id", name="named").render_derived()

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
    ) -> dict[str, list[RunCell]]:
        names = every_job() if environment is None else every_job(is_in(environment))
        is_asked: ColumnElement[bool] = names.c.job_name.is_not(None)
        if jobs:
            is_asked = and_(is_asked, fits_any(names.c.job_name, jobs, self.engine))
        return self._last_of_each(strip, names, is_asked, *its, are_many=not jobs)

    def _last_of_each(
        self,
        strip: int,
        names: FromClause,
        is_asked: ColumnElement[bool],
        *its: ColumnElement[bool],
        are_many: bool = False,
    ) -> dict[str, list[RunCell]]:
        """Read the last runs of each, the newest first."""
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
            strips: dict[str, list[RunCell]] = {}
            for name, *row in self._rows(query):
                cells_of_job = strips.setdefault(name, [])
                if row[0] is not None:
                    cells_of_job.append(RunCell(*row))
            return strips
        cells = last.lateral("cell")
        columns = map(_quickly_read, (names.c.job_name, *cells.c))
        query = select(*columns).outerjoin_from(names, cells, true()).where(is_asked)
        return self._many_strips(query) if are_many else strips_of(self._tuples(query))

    def _many_strips(self, query: Select[Any]) -> dict[str, list[RunCell]]:
        """Read strips of what may be thousands of jobs."""
        return strips_of(self._tuples(query))

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

    def _open_alerts(self, job_name: str | None, environments: Sequence[str | None]) -> _Counts:
        """Count unresolved failure alerts by job and severity."""
        query = (
            select(alert.c.source_id, alert.c.severity, func.count())
            .where(FAILURE_ALERT, alert.c.resolved.is_not(True))
            .group_by(alert.c.source_id, alert.c.severity)
        )
        if job_name is not None:
            keys = [key for one in environments for key in keys_of(job_name, one)]
            query = query.where(alert.c.source_id.in_(keys))
        rows = self._tuples(query)
        if job_name is not None:
            return _by_job(rows)
        # A page asks for all of thousands of jobs again and again, and mostly gets the same rows.
        counted: tuple[Sequence[Any], _Counts] | None = vars(self).get("_alert_sums")
        if counted is None or counted[0] != rows:
            counted = vars(self)["_alert_sums"] = rows, _by_job(rows)
        return counted[1]

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


def _by_job(rows: Iterable[Sequence[Any]]) -> _Counts:
    """Add up counts of a `source_id` and a severity by job."""
    counts: dict[JobKey, dict[str, int]] = {}
    for source_id, severity, count in rows:
        if (key := key_parts(source_id)) is not None:
            of_this_job = counts.setdefault(JobKey(key.job_name, key.environment), {})
            of_this_job[severity] = of_this_job.get(severity, 0) + count
    return counts


class _Strips:
    """Reads strips of all environments of a store."""

    def __init__(
        self,
        store: JobQueries,
        length: int,
        environments: Sequence[str | None],
        *,
        is_shared: bool,
    ) -> None:
        self._store, self.length = store, length
        self._environments, self._is_shared = environments, is_shared

    def all_strips(self) -> Strips[JobKey]:
        return self._store._strips(
            self.length, None, (), self._environments, is_shared=self._is_shared
        )

    def strips_of(self, jobs: Collection[JobKey]) -> Strips[JobKey]:
        found = self._store.last_runs_of(jobs, limit=self.length)
        # A job whose starts were all refused is there; of a shared store, where they were.
        return {
            its: found.get(its, [])
            for its in jobs
            if its in found or its.environment is not None or not self._is_shared
        }

    def runs_since(
        self, after: int, ids: Collection[int], *, seconds: float, limit: int
    ) -> Sequence[Seen[JobKey]]:
        return self._store._runs_since(after, ids, seconds=seconds, limit=limit)


def _known_jobs(strips: Iterable[JobKey], expected: Mapping[JobKey, ExpectedJob]) -> list[JobKey]:
    """Return the jobs that ran or are awaited, in the order of the alphabet."""
    awaited = (its for its, one in expected.items() if one.retired_at is None)
    return sorted({*strips, *awaited}, key=lambda its: (its.job_name, its.environment or ""))


def _described(its: JobKey, facts: Sequence[Any]) -> JobOverview:
    cells, last_success_at, open_alerts, running, since, refused, expected, progress = facts
    return describe(
        its.job_name,
        cells,
        last_success_at=last_success_at,
        open_alerts=open_alerts,
        running=running,
        running_since=since,
        refused=refused,
        expected=expected,
        environment=its.environment,
        progress=progress,
    )


def _newest_open(cells: Iterable[RunCell]) -> int | None:
    return next((cell.id for cell in cells if cell.status == "RUNNING"), None)


def by_environment(keys: Iterable[JobKey]) -> dict[str | None, list[str]]:
    """Return the names of jobs by their environment."""
    found: dict[str | None, list[str]] = {}
    for name, environment in dict.fromkeys(keys):
        found.setdefault(environment, []).append(name)
    return found


def microseconds(time: ColumnElement[Any]) -> ColumnElement[int]:
    """Since the epoch: thousands of times are read several times faster as whole numbers."""
    return _whole_microseconds(case((func.isfinite(time), time)))


def _quickly_read(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Ask for a column in a form that a driver reads as it is sent, by the ten thousand.

    A text may have a type of its own in a table that runguard has adopted.
    """
    if isinstance(column.type, UtcDateTime):
        return _whole_microseconds(column)
    return cast(column, Text) if isinstance(column.type, String) else column


def _whole_microseconds(time: ColumnElement[Any]) -> ColumnElement[int]:
    """Do what `microseconds` does, of a time that is finite or NULL."""
    return cast(func.date_part("epoch", time) * literal_column("1000000"), BigInteger)


def instant_of(number: int | None) -> datetime | None:
    """Read what `microseconds` counts."""
    return None if number is None else datetime.fromtimestamp(number / 1e6, UTC)
