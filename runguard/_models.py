"""The words of a run: enumerations and frozen records.

Everything else may import this module; it imports the standard library only. What only an operator
reads stands in `_records`, so that a job never loads it. What every run makes is a named tuple:
those are defined and made in a fraction of a frozen dataclass's time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from ._frozen import NamedTuple, frozen

if TYPE_CHECKING:
    from uuid import UUID


class ErrorGroup(StrEnum):
    """The six groups that every failure is sorted into. Added in 0.1."""

    LOCK_CONFLICT = "LOCK_CONFLICT"
    HTTP_409 = "HTTP_409"
    HTTP_5XX = "HTTP_5XX"
    HTTP_4XX = "HTTP_4XX"
    TIMEOUT = "TIMEOUT"
    UNKNOWN = "UNKNOWN"


class Severity(StrEnum):
    """How urgent an alert is. Added in 0.1."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RunStatus(StrEnum):
    """The state of a run: RUNNING, then SUCCESS or FAILED for good. Added in 0.1."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class TriggerType(StrEnum):
    """What started a run. Added in 0.1."""

    MANUAL = "MANUAL"
    SCHEDULER = "SCHEDULER"
    RETRY = "RETRY"


class AlertOutcome(StrEnum):
    """What a failed run did to the alerts: column `run_log.alert_outcome`."""

    RAISED = "raised"
    SUPPRESSED = "suppressed"
    EXCLUDED = "excluded"
    WAITING = "waiting"  # for more failures in a row
    NONE = "none"


ErrorGroupName = Literal["LOCK_CONFLICT", "HTTP_409", "HTTP_5XX", "HTTP_4XX", "TIMEOUT", "UNKNOWN"]
SeverityName = Literal["low", "medium", "high"]
CooldownBy = Literal["group", "reason"]
TriggerTypeName = Literal["MANUAL", "SCHEDULER", "RETRY"]


@frozen
class Failure:
    """Why a run failed, as `classify` sees it.

    Attributes:
        error_group: One of the six groups.
        severity: How urgent its alert is.
        http_status_code: The HTTP status that decided the group, 400 to 599, or None.
        error_type: Qualified name of the exception's type.
        error_message: The text without secrets, at most 16 KiB.
        matched_by: Which rule decided, for a human.
        error_reason: An `ErrorReason`, or None where none is known. Added in 0.2.
        matched_depth: Steps from the exception to the cause or context that decided; 0 for the
            exception itself, None where nothing in it decided. Added in 0.2.
        matched_rule: Number of your own rule that decided, from 1, or None. Added in 0.2.
        upstream: Host and port of the service that failed, such as `api.example.org:443`, where
            the exception itself names them. Added in 0.2.

    Added in 0.1.
    """

    error_group: ErrorGroup
    severity: Severity
    http_status_code: int | None
    error_type: str
    error_message: str
    matched_by: str
    error_reason: str | None = None
    matched_depth: int | None = None
    matched_rule: int | None = None
    upstream: str | None = None


@frozen
class Rule:
    """A classification rule of your own, asked before all others.

    Attributes:
        match: An exception type, a qualified type name (`"billing.errors.Declined"`), or a
            function from the exception to a bool. Types and names match subclasses too.
        error_group: The group of an exception that matches.
        http_status_code: HTTP status to record with the failure, 400 to 599, or None.

    Added in 0.1.

    >>> Rule(ConnectionResetError, "HTTP_5XX").error_group
    <ErrorGroup.HTTP_5XX: 'HTTP_5XX'>
    """

    match: type[BaseException] | str | Callable[[BaseException], bool]
    error_group: ErrorGroup | ErrorGroupName
    http_status_code: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "error_group", ErrorGroup(self.error_group))


class NewRun(NamedTuple):
    """A run that is about to begin. `lost_after` is how long it may be silent; None: unknown.

    `version` is the code that runs, `trace_id` the OpenTelemetry trace that it is part of.
    """

    key: UUID
    job_name: str
    trigger_type: TriggerType
    host: str
    pid: int
    lost_after: timedelta | None = None
    environment: str | None = None
    version: str | None = None
    trace_id: str | None = None


class Counters(NamedTuple):
    """What a job counted, each 0 or more."""

    total_records: int = 0
    changed_records: int = 0
    created_alerts: int = 0
    retry_count: int = 0


class AlertKey(NamedTuple):
    """What the cooldown is kept by."""

    source_type: str
    source_id: str
    alert_type: str


class AlertDraft(NamedTuple):
    """An alert that is written if its key's cooldown allows.

    `uuid` is made by the client, so that a repeat after a lost answer finds its own. Where `reason`
    is set, only alerts of the key for the same reason cover it. It waits for `failures_to_alert`
    failures in a row.
    """

    uuid: UUID
    key: AlertKey
    severity: Severity
    title: str
    message: str
    detail: Mapping[str, Any]
    cooldown: timedelta
    reason: str | None = None
    failures_to_alert: int = 1
    environment: str | None = None


class AlertVerdict(NamedTuple):
    """What became of an alert.

    `alert_id` is the alert that was raised, or the one that covers the suppressed one, or None
    where the statement could not see it; `window_ends_at` is when the key may alert again.
    """

    outcome: AlertOutcome
    alert_id: int | None = None
    window_ends_at: datetime | None = None


NO_RULE_MATCHED: Final = "no rule matched"  # `matched_by` where nothing decided
NO_ALERT: Final = AlertVerdict(AlertOutcome.NONE)


class LockHolder(NamedTuple):
    """The other run that holds a job's lock; None where the store could not see it."""

    locked_by: str | None
    lock_expires_at: datetime | None


