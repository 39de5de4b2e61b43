"""The JSON API: the same data as the pages, for programs.

A function answers with a record, from whose type its schema is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, Final, ParamSpec

from fastapi import APIRouter, Depends, Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from starlette.requests import Request
from starlette.responses import Response

from .._errors import did_you_mean
from .._models import ReviewStatus
from .._monitor.explanation import explain
from .._monitor.filters import UnreadableFilter, read_word
from .._monitor.health import state_of as job_state_of
from .._monitor.health import worst_first
from .._monitor.records import (
    AlertDetails,
    AlertFilter,
    AlertRecord,
    Cause,
    ChangedAlerts,
    RunDetails,
)
from .answers import (
    AlertsAnswer,
    ChangedAlertsAnswer,
    ExplanationAnswer,
    FailuresAnswer,
    IndexAnswer,
    JobAnswer,
    NamedProblem,
    OverviewAnswer,
    ProblemsAnswer,
    Reason,
    RunsAnswer,
    SessionAnswer,
    StatedJob,
)
from .auth.actor import LONGEST_NAME
from .json_answer import JsonAnswer
from .openapi import ALWAYS, document, problems
from .problems import no_such_job, no_such_row
from .query import (
    CAUSE,
    LARGEST_ID,
    AlertQuery,
    FailureQuery,
    NoQuery,
    ProblemQuery,
    Reader,
    RunQuery,
    StripQuery,
    cause_text,
    cursor_text,
    is_storable,
    refuse_repeated,
)
from .state import CurrentState, OpenStore, prefix_of, visitor_of

MOST_IDS: Final = 1000
LARGEST_EXACT: Final = 2**53 - 1  # of JSON's numbers, beyond which they are not told apart
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
        record = endpoint(*args, **kwargs)
        # An older FastAPI makes each route anew where its router is included.
        return record if isinstance(record, Response) else JsonAnswer(record)

    return answer


router = APIRouter(
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


def _alert_ids(value: Any) -> list[int]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MOST_IDS
        or not all(_is_id(one) for one in value)
    ):
        raise UnreadableFilter(f"a list of 1 to {MOST_IDS} ids of alerts", str(value)[:100])
    return list(dict.fromkeys(int(one) for one in value))


def _is_id(value: object) -> bool:
    # JSON has one kind of number: 7.0 is 7.
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return is_whole and 1 <= value <= LARGEST_EXACT  # type: ignore[operator]


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not is_storable(value):
        raise UnreadableFilter(f"a name of at most {LONGEST_NAME} characters", str(value)[:100])
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnreadableFilter("true or false", str(value)[:100])
    return value


def _review_status(value: Any) -> ReviewStatus:
    return ReviewStatus(read_word(value if isinstance(value, str) else "", ReviewStatus))


By = Annotated[
    str,
    Reader(_name, {"type": "string", "maxLength": LONGEST_NAME, "pattern": r"^[^\x00]*$"}),
    Field(description="Who does it, where the login does not say."),
]


class _Body(BaseModel):
    """What is sent. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise UnreadableFilter("a JSON object", type(given).__name__)
        for name in given.keys() - cls.model_fields.keys():
            raise ValueError(
                f"expected the fields {', '.join(cls.model_fields)}; found {name[:100]!r}"
                f"{did_you_mean(name, cls.model_fields)}"
            )
        return given


class _Change(_Body):
    """What is to be done about which alerts."""

    alert_ids: Annotated[
        list[int],
        Reader(
            _alert_ids,
            {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": LARGEST_EXACT},
                "minItems": 1,
                "maxItems": MOST_IDS,
            },
        ),
    ]
    by: By = ""


class Resolution(_Change):
    """Alerts to be resolved, or opened again."""

    resolved: Annotated[bool, Reader(_boolean, {"type": "boolean"})] = True


class _ProblemChange(_Body):
    """What is to be done about all alerts of a problem."""

    cause: Annotated[
        Cause, CAUSE, Field(description="The `cause` of the problem in an earlier answer.")
    ]
    by: By = ""


class ProblemResolution(_ProblemChange):
    """A problem to be resolved, or opened again."""

    resolved: Annotated[bool, Reader(_boolean, {"type": "boolean"})] = True


class ProblemReview(_ProblemChange):
    """A problem that somebody has looked at, and what they make of it."""

    review_status: Annotated[
        ReviewStatus,
        Reader(_review_status, {"type": "string", "enum": [str(one) for one in ReviewStatus]}),
    ]


class Review(_Change):
    """Alerts that somebody has looked at, and what they make of them."""

    review_status: Annotated[
        ReviewStatus,
        Reader(_review_status, {"type": "string", "enum": [str(one) for one in ReviewStatus]}),
    ]


@router.get("/", summary="Where everything is", dependencies=NO_QUERY)
def index(request: Request) -> IndexAnswer:
    base = f"{prefix_of(request)}{PREFIX}"
    paths = {field.name: f"{base}/{field.name}" for field in fields(IndexAnswer)}
    return IndexAnswer(**{**paths, "openapi": f"{base}/openapi.json"})


@router.get("/overview", summary="Every job at a glance")
def overview(store: OpenStore, asked: Annotated[StripQuery, Query()]) -> OverviewAnswer:
    now, jobs = store.now(), store.overview(strip=asked.strip)
    return OverviewAnswer(
        now,
        tuple(StatedJob(job_state_of(job, now=now), job) for job in worst_first(jobs, now=now)),
    )


@router.get("/jobs/{job_name:path}", summary="One job", responses=problems(404))
def job(store: OpenStore, job_name: JobName, asked: Annotated[StripQuery, Query()]) -> JobAnswer:
    found = store.overview(strip=asked.strip, job_name=job_name) if is_storable(job_name) else ()
    if not found:
        raise no_such_job(job_name, store.job_names())
    now = store.now()
    return JobAnswer(
        now,
        job_state_of(found[0], now=now),
        found[0],
        tuple(store.cooldowns(job_name)),
        store.lock_state(job_name),
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


@router.get("/openapi.json", include_in_schema=False)
def describe(request: Request) -> Mapping[str, Any]:
    return document(router.routes, prefix=f"{prefix_of(request)}{PREFIX}")


def _changed(ids: Sequence[int], alerts: Iterable[AlertRecord]) -> ChangedAlertsAnswer:
    changed = tuple(alerts)
    known = {alert.id for alert in changed}
    return ChangedAlertsAnswer(changed, tuple(one for one in ids if one not in known))
