"""What is asked for in an address: one reader of filters and lists, behind the pages and the API.

Each class is the query of one list. It is read from the texts of an address, described in the
OpenAPI document by the same types, and reads its list from a store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import core_schema

from .._errors import did_you_mean
from .._frozen import frozen
from .._models import ErrorGroup, RunStatus, Severity, TriggerType
from .._monitor import filters
from .._monitor.filters import EARLIEST, LATEST, UnreadableFilter, When, instant_of
from .._monitor.health import JobState, ended_at, last_outcome, reason_now, state_of
from .._monitor.notices import Silence
from .._monitor.records import (
    AlertFilter,
    AlertOrder,
    AlertPage,
    Cause,
    Cursor,
    FailureBucket,
    JobOverview,
    ProblemPage,
    RunFilter,
    RunPage,
)
from .._monitor.timeline import DEFAULT_ZOOM, MOST_LANES, ZOOMS, Window, Zoom, window_of
from .._reasons import ErrorReason
from .._store.operator import OperatorStore
from .problems import Problem, expected_and_found

MOST_ROWS: Final = 500
MOST_CELLS: Final = 200
MOST_BUCKETS: Final = 2000
LARGEST_ID: Final = 2**63 - 1
LARGEST_EXACT: Final = 2**53 - 1  # of JSON's numbers, beyond which they are not told apart
LONGEST_TEXT: Final = 1000
LONGEST_CAUSE: Final = 4000

_DURATION: Final = r"[1-9]\d{0,6}[smhdwSMHDW]"
_PLACE: Final = re.compile(r"(older|newer|following|preceding)\.(-?\d{1,16})\.(\d{1,19})")
WITHOUT_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?")
_INSTANT_FIELDS: Final = {"since": "from", "until": "to"}  # of a page's form
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OF_VIEWS: Final = frozenset({"order", "limit", "timeline", "at"})  # of a page, not of its list
_SHORTEST_BUCKET: Final = timedelta(minutes=1)


@frozen
class Reader:
    """How a value is read, and how it is described: the annotation of a field.

    `read` raises `UnreadableFilter` where it cannot.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _kind: Any, _handler: Any) -> core_schema.CoreSchema:
        """Let Pydantic read by `read` alone."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        """Describe what `read` takes."""
        return dict(self.schema)


def word_of(known: type[StrEnum]) -> Reader:
    """Read one of some words, in any case."""
    return Reader(
        lambda text: known(filters.read_word(text, known)),
        {"type": "string", "enum": [str(word) for word in known]},
    )


def whole_number(least: int, most: int) -> Reader:
    """Read a whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise UnreadableFilter(f"a whole number from {least} to {most}", text)
        return int(text)

    return Reader(read, {"type": "integer", "minimum": least, "maximum": most})


def is_storable(text: str) -> bool:
    """Whether every database can hold a text: it has no NUL and no half of a character."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def cursor_text(direction: str, cursor: Cursor | None) -> str | None:
    """Return where a page goes on, as it stands in a URL; None where it does not."""
    if cursor is None:
        return None
    return f"{direction}.{instant_text(cursor.instant)}.{cursor.id}"


def instant_text(instant: datetime) -> str:
    """Return a time exactly, as it stands in a URL."""
    return str((instant - _EPOCH) // timedelta(microseconds=1))


def read_instant(text: str) -> datetime | None:
    """Read what `instant_text` wrote; None where it did not."""
    if not re.fullmatch(r"-?\d{1,16}", text, re.ASCII):
        return None
    return min(max(_EPOCH + timedelta(microseconds=int(text)), EARLIEST), LATEST)


def cause_text(cause: Cause) -> str:
    """Return a cause as it stands in a URL: its source, type, reason and source's id."""
    parts = (cause.source_type, cause.alert_type, cause.error_reason or "", cause.source_id or "")
    return ":".join(quote(part, safe="", errors="replace") for part in parts)


