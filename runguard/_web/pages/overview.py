"""The overview: every job, the worst first, and what is broken now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._frozen import frozen
from ..._monitor import wording
from ..._monitor.health import JobState, state_of, worst_first
from ..._monitor.records import AlertFilter, AlertRecord, JobOverview
from ..._monitor.trail import is_acknowledged, job_of, silences_of
from ..._store.operator import OperatorStore
from .. import charts
from ..query import JobOrder, JobQuery, asked_of
from ..rendering import Tab, render
from ..state import OpenStore
from .banner import banner
from .failures import failure_chart, span_of
from .parts import JobRow, places, row_of, text_in
from .timeline import timeline_of

JOBS_ON_A_PAGE: Final = 50
MANY_JOBS: Final = 500  # which take a store so long that a page looks at them less often
FAILING_SHOWN: Final = 6
OTHERS_SHOWN: Final = 4  # of each other state
OPEN_ALERTS: Final = 100  # looked through for those that the first lines name

router = APIRouter()


@frozen
class Column:
    """A column of the table of jobs, and what sorts by it."""

    title: str
    sort: JobOrder | None
    numeric: bool = False


COLUMNS: Final = (
    Column("Job", JobOrder.NAME),
    Column("Last run", JobOrder.LAST),
    Column("Last 30 runs", None),
    Column("Next due", JobOrder.DUE),
    Column("Success", JobOrder.SUCCESS, numeric=True),
    Column("p50", JobOrder.P50, numeric=True),
    Column("p95", JobOrder.P95, numeric=True),
    Column("Open alerts", JobOrder.ALERTS),
    Column("Running now", JobOrder.RUNNING),
)
# What the first lines tell, and in which words behind a number of jobs
TOLD_FIRST: Final = {
    JobState.FAILING: "failing",
    JobState.MISSED: "did not start",
    JobState.STUCK: "running too long",
}
MILDER: Final = (JobState.LATE, JobState.UNUSUAL, JobState.QUIET)
ORDERS: Final = (
    (JobOrder.URGENT, "the most urgent"),
    (JobOrder.NAME, "by name"),
    (JobOrder.LAST, "the last that ended"),
    (JobOrder.STARTED, "the last that started"),
    (JobOrder.DUE, "the next that is due"),
    (JobOrder.FAILURES, "the most failures"),
    (JobOrder.SUCCESS, "the least success"),
    (JobOrder.P50, "the longest p50"),
    (JobOrder.P95, "the longest p95"),
    (JobOrder.ALERTS, "the most open alerts"),
    (JobOrder.RUNNING, "the most running now"),
)


@router.get("/")
def overview(request: Request, store: OpenStore) -> Response:
    """Show every job, the worst first, and say what is broken now."""
    span, now, asked = span_of(request), store.now(), asked_of(request, JobQuery)
    environment = asked.query.environment
    known = store.overview(strip=charts.STRIP_CELLS, environment=environment)
    jobs = worst_first(known, now=now)
    states = Counter(state_of(job, now=now) for job in jobs)
    failing, missed, stuck = (states[state] for state in TOLD_FIRST)
    alerts = _open_alerts(store) if failing else {}
    found = asked.query.arrange(jobs, now=now)
    pages = max(1, ceil(len(found) / JOBS_ON_A_PAGE))
    page = min(asked.query.page, pages)
    first = (page - 1) * JOBS_ON_A_PAGE

    def row(job: JobOverview) -> JobRow:
        return row_of(request, job, now, alerts.get((job.job_name, job.environment), ()))

    silences = store.active_silences(now)
    choices = places(store.environments() if environment else (job.environment for job in jobs))
    rows = found[first : first + JOBS_ON_A_PAGE]
    shown = {(job.job_name, job.environment) for job in (*rows, *jobs[:FAILING_SHOWN])}
    context = {
        "now": now,
        **banner(store),
        "live": True,
        "rows": [row(job) for job in rows],
        "jobs": len(jobs),
        "silenced": {its for its in shown if silences_of(its[0], silences, environment=its[1])},
        "in_hand": {job_of(one) for one in store.open_incidents() if is_acknowledged(one, now=now)},
        **choices,
        "poll_seconds": 5 if len(jobs) <= MANY_JOBS else 20,
        "found": len(found),
        "first": first + 1,
        "asked": asked,
        "page": page,
        "pages": pages,
        "columns": COLUMNS,
        "orders": ORDERS,
        "tab": _tab(states),
        "headline": headline(states),
        "failing": failing,
        "missed": missed,
        "stuck": stuck,
        "worst": [row(job) for job in jobs[: min(failing, FAILING_SHOWN)]],
        "absent": [row(job) for job in jobs[failing : failing + min(missed, OTHERS_SHOWN)]],
        "longest": [
            row(job) for job in jobs[failing + missed : failing + missed + min(stuck, OTHERS_SHOWN)]
        ],
        "milder": [(state, states[state]) for state in MILDER if states[state]],
        "states": [state for state in JobState if states[state] or state == asked.query.state],
        "running": sum(job.running for job in jobs),
        **timeline_of(request, store, asked, rows, now, is_shared=bool(choices["environments"])),
        **failure_chart(request, store, span, now, environment=environment),
    }
    return render(request, "overview.html", context)


def headline(states: Mapping[JobState, int]) -> str:
    """Say in one sentence what a tired reader asks first.

    >>> headline({JobState.FAILING: 1, JobState.STUCK: 2}), headline({JobState.MISSED: 2})
    ('1 job failing, 2 running too long', '2 jobs did not start')
    """
    told = [(states[state], words) for state, words in TOLD_FIRST.items() if states.get(state)]
    if told:
        (first, words), *others = told
        return ", ".join(
            [f"{wording.counted(first, 'job')} {words}", *(f"{n:,} {word}" for n, word in others)]
        )
    if sum(states.values()) == states.get(JobState.NEVER_RAN):
        return "No job has run yet"
    return "Every job's last run succeeded"


def _tab(states: Mapping[JobState, int]) -> Tab:
    """Return what the tab says: how many jobs are in the worst state of those that it tells."""
    state = next((state for state in TOLD_FIRST if states[state]), None)
    if state is None:
        return Tab("")
    label = wording.job_state(state)
    return Tab(f"({states[state]}) {label.word}", label.tone)


def _open_alerts(store: OperatorStore) -> dict[tuple[str, str | None], list[AlertRecord]]:
    """Return the newest open failure alerts by job."""
    page = store.alert_page(AlertFilter(alert_type="FAILED", resolved=False), limit=OPEN_ALERTS)
    found: dict[tuple[str, str | None], list[AlertRecord]] = {}
    for one in page.alerts:
        if name := text_in(one.detail, "job_name"):
            found.setdefault((name, one.environment), []).append(one)
    return found
