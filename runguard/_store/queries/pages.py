"""Pages of runs and alerts, each found from where the one before it ended.

A filter that no index answers could read a whole table for a page of what is rare. So a page looks
through a bounded number of rows: it may hold less than was asked for, even nothing, and still say
where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)

from ..._errors import ConfigurationError
from ..._models import ErrorGroup, in_environment
from ..._monitor.expectations import JOB_SOURCE_TYPE, source_id_of
from ..._monitor.filters import environment_asked, is_pattern, upstreams_asked, versions_asked
from ..._monitor.records import (
    AlertFilter,
    AlertOrder,
    AlertPage,
    AlertRecord,
    Cursor,
    Remaining,
    RunFilter,
    RunPage,
    RunRecord,
)
from ..schema.tables import alert, run_log
from .reports import Reports
from .terms import (
    ALERT_COLUMNS,
    ALERT_PLACE,
    FAILED_RUN,
    FAILURE_ALERT,
    FINDING,
    OPEN_RUN,
    RUN_COLUMNS,
    RUN_PLACE,
    beyond,
    fits_any,
    has_place,
    in_order,
    is_in,
    reason_in,
    speaks_sqlite,
    storable,
)

LOOKS_THROUGH: Final = 20_000  # rows for one page, where no index knows the answer

Conditions = list[ColumnElement[bool]]
# What a column must hold, by its name.
Sifted = dict[str, Callable[[ColumnElement[Any]], ColumnElement[bool]]]
Place = tuple[Column[Any], Column[Any]]
# A page's rows, and where what comes before it and after it goes on.
Found = tuple[list[Any], Cursor | None, Cursor | None]


class PageQueries(Reports):
    """The answers by the page."""

    def run_page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        older_than: Cursor | None = None,
        newer_than: Cursor | None = None,
    ) -> RunPage:
        """List one page of runs, from the newest, or next to a cursor.

        Looking for what is rare has an end: a page may hold fewer runs than asked for, even none,
        and still say where older ones go on.
        """
        rows, newer, older = self._page(
            RUN_COLUMNS,
            RUN_PLACE,
            *self._run_conditions(wanted),
            limit=limit,
            ascending=False,
            following=older_than,
            preceding=newer_than,
        )
        return RunPage(tuple(RunRecord(*row) for row in rows), older=older, newer=newer)

    def count_runs(self, wanted: RunFilter, *, older_than: Cursor) -> Remaining:
        """Count the runs that follow a page, among as many rows as a page looks through."""
        conditions = self._run_conditions(wanted)
        return self._count(RUN_PLACE, *conditions, after=older_than, ascending=False)

    def alert_page(
        self,
        wanted: AlertFilter,
        *,
        limit: int,
        order: AlertOrder = AlertOrder.NEWEST,
        following: Cursor | None = None,
        preceding: Cursor | None = None,
    ) -> AlertPage:
        """List one page of alerts, from the first in that order, or next to a cursor.

        It may be short, as a page of runs.
        """
        rows, before, after = self._page(
            ALERT_COLUMNS,
            ALERT_PLACE,
            *self._alert_conditions(wanted),
            limit=limit,
            ascending=order is AlertOrder.OLDEST,
            following=following,
            preceding=preceding,
        )
        alerts = tuple(AlertRecord(*row) for row in rows)
        return AlertPage(alerts, following=after, preceding=before)

    def count_alerts(
        self, wanted: AlertFilter, *, following: Cursor, order: AlertOrder = AlertOrder.NEWEST
    ) -> Remaining:
        """Count the alerts that follow a page, among as many rows as a page looks through."""
        ascending = order is AlertOrder.OLDEST
        conditions = self._alert_conditions(wanted)
        return self._count(ALERT_PLACE, *conditions, after=following, ascending=ascending)

    def _count(
        self, place: Place, indexed: Conditions, sifted: Sifted, *, after: Cursor, ascending: bool
    ) -> Remaining:
        looked_at = [place[0].table.c[name] for name in sifted]
        query = select(place[1], *looked_at).where(
            has_place(place[0]),
            *indexed,
            beyond(place, after.instant, after.id, ascending=ascending),
        )
        seen = in_order(query, place, ascending=ascending).limit(LOOKS_THROUGH).subquery("seen")
        meets = [meets(seen.c[name]) for name, meets in sifted.items()]
        [(count, rows)] = self._rows(
            select(func.count().filter(and_(true(), *meets)), func.count()).select_from(seen)
        )
        return Remaining(count, is_all=rows < LOOKS_THROUGH)

    def _page(
        self,
        columns: Sequence[ColumnElement[Any]],
        place: Place,
        indexed: Conditions,
        sifted: Sifted,
        *,
        limit: int,
        ascending: bool,
        following: Cursor | None,
        preceding: Cursor | None,
    ) -> Found:
        """Read the page next to a cursor, or the first one; see `Found`."""
        if following is not None and preceding is not None:
            raise ConfigurationError("cursor: expected one direction, found both")
        cursor = following or preceding
        backwards = preceding is not None
        upwards = ascending is not backwards
        # Rows without a time have no place among the others.
        query = select(*columns).where(has_place(place[0]), *indexed)
        if cursor is not None:
            query = query.where(beyond(place, cursor.instant, cursor.id, ascending=upwards))
        query = in_order(query, place, ascending=upwards)
        # One more than asked for tells whether the page is the last.
        page = query.limit(limit + 1)
        if sifted:
            ids = _sift(query, sifted, place, ascending=upwards).limit(limit + 1)
            page = in_order(select(*columns).where(place[1].in_(ids)), place, ascending=upwards)
        found = list(self._rows(page))
        rows = found[:limit]
        onward = _place_of(rows[-1], place) if len(found) > limit else None
        if sifted and onward is None:
            onward = self._end_of_search(query, place)
        back = cursor
        if rows and cursor is not None:
            back = _place_of(rows[0], place)
        if backwards:
            return rows[::-1], onward, back
        return rows, back, onward

    def _end_of_search(self, query: Select[Any], place: Place) -> Cursor | None:
        """Say where a search that gave up goes on; None where it saw everything."""
        last = query.with_only_columns(*place).offset(LOOKS_THROUGH - 1).limit(1)
        rows = self._rows(last)
        return Cursor(*rows[0]) if rows else None

    def _alert_conditions(self, wanted: AlertFilter) -> tuple[Conditions, Sifted]:
        indexed = _between(alert.c.created_at, wanted.since, wanted.until)
        sifted: Sifted = {}
        for more, looked_at in (
            self._conditions_of_failures(wanted),
            self._conditions_of_cause(wanted),
            _conditions_of_triage(wanted),
        ):
            indexed += more
            sifted |= looked_at
        if wanted.alert_type is not None:
            indexed.append(alert.c.alert_type == storable(wanted.alert_type))
        if wanted.severity is not None:
            sifted["severity"] = _is(storable(wanted.severity))
        names_jobs = (
            wanted.job_name is not None or wanted.jobs
        )  # the keys of their alerts say where
        if wanted.environment is not None and not names_jobs:
            sifted["environment"] = _is_or_is_null(environment_asked(wanted.environment))
        return indexed, sifted

    def _conditions_of_failures(self, wanted: AlertFilter) -> tuple[Conditions, Sifted]:
        """Ask for what only alerts of failed runs have, and for alerts of jobs."""
        indexed: Conditions = []
        sifted: Sifted = {}
        job_name, jobs = _one_or_several(wanted)
        groups = list(ErrorGroup) if wanted.error_group is None else [wanted.error_group]
        is_of_failures = wanted.error_group is not None or wanted.error_reason is not None
        named = jobs or ([] if job_name is None else [job_name])
        environments = self.environments_asked(wanted.environment) if named else ()
        keys = [storable(key) for key in _keys(named, groups, environments)]
        names = [storable(source_id_of(name, one)) for one in environments for name in named]
        if jobs:
            indexed.append(FAILURE_ALERT if is_of_failures else or_(FAILURE_ALERT, FINDING))
            sifted["source_id"] = (
                self._fits_any(keys) if is_of_failures else self._is_failure_or_finding(keys, names)
            )
        if job_name is not None:
            failed = and_(FAILURE_ALERT, alert.c.source_id.in_(keys))
            found = and_(FINDING, alert.c.source_id.in_(names))
            indexed.append(failed if is_of_failures else or_(failed, found))
        elif wanted.error_group is not None:
            indexed += [FAILURE_ALERT, self._is_of_group(storable(wanted.error_group))]
        if wanted.error_reason is not None:
            indexed.append(FAILURE_ALERT)
            sifted["detail"] = self._has_reason(wanted.error_reason)
        return indexed, sifted

    def _is_failure_or_finding(
        self, keys: Sequence[str], names: Sequence[str]
    ) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
        """Whether it is the key of a failure, or the name of a job and no failure's key."""
        any_failure = [f"*:{group}{more}" for group in ErrorGroup for more in ("", "@*")]
        is_failure, is_name = self._fits_any(keys), self._fits_any(names)
        is_any_failure = self._fits_any(any_failure)
        return lambda column: or_(
            is_failure(column), and_(is_name(column), ~is_any_failure(column))
        )

    def _conditions_of_cause(self, wanted: AlertFilter) -> tuple[Conditions, Sifted]:
        cause = wanted.cause
        if cause is None:
            return [], {}
        if wanted.error_reason not in (None, cause.error_reason):
            return [false()], {}
        indexed = [alert.c.alert_type == storable(cause.alert_type)]
        if cause.source_id is None:  # no index knows what is rare among the alerts of a type
            return indexed, {"source_type": _is(storable(cause.source_type))}
        its = alert.c.source_id == storable(cause.source_id)
        if cause.source_type == JOB_SOURCE_TYPE:
            return [*indexed, FINDING, its], {}
        indexed += [FAILURE_ALERT, its]
        return indexed, {"detail": self._has_reason(cause.error_reason)}

    def _run_conditions(self, wanted: RunFilter) -> tuple[Conditions, Sifted]:
        indexed = _between(run_log.c.started_at, wanted.since, wanted.until)
        sifted: Sifted = {}
        job_name, jobs = _one_or_several(wanted)
        if jobs:
            sifted["job_name"] = self._fits_any(jobs)
        if job_name is not None:
            indexed.append(run_log.c.job_name == storable(job_name))
        if wanted.error_group is not None:
            indexed += [FAILED_RUN, run_log.c.error_group == storable(wanted.error_group)]
        if wanted.error_reason is not None:
            indexed.append(FAILED_RUN)
            sifted["error_reason"] = _is(storable(wanted.error_reason))
        if wanted.status == "FAILED":
            indexed.append(FAILED_RUN)
        elif wanted.status == "RUNNING":
            indexed.append(OPEN_RUN)
        elif wanted.status is not None:
            sifted["status"] = _is(storable(wanted.status))
        if wanted.trigger_type is not None:
            sifted["trigger_type"] = _is(storable(wanted.trigger_type))
        if wanted.environment is not None:
            asked = environment_asked(wanted.environment)
            if job_name is not None:  # an index knows the runs of a job in its environment
                indexed.append(is_in(asked))
            else:
                sifted["environment"] = _is_or_is_null(asked)
        more, looked_at = self._conditions_of_code(wanted)
        return indexed + more, sifted | looked_at

    def _conditions_of_code(self, wanted: RunFilter) -> tuple[Conditions, Sifted]:
        """Ask for the code that ran, and for what it failed at."""
        indexed: Conditions = []
        sifted: Sifted = {}
        if wanted.version is not None:
            sifted["version"] = self._fits_any(versions_asked(wanted.version))
        if wanted.upstream is not None:
            indexed.append(FAILED_RUN)
            sifted["upstream"] = self._fits_any(upstreams_asked(wanted.upstream))
        return indexed, sifted

    def _fits_any(
        self, asked: Iterable[str]
    ) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
        return lambda column: fits_any(column, asked, self.engine)

    def _has_reason(
        self, reason: str | None
    ) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
        if reason is None:
            return lambda detail: reason_in(detail, self.engine).is_(None)
        wanted = storable(reason)
        return lambda detail: reason_in(detail, self.engine) == wanted

    def _is_of_group(self, group: str) -> ColumnElement[bool]:
        if speaks_sqlite(self.engine):
            source_id = alert.c.source_id
            plain = source_id.endswith(f":{group}", autoescape=True)
            return plain | source_id.contains(f":{group}@", autoescape=True)
        # In the words of its index.
        in_detail: ColumnElement[str] = literal_column(
            "(alert.detail OPERATOR(pg_catalog.->>) 'error_group')"
        )
        return in_detail == bindparam("group", group, unique=True)


