"""The JSON API: the same data as the pages, for programs.

`ENDPOINTS` is the one table of it: the routes and the OpenAPI description are made from it, and
the form of each answer is a frozen record, from which its schema is made.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .._errors import did_you_mean, nearest
from .._models import ErrorGroup, ReviewStatus, RunStatus, Severity, TriggerType
from .._monitor.explanation import Standing, Topic, explain
from .._monitor.health import JobState, state_of, worst_first
from .._monitor.records import (
    AlertDetails,
    AlertFilter,
    AlertOrder,
    AlertRecord,
    CooldownState,
    Cursor,
    FailureBucket,
    JobOverview,
    LockState,
    RunDetails,
    RunFilter,
    RunRecord,
)
from .._store.operator import OperatorStore
from .openapi import document
from .problems import Problem
from .site import site_of, visitor_of

MOST_ROWS: Final = 500
MOST_CELLS: Final = 200
MOST_BUCKETS: Final = 2000
MOST_IDS: Final = 1000
LARGEST_ID: Final = 2**63 - 1
LONGEST_TEXT: Final = 1000

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"([1-9]\d{0,6})([smhdw])")
_LONGER: Final = re.compile(r"([1-9]\d{0,6})([mhdw])")
_PLACE: Final = re.compile(r"(older|newer|following|preceding)\.(-?\d{1,16})\.(\d{1,19})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StatedJob:
    """A job, and in one word how it stands."""

    state: JobState
    job: JobOverview


@dataclass(frozen=True, slots=True)
class OverviewAnswer:
    """Every job at a glance, the worst first. `now` is the database's clock."""

    now: datetime
    jobs: tuple[StatedJob, ...]


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """One job: how it stands, and how its cooldowns and its lock do."""

    now: datetime
    state: JobState
    job: JobOverview
    cooldowns: tuple[CooldownState, ...]
    lock: LockState | None


@dataclass(frozen=True, slots=True)
class RunsAnswer:
    """One page of runs. `older` and `newer` ask, as `page`, for those next to it, or are null."""

    runs: tuple[RunRecord, ...]
    older: str | None
    newer: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence, and what it is about."""

    topic: Topic
    text: str


@dataclass(frozen=True, slots=True)
class ExplanationAnswer:
    """Why a run ended as it did, and what became of it: the answer, then the reasons."""

    run_id: int
    standing: Standing
    headline: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class AlertsAnswer:
    """One page of alerts. `following` and `preceding` ask, as `page`, for those next to it."""

    alerts: tuple[AlertRecord, ...]
    following: str | None
    preceding: str | None


@dataclass(frozen=True, slots=True)
class FailuresAnswer:
    """Failures by group in stretches of time; a stretch without any is left out."""

    since: datetime
    bucket_seconds: int
    buckets: tuple[FailureBucket, ...]


@dataclass(frozen=True, slots=True)
class ChangedAlertsAnswer:
    """The alerts as they are now, and the asked ids that no alert has."""

    alerts: tuple[AlertRecord, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """Who asks, whether they may change things, and the token that a browser must send back."""

    user: str | None
    read_only: bool
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a request: how it is read, and how it is described."""

    name: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation: its address, what it takes, and what it answers.

    `body` is the schema of a JSON body, by field; those in `needed` must be there.
    """

    method: Literal["get", "post"]
    path: str
    name: str
    summary: str
    answer: type
    respond: Callable[[Request, dict[str, Any]], Any]
    parameters: tuple[Parameter, ...] = ()
    path_schema: Mapping[str, Any] | None = None
    body: Mapping[str, Mapping[str, Any]] | None = None
    needed: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()


def routes() -> list[BaseRoute]:
    """Return the routes below `/api/v1`."""
    return [
        *(
            Route(one.path, _handler(one), methods=[one.method.upper()], name=one.name)
            for one in ENDPOINTS
        ),
        Route("/openapi.json", _describe, name="openapi"),
    ]


def place_text(direction: str, cursor: Cursor | None) -> str | None:
    """Return where a page goes on, as it stands in a URL; None where it does not."""
    if cursor is None:
        return None
    since_epoch = (cursor.instant - _EPOCH) // timedelta(microseconds=1)
    return f"{direction}.{since_epoch}.{cursor.id}"


def read_place(text: str, *directions: str) -> dict[str, Cursor]:
    """Read what `place_text` wrote: the direction, and from where."""
    found = _PLACE.fullmatch(text)
    if found is None or found[1] not in directions or int(found[3]) > LARGEST_ID:
        raise ValueError(f"the `{'` or `'.join(directions)}` of an earlier answer")
    instant = _within(_EPOCH + timedelta(microseconds=int(found[2])))
    return {found[1]: Cursor(instant, int(found[3]))}


def plain(value: Any) -> Any:
    """Turn records into what JSON knows; times in ISO 8601, in UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


