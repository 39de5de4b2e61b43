"""Who ran when: what a timeline of many jobs shows, and a calendar of one, and no row more."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Select,
    Text,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    type_coerce,
    union_all,
)

from ..._frozen import field_names
from ..._models import RunStatus
from ..._monitor.expectations import JOB_SOURCE_TYPE, FindingType
from ..._monitor.records import RunCell
from ..schema.expressions import finite
from ..schema.tables import alert, run_log
from ..schema.types import UtcDateTime
from .jobs import JobKey, JobQueries, by_environment, instant_of, microseconds
from .terms import (
    CELL_COLUMNS,
    FAILED_RUN,
    OPEN_RUN,
    RUN_PLACE,
    has_place,
    in_order,
    is_in,
    speaks_sqlite,
    storable,
)

if TYPE_CHECKING:
    from ..._monitor.timeline import LaneFacts, MissedStarts, RunSlice, Window

MOST_RUNS: Final = 200  # of a job in a window; at least as many as a window has slices
MOST_COUNTED: Final = 250  # runs of a job in one slice
MOST_PROBED: Final = 250_000  # entries of the index in one answer
LOOKS_BEFORE: Final = 3  # runs of a job that began before a window, and may reach into it
MOST_OPEN: Final = 500
MOST_MISSED: Final = 1000
MOST_FAILURES: Final = 500_000  # of all jobs, the newest first
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimelineQueries(JobQueries):
    """The answers about who ran when."""

    def timeline(
        self, jobs: Sequence[JobKey], window: Window, *, is_shared: bool = False
    ) -> Sequence[LaneFacts]:
        """Return what is known of jobs in a window, in their order.

        Of a job with more runs than `MOST_RUNS` it counts them slice by slice, up to
        `MOST_COUNTED` in each: what is read grows with what is drawn, and not with what ran.
        Where the store `is_shared`, runs are asked for their environment.
        """
        found: dict[JobKey, LaneFacts] = {}
        for environment, names in by_environment(jobs).items():
            its = _in(environment, is_shared=is_shared)
            for name, facts in self._facts_of(names, window, its):
                found[JobKey(name, environment)] = replace(facts, environment=environment)
        return [found[its] for its in dict.fromkeys(jobs)]

    def _facts_of(
        self, job_names: Sequence[str], window: Window, its: Sequence[ColumnElement[bool]]
    ) -> Iterator[tuple[str, LaneFacts]]:
        from ..._monitor.timeline import LaneFacts  # the page alone asks

        names = {storable(name): name for name in job_names}
        runs = self._runs_in(list(names), window, its)
        dense = [name for name, (inside, _) in runs.items() if len(inside) > MOST_RUNS]
        slices = self._slices_in(dense, window, its) if dense else {}
        for stored, name in names.items():
            inside, others = runs.get(stored, ({}, {}))
            cells = others if stored in slices else {**others, **inside}
            yield name, LaneFacts(name, tuple(cells.values()), slices.get(stored, ()))

    def runs_between(
        self,
        its: JobKey,
        edges: Sequence[datetime],
        *,
        most: int = MOST_COUNTED,
        is_shared: bool = False,
    ) -> Sequence[tuple[datetime, int]]:
        """Count the runs of a job that began between each two of some times, up to `most` in each.

        Returns the earlier time with the count; nothing where none began.
        """
        which = _in(its.environment, is_shared=is_shared)
        counted = self._counted([storable(its.job_name)], edges, most, which)
        return [(starts_at, runs) for _, starts_at, runs, *_ in self._rows(counted)]

    def first_start_of(self, job_name: str) -> datetime | None:
        """Return when the oldest run of a job began, in any environment."""
        query = (
            select(run_log.c.started_at)
            .where(run_log.c.job_name == storable(job_name), has_place(run_log.c.started_at))
            .order_by(run_log.c.started_at)
            .limit(1)
        )
        rows = self._rows(query)
        return rows[0][0] if rows else None

    def missed_starts(
        self, source_ids: Sequence[str], *, since: datetime, until: datetime
    ) -> Mapping[str, Sequence[MissedStarts]]:
        """List the expected starts that were found missing in a time, by `source_id`.

        A finding that went on is one row of starts, as far as its newest alert knows.
        """
        if not source_ids:
            return {}
        query = (
            select(alert.c.source_id, alert.c.created_at, alert.c.detail)
            .where(
                alert.c.source_type == literal_column(f"'{JOB_SOURCE_TYPE}'"),
                alert.c.alert_type == literal_column(f"'{FindingType.MISSED}'"),
                alert.c.source_id.in_([storable(one) for one in source_ids]),
                alert.c.created_at >= since,
                alert.c.created_at < until,
            )
            .order_by(alert.c.created_at.desc())
            .limit(MOST_MISSED)
        )
        found: dict[str, dict[datetime, MissedStarts]] = defaultdict(dict)
        for source_id, created_at, detail in self._rows(query):  # the newest first
            missed = _missed_in(detail, created_at)
            found[source_id].setdefault(missed.first_due_at, missed)
        return {source_id: [*its.values()] for source_id, its in found.items()}

    def _runs_in(
        self, job_names: Sequence[str], window: Window, its: Sequence[ColumnElement[bool]]
    ) -> dict[str, tuple[dict[int, RunCell], dict[int, RunCell]]]:
        """Read the runs that began in a window, up to one too many, and those that reach into it.

        Those that have not ended are among both.
        Starts that a lock refused are among them: they fail as LOCK_CONFLICT.
        """
        started_at = run_log.c.started_at
        inside = (started_at >= window.since, started_at < window.until, *its)
        before = (started_at < window.since, has_place(started_at), *its)
        names = self._given(job_names)
        parts = [
            self._newest_of_each(names, inside, MOST_RUNS + 1),
            self._newest_of_each(names, before, LOOKS_BEFORE, ending_since=window.since),
            select(
                *select(run_log.c.job_name, *CELL_COLUMNS)
                .where(
                    OPEN_RUN,
                    run_log.c.job_name.in_(job_names),
                    started_at < window.until,
                    has_place(started_at),
                    *its,
                )
                .limit(MOST_OPEN)
                .subquery("open_run")
                .c
            ),
        ]
        found: dict[str, tuple[dict[int, RunCell], dict[int, RunCell]]] = {}
        for name, *values in self._cells(union_all(*parts).subquery("run")):
            cell = RunCell(*values)
            begun, others = found.setdefault(name, ({}, {}))
            is_inside = cell.started_at is not None and cell.started_at >= window.since
            if is_inside:
                begun[cell.id] = cell
            if not is_inside or cell.status == RunStatus.RUNNING:
                others[cell.id] = cell
        return found

    def _newest_of_each(
        self,
        names: FromClause,
        which: Iterable[ColumnElement[bool]],
        limit: int,
        *,
        ending_since: datetime | None = None,
    ) -> Select[Any]:
        """Select the newest runs of each of some jobs; of these, those that ended since a time."""
        newest = in_order(
            select(*CELL_COLUMNS).where(run_log.c.job_name == names.c.job_name, *which),
            RUN_PLACE,
            ascending=False,
        ).limit(limit)
        cells: FromClause
        if speaks_sqlite(self.engine):  # it has no LATERAL, and reads the ids anew for each name
            ids = newest.with_only_columns(run_log.c.id).correlate(names)
            cells, joined = run_log, names.join(run_log, run_log.c.id.in_(ids))
        else:
            cells = newest.lateral()
            joined = names.join(cells, true())
        columns = (
            finite(cells.c[name]) if name == "finished_at" else cells.c[name]
            for name in field_names(RunCell)
        )
        query = select(names.c.job_name, *columns).select_from(joined)
        return query if ending_since is None else query.where(cells.c.finished_at >= ending_since)

    def _cells(self, runs: FromClause) -> Iterable[Sequence[Any]]:
        """Read runs, each with its job before the values of a `RunCell`."""
        if speaks_sqlite(self.engine):
            return self._rows(select(*runs.c))
        columns = [
            microseconds(column) if isinstance(column.type, UtcDateTime) else column
            for column in runs.c
        ]
        return [
            (name, run_id, status, group, instant_of(started_at), instant_of(ended_at), *rest)
            for name, run_id, status, group, started_at, ended_at, *rest in self._rows(
                select(*columns)
            )
        ]

    def _slices_in(
        self, job_names: Sequence[str], window: Window, its: Sequence[ColumnElement[bool]]
    ) -> dict[str, Any]:
        from ..._monitor.timeline import RunSlice

        starts = window.starts()
        most = min(MOST_COUNTED, MOST_PROBED // (len(starts) * len(job_names)))
        counted = self._counted(job_names, [*starts, window.until], most, its)
        counts, looked_to = self._counted_failures(
            job_names, window.since, window.until, window.slice, its
        )
        failures: dict[tuple[str, datetime], dict[str | None, int]] = defaultdict(dict)
        for name, starts_at, group, count in counts:
            failures[name, starts_at][group] = count
        found: dict[str, dict[datetime, RunSlice]] = defaultdict(dict)
        for name, starts_at, runs, started_at, ended_at in self._rows(counted):
            failed = failures.get((name, starts_at), {})
            found[name][starts_at] = RunSlice(
                *(starts_at, runs, runs < most, started_at, ended_at, failed),
                is_judged=looked_to is None or starts_at > looked_to,
            )
        return {
            name: tuple(slices[start] for start in sorted(slices)) for name, slices in found.items()
        }

    def _counted(
        self,
        job_names: Sequence[str],
        edges: Sequence[datetime],
        most: int,
        which: Sequence[ColumnElement[bool]],
    ) -> Select[Any]:
        """Count the runs of each job between each two times, and find the last of them.

        The counting reads entries of the index of jobs and starts, `most` for each. Returns the
        name, the earlier time, the number, and when the last began and ended.
        """
        names, spans = self._given(job_names), self._given_spans(edges)
        its = (
            run_log.c.job_name == names.c.job_name,
            run_log.c.started_at >= spans.c.starts_at,
            run_log.c.started_at < spans.c.ends_at,
            *which,
        )
        some: Any = select(literal_column("1", BigInteger())).select_from(run_log).where(*its)
        runs = select(func.count()).select_from(some.limit(most).correlate(names, spans).subquery())
        last: Any = select(run_log).where(*its).order_by(run_log.c.started_at.desc()).limit(1)
        cells: FromClause
        given = names.join(spans, true())
        if speaks_sqlite(self.engine):
            last_id = last.with_only_columns(run_log.c.id).correlate(names, spans)
            cells = run_log
            joined = given.join(run_log, run_log.c.id == last_id.scalar_subquery())
        else:  # a join by the id might read the whole table
            cells = last.lateral("last_run")
            joined = given.join(cells, true())
        return select(
            names.c.job_name,
            spans.c.starts_at,
            runs.scalar_subquery(),
            cells.c.started_at,
            finite(cells.c.finished_at),
        ).select_from(joined)

    def _given_spans(self, edges: Sequence[datetime]) -> FromClause:
        """Make a table of the spans between some times; the last of them has no end."""
        instant: ColumnElement[datetime]
        if speaks_sqlite(self.engine):
            form, dialect = UtcDateTime(), self.engine.dialect
            texts = [form.process_bind_param(one, dialect) for one in edges]
            document = bindparam("edges", json.dumps(texts), type_=Text())
            given = func.json_each(document).table_valued("value", name="given_edge")
            instant = type_coerce(given.c.value, UtcDateTime())
        else:
            array = bindparam("edges", list(edges), type_=ARRAY(UtcDateTime()))
            column = func.unnest(array).table_valued(Column("instant", UtcDateTime), name="edge")
            instant = column.render_derived().c.instant
        end = func.lead(instant, type_=UtcDateTime()).over(order_by=instant)
        return select(instant.label("starts_at"), end.label("ends_at")).subquery("span")

    def failures_between(
        self,
        its: JobKey,
        since: datetime,
        until: datetime,
        *,
        bucket: timedelta,
        is_shared: bool = False,
    ) -> tuple[Sequence[tuple[datetime, int]], datetime | None]:
        """Count the failures of a job in stretches of whole multiples of `bucket`.

        Among the newest `MOST_FAILURES` of all jobs: returns where the stretches begin with the
        counts, and how far back that was; None where it was all.
        """
        which = _in(its.environment, is_shared=is_shared)
        names = [storable(its.job_name)]
        found, looked_to = self._counted_failures(names, since, until, bucket, which)
        return [(instant, count) for _, instant, _, count in found], looked_to

    def _counted_failures(
        self,
        job_names: Sequence[str],
        since: datetime,
        until: datetime,
        bucket: timedelta,
        its: Sequence[ColumnElement[bool]],
    ) -> tuple[Sequence[tuple[str, datetime, str | None, int]], datetime | None]:
        """Count failures by job, stretch and group; the index of failures has all of it."""
        started_at = run_log.c.started_at
        newest = (
            select(started_at, run_log.c.job_name, run_log.c.error_group)
            .where(FAILED_RUN, started_at >= since, started_at < until, *its)
            .order_by(started_at.desc())
            .limit(MOST_FAILURES)
            .subquery("failure")
        )
        seconds = round(bucket.total_seconds())
        whole = literal_column(str(seconds), BigInteger())
        number = self._epoch_of(newest.c.started_at).op("/", return_type=BigInteger())(whole)
        is_asked = newest.c.job_name.in_(job_names)
        group = case((is_asked, newest.c.error_group))
        columns = (case((is_asked, newest.c.job_name)), number, group)
        oldest = func.min(newest.c.started_at, type_=UtcDateTime())
        query = select(*columns, func.count(), oldest).group_by(
            *(literal_column(str(place)) for place in (1, 2, 3))
        )
        rows = self._rows(query)
        is_all = sum(row[3] for row in rows) < MOST_FAILURES
        found = [
            (name, _EPOCH + timedelta(seconds=place * seconds), group, count)
            for name, place, group, count, _ in rows
            if name is not None
        ]
        return found, None if is_all else min(row[4] for row in rows)


def _in(environment: str | None, *, is_shared: bool) -> tuple[ColumnElement[bool], ...]:
    return (is_in(environment),) if is_shared else ()


def _missed_in(detail: Any, created_at: datetime) -> MissedStarts:
    """Return the starts that a finding misses, as far as it names them."""
    from ..._monitor.timeline import MissedStarts

    known = detail if isinstance(detail, dict) else {}
    dues = [due for key in ("first_due", "due") if (due := _instant_in(known.get(key)))]
    first, last = min(dues, default=created_at), max(dues, default=created_at)
    said = known.get("missed")
    least = 1 if first == last else 2
    return MissedStarts(first, last, max(least, said) if type(said) is int else least)


def _instant_in(text: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if instant is None or instant.tzinfo is None else instant.astimezone(UTC)
