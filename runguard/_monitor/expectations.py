"""The words of watching: what a job is expected to do, and what is found where it does not.

Pure records. The store writes and reads them, `_watch` decides, surfaces show them. A run that
expects nothing loads none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from .._frozen import field_names, frozen
from .._models import Severity, in_environment
from .states import FindingType as FindingType  # noqa: PLC0414 - found here too

JOB_SOURCE_TYPE: Final = "job"  # `alert.source_type` of all findings
MONITOR_SOURCE_ID: Final = "runguard"  # `alert.source_id` of UNWATCHED, which is about no job


SEVERITY_OF_FINDING: Final[Mapping[FindingType, Severity]] = {
    FindingType.MISSED: Severity.HIGH,
    FindingType.STUCK: Severity.HIGH,
    FindingType.SLOW: Severity.LOW,
    FindingType.FAST: Severity.LOW,
    FindingType.EMPTY: Severity.MEDIUM,
    FindingType.FREQUENT: Severity.MEDIUM,
    FindingType.WRONG_ZONE: Severity.MEDIUM,
    FindingType.UNWATCHED: Severity.HIGH,
}


class Declarer(StrEnum):
    """Who declared an expectation; the later one here wins."""

    CODE = "code"  # `Expect`, `runguard.expect`, `runguard exec --every`
    FILE = "file"  # `[jobs.NAME]` of the configuration
    PERSON = "person"  # `runguard expect NAME`


@frozen(kw_only=True)
class Expectation:
    """What a job is expected to do. At most one of `every`, `cron` and `calendar` is set.

    Attributes:
        every: Longest time between two starts.
        cron: Five fields, in `tz`.
        calendar: A systemd calendar expression, in `tz`.
        tz: Name of a zone of the IANA database; UTC where None.
        grace: How late a start may be. None: max(10 min, a tenth of the gap), at most half of the
            smallest gap.
        max_runtime: How long a run may take.
        min_records: The least `total_records` of a successful run.
        learn: Whether the usual cadence, as far as one is known, counts as declared.
        ping_url: `env:NAME` or `file:/path` of an address that the monitor tells of each ending.
    """

    every: timedelta | None = None
    cron: str | None = None
    calendar: str | None = None
    tz: str | None = None
    grace: timedelta | None = None
    max_runtime: timedelta | None = None
    min_records: int | None = None
    learn: bool = False
    ping_url: str | None = None

    @property
    def has_schedule(self) -> bool:
        """Whether starts are expected at times that are known."""
        return bool(self.every or self.cron or self.calendar)

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON values, without what is not set; durations in seconds."""
        values = ((name, getattr(self, name)) for name in field_names(self))
        return {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name, value in values
            if value is not None and value is not False
        }


_DURATIONS: Final = frozenset({"every", "grace", "max_runtime"})
_KINDS: Final = {"min_records": int, "learn": bool}  # all others are texts


def expectation_from(document: object) -> Expectation:
    """Read what `as_document` wrote; what a later release or a hand wrote otherwise is passed over.

    >>> expectation_from({"tz": "UTC", "cron": ["0 2 * * *"], "weekdays": True}).as_document()
    {'tz': 'UTC'}
    """
    known: dict[str, Any] = {}
    for name, value in document.items() if isinstance(document, Mapping) else ():
        if name not in field_names(Expectation):
            continue
        if name in _DURATIONS:
            with suppress(TypeError, ValueError, OverflowError):
                known[name] = timedelta(seconds=value)
        elif type(value) is _KINDS.get(name, str):
            known[name] = value
    return Expectation(**known)


@frozen(kw_only=True)
class JobDeclaration:
    """What somebody says of a job.

    Attributes:
        environment: The environment that it is for; None where none is set.
        expectation: What is expected; None where only the texts are declared.
        owner: A word that routes can ask for.
        runbook: Address of what to do.
        description: What the job is for, a sentence.
        by: Who declares.
        who: The person, the file, or the host.
    """

    job_name: str
    environment: str | None = None
    expectation: Expectation | None = None
    owner: str | None = None
    runbook: str | None = None
    description: str | None = None
    by: Declarer = Declarer.CODE
    who: str = ""


@frozen(kw_only=True)
class JobRecord:
    """A row of `job`: what holds for a job, and how far it was judged. Times are aware, in UTC.

    Attributes:
        expectation: What holds; an empty one where only texts are declared.
        declared_by: Who declared what holds; `declared_who` is the person, the file or the host.
        declarations: All that was declared, by who did, each as the document that is stored.
        declared_at: When what holds was first declared: nothing before is judged.
        retired_at: When somebody ended it; None while it holds.
        next_due_at: When the next start is expected; None where no time is known.
        look_at: When the monitor must look at it again, if it does not run before.
        judged_at: All before was judged.
    """

    job_name: str
    environment: str | None = None
    expectation: Expectation = field(default_factory=Expectation)
    owner: str | None = None
    runbook: str | None = None
    description: str | None = None
    declared_by: Declarer = Declarer.CODE
    declared_who: str | None = None
    declarations: Mapping[str, Any] = field(default_factory=dict)
    spec_hash: str | None = None
    declared_at: datetime | None = None
    retired_at: datetime | None = None
    next_due_at: datetime | None = None
    grace_seconds: float | None = None
    look_at: datetime | None = None
    judged_at: datetime | None = None


