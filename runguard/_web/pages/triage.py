"""What a reader does about alerts: the forms of the pages, and what the next page says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..._frozen import frozen
from ..._monitor import wording
from ..._monitor.filters import UnreadableFilter, read_when
from ..._monitor.records import AlertFilter, ReviewStatus
from ..._store.operator import OperatorStore
from ..forms import SentForm
from ..forms import text_in as field_of
from ..problems import Problem
from ..query import LARGEST_ID, AlertFilters, instant_text, read_cause, read_instant
from ..state import CurrentState, OpenStore, prefix_of
from .parts import alerts_meant

MOST_IDS: Final = 1000
LONGEST_COUNT: Final = 6  # digits

RESOLVE: Final = "resolve"
REOPEN: Final = "reopen"
# What can be done about alerts that were chosen, by the value of the form's field.
ACTIONS: Final = (
    (RESOLVE, "Resolve"),
    (REOPEN, "Reopen"),
    *((str(one), f"Review: {wording.review_status(one).word}") for one in ReviewStatus),
)

_NOTHING: Final = "nothing"
_DONE: Final = {"resolved": "resolved", "reopened": "open again", "reviewed": "reviewed"}
SILENCED: Final = "silenced"
ENDED: Final = "ended"
ACKNOWLEDGED: Final = "acknowledged"
TAKEN_BACK: Final = "unacknowledged"
_SAID: Final = {
    _NOTHING: "Nothing was ticked, so nothing was changed. Tick an alert first.",
    SILENCED: "The silence is kept. Runs and alerts are recorded all the same.",
    ENDED: "The silence has ended: notices go out again.",
    ACKNOWLEDGED: "The alert is acknowledged: reminders wait.",
    TAKEN_BACK: "The acknowledgement is taken back: reminders go out again.",
}

router = APIRouter()


@frozen
class Done:
    """What the form before a page did; `undo` is the time by which it is taken back."""

    text: str = ""
    count: int = 0
    undo: str = ""


@frozen
class _Chosen:
    """What a form names: single alerts, and what all alerts that match have in common."""

    ids: list[int]
    matching: list[AlertFilter]

    @property
    def nothing(self) -> bool:
        """Whether nothing was ticked."""
        return not self.ids and not self.matching


@router.post("/alerts/act")
def act(request: Request, state: CurrentState, store: OpenStore, form: SentForm) -> Response:
    """Do the chosen action about the chosen alerts, problems, or all alerts that match."""
    action, by = field_of(form, "action"), state.actor_of(request, field_of(form, "by"))
    if action in (RESOLVE, REOPEN):
        return _resolve(request, store, form, by=by, resolved=action == RESOLVE)
    return _review(request, store, form, by=by, review_status=action)


@router.post("/alerts/resolve")
def resolve_alerts(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm
) -> Response:
    """Mark the chosen alerts resolved, or open again."""
    by = state.actor_of(request, field_of(form, "by"))
    resolved = field_of(form, "resolved") != "false"
    return _resolve(request, store, form, by=by, resolved=resolved)


@router.post("/alerts/review")
def review_alerts(
    request: Request, state: CurrentState, store: OpenStore, form: SentForm
) -> Response:
    """Set the review status of the chosen alerts."""
    status, by = field_of(form, "review_status"), state.actor_of(request, field_of(form, "by"))
    return _review(request, store, form, by=by, review_status=status)


@router.post("/alerts/undo")
def undo(request: Request, store: OpenStore, form: SentForm) -> Response:
    """Open again what one action has resolved."""
    at, count = read_instant(field_of(form, "at")), field_of(form, "count")
    if at is None or not _is_count(count):
        raise Problem(
            422,
            "at, count: expected those of the page before, found other values",
            remedy="Nothing was changed. Reopen the alerts in their list.",
        )
    return _back(request, form, "reopened", store.undo_resolution(at, count=int(count)).count)


def _resolve(
    request: Request, store: OperatorStore, form: FormData, *, by: str, resolved: bool
) -> Response:
    chosen, at = _chosen(store, form), store.now()
    if chosen.nothing:
        return _back(request, form, _NOTHING, 0)
    changed = store.resolve_alerts(chosen.ids, by=by, resolved=resolved, at=at)
    count = len(changed)
    undone_by = sum(one.resolved_at == at for one in changed)
    for wanted in chosen.matching:
        more = store.resolve_matching(wanted, by=by, resolved=resolved, at=at).count
        count, undone_by = count + more, undone_by + more
    if not resolved:
        return _back(request, form, "reopened", count)
    return _back(request, form, "resolved", count, at=at if undone_by == count else None)


def _review(
    request: Request, store: OperatorStore, form: FormData, *, by: str, review_status: str
) -> Response:
    chosen = _chosen(store, form)
    if chosen.nothing:
        return _back(request, form, _NOTHING, 0)
    count = len(store.review_alerts(chosen.ids, by=by, review_status=review_status))
    for wanted in chosen.matching:
        count += store.review_matching(wanted, by=by, review_status=review_status).count
    return _back(request, form, "reviewed", count)


def _chosen(store: OperatorStore, form: FormData) -> _Chosen:
    """Return what a form names.

    Raises:
        Problem: it names what is no id, cause or filter.
    """
    ids = _ids(form.getlist("alert_id"))
    # What was raised after the reader saw the page is left alone.
    try:
        seen_at = read_when(seen) if (seen := field_of(form, "seen")) else None
        until = seen_at if isinstance(seen_at, datetime) else None
        causes = [read_cause(str(one)) for one in form.getlist("cause")]
        matching = [AlertFilter(cause=one, until=until) for one in causes]
        if "matching" in form:
            asked = AlertFilters.model_validate(dict(parse_qsl(str(form["matching"]))))
            wanted = alerts_meant(store, asked, store.now())
            ends = [one for one in (wanted.until, until) if one is not None]
            matching.append(replace(wanted, until=min(ends, default=None)))
    except (UnreadableFilter, ValidationError, ValueError):
        raise Problem(
            422,
            "expected alerts, problems and filters of one of these pages, found another value",
            remedy="Nothing was changed. Go back and choose again.",
        ) from None
    return _Chosen(ids, matching)


def _ids(sent: Iterable[object]) -> list[int]:
    texts = [str(one) for one in sent]
    ids = [int(one) for one in texts if one.isascii() and one.isdigit() and len(one) < 20]
    if len(ids) != len(texts) or len(ids) > MOST_IDS or max(ids, default=0) > LARGEST_ID:
        raise Problem(
            422,
            f"alert_id: expected at most {MOST_IDS} ids of alerts, found another value",
            remedy="Nothing was changed. Go back and choose again.",
        )
    return list(dict.fromkeys(ids))


def _back(
    request: Request, form: FormData, what: str, count: int, *, at: datetime | None = None
) -> Response:
    """Lead back to the page that the form was on, which says what was done."""
    wanted, prefix = urlsplit(field_of(form, "next")), prefix_of(request)
    ours = wanted.path in (f"{prefix}/", f"{prefix}/alerts") or (
        _is_alert(prefix, wanted.path) or wanted.path.startswith(f"{prefix}/jobs/")
    )
    path = wanted.path if ours else f"{prefix}/alerts"
    kept = [one for one in wanted.query.split("&") if one and not one.startswith("done=")]
    done = f"{what}.{count}" + ("" if at is None else f".{instant_text(at)}")
    query = "&".join([*(kept if ours else ()), f"done={done}"])
    return RedirectResponse(f"{path}?{query}", status_code=303)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_COUNT


def _is_alert(prefix: str, path: str) -> bool:
    return path.startswith(f"{prefix}/alerts/") and path[len(prefix) + 8 :].isdigit()


def done_before(request: Request) -> Done:
    """Return what the form before this page did."""
    what, count, at = (*request.query_params.get("done", "").split("."), "", "", "")[:3]
    if what in _SAID:
        return Done(_SAID[what])
    if what not in _DONE or not _is_count(count):
        return Done()
    undo = at if int(count) and read_instant(at) is not None else ""
    return Done(f"{wording.counted(int(count), 'alert')} {_DONE[what]}.", int(count), undo)