class _Json(JSONResponse):
    """JSON whose texts may hold anything."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # A surrogate without its partner has no UTF-8; JSON has an escape for it.
        return text.encode(errors="backslashreplace")


def _handler(endpoint: Endpoint) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        asked = _query_of(request, endpoint.parameters)
        return _Json(plain(endpoint.respond(request, asked)))

    return handle


def _describe(request: Request) -> Response:
    return _Json(document(ENDPOINTS, prefix=request.scope["root_path"]))


def _query_of(request: Request, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Read the query.

    Raises:
        Problem: a name is unknown or twice there, or a value cannot be read.
    """
    known = {one.name: one for one in parameters}
    asked: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in known:
            raise Problem(
                422,
                f"expected a parameter out of: {', '.join(known) or 'none'}; found {name!r}"
                f"{did_you_mean(name, known)}",
                remedy="Leave it out, or correct its name.",
            )
        if name in asked:
            raise Problem(422, f"{name}: expected one value, found more", remedy="Send one.")
        try:
            asked[name] = known[name].read(text)
        except ValueError as error:
            raise Problem(
                422, f"{name}: expected {error}, found {text!r}", remedy="Correct the value."
            ) from None
    return asked


def _word_of(*known: str) -> tuple[Callable[[str], str], dict[str, Any]]:
    def read(text: str) -> str:
        for word in known:
            if word.lower() == text.lower():
                return word
        raise ValueError(f"one of {', '.join(known)}{did_you_mean(text, known)}")

    return read, {"type": "string", "enum": [str(word) for word in known]}


def _number(least: int, most: int) -> tuple[Callable[[str], int], dict[str, Any]]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read, {"type": "integer", "minimum": least, "maximum": most}