class WatchedRun(NamedTuple):  # a round may make hundreds of thousands
    """A run as the judge needs it. Times are aware, in UTC.

    Attributes:
        refused: Whether it never began, since another run held the job's lock.
        came_late: Whether its row was replayed from a spool, with the times of its host.
    """

    id: int
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    total_records: int | None = None
    refused: bool = False
    came_late: bool = False
    trigger_type: str = "SCHEDULER"
    host: str | None = None


@frozen(kw_only=True)
class Gap:
    """A stretch of time in which no monitor looked."""

    began_at: datetime
    ended_at: datetime


@frozen(kw_only=True)
class OpenFinding:
    """A finding whose incident is open: its guard row, with the detail of its newest alert."""

    type: FindingType
    incident: int
    opened_at: datetime
    last_alert_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@frozen(kw_only=True)
class JobFacts:
    """All that the judge knows of a job.

    Attributes:
        runs: Its newest runs, the newest first: as many as `WATCHED_RUNS`, at least all that
            began since `job.judged_at` less a grace, and all that go on.
        open: Its findings whose incidents are open.
        learned: What is expected of it with the schedule that its starts prove, where that is to
            be learned and they do; it takes the place of `job.expectation`.
    """

    job: JobRecord
    runs: tuple[WatchedRun, ...] = ()
    open: Mapping[FindingType, OpenFinding] = field(default_factory=dict)
    learned: Expectation | None = None


WATCHED_RUNS: Final = 25  # the 22 that durations are compared over, and some that failed


@frozen(kw_only=True)
class Finding:
    """What is wrong now.

    The store raises an alert where no incident of its key is open, or where the cooldown is over
    and `mark` is another than that of the newest alert; at the earliest a cooldown after the last.

    Attributes:
        title: One line.
        message: Sentences for a person.
        detail: For programs; the store adds `job_name`, `environment` and `owner`.
        since: When it began.
        mark: Changes where there is something new to tell, such as the due time missed last.
    """

    type: FindingType
    title: str
    message: str
    since: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
    mark: str = ""


@frozen(kw_only=True)
class Closing:
    """Why a finding that is open is over; a RECOVERED alert gets `title` and `message`."""

    type: FindingType
    title: str
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    run_id: int | None = None


@frozen(kw_only=True)
class Verdict:
    """What the judge says of a job, to be written in one transaction."""

    job: JobRecord
    findings: tuple[Finding, ...] = ()
    closings: tuple[Closing, ...] = ()
    next_due_at: datetime | None = None
    grace_seconds: float | None = None
    look_at: datetime | None = None
    judged_at: datetime | None = None


@frozen(kw_only=True)
class MonitorRecord:
    """A row of `monitor`: one process that looks, and when it did last.

    `who` is `host:pid`; `kind` is `monitor`, `once` or `web`.
    """

    who: str
    kind: str
    started_at: datetime
    last_round_at: datetime
    rounds: int = 1
    seconds: float | None = None
    version: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)


class ExpectedState(StrEnum):
    """How a job stands against its schedule, for people."""

    ON_TIME = "ON_TIME"
    LATE = "LATE"  # due, and within its grace
    MISSED = "MISSED"  # the finding is open


class Due(Protocol):
    """What has a next start."""

    @property
    def next_due_at(self) -> datetime | None:
        """When it is expected."""

    @property
    def grace_seconds(self) -> float | None:
        """How late it may be."""

    @property
    def retired_at(self) -> datetime | None:
        """When somebody ended it."""


def expected_state(
    job: Due, *, last_start_at: datetime | None, is_missed: bool, now: datetime
) -> ExpectedState | None:
    """Say how a job stands against its schedule; None where no start is expected."""
    if job.retired_at is not None or (job.next_due_at is None and not is_missed):
        return None
    if is_missed:
        return ExpectedState.MISSED
    due = job.next_due_at
    if due is None or due > now:
        return ExpectedState.ON_TIME
    early = timedelta(seconds=min(job.grace_seconds or 0.0, 60.0))
    if last_start_at is not None and last_start_at >= due - early:
        return ExpectedState.ON_TIME  # the round that notices has not come yet
    return ExpectedState.LATE


def source_id_of(job_name: str, environment: str | None) -> str:
    """Return `alert.source_id` of a job's findings, which is also in the key of its guard.

    >>> source_id_of("backup", "staging"), source_id_of("backup@staging", None)
    ('backup@staging', 'backup@staging@')
    """
    if environment is None and "@" in job_name:
        return f"{job_name}@"
    return in_environment(job_name, environment)


def job_in(source_id: str) -> tuple[str, str | None]:
    """Return the job and the environment that `source_id_of` was given.

    >>> [job_in(one) for one in ("backup", "backup@staging", "backup@staging@")]
    [('backup', None), ('backup', 'staging'), ('backup@staging', None)]
    """
    name, at, environment = source_id.rpartition("@")
    return (name, environment or None) if at else (source_id, None)
