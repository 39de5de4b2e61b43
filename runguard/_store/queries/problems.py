"""Alerts by their cause: one row for what may have alerted hundreds of times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, case, func, or_, select, tuple_

from ..._failure.alert import FAILURE_SOURCE_TYPE
from ..._monitor.incidents import RECOVERED
from ..._monitor.problems import judged
from ..._monitor.records import AlertFilter, Cursor, Problem, ProblemPage
from ..schema.tables import alert
from ..schema.types import UtcDateTime
from .jobs import JobKey, JobQueries
from .pages import LOOKS_THROUGH, PageQueries
from .terms import (
    ALERT_PLACE,
    FAILURE_ALERT,
    FINDING,
    beyond,
    has_place,
    in_order,
    key_parts,
    reason_in,
)

LOOKS_BACK: Final = 100  # runs of a job that show whether it has recovered

_READ: Final = ("source_type", "alert_type", "resolved", "review_status")
_CAUSE: Final = ("source_type", "source", "alert_type", "reason")


class ProblemQueries(JobQueries, PageQueries):
    """The answers about problems."""

    def problem_page(
        self,
        wanted: AlertFilter,
        *,
        limit: int,
        older_than: Cursor | None = None,
        following: Cursor | None = None,
    ) -> ProblemPage:
        """List problems of the newest alerts that match, or of those older than a cursor.

        As many alerts are looked at as for a page of alerts; `following` goes on among these.
        """
        indexed, sifted = self._alert_conditions(wanted)
        query: Select[Any] = select(*ALERT_PLACE).where(has_place(alert.c.created_at), *indexed)
        if older_than is not None:
            there = older_than.instant, older_than.id
            query = query.where(beyond(ALERT_PLACE, *there, ascending=False))
        query = in_order(query, ALERT_PLACE, ascending=False)
        # Other programs alert about each thing of theirs: the kind is the problem.
        source = case((or_(FAILURE_ALERT, FINDING), alert.c.source_id)).label("source")
        reason = case((FAILURE_ALERT, reason_in(alert.c.detail, self.engine))).label("reason")
        looked_at = [alert.c[name] for name in sifted if name not in _READ]
        seen = (
            query.add_columns(*(alert.c[name] for name in _READ), source, reason, *looked_at)
            .limit(LOOKS_THROUGH)
            .subquery("seen")
        )
        conditions = [meets(seen.c[name]) for name, meets in sifted.items()]
        if wanted.alert_type is None:  # that a problem is over is no problem
            conditions.append(func.coalesce(seen.c.alert_type, "") != RECOVERED)
        causes = _causes(seen, conditions)
        rows = self._rows(_next(causes, following).limit(limit + 1))
        return ProblemPage(
            found=tuple(self._described(rows[:limit])),
            following=_place_of(rows[limit - 1]) if len(rows) > limit else None,
            looked_to=self._end_of_search(query, ALERT_PLACE),
            problems=rows[0].problems if rows else 0,
            alerts=int(rows[0].all_alerts) if rows else 0,
            open_alerts=int(rows[0].all_open) if rows else 0,
        )

    def _described(self, rows: Iterable[Any]) -> Iterator[Problem]:
        """Tell of each cause its last alert, and what the runs of its job say."""
        found = [_problem(row) for row in rows]
        keys = {JobKey(one.job_name, one.environment) for one in found if one.job_name is not None}
        runs = self.last_runs_of(sorted(keys, key=str), limit=LOOKS_BACK)
        last = self._texts([one.alert_id for one in found])
        for one in found:
            told = replace(one, **last.get(one.alert_id, {}))
            yield judged(told, runs.get(JobKey(one.job_name or "", one.environment), ()))

    def _texts(self, alert_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        if not alert_ids:
            return {}
        query = select(alert.c.id, alert.c.severity, alert.c.title, alert.c.message)
        return {
            row.id: {"severity": row.severity, "title": row.title, "message": row.message}
            for row in self._rows(query.where(alert.c.id.in_(alert_ids)))
        }


def _causes(seen: Subquery, meets: Sequence[ColumnElement[bool]]) -> Subquery:
    """Count the alerts of each cause, and of all of them."""
    alerts = func.count()
    is_open = func.count().filter(seen.c.resolved.is_not(True))
    reviews = func.min(seen.c.review_status), func.max(seen.c.review_status)
    return (
        select(
            *(seen.c[name] for name in _CAUSE),
            alerts.label("alerts"),
            is_open.label("open_alerts"),
            func.min(seen.c.created_at, type_=UtcDateTime()).label("first_at"),
            func.max(seen.c.created_at, type_=UtcDateTime()).label("last_at"),
            func.max(seen.c.id).label("alert_id"),
            case((reviews[0] == reviews[1], reviews[0])).label("review_status"),
            func.count().over().label("problems"),
            func.sum(alerts).over().label("all_alerts"),
            func.sum(is_open).over().label("all_open"),
        )
        .where(*meets)
        .group_by(*(seen.c[name] for name in _CAUSE))
        .subquery("cause")
    )


def _next(causes: Subquery, following: Cursor | None) -> Select[Any]:
    """List causes, the last raised first, after a place among them."""
    place = (causes.c.last_at, causes.c.alert_id)
    query = select(*causes.c)
    if following is not None:
        types = [column.type for column in place]
        query = query.where(tuple_(*place) < tuple_(following.instant, following.id, types=types))
    return in_order(query, place, ascending=False)


def _place_of(row: Any) -> Cursor:
    return Cursor(row.last_at, row.alert_id)


def _problem(row: Any) -> Problem:
    # What was found of a job says nothing of its failures: its runs do not judge it.
    is_failure = row.source_type == FAILURE_SOURCE_TYPE
    parts = key_parts(row.source) if is_failure else None
    job_name, group, environment = parts or (None, None, None)
    return Problem(
        source_type=row.source_type,
        source_id=row.source,
        alert_type=row.alert_type,
        error_reason=row.reason,
        job_name=job_name,
        error_group=group,
        environment=environment,
        alerts=row.alerts,
        open_alerts=row.open_alerts,
        first_at=row.first_at,
        last_at=row.last_at,
        alert_id=row.alert_id,
        review_status=row.review_status,
    )
