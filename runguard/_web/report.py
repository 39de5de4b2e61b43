"""One page to attach to a mail: everything stands in the file, and it asks for nothing.

Times are in UTC, since the file may be read anywhere. Every text is escaped; only what `charts`
draws is markup already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .._monitor import wording
from .._monitor.health import JobState, state_of, worst_first
from .._monitor.paging import followed
from .._monitor.records import (
    AlertFilter,
    AlertRecord,
    Cursor,
    GroupCount,
    JobOverview,
    RunFilter,
    RunRecord,
)
from .._monitor.remarks import remarks
from .._store.operator import OperatorStore
from . import charts
from .foreign_texts import ForeignTexts

HERE: Final = Path(__file__).parent
MOST_JOBS: Final = 50
MOST_ROWS: Final = 30
MOST_BARS: Final = 60
_BUCKETS: Final = (
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28)),
)


def report_page(
    store: OperatorStore,
    counts: Sequence[GroupCount],
    *,
    since: timedelta,
    jobs: Sequence[str],
    environment: str | None = None,
) -> str:
    """Return the report of the last `since` as one HTML page.

    `jobs` are names and patterns, of which one must fit; without any it shows all. An
    `environment` is as in `RunFilter`.
    """
    now = store.now()
    beginning = now - since
    found = worst_first(
        store.overview(strip=charts.STRIP_CELLS, jobs=jobs, environment=environment), now=now
    )
    bucket = bucket_for(since)
    series = charts.series_of(
        store.failure_buckets(since=beginning, bucket=bucket, jobs=jobs, environment=environment),
        since=beginning,
        until=now,
        bucket=bucket,
    )
    asked: Any = {"jobs": tuple(jobs), "environment": environment}
    failed = RunFilter(**asked, status="FAILED", since=beginning)
    still_open = AlertFilter(**asked, resolved=False)
    text = (
        _environment()
        .get_template("report.html")
        .render(
            now=now,
            beginning=beginning,
            asked=(*jobs, *([f"environment {environment}"] if environment else [])),
            headline=headline_of(found, now=now),
            tone="bad"
            if any(state_of(job, now=now) in (JobState.FAILING, JobState.MISSED) for job in found)
            else "ok",
            store=store.inspect(),
            jobs=[(job, state_of(job, now=now)) for job in found[:MOST_JOBS]],
            more_jobs=max(0, len(found) - MOST_JOBS),
            counts=counts,
            series=series,
            chart=charts.failures(series),
            runs=_runs(store, failed),
            alerts=_alerts(store, still_open),
            most_rows=MOST_ROWS,
        )
    )
    # A text of a job may hold half a surrogate pair, for which UTF-8 has no form.
    return text.encode(errors="replace").decode()


def _runs(store: OperatorStore, wanted: RunFilter) -> Sequence[RunRecord]:
    def read(cursor: Cursor | None, rows: int) -> tuple[Sequence[RunRecord], Cursor | None]:
        page = store.run_page(wanted, limit=rows, older_than=cursor)
        return page.runs, page.older

    return followed(read, MOST_ROWS)[0]


def _alerts(store: OperatorStore, wanted: AlertFilter) -> Sequence[AlertRecord]:
    def read(cursor: Cursor | None, rows: int) -> tuple[Sequence[AlertRecord], Cursor | None]:
        page = store.alert_page(wanted, limit=rows, following=cursor)
        return page.alerts, page.following

    return followed(read, MOST_ROWS)[0]


def headline_of(jobs: Sequence[JobOverview], *, now: datetime) -> str:
    """Say in one sentence what a tired reader asks first."""
    if not jobs:
        return "No job was ever recorded here."
    states = Counter(state_of(job, now=now) for job in jobs)
    failing, missed = states[JobState.FAILING], states[JobState.MISSED]
    absent = f"{wording.counted(missed, 'job')} did not start when due." if missed else ""
    if not failing:
        return absent or "No job is failing."
    if len(jobs) == 1:
        return f"{jobs[0].job_name} is failing."
    told = f"{failing} of {wording.counted(len(jobs), 'job')} {_are(failing)} failing."
    return f"{told} {absent}".rstrip()


def bucket_for(since: timedelta) -> timedelta:
    """Return how much time one bar of a chart stands for.

    >>> bucket_for(timedelta(hours=24)), bucket_for(timedelta(days=30))
    (datetime.timedelta(seconds=1800), datetime.timedelta(seconds=43200))
    """
    for bucket in _BUCKETS:
        if since / bucket <= MOST_BARS:
            return bucket
    return timedelta(days=-(-since.days // MOST_BARS))


def _short(instant: datetime) -> str:
    return wording.utc(instant).removesuffix(" UTC")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        extensions=[ForeignTexts],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawing = (HERE / "static" / "charts.css").read_text(encoding="utf-8")
    environment.globals.update(
        charts_css=Markup(drawing),  # noqa: S704 - a file of ours
        strip=lambda cells: Markup(charts.strip(cells)),  # noqa: S704 - escaped where it is drawn
        drawn=lambda chart: Markup(chart.svg),  # noqa: S704 - the same
        mark_of=lambda group: Markup(charts.mark(group)),  # noqa: S704 - of our own texts only
        strip_summary=charts.strip_summary,
        counted=wording.counted,
        percent=wording.percent,
        wording=wording,
        remarks=remarks,
    )
    environment.filters.update(
        age=wording.age,
        group_class=charts.group_class,
        in_a_list=wording.in_a_list,
        duration=wording.duration,
        at=lambda instant: wording.NOTHING if instant is None else _short(instant),
        utc=wording.utc,
    )
    return environment