def read_cause(text: Any) -> Cause:
    """Read what `cause_text` wrote.

    Raises:
        UnreadableFilter: it did not.
    """
    parts = [unquote(part) for part in text.split(":")] if isinstance(text, str) else []
    if len(parts) != 4 or not is_storable(text) or len(text) > LONGEST_CAUSE:
        raise UnreadableFilter("the `cause` of a problem in an earlier answer", str(text)[:100])
    source_type, alert_type, reason, source_id = parts
    return Cause(source_type, source_id or None, alert_type, reason or None)


def _cursor(*directions: str) -> Reader:
    """Read what `cursor_text` wrote: the direction, and from where."""

    def read(text: str) -> dict[str, Cursor]:
        found = _PLACE.fullmatch(text)
        if found is None or found[1] not in directions or int(found[3]) > LARGEST_ID:
            expected = f"the `{'` or `'.join(directions)}` of an earlier answer"
            raise UnreadableFilter(expected, text)
        instant = _EPOCH + timedelta(microseconds=int(found[2]))
        return {found[1]: Cursor(min(max(instant, EARLIEST), LATEST), int(found[3]))}

    pattern = f"^({'|'.join(directions)})\\.-?\\d{{1,16}}\\.\\d{{1,18}}$"
    return Reader(read, {"type": "string", "pattern": pattern})


