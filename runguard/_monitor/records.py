"""The words of an operator: what is read from a store, and deleted.

Never imported by a run; like `_models`, it imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from .._frozen import frozen
from .._models import TriggerType
from .changes import Changed
from .notices import DeliveryRecord, Trail
from .states import ProblemState as ProblemState  # noqa: PLC0414 - found here too
from .states import ReviewStatus as ReviewStatus  # noqa: PLC0414 - found here too
from .strips import RunCell as RunCell  # noqa: PLC0414 - the same
from .strips import StripFacts, facts_of
from .watched import ExpectedJob


class Prunable(StrEnum):
    """What `prune` deletes from, by the name of its table."""

    RUNS = "run_log"
    NOTES = "run_note"
    ALERTS = "alert"
    GUARDS = "alert_cooldown"
    DELIVERIES = "alert_delivery"


@frozen
class PrunedBatch:
    """How many rows one statement deleted, and where the next one goes on."""

    rows: int
    last: tuple[Any, ...] | None


@frozen
class RunRecord:
    """A row of `run_log` as the operator's views show it. Times are aware, in UTC."""

    id: int
    run_key: UUID | None
    job_name: str
    trigger_type: str
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    total_records: int | None
    changed_records: int | None
    created_alerts: int | None
    retry_count: int | None
    error_group: str | None
    http_status_code: int | None
    error_type: str | None
    error_message: str | None
    error_location: str | None
    matched_by: str | None
    alert_outcome: str | None
    covered_by: int | None
    cooldown_seconds: int | None
    host: str | None
    pid: int | None
    error_reason: str | None = None
    matched_depth: int | None = None
    matched_rule: int | None = None
    refused: bool | None = None
    environment: str | None = None
    version: str | None = None
    upstream: str | None = None
    trace_id: str | None = None

    @property
    def attempt(self) -> int | None:
        """Which attempt it was at its task, from 2 on; None where nothing says so."""
        return attempt_of(self.trigger_type, self.retry_count)


def attempt_of(trigger_type: str, retry_count: int | None) -> int | None:
    """Number the attempt of a run that a queue tried again; None for all others."""
    return retry_count + 1 if trigger_type == TriggerType.RETRY and retry_count else None


@frozen
class NoteRecord:
    """What is kept beside a run: a row of `run_note`. Times are aware, in UTC.

    `links` are pairs of a name and an http(s) address. `done` of `total` is the job's progress as
    of `progress_at`; `total` is None where the job does not know it.
    """

    traceback: str | None = None
    log_tail: str | None = None
    context: Mapping[str, Any] | None = None
    links: tuple[tuple[str, str], ...] = ()
    done: int | None = None
    total: int | None = None
    progress_at: datetime | None = None


@frozen
class AlertRecord:
    """A row of `alert` as the operator's views show it. Times are aware, in UTC.

    `dispatch` says what became of its routing to channels, None for one that is older than that;
    `incident` is the id of its incident's first alert, None where it is the first or alone;
    `told_at` is when the first channel was told.
    """

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    title: str
    message: str | None
    detail: Any  # JSON: an object where runguard wrote it
    review_status: str | None
    resolved: bool | None
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    dispatch: str | None = None
    incident: int | None = None
    told_at: datetime | None = None
    environment: str | None = None


@frozen
class ToldAlert(AlertRecord):
    """An alert in a list, with its deliveries, the oldest first."""

    deliveries: tuple[DeliveryRecord, ...] = ()


@frozen
class GroupCount:
    """Failures of one group and reason (and severity) within the asked hours."""

    error_group: str | None
    severity: str | None
    failures: int
    alerts: int
    jobs: int
    last_failure_at: datetime
    error_reason: str | None = None


@frozen
class RunWithAlert:
    """A failed run beside the alert that it raised, or that covers it (None: neither)."""

    run: RunRecord
    alert: AlertRecord | None


@frozen
class OpenRuns:
    """How many runs are open, and since when the oldest is (None: there is none)."""

    count: int
    oldest: datetime | None


