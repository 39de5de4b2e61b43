"""The form of each answer of the JSON API, beside the records that answers are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .._monitor.explanation import Standing, Topic
from .._monitor.health import JobState
from .._monitor.records import (
    AlertRecord,
    CooldownState,
    FailureBucket,
    JobOverview,
    LockState,
    RunRecord,
)


@dataclass(frozen=True, slots=True)
class IndexAnswer:
    """Where everything is."""

    openapi: str
    overview: str
    runs: str
    alerts: str
    failures: str
    session: str


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
    """Who sends the request, and whether they may change anything."""

    user: str | None
    read_only: bool
