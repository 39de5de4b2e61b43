"""One job: how it stands, how long its runs take, why they fail, and its runs."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._monitor import wording
from .. import charts
from ..problems import no_such_job
from ..query import RunQuery, asked_of, is_storable
from ..rendering import Tab, render
from ..state import OpenStore
from .failures import failure_chart, span_of
from .parts import row_of, run_links, run_list

RUNS_BELOW_A_JOB: Final = 25
RUNS_IN_A_CHART: Final = 200

router = APIRouter()


@router.get("/jobs/{job_name:path}")
def job(request: Request, store: OpenStore, job_name: str) -> Response:
    """Show one job."""
    asked = asked_of(request, RunQuery)
    known = is_storable(job_name)
    found = store.overview(strip=charts.STRIP_CELLS, job_name=job_name) if known else ()
    if not found:
        raise no_such_job(job_name, store.job_names())
    now, cells = store.now(), store.last_runs(job_name, limit=RUNS_IN_A_CHART)
    row = row_of(request, found[0], now)
    context = {
        "now": now,
        "live": True,
        "tab": Tab.of(wording.job_state(row.state), job_name),
        "row": row,
        "job": found[0],
        "durations": charts.durations(
            cells, href_of=run_links(request), usual=found[0].p95_seconds
        ),
        "lock": store.lock_state(job_name),
        "cooldowns": store.cooldowns(job_name),
        **failure_chart(request, store, span_of(request), now, job_name=job_name),
        **run_list(store, asked, now, limit=RUNS_BELOW_A_JOB, job_name=job_name),
    }
    return render(request, "job.html", context)
