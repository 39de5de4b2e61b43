"""What a reader does about an incident: acknowledge it, or take that back."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..._errors import ConfigurationError
from ..forms import SentForm
from ..forms import text_in as field_of
from ..muting import UnusableField, end_in, fields_of, reason_in
from ..problems import nothing_to_acknowledge
from ..query import LARGEST_ID
from ..state import CurrentState, OpenStore, prefix_of
from .alerts import show_alert
from .triage import ACKNOWLEDGED, TAKEN_BACK

router = APIRouter()


@router.post("/alerts/{alert_id:int}/ack")
def acknowledge(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm, alert_id: int
) -> Response:
    """Keep an incident's reminders back; where a field cannot be used, say so beside it."""
    by = state.actor_of(request, field_of(form, "by"))
    _refuse_impossible(alert_id)
    try:
        until, reason = end_in(form, now=store.now()), reason_in(form)
        found = store.acknowledge(alert_id, until=until, by=by, reason=reason)
    except (UnusableField, ConfigurationError) as error:
        answer = show_alert(request, store, alert_id, fields_of(form), fault=str(error))
        answer.status_code = 422
        return answer
    if found is None:
        raise nothing_to_acknowledge(alert_id)
    return _back(request, alert_id, ACKNOWLEDGED)


@router.post("/alerts/{alert_id:int}/unack")
def take_back(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm, alert_id: int
) -> Response:
    """Let the reminders of an incident go out again."""
    by = state.actor_of(request, field_of(form, "by"))
    _refuse_impossible(alert_id)
    if store.unacknowledge(alert_id, by=by) is None:
        raise nothing_to_acknowledge(alert_id)
    return _back(request, alert_id, TAKEN_BACK)


def _refuse_impossible(alert_id: int) -> None:
    if alert_id > LARGEST_ID:
        raise nothing_to_acknowledge(alert_id)


def _back(request: Request, alert_id: int, done: str) -> Response:
    path = f"{prefix_of(request)}/alerts/{alert_id}"
    return RedirectResponse(f"{path}?done={done}.1", status_code=303)
