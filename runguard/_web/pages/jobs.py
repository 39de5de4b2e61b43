"""One job: how it stands, how long its runs take, why they fail, and its runs."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._models import RunStatus
from ..._monitor import wording
from ..._monitor.expectations import Declarer
from ..._monitor.health import is_failing
from ..._monitor.notices import IncidentRecord
from ..._monitor.records import AlertFilter, AlertRecord, RunFilter, RunRecord
from ..._monitor.trail import is_acknowledged, job_of, silences_of
from ..._store.operator import OperatorStore
from .. import charts
from ..problems import no_such_job
from ..query import RunQuery, asked_of, is_storable
from ..rendering import Tab, is_part, render
from ..state import OpenStore
from ..who_ran import has_environments
from .banner import banner
from .calendar import calendar_of
from .failures import failure_chart, span_of
from .parts import JobRow, row_of, run_links, run_list
from .triage import done_before

RUNS_BELOW_A_JOB: Final = 25
RUNS_IN_A_CHART: Final = 200
FAILURES_LOOKED_AT: Final = 20

_DECLARERS: Final = {
    Declarer.CODE: "its code",
    Declarer.FILE: "a configuration file",
    Declarer.PERSON: "a person",
}

router = APIRouter()


@router.get("/jobs/{job_name:path}")
def job(request: Request, store: OpenStore, job_name: str) -> Response:
    """Show one job."""
    asked = asked_of(request, RunQuery)
    known = is_storable(job_name)
    found = store.overview(strip=charts.STRIP_CELLS, job_name=job_name) if known else ()
    if not found:
        raise no_such_job(job_name, store.job_names())
    now, environment = store.now(), found[0].environment
    cells = store.last_runs(job_name, environment, limit=RUNS_IN_A_CHART)
    row = row_of(request, found[0], now)
    failure = _last_failure(store, row)
    alert = None if failure is None else _open_alert(store, failure)
    context = {
        "now": now,
        **banner(store),
        "live": True,
        "tab": Tab.of(wording.job_state(row.state), job_name),
        "row": row,
        "failure": failure,
        "alert": alert,
        "deliveries": () if alert is None else store.trail([alert.id]),
        "done": done_before(request),
        "job": found[0],
        "expected": found[0].expected,
        "declarers": _DECLARERS,
        "durations": charts.durations(
            cells, href_of=run_links(request), usual=found[0].p95_seconds
        ),
        "silences": silences_of(job_name, store.active_silences(now)),
        "acknowledged": _acknowledged(store, job_name, now),
        "lock": store.lock_state(job_name, environment),
        "cooldowns": store.cooldowns(job_name, environment),
        **failure_chart(request, store, span_of(request), now, job_name=job_name),
        **run_list(store, asked, now, limit=RUNS_BELOW_A_JOB, job_name=job_name),
    }
    if not is_part(request):
        context |= calendar_of(request, store, found[0], now, is_shared=has_environments(found))
    return render(request, "job.html", context)


def _acknowledged(store: OperatorStore, job_name: str, now: datetime) -> list[IncidentRecord]:
    """Return the open incidents of a job that somebody has in hand."""
    return [
        one
        for one in store.open_incidents()
        if job_of(one) == job_name and is_acknowledged(one, now=now)
    ]


def _last_failure(store: OperatorStore, row: JobRow) -> RunRecord | None:
    """Return the failed run that ended last, of a job that is failing."""
    if row.last is None or not is_failing(row.job):
        return None
    failed = RunFilter(
        job_name=row.job.job_name, status=RunStatus.FAILED, since=row.job.failing_since
    )
    runs = store.run_page(failed, limit=FAILURES_LOOKED_AT).runs
    return next((run for run in runs if run.id == row.last.id), None)


def _open_alert(store: OperatorStore, failure: RunRecord) -> AlertRecord | None:
    """Return the newest open alert of a failure's job and group."""
    its = AlertFilter(
        job_name=failure.job_name,
        error_group=failure.error_group,
        alert_type="FAILED",
        resolved=False,
    )
    return next(iter(store.alert_page(its, limit=1).alerts), None)
