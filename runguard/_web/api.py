"""The JSON API: the same data as the pages, for programs.

A function answers with a record, from whose type its schema is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache, wraps
from typing import Annotated, Any, Final, ParamSpec

from fastapi import APIRouter, Depends, Path, Query
from fastapi.routing import APIRoute
from pydantic import WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from .._monitor.cadence import usual_cadence
from .._monitor.explanation import explain
from .._monitor.filters import UnreadableFilter, When
from .._monitor.health import state_against_schedule, worst_first
from .._monitor.health import state_of as job_state_of
from .._monitor.notices import IncidentRecord, Silence
from .._monitor.progress import RunProgress, job_progress
from .._monitor.records import (
    AlertDetails,
    AlertFilter,
    AlertRecord,
    ChangedAlerts,
    JobOverview,
    RunDetails,
)
from .._monitor.trail import channel_standing, last_look, silence_state
from .._store.operator import OperatorStore
from .answers import (
    AlertsAnswer,
    CalendarAnswer,
    ChangedAlertsAnswer,
    ChannelsAnswer,
    ExplanationAnswer,
    FailuresAnswer,
    IndexAnswer,
    JobAnswer,
    LaneAnswer,
    NamedProblem,
    OverviewAnswer,
    ProblemsAnswer,
    Reason,
    RunsAnswer,
    SessionAnswer,
    SilencesAnswer,
    StatedChannel,
    StatedJob,
    StatedSilence,
    TimelineAnswer,
)
from .bodies import (
    Acknowledgement,
    AcknowledgementEnd,
    NewSilence,
    ProblemResolution,
    ProblemReview,
    Resolution,
    Review,
    SilenceEnd,
)
from .charts import STRIP_CELLS
from .json_answer import JsonAnswer
from .muting import end_of
from .openapi import ALWAYS, document, problems
from .problems import Problem, no_such_job, no_such_row, nothing_to_acknowledge
from .query import (
    LARGEST_EXACT,
    LARGEST_ID,
    AlertQuery,
    CalendarQuery,
    FailureQuery,
    NoQuery,
    ProblemQuery,
    RunQuery,
    SilenceQuery,
    StripQuery,
    TimelineQuery,
    cause_text,
    cursor_text,
    is_storable,
    refuse_repeated,
)
from .state import CurrentState, OpenStore, prefix_of, visitor_of
from .who_ran import has_environments, read_days, read_lanes

PREFIX: Final = "/api/v1"

P = ParamSpec("P")


class _RecordRoute(APIRoute):
    """A route whose function returns a record."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _answering(endpoint), **options)


def _answering(endpoint: Callable[P, Any]) -> Callable[P, Response]:
    # Pydantic would refuse a text that holds half of a character, and jobs may have left one.
    @wraps(endpoint)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
        return JsonAnswer(endpoint(*args, **kwargs))

    return answer


router = APIRouter(
    prefix=PREFIX,
    route_class=_RecordRoute,
    dependencies=[Depends(refuse_repeated)],
    responses=ALWAYS,
    generate_unique_id_function=lambda route: route.name,
)


async def _ask_nothing(_: Annotated[NoQuery, Query()]) -> None:
    """Refuse every parameter."""


NO_QUERY: Final = [Depends(_ask_nothing)]
RowId = Annotated[
    int, Path(), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LARGEST_EXACT})
]
JobName = Annotated[str, Path(), WithJsonSchema({"type": "string", "minLength": 1})]


@router.get("/", summary="Where everything is", dependencies=NO_QUERY)
def index(request: Request) -> IndexAnswer:
    base = f"{prefix_of(request)}{PREFIX}"
    paths = {field.name: f"{base}/{field.name}" for field in fields(IndexAnswer)}
    return IndexAnswer(**{**paths, "openapi": f"{base}/openapi.json"})


@router.get("/overview", summary="Every job at a glance")
def overview(store: OpenStore, asked: Annotated[StripQuery, Query()]) -> OverviewAnswer:
    now = store.now()
    jobs = store.overview(strip=asked.strip, environment=asked.environment)
    return OverviewAnswer(now, tuple(_stated_job(job, now) for job in worst_first(jobs, now=now)))