@frozen
class StoreReport:
    """What `doctor` and `configure(check=True)` learn of a store.

    `found` and `needed` are schema versions; `found` is None where there is no schema. On the
    earlier versions in `recorded_on` runs are recorded too, without the newest columns.
    """

    dialect: str
    location: str
    server_version: str
    found: str | None
    needed: str
    notes: tuple[str, ...] = field(default=())
    recorded_on: frozenset[str] = frozenset()

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that this version of runguard needs."""
        return self.found == self.needed

    @property
    def can_record(self) -> bool:
        """Whether runs are recorded on it, perhaps without the newest columns."""
        return self.is_current or self.found in self.recorded_on


class Purpose(StrEnum):
    """What a role of the database is for."""

    JOB = "job"
    OPERATOR = "operator"
    NOTIFIER = "notifier"
    MIGRATOR = "migrator"


@frozen
class StoreDiagnosis:
    """What may stop a role from what it is for.

    `tables` are those of runguard's names that exist; `lacking` says what the role may not do
    (`INSERT on alert`); `row_security` names the tables whose policies filter this role; `pooled`
    is whether a pooler stands in between, None where there can be none or it can't be told;
    `misplaced` says where the store is and what leads there, where the search path does not.
    """

    clock: datetime
    role: str | None = None
    tables: tuple[str, ...] = ()
    read_only: bool = False
    lacking: tuple[str, ...] = ()
    row_security: tuple[str, ...] = ()
    pooled: bool | None = None
    misplaced: str | None = None


class _WithFacts:
    """Remembers what a strip says, which is no field: two jobs are equal with it or without."""

    __slots__ = ("_facts",)
    _facts: StripFacts


@frozen
class JobOverview(_WithFacts):
    """One job at a glance: how it stands now, and how its last runs went.

    `strip` holds its last runs, the newest first. `finished`, `succeeded` and the durations, in
    seconds, count over that strip; the durations are None where none of it has finished.
    `failing_since` is the start of the oldest failure since the last success that the strip shows,
    None while the newest finished run is a success. `last_success_at` is when its last success
    ended, None where neither the strip nor its last hundred runs show one. `open_alerts` counts
    unresolved failure alerts, and the findings that are open; `severity` is the loudest of them.
    `refused` counts the starts that were refused since the oldest open run began; they stand in no
    strip and fail no job. `expected` is what somebody declared of it, None where nobody did. A job
    of the same name in another `environment` is another job. `progress` is that of the newest open
    run, where it has any.
    """

    job_name: str
    strip: tuple[RunCell, ...]
    finished: int
    succeeded: int
    median_seconds: float | None
    p95_seconds: float | None
    failing_since: datetime | None
    last_success_at: datetime | None
    open_alerts: int
    severity: str | None
    running: int
    running_since: datetime | None
    refused: int = 0
    expected: ExpectedJob | None = None
    environment: str | None = None
    progress: NoteRecord | None = None

    @property
    def last_start_at(self) -> datetime | None:
        """When its newest run began."""
        return self.strip[0].started_at if self.strip else None

    @property
    def facts(self) -> StripFacts:
        """What its strip says, worked out at the first question."""
        try:
            return self._facts
        except AttributeError:
            self.remember(facts_of(self.strip))
            return self._facts

    def remember(self, facts: StripFacts) -> None:
        """Take what was worked out already."""
        object.__setattr__(self, "_facts", facts)


@frozen
class FailureBucket:
    """How many runs of one group began, and failed, within one stretch of time."""

    starts_at: datetime
    error_group: str | None
    failures: int


@frozen
class Cursor:
    """A row's place among others by time: where the next page goes on."""

    instant: datetime
    id: int


