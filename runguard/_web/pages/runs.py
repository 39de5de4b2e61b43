"""Runs: their list, and everything about one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._errors import did_you_mean
from ..._models import RunStatus
from ..._monitor import wording
from ..._monitor.coverage import other_error
from ..._monitor.explanation import explain
from ..._monitor.progress import progress_of
from ..._monitor.records import RunDetails
from ..._monitor.sentences import Sentence, Topic
from ..._monitor.traceback_view import view_of
from ..._monitor.watched import link_to
from ..problems import no_such_row
from ..query import LARGEST_ID, RunQuery, asked_of
from ..rendering import Tab, render
from ..state import OpenStore
from .banner import banner
from .parts import as_text, jobs_meant, places, run_list

RUNS_ON_A_PAGE: Final = 50
NAMES_OFFERED: Final = 500
SHOWN_APART: Final = (Topic.CHANGES, Topic.PROGRESS, Topic.NOTED)

router = APIRouter()


@router.get("/runs")
def runs(request: Request, store: OpenStore) -> Response:
    """List runs of all jobs."""
    asked = asked_of(request, RunQuery)
    now, names = store.now(), store.job_names()
    wanted = asked.query.job
    jobs = jobs_meant(wanted, names)
    unknown = wanted is not None and not jobs
    context = {
        "now": now,
        **banner(store),
        **places(store.environments()),
        "live": not asked.query.page,
        "names": names[:NAMES_OFFERED],
        "hint": did_you_mean(wanted or "", names).lstrip("; ") if unknown else "",
        "unknown": unknown,
        "jobs": jobs,
        **run_list(store, asked, now, limit=RUNS_ON_A_PAGE, jobs=jobs),
    }
    return render(request, "runs.html", context)


@router.get("/runs/{run_id:int}")
def run(request: Request, store: OpenStore, run_id: int) -> Response:
    """Show everything about one run, and why."""
    details = store.run_details(run_id) if run_id <= LARGEST_ID else None
    if details is None:
        raise no_such_row("run", run_id)
    now = store.now()
    explanation = explain(details, now=now)
    context = {
        "now": now,
        **banner(store),
        "live": True,
        "tab": Tab.of(
            wording.run_standing(details.run.status, explanation.standing),
            f"run {run_id} of {details.run.job_name}",
        ),
        "details": details,
        "run": details.run,
        "explanation": explanation,
        "changed": explanation.about(Topic.CHANGES),
        "reasons": _by_topic(one for one in explanation.reasons if one.topic not in SHOWN_APART),
        **_kept(details, now),
        "other": other_error(details.run, details.alert),
        "open": details.run.status == RunStatus.RUNNING,
    }
    return render(request, "run.html", context)


def _kept(details: RunDetails, now: datetime) -> dict[str, Any]:
    """Return what is kept beside a run, for a template."""
    run, note = details.run, details.note
    progress = progress_of(note, started_at=run.started_at, finished_at=run.finished_at, now=now)
    return {
        "note": note,
        "message": _message_beside(run.error_message, note.log_tail if note else None),
        "progress": progress,
        "traceback": view_of(note.traceback).parts if note and note.traceback else (),
        "links": [(name, address, link_to(address)) for name, address in note.links]
        if note
        else (),
        "context": [(str(name), as_text(value)) for name, value in (note.context or {}).items()]
        if note
        else (),
    }


def _message_beside(message: str | None, log_tail: str | None) -> str | None:
    """Return a message without the lines that stand in the log below, as those of commands do."""
    first, _, lines = (message or "").partition("\n\n")
    return first if lines.strip() and lines.strip() in (log_tail or "") else message


def _by_topic(sentences: Iterable[Sentence]) -> list[tuple[str, list[Sentence]]]:
    """Put sentences of one topic together, in the order in which the topics come up."""
    found: dict[Topic, list[Sentence]] = {}
    for sentence in sentences:
        found.setdefault(sentence.topic, []).append(sentence)
    return [(wording.topic(topic), said) for topic, said in found.items()]