@router.get("/timeline", summary="Who ran when, the most urgent job first")
def timeline(store: OpenStore, asked: Annotated[TimelineQuery, Query()]) -> TimelineAnswer:
    now = store.now()
    window, wanted = asked.window(now), (asked.find or "").casefold()
    jobs = store.overview(strip=STRIP_CELLS, environment=asked.environment)
    jobs = worst_first(jobs, now=now)
    found = [job for job in jobs if wanted in job.job_name.casefold()]
    is_shared = asked.environment is not None or has_environments(jobs)
    lanes = read_lanes(store, found[: asked.limit], window, now=now, is_shared=is_shared)
    return TimelineAnswer(
        now,
        window.since,
        window.until,
        round(window.slice.total_seconds()),
        tuple(map(LaneAnswer.of, lanes)),
        len(found) - len(lanes),
    )


@router.get(
    "/jobs/{job_name:path}/calendar", summary="The days of one job", responses=problems(404)
)
def calendar(
    store: OpenStore, job_name: JobName, asked: Annotated[CalendarQuery, Query()]
) -> CalendarAnswer:
    found = _job_of(store, job_name, asked.environment, strip=1)
    now = store.now()
    days = read_days(store, found, now, asked.zone, is_shared=bool(store.environments()))
    return CalendarAnswer(now, job_name, str(asked.zone), tuple(days))


@router.get("/jobs/{job_name:path}", summary="One job", responses=problems(404))
def job(store: OpenStore, job_name: JobName, asked: Annotated[StripQuery, Query()]) -> JobAnswer:
    found = _job_of(store, job_name, asked.environment, strip=asked.strip)
    now = store.now()
    stated = _stated_job(found, now)
    return JobAnswer(
        now,
        stated.state,
        stated.job,
        stated.expected_state,
        stated.cadence,
        stated.progress,
        tuple(store.cooldowns(job_name, found.environment)),
        store.lock_state(job_name, found.environment),
    )


@router.get("/runs", summary="Runs, the newest first")
def runs(store: OpenStore, asked: Annotated[RunQuery, Query()]) -> RunsAnswer:
    page = asked.read(store, asked.filter(store.now()), limit=asked.limit)
    return RunsAnswer(page.runs, cursor_text("older", page.older), cursor_text("newer", page.newer))


@router.get(
    "/runs/{run_id:int}",
    summary="Everything about one run",
    responses=problems(404),
    dependencies=NO_QUERY,
)
def run(store: OpenStore, run_id: RowId) -> RunDetails:
    details = store.run_details(run_id) if run_id <= LARGEST_ID else None
    if details is None:
        raise no_such_row("run", run_id)
    return details


@router.get(
    "/runs/{run_id:int}/explanation",
    summary="Why a run ended as it did, why it raised an alert or none, if the job still fails",
    responses=problems(404),
    dependencies=NO_QUERY,
)
def explanation(store: OpenStore, run_id: RowId) -> ExplanationAnswer:
    said = explain(run(store, run_id), now=store.now())
    return ExplanationAnswer(
        said.run_id,
        said.standing,
        said.headline.text(),
        tuple(Reason(sentence.topic, sentence.text()) for sentence in said.reasons),
    )


@router.get("/alerts", summary="Alerts, in the order of time")
def alerts(store: OpenStore, asked: Annotated[AlertQuery, Query()]) -> AlertsAnswer:
    page = asked.read(store, asked.filter(store.now()), limit=asked.limit)
    return AlertsAnswer(
        page.alerts,
        cursor_text("following", page.following),
        cursor_text("preceding", page.preceding),
    )


@router.get(
    "/alerts/{alert_id:int}",
    summary="Everything about one alert",
    responses=problems(404),
    dependencies=NO_QUERY,
)
def alert(store: OpenStore, alert_id: RowId) -> AlertDetails:
    details = store.alert_details(alert_id) if alert_id <= LARGEST_ID else None
    if details is None:
        raise no_such_row("alert", alert_id)
    return details