@frozen(kw_only=True)
class RunFilter:
    """Which runs are asked for; None leaves a question open.

    `job_name` is one job's exact name. `jobs` are names or patterns, of which one must fit: `*`
    stands for any text, `?` for any letter. `environment` is `none` for runs without one. `since`
    and `until` bound the start, the first included, the second not. `version` and `upstream` may
    be patterns too; seven digits or more of a commit find it, and a host finds all its ports.
    """

    job_name: str | None = None
    jobs: tuple[str, ...] = ()
    status: str | None = None
    error_group: str | None = None
    error_reason: str | None = None
    trigger_type: str | None = None
    environment: str | None = None
    version: str | None = None
    upstream: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AlertOrder(StrEnum):
    """In which order alerts are listed."""

    NEWEST = "newest"
    OLDEST = "oldest"


@frozen
class Cause:
    """What alerts of one problem have in common.

    Of failure alerts the key of their cooldown and the reason, None where they name none; of
    others the types alone, with `source_id` None.
    """

    source_type: str
    source_id: str | None
    alert_type: str
    error_reason: str | None


@frozen(kw_only=True)
class AlertFilter:
    """Which alerts are asked for; None leaves a question open.

    `job_name`, `jobs` (as in `RunFilter`), `error_group` and `error_reason` find failure alerts of
    runs only. `resolved_at` is the exact time of a resolution.
    """

    job_name: str | None = None
    jobs: tuple[str, ...] = ()
    error_group: str | None = None
    error_reason: str | None = None
    cause: Cause | None = None
    alert_type: str | None = None
    severity: str | None = None
    review_status: str | None = None
    resolved: bool | None = None
    resolved_at: datetime | None = None
    environment: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@frozen
class ChangedAlerts:
    """How many alerts one action has changed, when, and whether that were all that it meant."""

    count: int
    at: datetime
    is_all: bool


@frozen
class Problem:
    """Alerts of one cause: a job, a group and a reason, or a type of alert and of its source.

    `alerts` of them match, `open_alerts` are not resolved; `first_at` and `last_at` are when they
    were raised. `alert_id`, `severity`, `title` and `message` are those of the last one;
    `review_status` is None where they have several. `since` is when the job began to fail for this
    reason, `recovered_by` the first success after it; `strip` holds the job's last runs, the
    newest first.
    """

    source_type: str
    source_id: str | None
    alert_type: str
    error_reason: str | None
    job_name: str | None
    error_group: str | None
    alerts: int
    open_alerts: int
    first_at: datetime
    last_at: datetime
    alert_id: int
    review_status: str | None
    severity: str | None = None
    title: str = ""
    message: str | None = None
    state: ProblemState = ProblemState.UNKNOWN
    since: datetime | None = None
    recovered_by: RunCell | None = None
    strip: tuple[RunCell, ...] = ()
    environment: str | None = None

    @property
    def cause(self) -> Cause:
        """What its alerts have in common."""
        return Cause(self.source_type, self.source_id, self.alert_type, self.error_reason)


@frozen
class ToldProblem(Problem):
    """A problem in a list, with the deliveries of its last alert."""

    deliveries: tuple[DeliveryRecord, ...] = ()


@frozen
class ProblemPage:
    """Some problems, the last raised first, among the alerts that were looked at.

    `following` is where the next page of these goes on. `looked_to` is the oldest alert that was
    looked at, None where that were all: problems of older ones are found `older_than` it. A first
    page counts: `problems` in all, with so many `alerts`, of which so many are open.
    """

    found: tuple[Problem, ...]
    following: Cursor | None
    looked_to: Cursor | None
    problems: int
    alerts: int
    open_alerts: int


@frozen
class RunPage:
    """Some runs, the newest first, and where the older and the newer ones go on (None: none)."""

    runs: tuple[RunRecord, ...]
    older: Cursor | None
    newer: Cursor | None


@frozen
class AlertPage:
    """Some alerts in the asked order, and where the next and the previous ones go on."""

    alerts: tuple[AlertRecord, ...]
    following: Cursor | None
    preceding: Cursor | None


@frozen
class Remaining:
    """How many rows come after a place; at least so many where counting stopped (not `is_all`)."""

    count: int
    is_all: bool


