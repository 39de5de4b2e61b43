"""Incidents: when one begins, goes on, is over, and comes back. Pure: facts in, decisions out.

An incident is a cause (a job's failures of one group) that fails until it has recovered. Rows of
alerts follow the cooldown; what people are told follows the incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from .._frozen import frozen
from .notices import IncidentRecord, Standing
from .wording import duration

RECOVERED: Final = "RECOVERED"  # alert types of ours beside FAILED
REOPENED: Final = "REOPENED"
SILENCE_ENDED: Final = "SILENCE_ENDED"

REOPENS_WITHIN: Final = timedelta(hours=24)
LONGEST_WAIT: Final = timedelta(hours=1)  # after the last failure, before a recovery is told
MOST_SUCCESSES: Final = 5  # in a row, that an incident needs which came back
LEAST_GAPS: Final = 3  # between starts, from which a job's pace is known
PACE_STARTS: Final = 21  # the newest, that the pace is read from
# An alert and the end of its run are written one after the other, by clocks that may differ.
BEFORE_OPENING: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class IncidentRun:
    """A run as these decisions need it. Times are aware, in UTC.

    `refused` is true where it never began, since another run held the job's lock.
    """

    id: int
    status: str
    error_group: str | None
    started_at: datetime
    finished_at: datetime | None
    cooldown_seconds: int | None = None
    lost_at: datetime | None = None
    alert_outcome: str | None = None
    refused: bool | None = None


@frozen(kw_only=True)
class Recovery:
    """Why an incident is over.

    Attributes:
        run: The success that closes it.
        failed_at: When the cause failed last. A failure that is newer forbids the closing.
        came_back: Whether the run itself had seemed lost, and was well after all.
    """

    run: IncidentRun
    failed_at: datetime
    came_back: bool = False


@frozen
class Settled:
    """What a settle step did: the incident, and the alert that tells it and waits for dispatch."""

    incident: IncidentRecord
    alert_id: int
    alert_type: str


def standing_of(
    alert_id: int,
    failed_at: datetime,
    *,
    open_id: int | None,
    closed_id: int | None,
    closed_at: datetime | None,
    was_resolved: bool = False,
) -> Standing:
    """Say where an alert of a failure stands in the incident of its key.

    Args:
        alert_id: The alert.
        failed_at: When its run failed: a record that came late may be older than the recovery.
        open_id: The incident that is open.
        closed_id: The one before.
        closed_at: When that one was closed.
        was_resolved: Whether somebody had resolved the incident's alert before this one.
    """
    if open_id == alert_id:
        return Standing.FIRST
    if open_id is not None:
        return Standing.REOPENED if was_resolved else Standing.OPEN
    if closed_id is None or closed_at is None:
        return Standing.FIRST
    came_back = closed_at < failed_at < closed_at + REOPENS_WITHIN
    return Standing.REOPENED if came_back else Standing.FIRST


def recovery_of(
    incident: IncidentRecord,
    error_group: str,
    runs: Iterable[IncidentRun],
    *,
    alerted_run: IncidentRun | None,
    now: datetime,
) -> Recovery | None:
    """Say why an open incident is over; None where it is not.

    Args:
        incident: The open incident.
        error_group: The group of its failures.
        runs: The job's newest runs, in any order.
        alerted_run: The run of the incident's newest alert, where its row is there.
        now: The database's clock.
    """
    newest_first = sorted(runs, key=lambda run: (run.started_at, run.id), reverse=True)
    failures = _failures(error_group, newest_first, alerted_run)
    failed_at = max((ended for ended, _ in failures), default=None)
    if failed_at is None or failed_at < incident.opened_at - BEFORE_OPENING:
        if alerted_run is not None and alerted_run.status == "SUCCESS":
            return Recovery(run=alerted_run, failed_at=incident.opened_at, came_back=True)
        failed_at = incident.opened_at  # the rows of its failures are gone
    closing = _closing_success(newest_first, failed_at, needed_successes(incident.reopened))
    if closing is None:
        return None
    cooldown = next((seconds for _, seconds in failures if seconds is not None), 0)
    if now < failed_at + wait_after(timedelta(seconds=cooldown), usual_gap(newest_first)):
        return None
    return Recovery(run=closing, failed_at=failed_at)


def needed_successes(reopened: int) -> int:
    """Return how many successes in a row close an incident that came back this often."""
    return min(1 + reopened, MOST_SUCCESSES)


def wait_after(cooldown: timedelta, gap: timedelta | None) -> timedelta:
    """Return how long a cause must have been quiet: no time for a job that seldom starts.

    `gap` is the time that usually lies between two starts, None where that is not known.
    """
    wait = min(cooldown, LONGEST_WAIT)
    return wait if gap is not None and gap < wait else timedelta(0)


def usual_gap(newest_first: Sequence[IncidentRun]) -> timedelta | None:
    """Return the time that usually lies between two starts of a job; None where too few are known.

    Starts that the lock refused are none.
    """
    starts = [run.started_at for run in newest_first if not run.refused][:PACE_STARTS]
    gaps = sorted(later - earlier for later, earlier in pairwise(starts))
    return gaps[len(gaps) // 2] if len(gaps) >= LEAST_GAPS else None


def relapse_of(
    error_group: str, runs: Iterable[IncidentRun], *, closed_at: datetime
) -> IncidentRun | None:
    """Find the newest failure since a recovery that the cooldown has kept from alerting."""
    relapses = [
        run
        for run in runs
        if _is_failure(run, error_group)
        and run.alert_outcome == "suppressed"
        and run.finished_at is not None
        and run.finished_at > closed_at
    ]
    return max(relapses, key=lambda run: (run.started_at, run.id), default=None)


def recovered_title(job_name: str, down: timedelta) -> str:
    """Return the title of the alert that tells a recovery."""
    return f"{job_name} recovered after {duration(down)}"


def recovered_message(recovery: Recovery, failures: int) -> str:
    """Say what closed the incident."""
    run = recovery.run
    if recovery.came_back:
        return f"run {run.id} had seemed lost: it came back, and it was a success"
    times = "once" if failures == 1 else f"{failures} times"
    return f"run {run.id} was a success; it had failed {times}"


def recovered_detail(
    incident: IncidentRecord, job_name: str, error_group: str, recovery: Recovery, failures: int
) -> dict[str, Any]:
    """Return the detail of that alert: no `run_id`, so joins of failures to runs find no more."""
    down = down_time(incident, recovery)
    return {
        "job_name": job_name,
        "error_group": error_group,
        "incident": incident.id,
        "failing_since": incident.opened_at.isoformat(),
        "failures": failures,
        "recovered_by_run": recovery.run.id,
        "down_seconds": round(down.total_seconds()),
    }


def down_time(incident: IncidentRecord, recovery: Recovery) -> timedelta:
    """Return how long the cause failed: until the success that closed it had ended."""
    ended = recovery.run.finished_at or recovery.run.started_at
    return max(timedelta(0), ended - incident.opened_at)


def _failures(
    error_group: str, newest_first: Iterable[IncidentRun], alerted_run: IncidentRun | None
) -> list[tuple[datetime, int | None]]:
    """When the cause failed, and with which cooldown; the newest start first."""
    known = [*newest_first, *([alerted_run] if alerted_run else [])]
    return [
        (run.finished_at or run.started_at, run.cooldown_seconds)
        for run in known
        if _is_failure(run, error_group)
    ]


def _is_failure(run: IncidentRun, error_group: str) -> bool:
    return run.status == "FAILED" and run.error_group == error_group


def _closing_success(
    newest_first: Sequence[IncidentRun], failed_at: datetime, needed: int
) -> IncidentRun | None:
    """Find the success that ends the first row of so many, of runs that began after the failure."""
    in_a_row = 0
    for run in reversed(newest_first):
        if run.started_at < failed_at or run.status not in ("SUCCESS", "FAILED"):
            continue
        in_a_row = in_a_row + 1 if run.status == "SUCCESS" else 0
        if in_a_row == needed:
            return run
    return None