@router.get("/problems", summary="Alerts by their cause, the last raised first")
def list_problems(store: OpenStore, asked: Annotated[ProblemQuery, Query()]) -> ProblemsAnswer:
    page = asked.read(store, store.now(), limit=asked.limit)
    return ProblemsAnswer(
        tuple(NamedProblem(cause_text(one.cause), one) for one in page.found),
        page.problems,
        page.alerts,
        page.open_alerts,
        cursor_text("following", page.following),
        cursor_text("older", page.looked_to),
    )


@router.post(
    "/problems/resolve",
    summary="Mark all alerts of a problem resolved, or open again",
    responses=problems(400, 403, 413, 415),
    dependencies=NO_QUERY,
)
def resolve_problem(
    request: Request, state: CurrentState, store: OpenStore, change: ProblemResolution
) -> ChangedAlerts:
    wanted, by = AlertFilter(cause=change.cause), state.actor_of(request, change.by)
    return store.resolve_matching(wanted, by=by, resolved=change.resolved)


@router.post(
    "/problems/review",
    summary="Set the review status of all alerts of a problem",
    responses=problems(400, 403, 413, 415),
    dependencies=NO_QUERY,
)
def review_problem(
    request: Request, state: CurrentState, store: OpenStore, change: ProblemReview
) -> ChangedAlerts:
    wanted, by = AlertFilter(cause=change.cause), state.actor_of(request, change.by)
    return store.review_matching(wanted, by=by, review_status=change.review_status)


@router.get("/failures", summary="Failures by group over time")
def failures(store: OpenStore, asked: Annotated[FailureQuery, Query()]) -> FailuresAnswer:
    since, bucket, buckets = asked.read(store)
    return FailuresAnswer(since, round(bucket.total_seconds()), buckets)


@router.get(
    "/session",
    summary="Who sends the request, and whether they may change anything",
    dependencies=NO_QUERY,
)
def session(request: Request, state: CurrentState) -> SessionAnswer:
    return SessionAnswer(visitor_of(request).user, state.read_only)


@router.post(
    "/alerts/resolve",
    summary="Mark alerts resolved, or open again",
    responses=problems(400, 403, 413, 415),
    dependencies=NO_QUERY,
)
def resolve_alerts(
    request: Request, state: CurrentState, store: OpenStore, change: Resolution
) -> ChangedAlertsAnswer:
    by = state.actor_of(request, change.by)
    changed = store.resolve_alerts(change.alert_ids, by=by, resolved=change.resolved)
    return _changed(change.alert_ids, changed)


@router.post(
    "/alerts/review",
    summary="Set the review status of alerts",
    responses=problems(400, 403, 413, 415),
    dependencies=NO_QUERY,
)
def review_alerts(
    request: Request, state: CurrentState, store: OpenStore, change: Review
) -> ChangedAlertsAnswer:
    by = state.actor_of(request, change.by)
    changed = store.review_alerts(change.alert_ids, by=by, review_status=change.review_status)
    return _changed(change.alert_ids, changed)


@router.get("/silences", summary="Silences, the newest first")
def silences(store: OpenStore, asked: Annotated[SilenceQuery, Query()]) -> SilencesAnswer:
    now = store.now()
    return SilencesAnswer(now, tuple(_stated(one, now) for one in asked.read(store, now)))


@router.post(
    "/silences",
    summary="Mute notices of jobs until a time; runs and alerts are recorded all the same",
    responses=problems(400, 403, 409, 413, 415),
    dependencies=NO_QUERY,
)
def add_silence(
    request: Request, state: CurrentState, store: OpenStore, asked: NewSilence
) -> StatedSilence:
    now = store.now()
    added = store.add_silence(
        job=asked.job,
        error_group=asked.error_group,
        alert_type=asked.alert_type,
        starts_at=asked.starts_at,
        ends_at=_end(asked.ends_at, now, asked.starts_at),
        reason=asked.reason,
        created_by=state.actor_of(request, asked.by),
        until_recovered=asked.until_recovered,
    )
    return _stated(added, store.now())


