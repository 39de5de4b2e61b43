"""Silences: those that mute notices now, those to come, and those that are over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..._errors import ConfigurationError
from ..._models import ErrorGroup
from ..._monitor.notices import Silence
from ..._monitor.trail import SilenceState, silence_state
from ..._store.operator import OperatorStore
from ..forms import SentForm
from ..forms import text_in as field_of
from ..muting import LENGTHS, USUAL, UnusableField, fields_of, silence_in
from ..problems import Problem, no_such_row
from ..query import LARGEST_ID
from ..rendering import Tab, render
from ..state import CurrentState, OpenStore, prefix_of
from .banner import banner
from .triage import ENDED, SILENCED, done_before

MOST_SILENCES: Final = 200
_SECTIONS: Final = (
    (SilenceState.ACTIVE, "Active", "No notice is muted now."),
    (SilenceState.PLANNED, "Planned", "None is planned."),
    (SilenceState.ENDED, "Ended", "None has ended yet."),
)

router = APIRouter()


@router.get("/silences")
def silences(request: Request, store: OpenStore) -> Response:
    """List silences; the address may hold what the form is filled with."""
    return _page(request, store, fields_of({"for": USUAL, **request.query_params}))


@router.post("/silences")
def add(request: Request, state: CurrentState, store: OpenStore, form: SentForm) -> Response:
    """Add a silence; where a field cannot be used, say so beside what was typed."""
    by = state.actor_of(request, field_of(form, "by"))
    try:
        store.add_silence(created_by=by, **asdict(silence_in(form, now=store.now())))
    except (UnusableField, ConfigurationError) as error:
        answer = _page(request, store, fields_of(form), fault=str(error))
        answer.status_code = 422
        return answer
    return RedirectResponse(f"{prefix_of(request)}/silences?done={SILENCED}.1", status_code=303)


@router.post("/silences/{silence_id:int}/end")
def end(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm, silence_id: int
) -> Response:
    """End a silence now."""
    by = state.actor_of(request, field_of(form, "by"))
    if silence_id > LARGEST_ID or store.end_silence(silence_id, by=by) is None:
        raise no_such_silence(silence_id)
    return RedirectResponse(f"{prefix_of(request)}/silences?done={ENDED}.1", status_code=303)


def _page(
    request: Request, store: OperatorStore, fields: dict[str, str], *, fault: str = ""
) -> Response:
    now = store.now()
    found: dict[SilenceState, list[Silence]] = {state: [] for state, *_ in _SECTIONS}
    for one in store.silences(limit=MOST_SILENCES):
        found[silence_state(one, now=now)].append(one)
    context = {
        "now": now,
        "tab": Tab("Silences"),
        "sections": [(state, title, empty, found[state]) for state, title, empty in _SECTIONS],
        "fields": fields,
        "fault": fault,
        "lengths": LENGTHS,
        "error_groups": tuple(map(str, ErrorGroup)),
        "done": done_before(request),
        **banner(store),
    }
    return render(request, "silences.html", context)


def no_such_silence(silence_id: int) -> Problem:
    """Say that a silence is not there."""
    return no_such_row("silence", silence_id)