def _text(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_TEXT or "\0" in text or not _is_unicode(text):
        raise ValueError(f"a text of 1 to {LONGEST_TEXT} characters, none of them NUL")
    return text


def _duration(text: str, form: re.Pattern[str] = _DURATION) -> timedelta:
    found = form.fullmatch(text)
    if found is None:
        raise ValueError("a duration such as 90m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _moment(text: str) -> datetime | timedelta:
    """Read a time with its zone, or how long ago."""
    if _DURATION.fullmatch(text):
        return _duration(text)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError("a time with its zone, such as 2026-11-22T02:10:00Z, or a duration, 24h")
    return _within(instant)


def _within(instant: datetime) -> datetime:
    """Keep a time where every database can go; no run is older."""
    return min(max(instant, _EARLIEST), _LATEST).astimezone(UTC)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_SHORT_TEXT: Final[Mapping[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_TEXT,
    "pattern": r"^[^\x00]*$",
}
_MOMENT_SCHEMA: Final[Mapping[str, Any]] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
    ]
}
_SINCE: Final = Parameter(
    "since", _moment, _MOMENT_SCHEMA, "From this time on, or from so long ago (24h, 7d)."
)
_UNTIL: Final = Parameter("until", _moment, _MOMENT_SCHEMA, "Before this time, or so long ago.")
_LIMIT: Final = Parameter("limit", *_number(1, MOST_ROWS), "At most so many rows; 50 otherwise.")
_JOB: Final = Parameter("job", _text, _SHORT_TEXT, "Only this job.")
_GROUP: Final = Parameter("group", *_word_of(*ErrorGroup), "Only failures of this group.")


def _page_parameter(*directions: str) -> Parameter:
    pattern = f"^({'|'.join(directions)})\\.-?\\d{{1,16}}\\.\\d{{1,18}}$"
    return Parameter(
        "page",
        lambda text: read_place(text, *directions),
        {"type": "string", "pattern": pattern},
        f"The `{'` or the `'.join(directions)}` of an earlier answer; the filters must be its own.",
    )


def _moments(asked: dict[str, Any], now: Callable[[], datetime]) -> dict[str, Any]:
    """Put times in the place of durations."""
    lengths = {name for name in ("since", "until") if isinstance(asked.get(name), timedelta)}
    if lengths:
        clock = now()
        for name in lengths:
            asked[name] = _within(clock - min(asked[name], clock - _EARLIEST))
    return asked


def _store_of(request: Request) -> OperatorStore:
    return site_of(request).store_of()


def _overview(request: Request, asked: dict[str, Any]) -> OverviewAnswer:
    store = _store_of(request)
    now, jobs = store.now(), store.overview(strip=asked.get("strip", 30))
    worst = worst_first(jobs, now=now)
    return OverviewAnswer(now, tuple(StatedJob(state_of(job, now=now), job) for job in worst))


def _job(request: Request, asked: dict[str, Any]) -> JobAnswer:
    store = _store_of(request)
    name = request.path_params["job_name"]
    found = store.overview(strip=asked.get("strip", 30), job_name=name) if _is_name(name) else ()
    if not found:
        raise no_such_job(store, name)
    now = store.now()
    return JobAnswer(
        now,
        state_of(found[0], now=now),
        found[0],
        tuple(store.cooldowns(name)),
        store.lock_state(name),
    )


def no_such_job(store: OperatorStore, name: str) -> Problem:
    """Say that a job never ran, and which one may have been meant."""
    near = nearest(name, store.job_names())
    return Problem(
        404,
        f"No job {name!r} was ever recorded here{f' (did you mean {near!r}?)' if near else ''}.",
        title="No such job",
        remedy="The overview lists every job.",
        meant=near,
    )


def _runs(request: Request, asked: dict[str, Any]) -> RunsAnswer:
    store = _store_of(request)
    _moments(asked, store.now)
    place: dict[str, Cursor] = asked.get("page", {})
    page = store.run_page(
        RunFilter(
            job_name=asked.get("job"),
            status=asked.get("status"),
            error_group=asked.get("group"),
            trigger_type=asked.get("trigger"),
            since=asked.get("since"),
            until=asked.get("until"),
        ),
        limit=asked.get("limit", 50),
        older_than=place.get("older"),
        newer_than=place.get("newer"),
    )
    return RunsAnswer(page.runs, place_text("older", page.older), place_text("newer", page.newer))


def _explanation(request: Request, asked: dict[str, Any]) -> ExplanationAnswer:
    said = explain(_run(request, asked), now=_store_of(request).now())
    return ExplanationAnswer(
        said.run_id,
        said.standing,
        said.headline.text(),
        tuple(Reason(sentence.topic, sentence.text()) for sentence in said.reasons),
    )


def _run(request: Request, _asked: dict[str, Any]) -> RunDetails:
    run_id: int = request.path_params["run_id"]
    details = _store_of(request).run_details(run_id) if run_id <= LARGEST_ID else None
    if details is None:
        raise Problem(
            404,
            f"There is no run {run_id}.",
            title="No such run",
            remedy="It may have been pruned; the runs that are there are under /runs.",
        )
    return details


def _alerts(request: Request, asked: dict[str, Any]) -> AlertsAnswer:
    store = _store_of(request)
    _moments(asked, store.now)
    place: dict[str, Cursor] = asked.get("page", {})
    page = store.alert_page(
        AlertFilter(
            job_name=asked.get("job"),
            error_group=asked.get("group"),
            alert_type=asked.get("type"),
            severity=asked.get("severity"),
            review_status=asked.get("review_status"),
            resolved=asked.get("resolved"),
            since=asked.get("since"),
            until=asked.get("until"),
        ),
        limit=asked.get("limit", 50),
        order=AlertOrder(asked.get("order", AlertOrder.NEWEST)),
        following=place.get("following"),
        preceding=place.get("preceding"),
    )
    return AlertsAnswer(
        page.alerts,
        place_text("following", page.following),
        place_text("preceding", page.preceding),
    )


def _alert(request: Request, _asked: dict[str, Any]) -> AlertDetails:
    alert_id: int = request.path_params["alert_id"]
    details = _store_of(request).alert_details(alert_id) if alert_id <= LARGEST_ID else None
    if details is None:
        raise Problem(
            404,
            f"There is no alert {alert_id}.",
            title="No such alert",
            remedy="It may have been pruned; the alerts that are there are under /alerts.",
        )
    return details


def _failures(request: Request, asked: dict[str, Any]) -> FailuresAnswer:
    store = _store_of(request)
    now = store.now()
    asked.setdefault("since", timedelta(hours=24))
    since = _moments(asked, lambda: now)["since"]
    bucket = min(asked.get("bucket", timedelta(hours=1)), timedelta(days=36_500))
    since = max(since, now - min(bucket * MOST_BUCKETS, now - _EARLIEST))
    buckets = store.failure_buckets(since=since, bucket=bucket, job_name=asked.get("job"))
    return FailuresAnswer(since, round(bucket.total_seconds()), tuple(buckets))


def _session(request: Request, _asked: dict[str, Any]) -> SessionAnswer:
    visitor, site = visitor_of(request), site_of(request)
    return SessionAnswer(visitor.user, site.read_only, visitor.csrf_token)


def _resolve(request: Request, _asked: dict[str, Any]) -> ChangedAlertsAnswer:
    body = _body_of(request, {"alert_ids", "resolved", "by"})
    ids, resolved = _ids_of(body), body.get("resolved", True)
    if not isinstance(resolved, bool):
        raise Problem(422, f"resolved: expected true or false, found {resolved!r}")
    site = site_of(request)
    changed = site.store_of().resolve_alerts(ids, by=site.actor_of(request), resolved=resolved)
    return _changed(ids, changed)


def _review(request: Request, _asked: dict[str, Any]) -> ChangedAlertsAnswer:
    body = _body_of(request, {"alert_ids", "review_status", "by"})
    ids, status = _ids_of(body), body.get("review_status")
    if not isinstance(status, str):
        raise Problem(
            422,
            f"review_status: expected one of {', '.join(ReviewStatus)}, found"
            f" {str(status)[:100]!r}",
        )
    site = site_of(request)
    changed = site.store_of().review_alerts(ids, by=site.actor_of(request), review_status=status)
    return _changed(ids, changed)


def _changed(ids: list[int], alerts: Iterable[AlertRecord]) -> ChangedAlertsAnswer:
    changed = tuple(alerts)
    known = {alert.id for alert in changed}
    return ChangedAlertsAnswer(changed, tuple(one for one in ids if one not in known))


def _body_of(request: Request, known: set[str]) -> dict[str, Any]:
    body = request.state.json
    if not isinstance(body, dict):
        raise Problem(422, f"expected a JSON object, found {type(body).__name__}")
    for name in body.keys() - known:
        raise Problem(
            422,
            f"expected the fields {', '.join(sorted(known))}; found {name[:100]!r}"
            f"{did_you_mean(name, known)}",
        )
    by = body.get("by", "")
    if not isinstance(by, str) or len(by) > LONGEST_NAME or "\0" in by or not _is_unicode(by):
        raise Problem(422, f"by: expected a name of at most {LONGEST_NAME} characters")
    return body


def _ids_of(body: Mapping[str, Any]) -> list[int]:
    ids = body.get("alert_ids")
    if (
        not isinstance(ids, list)
        or not 1 <= len(ids) <= MOST_IDS
        or not all(_is_id(one) for one in ids)
    ):
        raise Problem(
            422,
            f"alert_ids: expected a list of 1 to {MOST_IDS} ids of alerts",
            remedy="Send the numbers that the alerts have as `id`.",
        )
    return list(dict.fromkeys(int(one) for one in ids))


def _is_id(value: object) -> bool:
    # JSON has one kind of number: 7.0 is 7.
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return is_whole and 1 <= value <= LARGEST_ID  # type: ignore[operator]


def _is_name(name: str) -> bool:
    return "\0" not in name and _is_unicode(name)


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


LONGEST_NAME: Final = 128
_STRIP: Final = Parameter(
    "strip", *_number(1, MOST_CELLS), "How many of its last runs describe a job; 30 otherwise."
)
_ID_SCHEMA: Final[Mapping[str, Any]] = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
_BY: Final[Mapping[str, Any]] = {
    "type": "string",
    "maxLength": LONGEST_NAME,
    "pattern": r"^[^\x00]*$",
    "description": "Who does it, where no login says so.",
}
_IDS: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    "minItems": 1,
    "maxItems": MOST_IDS,
}