NOBODY: Final = LockHolder(None, None)


class RunNote(NamedTuple):
    """What is kept beside a run: all of a failed one, what the job noted of one that went well.

    `links` are pairs of a name and an http(s) address; `done` and `total` are its progress.
    """

    traceback: str | None = None
    log_tail: str | None = None
    context: Mapping[str, Any] | None = None
    links: tuple[tuple[str, str], ...] = ()
    done: int | None = None
    total: int | None = None


class RunEnding(NamedTuple):
    """How a run ended. `failure` is None for SUCCESS; `alert` is None where none may be raised.

    `refused_by` is set where the body never began: who held the lock, or NOBODY.
    """

    key: UUID
    counters: Counters
    failure: Failure | None = None
    error_location: str | None = None
    alert: AlertDraft | None = None
    refused_by: LockHolder | None = None
    note: RunNote | None = None

    @property
    def status(self) -> RunStatus:
        """SUCCESS without a failure, FAILED with one."""
        return RunStatus.SUCCESS if self.failure is None else RunStatus.FAILED


class SpooledRun(NamedTuple):
    """A run that the store could not take, with its host's times (aware, in UTC).

    `ending` and `finished_at` are None while it runs.
    """

    run: NewRun
    started_at: datetime
    finished_at: datetime | None = None
    ending: RunEnding | None = None


class StoreIdentity(NamedTuple):
    """What a store is known by on this machine: records for one never reach another.

    `name` is a folder's, `label` is for people, without user and password. `former` are the names
    that an earlier release gave it.
    """

    name: str
    label: str
    former: tuple[str, ...] = ()


class SpooledAlert(NamedTuple):
    """A job's own alert that the store could not take; its detail says when it occurred."""

    draft: AlertDraft


def in_environment(name: str, environment: str | None) -> str:
    """Return a key or a lock's name, kept apart from those of other environments."""
    return name if environment is None else f"{name}@{environment}"


def named_in(job_name: str, environment: str | None) -> str:
    """Name a job to people."""
    return job_name if environment is None else f"{job_name} in {environment}"


def lock_owner(host: str | None, pid: int | None, key: UUID) -> str:
    """Name the holder of a job lock. The key tells two containers of one host and pid apart."""
    return f"{host}:{pid}:{key}"


class EarlierEnding(NamedTuple):
    """How a run was found that had ended before: by whom, as far as a row shows, and its alert."""

    status: str
    finished_at: datetime | None
    by: str
    verdict: AlertVerdict = NO_ALERT


class FinishedRun(NamedTuple):
    """What the store did with a run's ending.

    `recorded` is False where no open run of that key was found. Then `earlier` says how it had
    ended before; it is None, and so is `run_id`, where there is no row of that key.
    """

    recorded: bool
    run_id: int | None = None
    verdict: AlertVerdict = NO_ALERT
    earlier: EarlierEnding | None = None


class Lease(NamedTuple):
    """A job lock that is held by us. `fence` grows with every holder of the job's lock."""

    job_name: str
    owner: str
    fence: int
