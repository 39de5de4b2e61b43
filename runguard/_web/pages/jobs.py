"""One job: how it stands, how long its runs take, why they fail, and its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import dropwhile
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._models import RunStatus, named_in
from ..._monitor import wording
from ..._monitor.change_words import what_changed
from ..._monitor.expectations import Declarer
from ..._monitor.filters import environment_asked, environment_text
from ..._monitor.health import is_failing
from ..._monitor.notices import IncidentRecord
from ..._monitor.records import (
    AlertFilter,
    AlertRecord,
    JobOverview,
    RunCell,
    RunFilter,
    RunRecord,
)
from ..._monitor.sentences import Sentence
from ..._monitor.trail import is_acknowledged, job_of, silences_of
from ..._monitor.versions import new_versions
from ..._store.operator import OperatorStore
from .. import charts
from ..problems import no_such_job
from ..query import RunQuery, asked_of, is_storable
from ..rendering import Tab, is_part, render
from ..state import OpenStore
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
def show_job(request: Request, store: OpenStore, job_name: str) -> Response:
    """Show one job."""
    asked = asked_of(request, RunQuery)
    known = is_storable(job_name)
    found = store.overview(strip=charts.STRIP_CELLS, job_name=job_name) if known else ()
    job, others = one_of(found, asked.query.environment)
    if job is None:
        raise no_such_job(job_name, store.job_names())
    now, environment = store.now(), job.environment
    place = environment_text(environment) if others or environment else None
    cells = store.last_runs(job_name, environment, limit=RUNS_IN_A_CHART)
    row = row_of(request, job, now)
    listed = run_list(
        store, asked, now, limit=RUNS_BELOW_A_JOB, job_name=job_name, environment=place
    )
    failure = _last_failure(store, row, listed["runs"])
    alert = None if failure is None else _open_alert(store, failure)
    context = {
        "now": now,
        **banner(store),
        "live": True,
        "tab": Tab.of(wording.job_state(row.state), named_in(job_name, environment)),
        "others": [environment_text(one.environment) for one in others],
        "row": row,
        "failure": failure,
        "changed": () if failure is None else _changed(store, failure, cells),
        "news": new_versions(cells),
        "alert": alert,
        "deliveries": () if alert is None else store.trail([alert.id]),
        "done": done_before(request),
        "job": job,
        "expected": job.expected,
        "declarers": _DECLARERS,
        "durations": charts.durations(cells, href_of=run_links(request), usual=job.p95_seconds),
        "silences": silences_of(job_name, store.active_silences(now), environment=environment),
        "acknowledged": _acknowledged(store, job, now),
        "lock": store.lock_state(job_name, environment),
        "cooldowns": store.cooldowns(job_name, environment),
        **failure_chart(
            request, store, span_of(request), now, job_name=job_name, environment=place
        ),
        **listed,
    }
    if not is_part(request):
        context |= calendar_of(request, store, job, now, is_shared=place is not None)
    return render(request, "job.html", context)


def one_of(
    found: Sequence[JobOverview], environment: str | None
) -> tuple[JobOverview | None, Sequence[JobOverview]]:
    """Return the job that is meant of those of one name, and those in other environments.

    Where none is named, it is the one without an environment, or else the first.
    """
    asked = None if environment is None else environment_asked(environment)
    fits = (one for one in found if environment is None or one.environment == asked)
    chosen = next(fits, None)
    return chosen, [one for one in found if one is not chosen]


def _acknowledged(store: OperatorStore, job: JobOverview, now: datetime) -> list[IncidentRecord]:
    """Return the open incidents of a job that somebody has in hand."""
    return [
        one
        for one in store.open_incidents()
        if job_of(one) == (job.job_name, job.environment) and is_acknowledged(one, now=now)
    ]


def _last_failure(
    store: OperatorStore, row: JobRow, listed: Iterable[RunRecord]
) -> RunRecord | None:
    """Return the failed run that ended last, of a job that is failing; `listed` are some runs."""
    if row.last is None or not is_failing(row.job):
        return None
    if found := next((run for run in listed if run.id == row.last.id), None):
        return found
    failed = RunFilter(
        job_name=row.job.job_name,
        environment=environment_text(row.job.environment),
        status=RunStatus.FAILED,
        since=row.job.failing_since,
    )
    runs = store.run_page(failed, limit=FAILURES_LOOKED_AT).runs
    return next((run for run in runs if run.id == row.last.id), None)


def _changed(
    store: OperatorStore, failure: RunRecord, cells: Iterable[RunCell]
) -> Sequence[Sentence]:
    """Say what the first failure of the row had that the success before it had not."""
    first, success = failure.id, None
    for cell in dropwhile(lambda cell: cell.id != failure.id, cells):
        if cell.status == RunStatus.SUCCESS:
            success = cell
            break
        if cell.status == RunStatus.FAILED:
            first = cell.id
    if success is None:
        return ()
    its = (failure.job_name, failure.environment)
    changed = store.what_changed(*its, first_failure=first, success=success)
    if changed is None:
        return ()
    seen = {"version": failure.version, "upstream": failure.upstream}
    return what_changed(changed, run_id=failure.id, **seen)


def _open_alert(store: OperatorStore, failure: RunRecord) -> AlertRecord | None:
    """Return the newest open alert of a failure's job and group."""
    its = AlertFilter(
        job_name=failure.job_name,
        environment=environment_text(failure.environment),
        error_group=failure.error_group,
        alert_type="FAILED",
        resolved=False,
    )
    return next(iter(store.alert_page(its, limit=1).alerts), None)