ENDPOINTS: Final = (
    Endpoint(
        "get",
        "/overview",
        "overview",
        "Every job at a glance",
        OverviewAnswer,
        _overview,
        parameters=(_STRIP,),
    ),
    Endpoint(
        "get",
        "/jobs/{job_name:path}",
        "job",
        "One job",
        JobAnswer,
        _job,
        parameters=(_STRIP,),
        path_schema={"type": "string", "minLength": 1},
        problems=(404,),
    ),
    Endpoint(
        "get",
        "/runs",
        "runs",
        "Runs, the newest first",
        RunsAnswer,
        _runs,
        parameters=(
            _JOB,
            Parameter("status", *_word_of(*RunStatus), "Only runs of this status."),
            _GROUP,
            Parameter("trigger", *_word_of(*TriggerType), "Only runs started so."),
            _SINCE,
            _UNTIL,
            _LIMIT,
            _page_parameter("older", "newer"),
        ),
    ),
    Endpoint(
        "get",
        "/runs/{run_id:int}",
        "run",
        "Everything about one run",
        RunDetails,
        _run,
        path_schema=_ID_SCHEMA,
        problems=(404,),
    ),
    Endpoint(
        "get",
        "/runs/{run_id:int}/explanation",
        "explanation",
        "Why a run ended so, why it was told or not, and whether it is over",
        ExplanationAnswer,
        _explanation,
        path_schema=_ID_SCHEMA,
        problems=(404,),
    ),
    Endpoint(
        "get",
        "/alerts",
        "alerts",
        "Alerts, in the order of time",
        AlertsAnswer,
        _alerts,
        parameters=(
            _JOB,
            _GROUP,
            Parameter("type", _text, _SHORT_TEXT, "Only this type; FAILED is that of runs."),
            Parameter("severity", *_word_of(*Severity), "Only this severity."),
            Parameter("review_status", _text, _SHORT_TEXT, "Only this review status."),
            Parameter("resolved", _yes_or_no, {"type": "boolean"}, "Only resolved, or only open."),
            _SINCE,
            _UNTIL,
            _LIMIT,
            Parameter("order", *_word_of(*AlertOrder), "newest (first), or oldest."),
            _page_parameter("following", "preceding"),
        ),
    ),
    Endpoint(
        "get",
        "/alerts/{alert_id:int}",
        "alert",
        "Everything about one alert",
        AlertDetails,
        _alert,
        path_schema=_ID_SCHEMA,
        problems=(404,),
    ),
    Endpoint(
        "get",
        "/failures",
        "failures",
        "Failures by group over time",
        FailuresAnswer,
        _failures,
        parameters=(
            _JOB,
            _SINCE,
            Parameter(
                "bucket",
                lambda text: _duration(text, _LONGER),
                {"type": "string", "pattern": f"^{_LONGER.pattern}$"},
                "How long one stretch is; 1h otherwise. At most 2000 of them are counted: then"
                " `since` in the answer is later than what was asked for.",
            ),
        ),
    ),
    Endpoint(
        "get",
        "/session",
        "session",
        "Who asks, and the token for writes from a browser",
        SessionAnswer,
        _session,
    ),
    Endpoint(
        "post",
        "/alerts/resolve",
        "resolve_alerts",
        "Mark alerts resolved, or open again",
        ChangedAlertsAnswer,
        _resolve,
        body={
            "alert_ids": _IDS,
            "resolved": {"type": "boolean", "default": True},
            "by": _BY,
        },
        needed=("alert_ids",),
        problems=(400, 403, 413, 415),
    ),
    Endpoint(
        "post",
        "/alerts/review",
        "review_alerts",
        "Set the review status of alerts",
        ChangedAlertsAnswer,
        _review,
        body={
            "alert_ids": _IDS,
            "review_status": {"type": "string", "enum": [str(one) for one in ReviewStatus]},
            "by": _BY,
        },
        needed=("alert_ids", "review_status"),
        problems=(400, 403, 413, 415),
    ),
)