@frozen
class CooldownState:
    """The cooldown of one group of a job's failures.

    `quiet_until` is when it may alert again, None where it may now, and where the alert is another
    program's, whose cooldown nobody knows; `alert_id` is its newest alert, `covered` how many
    failures that alert has covered so far (of runs that began at most 7 days before it), and
    `raised_by` the run that raised it, None where that is not known. Where it is kept `by_reason`,
    a failure for a new reason alerts sooner.
    """

    error_group: str
    alert_id: int
    alerted_at: datetime
    quiet_until: datetime | None
    covered: int
    raised_by: int | None = None
    by_reason: bool = False


@frozen
class LockState:
    """A job's lock. `held` says whether its lease is still valid by the database's clock."""

    job_name: str
    locked_by: str
    locked_at: datetime
    lock_expires_at: datetime
    fence: int
    held: bool


@frozen
class RunDetails:
    """Everything about one run, for the one who asks why.

    `alert` is the one that it raised, or that covers it; `cooldown` that of its group as it stands
    now. `previous_success` is the job's last success before it; `recovered` its first success
    after it; both are searched for among some thousand runs. `before` and `after` are the job's
    runs next to it in time, and `around` other runs of all jobs that began within an hour of it, a
    few on either side, the newest first. Refused starts are no neighbours.

    Of a refused start, `lock_holder` names who held the lock, until `lock_held_until` unless
    renewed, and `holder_run_id` is that run's. `lost_after_seconds` is the run's own limit of
    silence.

    Of a failure, `failures_in_row` says which one it is since the last success, in the order of
    the starts, and `failing_since` is the first of them. Of an open run, `usual_seconds` is the
    95th percentile of its job's last runs.

    `trail` says who was told of the alert, `expected` what somebody declared of the job, `note`
    what is kept beside the run, `changed` what a failed run has that the last success had not.
    """

    run: RunRecord
    updated_at: datetime | None
    heartbeat_at: datetime | None
    lost_at: datetime | None
    clock: str | None
    alert: AlertRecord | None
    cooldown: CooldownState | None
    previous_success: RunCell | None
    recovered: RunCell | None
    before: RunCell | None
    after: RunCell | None
    around: tuple[RunRecord, ...]
    lock_holder: str | None = None
    lock_held_until: datetime | None = None
    holder_run_id: int | None = None
    lost_after_seconds: int | None = None
    failures_in_row: int = 0
    failing_since: RunCell | None = None
    usual_seconds: float | None = None
    trail: Trail | None = None
    expected: ExpectedJob | None = None
    note: NoteRecord | None = None
    changed: Changed | None = None

    @property
    def versions(self) -> str | None:
        """The versions of runguard and Python, which the alert that a run raises notes."""
        raised = self.alert if self.run.alert_outcome == "raised" else None
        detail = raised.detail if raised is not None else None
        versions = detail.get("versions") if isinstance(detail, Mapping) else None
        return versions if isinstance(versions, str) else None


@frozen
class AlertDetails:
    """One alert, the run that raised it, and the failures that it covers, the newest first.

    `covered` counts those; `covered_runs` shows the newest of them. `trail` says who was told.
    """

    alert: AlertRecord
    raised_by: RunRecord | None
    covered: int
    covered_runs: tuple[RunRecord, ...]
    trail: Trail | None = None


class LockOwner(NamedTuple):
    """Who holds a job lock: a run of ours, by its host, its process and its key."""

    host: str
    pid: int
    key: UUID


def named_owner(name: str | None) -> LockOwner | None:
    """Take the name of a holder apart; None where another program made it up.

    >>> named_owner("w1:77:0195533f-6c00-7000-8000-000000000001").pid
    77
    """
    host, pid, key = ("", "", "", *(name or "").rsplit(":", 2))[-3:]
    try:
        return LockOwner(host, int(pid), UUID(key))
    except ValueError:
        return None
