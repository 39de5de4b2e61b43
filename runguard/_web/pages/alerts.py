"""Alerts: their problems, their list, and everything about one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._monitor import wording
from ..._monitor.coverage import other_error
from ..._monitor.expectations import JOB_SOURCE_TYPE, FindingType, job_in
from ..._monitor.records import Problem, ProblemPage
from ..._monitor.trail import by_alert, is_acknowledged, told
from ..._monitor.watched import link_to
from ..._store.operator import OperatorStore
from .. import charts
from ..muting import LENGTHS, USUAL, fields_of
from ..problems import no_such_row
from ..query import LARGEST_ID, AlertPageQuery, asked_of, cause_text, cursor_text
from ..rendering import Tab, render, url_of
from ..state import OpenStore
from .banner import banner
from .parts import CHOICES, alerts_meant, as_text, drawn, places, run_address, text_in
from .triage import ACTIONS, done_before

ALERTS_ON_A_PAGE: Final = 50
PROBLEMS_ON_A_PAGE: Final = 50

router = APIRouter()


@router.get("/alerts")
def alerts(request: Request, store: OpenStore) -> Response:
    """List the problems, and the alerts below, to be resolved or reviewed."""
    asked, now = asked_of(request, AlertPageQuery), store.now()
    wanted = alerts_meant(store, asked.query, now)
    page = asked.query.read(store, wanted, limit=ALERTS_ON_A_PAGE)
    is_first, ids = not asked.query.page, {one.id for one in page.alerts}
    context = {
        "now": now,
        **banner(store),
        **places(store.environments()),
        "live": is_first,
        "alerts": page.alerts,
        "asked": asked,
        "order": asked.query.order,
        "following": cursor_text("following", page.following),
        "preceding": cursor_text("preceding", page.preceding),
        "looked_to": page.following and page.following.instant,
        "problems": None,
        "done": done_before(request),
        "actions": ACTIONS,
        "text_in": text_in,
        **CHOICES,
    }
    if is_first and page.alerts:
        problems = asked.query.read_problems(store, wanted, PROBLEMS_ON_A_PAGE)
        context |= _problems(request, problems)
        ids |= {one.alert_id for one in problems.found}
    context["deliveries"] = by_alert(store.trail(sorted(ids)))
    return render(request, "alerts.html", context)


def _problems(request: Request, page: ProblemPage) -> dict[str, Any]:
    """Return problems for a template, each with the text of its cause and the strip of its job."""

    def row(problem: Problem) -> dict[str, Any]:
        strip = charts.strip(problem.strip, to=run_address(request)) if problem.strip else ""
        return {
            "problem": problem,
            "found_of": _job_of_finding(problem),
            "cause": cause_text(problem.cause),
            "strip": drawn(strip),
            "summary": charts.strip_summary(problem.strip),
        }

    return {
        "problems": page,
        "problem_rows": [row(one) for one in page.found],
        "more_problems": cursor_text("following", page.following),
        "beyond": cursor_text("older", page.looked_to),
    }


def _job_of_finding(problem: Problem) -> tuple[str, str | None] | None:
    """Return the job and environment that a finding is about; None where it is about none."""
    is_of_a_job = problem.source_type == JOB_SOURCE_TYPE and problem.source_id is not None
    if not is_of_a_job or problem.alert_type == FindingType.UNWATCHED:
        return None
    return job_in(problem.source_id or "")


@router.get("/alerts/{alert_id:int}")
def alert(request: Request, store: OpenStore, alert_id: int) -> Response:
    """Show one alert, the run that raised it, and the failures that it covers."""
    return show_alert(request, store, alert_id, fields_of({"for": USUAL}))


def show_alert(
    request: Request,
    store: OperatorStore,
    alert_id: int,
    fields: Mapping[str, str],
    *,
    fault: str = "",
) -> Response:
    """Show an alert, the form of its acknowledgement filled with `fields`, and its fault."""
    details = store.alert_details(alert_id) if alert_id <= LARGEST_ID else None
    if details is None:
        raise no_such_row("alert", alert_id)
    detail, now, trail = details.alert.detail, store.now(), details.trail
    incident = trail and trail.incident
    context = {
        "now": now,
        "told": told(trail, now=now) if trail else (),
        "can_acknowledge": bool(incident and incident.closed_at is None),
        "acknowledged": bool(incident and is_acknowledged(incident, now=now)),
        "fields": fields,
        "fault": fault,
        "lengths": LENGTHS,
        # A form that was refused has another address, which nothing may ask for again.
        **({"here": url_of(request)(f"/alerts/{alert_id}")} if fault else {}),
        **banner(store),
        "live": True,
        "tab": Tab.of(
            wording.alert_state(resolved=details.alert.resolved),
            f"alert {alert_id}: {details.alert.title}",
        ),
        "details": details,
        "others": {run.id: other_error(run, details.alert) for run in details.covered_runs},
        "alert": details.alert,
        "job_name": text_in(detail, "job_name"),
        "group": text_in(detail, "error_group"),
        "runbook": link_to(text_in(detail, "runbook")),
        "detail": _lines_of(detail),
        "done": done_before(request),
    }
    return render(request, "alert.html", context)


def _lines_of(detail: Any) -> list[tuple[str, str]]:
    """Return what an alert carries; another program may have written any JSON."""
    if detail is None:
        return []
    lines = detail.items() if isinstance(detail, dict) else [("value", detail)]
    return [(str(key), as_text(value)) for key, value in lines]
