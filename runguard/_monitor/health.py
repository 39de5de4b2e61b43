"""How a job stands, judged from its last runs: what is worst comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TypeVar

from .._models import RunStatus, Severity
from .expectations import SEVERITY_OF_FINDING, ExpectedState, FindingType
from .records import JobOverview, NoteRecord
from .states import JobState as JobState  # noqa: PLC0414 - found here too
from .strips import FEWEST_STARTS as FEWEST_STARTS  # noqa: PLC0414 - the same
from .strips import RunCell, facts_of
from .strips import ended_at as ended_at  # noqa: PLC0414 - the same
from .watched import ExpectedJob

T = TypeVar("T")
STUCK_FACTOR: Final = 3  # times the job's own 95th percentile
STUCK_AT_LEAST: Final = timedelta(minutes=1)
FLAPS: Final = 3  # changes between success and failure in one strip

# Other programs may write other words; those are no louder than none.
_LOUDNESS: Final = {str(severity): rank for rank, severity in enumerate(Severity, start=1)}


UNWELL: Final = frozenset(
    {
        *(JobState.FAILING, JobState.MISSED, JobState.STUCK),
        *(JobState.LATE, JobState.UNUSUAL, JobState.FLAPPING),
    }
)


_PLACES: Final = {
    state: place for place, state in enumerate(JobState) if state in {*UNWELL, JobState.QUIET}
}  # of the others, none comes first


def describe(
    job_name: str,
    strip: Sequence[RunCell],
    *,
    last_success_at: datetime | None = None,
    open_alerts: Mapping[str, int] | None = None,
    running: int = 0,
    running_since: datetime | None = None,
    refused: int = 0,
    expected: ExpectedJob | None = None,
    environment: str | None = None,
    progress: NoteRecord | None = None,
) -> JobOverview:
    """Sum up a job by its last runs, the newest first; `open_alerts` counts by severity."""
    facts = facts_of(strip)
    finished = facts.outcomes
    lengths = [
        cell.finished_at - cell.started_at
        for cell in finished
        if cell.started_at is not None and cell.finished_at is not None
    ]
    lengths.sort()
    failing_since = None
    for cell in finished:
        if cell.status == RunStatus.SUCCESS:
            last_success_at = last_success_at or ended_at(cell)
            break
        failing_since = cell.started_at
    alerts = Counter(open_alerts or {})
    if expected is not None:
        alerts.update(str(SEVERITY_OF_FINDING[one.type]) for one in expected.findings)
    overview = JobOverview(
        job_name=job_name,
        strip=tuple(strip),
        finished=len(finished),
        succeeded=[cell.status for cell in finished].count(RunStatus.SUCCESS),
        median_seconds=_median_seconds(lengths),
        p95_seconds=_seconds(longest) if (longest := percentile(lengths, 95)) is not None else None,
        failing_since=failing_since,
        last_success_at=last_success_at,
        open_alerts=sum(alerts.values()),
        severity=max(alerts, key=loudness, default=None),
        running=running,
        running_since=running_since,
        refused=refused,
        expected=expected,
        environment=environment,
        progress=progress,
    )
    overview.remember(facts)
    return overview


def worst_first(jobs: Iterable[JobOverview], *, now: datetime | None = None) -> list[JobOverview]:
    """Order jobs for a tired reader.

    First what fails now, the loudest open alert first, and of these what broke last; then what did
    not start when it had to, what runs for too long, what is late or unusual, what went to and fro
    lately, what is quiet; then the rest. By name where all else is the same. What `now` decides is
    left out where it is not given.
    """

    def place(job: JobOverview) -> tuple[int, int, float, str]:
        state = state_of(job, now=now)
        if state is JobState.FAILING:
            since = job.failing_since.timestamp() if job.failing_since else 0.0
            return 0, -loudness(job.severity), -since, job.job_name
        return _PLACES.get(state, len(JobState)), 0, 0.0, job.job_name

    return sorted(jobs, key=place)


def state_of(job: JobOverview, *, now: datetime | None = None) -> JobState:
    """Say in one word how a job stands.

    Without `now` it is never late or quiet, and runs for too long only where that was found.
    """
    if is_failing(job):
        return JobState.FAILING
    found = {one.type for one in job.expected.findings} if job.expected is not None else set()
    if FindingType.MISSED in found:
        return JobState.MISSED
    if FindingType.STUCK in found or (now is not None and is_stuck(job, now=now)):
        return JobState.STUCK
    if now is not None and state_against_schedule(job, now=now) is ExpectedState.LATE:
        return JobState.LATE
    if found:
        return JobState.UNUSUAL
    if is_flapping(job):
        return JobState.FLAPPING
    if job.running:
        return JobState.RUNNING
    if not job.strip:
        return JobState.NEVER_RAN
    if now is not None and is_quiet(job, now=now):
        return JobState.QUIET
    return JobState.OK if job.finished else JobState.UNKNOWN


def state_against_schedule(job: JobOverview, *, now: datetime) -> ExpectedState | None:
    """Say whether a job started when it had to; None where no start is expected."""
    if job.expected is None:
        return None
    return job.expected.state(last_start_at=job.last_start_at, now=now)


def is_quiet(job: JobOverview, *, now: datetime) -> bool:
    """Whether a job has not started for twice as long as it ever did before.

    Never where a schedule says when it must, or where it was retired.
    """
    expected = job.expected
    if job.running or (expected and (expected.next_due_at or expected.retired_at)):
        return False
    gap, last = job.facts.longest_gap, job.facts.newest_start
    return gap is not None and last is not None and now - last > 2 * gap


def may_wait(job: JobOverview, *, now: datetime) -> bool:
    """Whether a job may be missed, late or quiet, judged by a few of its last runs.

    Among more runs, the longest time between two starts can only be longer.
    """
    is_missed = job.expected is not None and job.expected.finding(FindingType.MISSED) is not None
    is_late = state_against_schedule(job, now=now) is ExpectedState.LATE
    return is_missed or is_late or is_quiet(job, now=now)


def last_outcome(job: JobOverview) -> RunCell | None:
    """Return the run that ended last; None where none has.

    Not what began last: runs of one job may overlap.
    """
    return next(iter(job.facts.outcomes), None)


def last_failure(job: JobOverview) -> RunCell | None:
    """Return the failed run that ended last; None where the strip shows none."""
    return next((cell for cell in job.facts.outcomes if cell.status == RunStatus.FAILED), None)


def is_failing(job: JobOverview) -> bool:
    """Whether what ended last is a failure."""
    last = last_outcome(job)
    return last is not None and last.status == RunStatus.FAILED


def reason_now(job: JobOverview) -> str | None:
    """Return the reason of what ended last, of a job that is failing; None where none is known."""
    last = last_outcome(job)
    return last.error_reason if last is not None and is_failing(job) else None


def is_flapping(job: JobOverview) -> bool:
    """Whether a job that succeeds now went to and fro lately."""
    return job.facts.changes >= FLAPS


def is_stuck(job: JobOverview, *, now: datetime) -> bool:
    """Whether a run takes far longer than the job's runs use to take."""
    if job.running_since is None:
        return False
    return takes_too_long(now - job.running_since, usual_seconds=job.p95_seconds)


def takes_too_long(length: timedelta, *, usual_seconds: float | None) -> bool:
    """Whether a run takes far longer than usual: than the 95th percentile of its job's runs."""
    if usual_seconds is None:
        return False
    usual = max(timedelta(seconds=usual_seconds), STUCK_AT_LEAST / STUCK_FACTOR)
    return length > STUCK_FACTOR * usual


def loudness(severity: str | None) -> int:
    """Rank a severity: 0 for none; a word of another program, such as `critical`, is medium."""
    return _LOUDNESS.get(severity, _LOUDNESS[Severity.MEDIUM]) if severity else 0


def percentile(ordered: Sequence[T], percent: int) -> T | None:
    """Return the value that `percent` % of the values do not exceed, by the nearest rank."""
    if not ordered:
        return None
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def _median_seconds(ordered: Sequence[timedelta]) -> float | None:
    if not ordered:
        return None
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (_seconds(lower) + _seconds(upper)) / 2


def _seconds(length: timedelta) -> float:
    """Clocks are set back: no run took less than nothing."""
    return max(0.0, length.total_seconds())