def _text(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_TEXT or not is_storable(text):
        expected = f"a text of 1 to {LONGEST_TEXT} characters, none of them NUL"
        raise UnreadableFilter(expected, text)
    return text


def _written(text: Any) -> str:
    """Read a text of a body that says something."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or not text.strip():
        raise UnreadableFilter(f"a text of 1 to {LONGEST_TEXT} characters", str(text)[:100])
    return _text(text).strip()


def _instant(text: Any) -> datetime:
    when = filters.read_when(text) if isinstance(text, str) else None
    if not isinstance(when, datetime):
        raise UnreadableFilter("a time such as 2026-03-01T02:30Z, with its zone", str(text)[:100])
    return when


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise UnreadableFilter("true or false", text)
    return text == "true"


def _zoom(text: str) -> Zoom:
    known = {zoom.text: zoom for zoom in ZOOMS}
    if text not in known:
        raise UnreadableFilter(f"one of {', '.join(known)}", text)
    return known[text]


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnreadableFilter("a time zone such as Asia/Seoul", text) from None


def timeline_window(zoom: Zoom, at: datetime | None, now: datetime) -> Window:
    """Return the window of a timeline that ends at a time, or that shows now."""
    live = window_of(zoom, now=now)
    if at is None or at >= live.until:
        return live
    return window_of(zoom, now=now, until=max(at, EARLIEST + 2 * zoom.length))


def _bucket(text: str) -> timedelta:
    length = filters.read_duration(text)
    if length < _SHORTEST_BUCKET:
        raise UnreadableFilter("a duration of at least a minute, such as 5m, 1h or 1d", text)
    return length


TEXT: Final = Reader(
    _text,
    {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"^[^\x00]*$"},
)
WHEN: Final = Reader(
    filters.read_when,
    {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "pattern": f"^{_DURATION}$"},
        ]
    },
)
WRITTEN: Final = Reader(
    _written,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_TEXT,
        "pattern": r"^[^\x00]*[^\x00\s][^\x00]*$",
    },
)
INSTANT: Final = Reader(_instant, {"type": "string", "format": "date-time"})
_BOOLEAN: Final = Reader(_yes_or_no, {"type": "boolean"})
_BUCKET: Final = Reader(
    _bucket, {"type": "string", "pattern": f"^{_DURATION.replace('sm', 'm').replace('SM', 'M')}$"}
)

ZOOM: Final = Reader(_zoom, {"type": "string", "enum": [zoom.text for zoom in ZOOMS]})
CAUSE: Final = Reader(
    read_cause,
    {"type": "string", "maxLength": LONGEST_CAUSE, "pattern": r"^[^:\x00]*(:[^:\x00]*){3}$"},
)

Job = Annotated[str | None, TEXT, Field(description="Only this job.")]
Environment = Annotated[
    str | None,
    Reader(
        filters.read_environment, {"type": "string", "pattern": "^[a-z0-9_-]+$", "maxLength": 40}
    ),
    Field(description="Only this environment; `none` for what has none."),
]
Group = Annotated[
    ErrorGroup | None, word_of(ErrorGroup), Field(description="Only failures of this group.")
]
Reason = Annotated[
    ErrorReason | None,
    word_of(ErrorReason),
    Field(description="Only failures for this reason."),
]
Since = Annotated[
    When | None,
    WHEN,
    Field(description="Only since this time, or since a duration ago (24h, 7d)."),
]
Until = Annotated[
    When | None, WHEN, Field(description="Only before this time, or before a duration ago.")
]
Limit = Annotated[int, whole_number(1, MOST_ROWS), Field(description="Most rows in the answer.")]
Strip = Annotated[
    int,
    whole_number(1, MOST_CELLS),
    Field(description="Number of last runs that describe a job."),
]
_EARLIER: Final = "of an earlier answer; the filters must be its own."


class Query(BaseModel):
    """The parameters of an address. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        known = cls.model_fields
        for name in given:
            if name not in known:
                raise ValueError(
                    f"expected a parameter out of: {', '.join(known) or 'none'}; found {name!r}"
                    f"{did_you_mean(name, known)}"
                )
        # An address holds texts; what else is here is a default that FastAPI has put in.
        return {name: text for name, text in given.items() if isinstance(text, str)}


class NoQuery(Query):
    """No parameters at all."""


class StripQuery(Query):
    """How jobs are described."""

    strip: Strip = 30
    environment: Environment = None


class RunQuery(Query):
    """Which runs, and which page of them."""

    job: Job = None
    environment: Environment = None
    status: Annotated[
        RunStatus | None, word_of(RunStatus), Field(description="Only runs of this status.")
    ] = None
    group: Group = None
    reason: Reason = None
    trigger: Annotated[
        TriggerType | None, word_of(TriggerType), Field(description="Only runs with this trigger.")
    ] = None
    version: Annotated[
        str | None,
        TEXT,
        Field(
            description="Only runs of this version: a commit may be cut, `*` stands for any text."
        ),
    ] = None
    upstream: Annotated[
        str | None,
        TEXT,
        Field(
            description="Only failures of calls to this host, or host and port; `*` stands for any"
            " text."
        ),
    ] = None
    since: Since = None
    until: Until = None
    limit: Limit = 50
    page: Annotated[
        dict[str, Cursor] | None,
        _cursor("older", "newer"),
        Field(description=f"The `older` or the `newer` {_EARLIER}"),
    ] = None

    def filter(
        self,
        now: datetime,
        *,
        job_name: str | None = None,
        jobs: Sequence[str] = (),
        environment: str | None = None,
    ) -> RunFilter:
        """Return which runs are asked for; `now` is the database's clock.

        `job_name`, or `jobs` with names or patterns, stand for the job that is asked for;
        `environment` for that where none is.
        """
        if len(jobs) == 1 and not filters.is_pattern(jobs[0]):
            job_name, jobs = jobs[0], ()
        return RunFilter(
            job_name=job_name or (None if jobs else self.job),
            jobs=tuple(jobs),
            status=self.status,
            error_group=self.group,
            error_reason=self.reason,
            trigger_type=self.trigger,
            version=self.version,
            upstream=self.upstream,
            environment=self.environment or environment,
            since=instant_of(self.since, now=now),
            until=instant_of(self.until, now=now),
        )

    def read(self, store: OperatorStore, wanted: RunFilter, *, limit: int) -> RunPage:
        """Read the page that is asked for."""
        place = self.page or {}
        return store.run_page(
            wanted, limit=limit, older_than=place.get("older"), newer_than=place.get("newer")
        )


class JobOrder(StrEnum):
    """By what jobs are sorted; each in the direction that is looked for most."""

    URGENT = "urgent"
    NAME = "name"
    LAST = "last"
    SUCCESS = "success"
    P50 = "p50"
    P95 = "p95"
    ALERTS = "alerts"
    RUNNING = "running"
    STARTED = "started"
    DUE = "due"
    FAILURES = "failures"


class JobQuery(Query):
    """Which jobs, in which order, and which page of them."""

    environment: Environment = None
    find: Annotated[
        str | None,
        TEXT,
        Field(description="Only jobs with this in their name, owner or description."),
    ] = None
    state: Annotated[
        JobState | None, word_of(JobState), Field(description="Only jobs in this state.")
    ] = None
    sort: Annotated[JobOrder, word_of(JobOrder), Field(description="By what they are sorted.")] = (
        JobOrder.URGENT
    )
    reverse: Annotated[bool, _BOOLEAN, Field(description="The other way round.")] = False
    reason: Annotated[
        ErrorReason | None,
        word_of(ErrorReason),
        Field(description="Only jobs that fail for this reason now."),
    ] = None
    page: Annotated[int, whole_number(1, 100_000), Field(description="Which page.")] = 1
    timeline: Annotated[Zoom, ZOOM, Field(description="How much time their timeline shows.")] = (
        DEFAULT_ZOOM
    )
    at: Annotated[datetime | None, INSTANT, Field(description="When that time ends.")] = None

    def arrange(self, jobs: Iterable[JobOverview], *, now: datetime) -> list[JobOverview]:
        """Return the jobs that are asked for, in the order asked for; `jobs` are the worst first.

        What has no value to sort by stands at the end.
        """
        wanted = (self.find or "").casefold()
        found = [job for job in jobs if wanted in _words_of(job).casefold()]
        if self.state is not None:
            found = [job for job in found if state_of(job, now=now) is self.state]
        if self.reason is not None:
            found = [job for job in found if reason_now(job) == self.reason]
        if self.sort is JobOrder.URGENT:
            return found[::-1] if self.reverse else found
        key, descends = _SORTED[self.sort]
        valued = [job for job in found if key(job) is not None]
        valued.sort(key=key, reverse=descends is not self.reverse)
        return [*valued, *(job for job in found if key(job) is None)]


def _words_of(job: JobOverview) -> str:
    """What a search for a job looks through."""
    said = (job.expected.owner, job.expected.description) if job.expected is not None else ()
    return "\n".join([job.job_name, *(text for text in said if text)])


def _due_of(job: JobOverview) -> datetime | None:
    return job.expected.next_due_at if job.expected is not None else None


def _share_of(job: JobOverview) -> float | None:
    return job.succeeded / job.finished if job.finished else None


def _last_end_of(job: JobOverview) -> datetime | None:
    last = last_outcome(job)
    return None if last is None else ended_at(last)


# By what a job is sorted, and whether the largest comes first.
_SORTED: Final[Mapping[JobOrder, tuple[Callable[[JobOverview], Any], bool]]] = {
    JobOrder.NAME: (lambda job: job.job_name.casefold(), False),
    JobOrder.LAST: (_last_end_of, True),
    JobOrder.SUCCESS: (_share_of, False),
    JobOrder.P50: (lambda job: job.median_seconds, True),
    JobOrder.P95: (lambda job: job.p95_seconds, True),
    JobOrder.ALERTS: (lambda job: job.open_alerts, True),
    JobOrder.RUNNING: (lambda job: job.running, True),
    JobOrder.STARTED: (lambda job: job.last_start_at, True),
    JobOrder.DUE: (_due_of, False),
    JobOrder.FAILURES: (lambda job: job.finished - job.succeeded, True),
}


class AlertFilters(Query):
    """Which alerts."""

    job: Job = None
    environment: Environment = None
    group: Group = None
    reason: Reason = None
    cause: Annotated[
        Cause | None,
        CAUSE,
        Field(description="Only alerts of this problem: its `cause` in an earlier answer."),
    ] = None
    type: Annotated[
        str | None, TEXT, Field(description="Only alerts of this type; failed runs have FAILED.")
    ] = None
    severity: Annotated[
        Severity | None, word_of(Severity), Field(description="Only alerts of this severity.")
    ] = None
    review_status: Annotated[
        str | None, TEXT, Field(description="Only this review status, also a foreign one.")
    ] = None
    resolved: Annotated[
        bool | None, _BOOLEAN, Field(description="Only resolved, or only open.")
    ] = None
    since: Since = None
    until: Until = None

    def filter(self, now: datetime) -> AlertFilter:
        """Return which alerts are asked for; `now` is the database's clock."""
        return AlertFilter(
            job_name=self.job,
            error_group=self.group,
            error_reason=self.reason,
            cause=self.cause,
            alert_type=self.type,
            severity=self.severity,
            review_status=self.review_status,
            resolved=self.resolved,
            environment=self.environment,
            since=instant_of(self.since, now=now),
            until=instant_of(self.until, now=now),
        )


class AlertQuery(AlertFilters):
    """Which alerts, in which order, and which page of them."""

    limit: Limit = 50
    order: Annotated[
        AlertOrder, word_of(AlertOrder), Field(description="Which ones come first.")
    ] = AlertOrder.NEWEST
    page: Annotated[
        dict[str, Cursor] | None,
        _cursor("following", "preceding"),
        Field(description=f"The `following` or the `preceding` {_EARLIER}"),
    ] = None

    def read(self, store: OperatorStore, wanted: AlertFilter, *, limit: int) -> AlertPage:
        """Read the page that is asked for."""
        place = self.page or {}
        return store.alert_page(
            wanted,
            limit=limit,
            order=self.order,
            following=place.get("following"),
            preceding=place.get("preceding"),
        )


class AlertPageQuery(AlertQuery):
    """The same for a page, which shows problems above the alerts."""

    more: Annotated[dict[str, Cursor] | None, _cursor("following")] = None
    beyond: Annotated[dict[str, Cursor] | None, _cursor("older")] = None

    def read_problems(self, store: OperatorStore, wanted: AlertFilter, limit: int) -> ProblemPage:
        """Read the problems that are asked for."""
        return store.problem_page(
            wanted,
            limit=limit,
            older_than=(self.beyond or {}).get("older"),
            following=(self.more or {}).get("following"),
        )


class ProblemQuery(AlertFilters):
    """Problems of which alerts, and which page of them."""

    limit: Limit = 50
    page: Annotated[
        dict[str, Cursor] | None,
        _cursor("following"),
        Field(description=f"The `following` {_EARLIER}"),
    ] = None
    beyond: Annotated[
        dict[str, Cursor] | None,
        _cursor("older"),
        Field(
            description="The `beyond` of an earlier answer: problems of the alerts that are older"
            " than those it looked at."
        ),
    ] = None

    def read(self, store: OperatorStore, now: datetime, *, limit: int) -> ProblemPage:
        """Read the page that is asked for; `now` is the database's clock."""
        return store.problem_page(
            self.filter(now),
            limit=limit,
            older_than=(self.beyond or {}).get("older"),
            following=(self.page or {}).get("following"),
        )


class SilenceQuery(Query):
    """Which silences."""

    active: Annotated[
        bool, _BOOLEAN, Field(description="Only those that mute now; else also ended ones.")
    ] = False
    limit: Limit = 50

    def read(self, store: OperatorStore, now: datetime) -> Sequence[Silence]:
        """Read the silences that are asked for; `now` is the database's clock."""
        return store.silences(active_at=now if self.active else None, limit=self.limit)


class TimelineQuery(Query):
    """The timeline of which jobs, of which time."""

    environment: Environment = None
    find: Annotated[str | None, TEXT, Field(description="Only jobs with this in their name.")] = (
        None
    )
    zoom: Annotated[Zoom, ZOOM, Field(description="How much time it is; 24h otherwise.")] = (
        DEFAULT_ZOOM
    )
    at: Annotated[
        datetime | None, INSTANT, Field(description="When that time ends; otherwise it shows now.")
    ] = None
    limit: Annotated[
        int, whole_number(1, MOST_LANES), Field(description="Most jobs in the answer.")
    ] = MOST_LANES

    def window(self, now: datetime) -> Window:
        """Return the time that is asked for; `now` is the database's clock."""
        return timeline_window(self.zoom, self.at, now)


class CalendarQuery(Query):
    """The days of which zone."""

    environment: Environment = None
    zone: Annotated[
        ZoneInfo,
        Reader(_zone, {"type": "string", "format": "time-zone"}),
        Field(description="The zone of the days, a name of the IANA database; UTC otherwise."),
    ] = ZoneInfo("UTC")


class FailureQuery(Query):
    """Failures of which job, since when, in stretches of which length."""

    job: Job = None
    environment: Environment = None
    since: Since = timedelta(hours=24)
    bucket: Annotated[
        timedelta,
        _BUCKET,
        Field(
            description="How long one stretch is; 1h otherwise. At most"
            f" {MOST_BUCKETS} of them are counted: then `since` in the answer is later than"
            " what was asked for."
        ),
    ] = timedelta(hours=1)

    def read(self, store: OperatorStore) -> tuple[datetime, timedelta, tuple[FailureBucket, ...]]:
        """Return since when was counted, in which stretches, and the counts."""
        now = store.now()
        since = instant_of(self.since, now=now) or EARLIEST
        earliest = now - min(self.bucket * MOST_BUCKETS, now - EARLIEST)
        since = max(since, earliest)
        found = store.failure_buckets(
            since=since, bucket=self.bucket, job_name=self.job, environment=self.environment
        )
        return since, self.bucket, tuple(found)


Q = TypeVar("Q", bound=Query)


@frozen
class Asked(Generic[Q]):
    """What a page's address asks for: `query` as read, `texts` as they stand in the address.

    `texts` leaves out where a page goes on: it belongs to the filters of the page before.
    """

    query: Q
    texts: Mapping[str, str]

    @property
    def filters(self) -> Mapping[str, str]:
        """What narrows the list, as texts."""
        return {name: text for name, text in self.texts.items() if name not in _OF_VIEWS}


def asked_of(request: Request, kind: type[Q]) -> Asked[Q]:
    """Read what a page's address asks for.

    A form without a script sends its empty fields too, so an empty value asks for nothing; what
    is not known is passed over, since a page has parameters beside its list's.

    Raises:
        Problem: a value cannot be read.
    """
    given = {name: request.query_params.get(name, "").strip() for name in kind.model_fields}
    for name, field in _INSTANT_FIELDS.items():
        if name in given and (text := request.query_params.get(field, "").strip()):
            # Without a script, what a browser's field for times sends has no zone.
            given[name] = f"{text}Z" if WITHOUT_ZONE.fullmatch(text) else text
    texts = {name: text for name, text in given.items() if text}
    try:
        query = kind.model_validate(texts)
    except ValidationError as error:
        raise Problem(
            422,
            expected_and_found(error),
            title="This filter cannot be read",
            remedy="Correct it in the address, or choose the filters again.",
        ) from None
    for place in ("page", "more", "beyond"):
        texts.pop(place, None)
    return Asked(query, texts)


async def refuse_repeated(request: Request) -> None:
    """Refuse a parameter that is there twice.

    Raises:
        Problem: one is.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise Problem(422, f"{name}: expected one value, found more", remedy="Send one.")