@router.post(
    "/silences/{silence_id:int}/end",
    summary="End a silence now",
    responses=problems(400, 403, 404, 413, 415),
    dependencies=NO_QUERY,
)
def end_silence(
    request: Request, state: CurrentState, store: OpenStore, silence_id: RowId, sent: SilenceEnd
) -> StatedSilence:
    by = state.actor_of(request, sent.by)
    ended = store.end_silence(silence_id, by=by) if silence_id <= LARGEST_ID else None
    if ended is None:
        raise no_such_row("silence", silence_id)
    return _stated(ended, store.now())


@router.post(
    "/alerts/{alert_id:int}/ack",
    summary="Acknowledge an alert: reminders of its incident wait until a time",
    responses=problems(400, 403, 404, 409, 413, 415),
    dependencies=NO_QUERY,
)
def acknowledge(
    request: Request, state: CurrentState, store: OpenStore, alert_id: RowId, sent: Acknowledgement
) -> IncidentRecord:
    by, until = state.actor_of(request, sent.by), _end(sent.until, store.now())
    found = None
    if alert_id <= LARGEST_ID:
        found = store.acknowledge(alert_id, until=until, by=by, reason=sent.reason)
    if found is None:
        raise nothing_to_acknowledge(alert_id)
    return found


@router.post(
    "/alerts/{alert_id:int}/unack",
    summary="Take the acknowledgement of an alert back",
    responses=problems(400, 403, 404, 409, 413, 415),
    dependencies=NO_QUERY,
)
def unacknowledge(
    request: Request,
    state: CurrentState,
    store: OpenStore,
    alert_id: RowId,
    sent: AcknowledgementEnd,
) -> IncidentRecord:
    by = state.actor_of(request, sent.by)
    found = store.unacknowledge(alert_id, by=by) if alert_id <= LARGEST_ID else None
    if found is None:
        raise nothing_to_acknowledge(alert_id)
    return found


@router.get("/channels", summary="How every channel is doing", dependencies=NO_QUERY)
def channels(store: OpenStore) -> ChannelsAnswer:
    states = store.channel_states()
    looked_at = last_look(states)
    stated = (StatedChannel(channel_standing(one, looked_at), one) for one in states)
    return ChannelsAnswer(store.now(), looked_at, tuple(stated))


@router.get("/openapi.json", include_in_schema=False)
def describe(request: Request) -> Mapping[str, Any]:
    servers = [{"url": f"{prefix_of(request)}{PREFIX}"}]
    return {**_description(), "servers": servers}


@cache  # the routes do not change while a program runs
def _description() -> Mapping[str, Any]:
    return document(router.routes, common=PREFIX)


def _job_of(
    store: OperatorStore, job_name: str, environment: str | None, *, strip: int
) -> JobOverview:
    """Return the job that is meant; of several environments the one without a name, or the first.

    Raises:
        Problem: there is none.
    """
    found: Sequence[JobOverview] = ()
    if is_storable(job_name):
        found = store.overview(strip=strip, job_name=job_name, environment=environment)
    if not found:
        raise no_such_job(job_name, store.job_names())
    return found[0]


def _changed(ids: Sequence[int], alerts: Iterable[AlertRecord]) -> ChangedAlertsAnswer:
    changed = tuple(alerts)
    known = {alert.id for alert in changed}
    return ChangedAlertsAnswer(changed, tuple(one for one in ids if one not in known))


def _stated_job(job: JobOverview, now: datetime) -> StatedJob:
    return StatedJob(
        job_state_of(job, now=now),
        job,
        state_against_schedule(job, now=now),
        usual_cadence(job),
        RunProgress.of(job_progress(job, now=now)),
    )


def _stated(silence: Silence, now: datetime) -> StatedSilence:
    return StatedSilence(silence_state(silence, now=now), silence)


def _end(when: When, now: datetime, starts_at: datetime | None = None) -> datetime:
    try:
        return end_of(when, now=now, starts_at=starts_at)
    except UnreadableFilter as error:
        raise Problem(409, f"the end: {error}", remedy="Choose a later end.") from None
