"""The overview: every job, the worst first, and what is broken now."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._monitor import wording
from ..._monitor.health import JobState, is_failing, worst_first
from ..._monitor.records import AlertFilter, AlertRecord
from ..._store.operator import OperatorStore
from .. import charts
from ..rendering import Tab, render
from ..state import OpenStore
from .failures import failure_chart, span_of
from .parts import JobRow, row_of, text_in

JOBS_AT_FIRST = 50
OPEN_ALERTS = 100  # looked through for those that the first lines name

router = APIRouter()


@router.get("/")
def overview(request: Request, store: OpenStore) -> Response:
    """Show every job, the worst first, and say what is broken now."""
    span, now = span_of(request), store.now()
    jobs = worst_first(store.overview(strip=charts.STRIP_CELLS), now=now)
    failing = sum(map(is_failing, jobs))
    alerts = _open_alerts(store) if failing else {}
    shown = jobs if request.query_params.get("all") else jobs[: max(JOBS_AT_FIRST, failing)]
    rows = [row_of(request, job, now, alerts.get(job.job_name, ())) for job in shown]
    context = {
        "now": now,
        "live": True,
        "rows": rows,
        "jobs": len(jobs),
        "tab": _tab(rows),
        "failing": [row for row in rows if row.state is JobState.FAILING],
        "stuck": [row for row in rows if row.state is JobState.STUCK],
        "running": sum(job.running for job in jobs),
        **failure_chart(request, store, span, now),
    }
    return render(request, "overview.html", context)


def _tab(rows: Sequence[JobRow]) -> Tab:
    """Return what the tab says: how many jobs fail, or else run for too long."""
    for state in (JobState.FAILING, JobState.STUCK):
        if count := sum(row.state is state for row in rows):
            label = wording.job_state(state)
            return Tab(f"({count}) {label.word}", label.tone)
    return Tab("")


def _open_alerts(store: OperatorStore) -> dict[str, list[AlertRecord]]:
    """Return the newest open failure alerts by job."""
    page = store.alert_page(AlertFilter(alert_type="FAILED", resolved=False), limit=OPEN_ALERTS)
    found: dict[str, list[AlertRecord]] = {}
    for one in page.alerts:
        if name := text_in(one.detail, "job_name"):
            found.setdefault(name, []).append(one)
    return found
