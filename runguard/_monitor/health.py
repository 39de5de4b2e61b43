"""How a job stands, judged from its last runs: what is worst comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Final

from .._models import RunStatus, Severity
from .expectations import SEVERITY_OF_FINDING, ExpectedState, FindingType
from .records import JobOverview, NoteRecord, RunCell
from .states import JobState as JobState  # noqa: PLC0414 - found here too
from .watched import ExpectedJob

STUCK_FACTOR: Final = 3  # times the job's own 95th percentile
STUCK_AT_LEAST: Final = timedelta(minutes=1)
FEWEST_STARTS: Final = 4  # below which nothing is usual
FLAPS: Final = 3  # changes between success and failure in one strip

# Other programs may write other words; those are no louder than none.
_LOUDNESS: Final = {str(severity): rank for rank, severity in enumerate(Severity, start=1)}
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_FINISHED: Final = (RunStatus.SUCCESS, RunStatus.FAILED)


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
    finished = _outcomes(strip)
    durations = sorted(took for cell in finished if (took := cell.seconds) is not None)
    failing_since = None
    for cell in finished:
        if cell.status == RunStatus.SUCCESS:
            last_success_at = last_success_at or ended_at(cell)
            break
        failing_since = cell.started_at
    alerts = Counter(open_alerts or {})
    if expected is not None:
        alerts.update(str(SEVERITY_OF_FINDING[one.type]) for one in expected.findings)
    return JobOverview(
        job_name=job_name,
        strip=tuple(strip),
        finished=len(finished),
        succeeded=sum(cell.status == RunStatus.SUCCESS for cell in finished),
        median_seconds=median(durations) if durations else None,
        p95_seconds=percentile(durations, 95),
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
    starts = [cell.started_at for cell in job.strip if cell.started_at is not None]
    if len(starts) < FEWEST_STARTS:
        return False
    return now - starts[0] > 2 * max(later - earlier for later, earlier in pairwise(starts))


def last_outcome(job: JobOverview) -> RunCell | None:
    """Return the run that ended last; None where none has.

    Not what began last: runs of one job may overlap.
    """
    return next(iter(_outcomes(job.strip)), None)


def last_failure(job: JobOverview) -> RunCell | None:
    """Return the failed run that ended last; None where the strip shows none."""
    return next((cell for cell in _outcomes(job.strip) if cell.status == RunStatus.FAILED), None)


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
    finished = [cell.status for cell in _outcomes(job.strip)]
    return sum(one != other for one, other in pairwise(finished)) >= FLAPS


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


def _outcomes(strip: Sequence[RunCell]) -> list[RunCell]:
    """The runs that have finished, the one that ended last first."""
    finished = [cell for cell in strip if cell.status in _FINISHED]
    return sorted(finished, key=lambda cell: (ended_at(cell) or _LONG_AGO, cell.id), reverse=True)


def loudness(severity: str | None) -> int:
    """Rank a severity: 0 for none; a word of another program, such as `critical`, is medium."""
    return _LOUDNESS.get(severity, _LOUDNESS[Severity.MEDIUM]) if severity else 0


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the value that `percent` % of the values do not exceed, by the nearest rank."""
    if not ordered:
        return None
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def ended_at(cell: RunCell) -> datetime | None:
    """Return when a run ended, or began where its end was never noted."""
    return cell.finished_at or cell.started_at
