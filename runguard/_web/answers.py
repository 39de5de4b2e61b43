"""The form of each answer of the JSON API, beside the records that answers are made of."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from .._frozen import frozen
from .._monitor.cadence import Cadence
from .._monitor.expectations import ExpectedState
from .._monitor.explanation import Standing
from .._monitor.health import JobState
from .._monitor.notices import ChannelState, Silence
from .._monitor.progress import RunProgress
from .._monitor.records import (
    AlertRecord,
    CooldownState,
    FailureBucket,
    JobOverview,
    LockState,
    Problem,
    RunRecord,
)
from .._monitor.sentences import Topic
from .._monitor.timeline import DayRuns, Lane, LaneBar, MissedStarts, Stretch
from .._monitor.trail import ChannelStanding, SilenceState


@frozen
class IndexAnswer:
    """Where everything is."""

    openapi: str
    overview: str
    runs: str
    alerts: str
    problems: str
    failures: str
    timeline: str
    silences: str
    channels: str
    session: str


@frozen
class StatedJob:
    """A job, and in one word how it stands.

    `expected_state` says how it stands against its schedule, null where no start is expected;
    `cadence` is when it usually starts, null where its last runs are too few. `progress` is that
    of its newest open run, null where it told none.
    """

    state: JobState
    job: JobOverview
    expected_state: ExpectedState | None
    cadence: Cadence | None
    progress: RunProgress | None


@frozen
class OverviewAnswer:
    """Every job at a glance, the worst first. `now` is the database's clock."""

    now: datetime
    jobs: tuple[StatedJob, ...]


@frozen
class JobAnswer:
    """One job: how it stands, as in the overview, and how its cooldowns and its lock do."""

    now: datetime
    state: JobState
    job: JobOverview
    expected_state: ExpectedState | None
    cadence: Cadence | None
    progress: RunProgress | None
    cooldowns: tuple[CooldownState, ...]
    lock: LockState | None


@frozen
class RunsAnswer:
    """One page of runs. `older` and `newer` ask, as `page`, for those next to it, or are null."""

    runs: tuple[RunRecord, ...]
    older: str | None
    newer: str | None


@frozen
class Reason:
    """One sentence, and what it is about."""

    topic: Topic
    text: str


@frozen
class ExplanationAnswer:
    """Why a run ended as it did, and what became of it: the answer, then the reasons."""

    run_id: int
    standing: Standing
    headline: str
    reasons: tuple[Reason, ...]


@frozen
class AlertsAnswer:
    """One page of alerts. `following` and `preceding` ask, as `page`, for those next to it."""

    alerts: tuple[AlertRecord, ...]
    following: str | None
    preceding: str | None


@frozen
class NamedProblem:
    """A problem, and the text that finds its alerts: `cause`."""

    cause: str
    problem: Problem


@frozen
class ProblemsAnswer:
    """One page of problems, the last raised first, among the newest alerts that match.

    `following` asks, as `page`, for the next ones. `beyond` asks, as `beyond`, for the problems of
    alerts that are older than those that were looked at; null where that were all. `total` counts
    the problems of these, `alerts` and `open_alerts` their alerts.
    """

    problems: tuple[NamedProblem, ...]
    total: int
    alerts: int
    open_alerts: int
    following: str | None
    beyond: str | None


@frozen
class LaneAnswer:
    """A job in a timeline; `runs` began in that time, `is_all` says whether all were counted.

    `bars` are its runs, those of one kind merged where less than a slice is between them. In
    `overlaps` more than one was under way. `missed` are expected starts that did not come, of
    many in a row the first and the last, with their number in `outages`; `next_due_at` is the next
    expected one, or null.
    """

    job_name: str
    runs: int
    failures: int
    is_all: bool
    bars: tuple[LaneBar, ...]
    overlaps: tuple[Stretch, ...]
    missed: tuple[datetime, ...]
    next_due_at: datetime | None
    environment: str | None
    outages: tuple[MissedStarts, ...]

    @classmethod
    def of(cls, lane: Lane) -> LaneAnswer:
        """Return what a program is told of a lane; its bars in the order of their starts."""
        said = {field.name: getattr(lane, field.name) for field in fields(cls)}
        said["bars"] = tuple(sorted(lane.bars, key=lambda bar: bar.starts_at))
        return cls(**said)


@frozen
class TimelineAnswer:
    """Who ran when, the most urgent job first. `now` is the database's clock.

    `left_out` counts the jobs that were asked for and are not in the answer.
    """

    now: datetime
    since: datetime
    until: datetime
    slice_seconds: int
    lanes: tuple[LaneAnswer, ...]
    left_out: int


@frozen
class CalendarAnswer:
    """The days of a job, the oldest first: of up to twelve months, from its first run's on."""

    now: datetime
    job_name: str
    zone: str
    days: tuple[DayRuns, ...]


@frozen
class FailuresAnswer:
    """Failures by group in stretches of time; a stretch without any is left out."""

    since: datetime
    bucket_seconds: int
    buckets: tuple[FailureBucket, ...]


@frozen
class StatedSilence:
    """A silence, and in one word whether it mutes now."""

    state: SilenceState
    silence: Silence


@frozen
class SilencesAnswer:
    """Silences. `now` is the database's clock."""

    now: datetime
    silences: tuple[StatedSilence, ...]


@frozen
class StatedChannel:
    """A channel, and in one word how it is doing."""

    standing: ChannelStanding
    channel: ChannelState


@frozen
class ChannelsAnswer:
    """Every channel that a process ever had, and when such a process last looked."""

    now: datetime
    looked_at: datetime | None
    channels: tuple[StatedChannel, ...]


@frozen
class ChangedAlertsAnswer:
    """The alerts as they are now, and the asked ids that no alert has."""

    alerts: tuple[AlertRecord, ...]
    unknown: tuple[int, ...]


@frozen
class SessionAnswer:
    """Who sends the request, and whether they may change anything."""

    user: str | None
    read_only: bool
