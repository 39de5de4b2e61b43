"""Lanes and days read from a store, for pages and programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from .._monitor.expectations import source_id_of
from .._monitor.records import JobOverview
from .._monitor.timeline import MOST_BARS, DayRuns, Lane, Window, days_of, lane_of, midnights
from .._store.operator import OperatorStore
from .._store.queries.jobs import JobKey
from . import charts

MOST_IN_A_DAY: Final = 500  # runs of a job that are counted


def read_lanes(
    store: OperatorStore,
    jobs: Sequence[JobOverview],
    window: Window,
    *,
    now: datetime,
    is_shared: bool,
    ticks: Sequence[datetime] = (),
) -> list[Lane]:
    """Read the lanes of some jobs, in their order.

    `is_shared` says whether runs of other environments stand beside theirs, `ticks` are the edges
    of their cells.
    """
    known = {key_of(job): job for job in jobs}
    ids = {its: source_id_of(*its) for its in known}
    missed = store.missed_starts(list(ids.values()), since=window.since, until=window.until)
    return [
        lane_of(
            facts,
            window,
            now=now,
            ticks=ticks,
            missed=missed.get(ids[its], ()),
            next_due_at=_next_due(job),
            most_bars=MOST_BARS // len(jobs),
        )
        for (its, job), facts in zip(
            known.items(), store.timeline(list(known), window, is_shared=is_shared), strict=True
        )
    ]


def key_of(job: JobOverview) -> JobKey:
    """Return which job it is."""
    return JobKey(job.job_name, job.environment)


def has_environments(jobs: Iterable[JobOverview]) -> bool:
    """Whether any of all jobs has an environment."""
    return any(job.environment is not None for job in jobs)


def _next_due(job: JobOverview) -> datetime | None:
    if job.expected is None or job.expected.retired_at is not None:
        return None
    return job.expected.next_due_at


def read_days(
    store: OperatorStore, job: JobOverview, now: datetime, zone: tzinfo, *, is_shared: bool
) -> list[DayRuns]:
    """Read a job's days, from the month of its first run on, of the last twelve months.

    `is_shared` says whether runs of other environments stand beside its own.
    """
    today = now.astimezone(zone).date()
    first = date(today.year - 1, today.month, 1) + timedelta(days=31)
    first_start = store.first_start_of(job.job_name)
    began = today if first_start is None else first_start.astimezone(zone).date()
    first = min(max(first, began), today).replace(day=1)
    edges = midnights(first, today, zone)
    since, until = edges[0], edges[-1]
    day = timedelta(days=1)
    bucket = charts.counted_in(day, since=since, until=until, zone=zone)
    failed, looked_to = store.failures_between(
        key_of(job), since, until, bucket=bucket, is_shared=is_shared
    )
    source_id = source_id_of(*key_of(job))
    return days_of(
        edges,
        runs=dict(store.runs_between(key_of(job), edges, most=MOST_IN_A_DAY, is_shared=is_shared)),
        failures=((max(instant, since), count) for instant, count in failed),
        missed=(
            due
            for one in store.missed_starts([source_id], since=since, until=until).get(source_id, ())
            for due in {one.first_due_at, one.last_due_at}
            if since <= due < until
        ),
        most=MOST_IN_A_DAY,
        looked_to=looked_to,
    )