def _conditions_of_triage(wanted: AlertFilter) -> tuple[Conditions, Sifted]:
    """Ask for what people have done about alerts."""
    indexed: Conditions = []
    sifted: Sifted = {}
    if wanted.review_status is not None:
        if wanted.review_status == "AUTO":
            sifted["review_status"] = _is("AUTO")
        else:  # said twice, so that the planner sees that the partial index fits
            indexed.append(alert.c.review_status == storable(wanted.review_status))
            indexed.append(alert.c.review_status != literal_column("'AUTO'"))
    if wanted.resolved is True:
        sifted["resolved"] = lambda column: column.is_(True)
    elif wanted.resolved is False:
        indexed.append(alert.c.resolved.is_not(True))
    if (at := wanted.resolved_at) is not None:
        sifted["resolved_at"] = lambda column: column == at
    return indexed, sifted


def _keys(
    jobs: Sequence[str], groups: Sequence[str], environments: Sequence[str | None]
) -> Sequence[str]:
    """Return what failures of jobs alert by in these environments."""
    return [
        in_environment(f"{job}:{group}", environment)
        for environment in environments
        for job in jobs
        for group in groups
    ]


def _is(value: str) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
    return lambda column: column == value


def _is_or_is_null(value: str | None) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
    return lambda column: column.is_(None) if value is None else column == value


def _one_or_several(wanted: RunFilter | AlertFilter) -> tuple[str | None, tuple[str, ...]]:
    """Return the one exact name that is asked for, which an index knows; else what may fit."""
    if wanted.job_name is None and len(wanted.jobs) == 1 and not is_pattern(wanted.jobs[0]):
        return wanted.jobs[0], ()
    return wanted.job_name, wanted.jobs


def _between(column: Column[Any], since: datetime | None, until: datetime | None) -> Conditions:
    conditions: Conditions = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions


def _sift(query: Select[Any], sifted: Sifted, place: Place, *, ascending: bool) -> Select[Any]:
    """Take from the first rows of a query those that hold these values, by their ids."""
    table = place[0].table
    looked_at = (*place, *(table.c[name] for name in sifted))
    # Only what is looked at: texts and documents would be carried along for every row.
    seen = query.with_only_columns(*looked_at).limit(LOOKS_THROUGH).subquery("seen")
    meets = [meets(seen.c[name]) for name, meets in sifted.items()]
    order = [seen.c[column.name] for column in place]
    return in_order(select(seen.c.id).where(*meets), order, ascending=ascending)


def _place_of(row: Any, place: Place) -> Cursor:
    return Cursor(*(getattr(row, column.name) for column in place))
