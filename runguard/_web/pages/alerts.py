"""Alerts: their list, everything about one, and what is done about them."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..._monitor import wording
from ..._monitor.coverage import other_error
from ..forms import SentForm
from ..forms import text_in as field_of
from ..problems import Problem, no_such_row
from ..query import LARGEST_ID, AlertQuery, asked_of, cursor_text
from ..rendering import Tab, render
from ..state import CurrentState, OpenStore, prefix_of
from .parts import CHOICES, text_in

ALERTS_ON_A_PAGE: Final = 50
MOST_IDS: Final = 1000

_DONE: Final = {"resolved": "resolved", "reopened": "open again", "reviewed": "reviewed"}

router = APIRouter()


@router.get("/alerts")
def alerts(request: Request, store: OpenStore) -> Response:
    """List alerts, to be resolved or reviewed."""
    asked, now = asked_of(request, AlertQuery), store.now()
    page = asked.query.read(store, now, limit=ALERTS_ON_A_PAGE)
    context = {
        "now": now,
        "live": not asked.query.page,
        "alerts": page.alerts,
        "asked": asked,
        "order": asked.query.order,
        "following": cursor_text("following", page.following),
        "preceding": cursor_text("preceding", page.preceding),
        "done": done_by(request),
        **CHOICES,
    }
    return render(request, "alerts.html", context)


@router.get("/alerts/{alert_id:int}")
def alert(request: Request, store: OpenStore, alert_id: int) -> Response:
    """Show one alert, the run that raised it, and the failures that it covers."""
    details = store.alert_details(alert_id) if alert_id <= LARGEST_ID else None
    if details is None:
        raise no_such_row("alert", alert_id)
    detail = details.alert.detail
    context = {
        "now": store.now(),
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
        "detail": _lines_of(detail),
        "done": done_by(request),
    }
    return render(request, "alert.html", context)


@router.post("/alerts/resolve")
def resolve_alerts(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm
) -> Response:
    """Mark the chosen alerts resolved, or open again."""
    resolved = field_of(form, "resolved") != "false"
    by = state.actor_of(request, field_of(form, "by"))
    changed = store.resolve_alerts(_chosen(form), by=by, resolved=resolved)
    return _back(request, form, "resolved" if resolved else "reopened", len(changed))


@router.post("/alerts/review")
def review_alerts(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm
) -> Response:
    """Set the review status of the chosen alerts."""
    status, by = field_of(form, "review_status"), state.actor_of(request, field_of(form, "by"))
    changed = store.review_alerts(_chosen(form), by=by, review_status=status)
    return _back(request, form, "reviewed", len(changed))


def _lines_of(detail: Any) -> list[tuple[str, str]]:
    """Return what an alert carries; another program may have written any JSON."""
    if detail is None:
        return []
    lines = detail.items() if isinstance(detail, dict) else [("value", detail)]
    return [(str(key), _as_text(value)) for key, value in lines]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _chosen(form: FormData) -> list[int]:
    """Return the ids of the alerts that a form names.

    Raises:
        Problem: it names none, or what is no id.
    """
    sent = [str(one) for one in form.getlist("alert_id")]
    if not sent:
        raise Problem(
            422,
            "No alert was chosen, so nothing was changed.",
            title="Choose an alert first",
            remedy="Go back and tick at least one alert.",
        )
    ids = [int(one) for one in sent if one.isascii() and one.isdigit() and len(one) < 20]
    if len(ids) != len(sent) or len(ids) > MOST_IDS or max(ids) > LARGEST_ID:
        raise Problem(
            422,
            f"alert_id: expected at most {MOST_IDS} ids of alerts, found another value",
            remedy="Nothing was changed. Go back and choose again.",
        )
    return list(dict.fromkeys(ids))


def _back(request: Request, form: FormData, what: str, count: int) -> Response:
    """Lead back to the page that the form was on, which says what was done."""
    wanted, prefix = urlsplit(field_of(form, "next")), prefix_of(request)
    ours = wanted.path in (f"{prefix}/", f"{prefix}/alerts") or (
        _is_alert(prefix, wanted.path) or wanted.path.startswith(f"{prefix}/jobs/")
    )
    path = wanted.path if ours else f"{prefix}/alerts"
    kept = [one for one in wanted.query.split("&") if one and not one.startswith("done=")]
    query = "&".join([*(kept if ours else ()), f"done={what}.{count}"])
    return RedirectResponse(f"{path}?{query}", status_code=303)


def _is_alert(prefix: str, path: str) -> bool:
    return path.startswith(f"{prefix}/alerts/") and path[len(prefix) + 8 :].isdigit()


def done_by(request: Request) -> str:
    """Say what the form before this page did."""
    what, _, count = request.query_params.get("done", "").partition(".")
    if what not in _DONE or not count.isdigit() or len(count) > 4:
        return ""
    return f"{wording.counted(int(count), 'alert')} {_DONE[what]}."
