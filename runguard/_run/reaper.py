"""Finding the runs whose process died, and telling.

Silence alone kills, never age: only a run of ours that has not been heard of for the limit. Its
process may have been paused, so a run that comes back takes its real ending all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .._events import RUN_FINISHED, Events
from .._failure.alert import SEVERITY_OF, failure_alert
from .._models import (
    Counters,
    ErrorGroup,
    ErrorReason,
    Failure,
    FinishedRun,
    LostRun,
    RunEnding,
    RunStatus,
)
from .._settings import Settings
from .run_key import new_run_key

if TYPE_CHECKING:
    from .repository import RunRepository

LOST: Final = "runguard.LostRun"  # the type of a failure that nobody was there to raise
BATCH: Final = 500


def reap(
    store: RunRepository, settings: Settings, *, job_name: str | None = None, timeout: float = 30.0
) -> Iterator[LostRun]:
    """Close every lost run, and yield each one that was ours to close.

    Any number of reapers may race: each run is closed once, and each job's alert is raised once.
    """
    silent_for = settings.lost_after
    events = Events(lambda: settings.redactor)
    while True:
        lost_runs = store.find_lost_runs(
            silent_for=silent_for, job_name=job_name, limit=BATCH, timeout=timeout
        )
        for lost in lost_runs:
            ending = _ending_of(lost, settings)
            finished = store.close_lost_run(lost, ending, silent_for=silent_for, timeout=timeout)
            if finished.recorded:
                _tell(events, lost, finished, ending)
                yield lost
        if len(lost_runs) < BATCH:
            return


def _ending_of(lost: LostRun, settings: Settings) -> RunEnding:
    since = lost.last_heard_at.strftime("%Y-%m-%d %H:%M:%S")
    failure = Failure(
        error_group=ErrorGroup.UNKNOWN,
        severity=SEVERITY_OF[ErrorGroup.UNKNOWN],
        http_status_code=None,
        error_type=LOST,
        error_message=(
            f"nothing was heard of this run since {since} UTC, from host {lost.host},"
            f" pid {lost.pid}: its process died, or hangs"
        ),
        matched_by="silent for longer than its limit",
        error_reason=ErrorReason.LOST,
    )
    alert = failure_alert(
        run_key=lost.key,
        job_name=lost.job_name,
        failure=failure,
        location=None,
        cooldown=settings.cooldown,
        cooldown_by=settings.cooldown_by,
    )
    # A key of its own: if the run comes back, its real ending may raise an alert too.
    alert = alert._replace(uuid=new_run_key())
    return RunEnding(lost.key, Counters(), failure, None, alert)


def _tell(events: Events, lost: LostRun, finished: FinishedRun, ending: RunEnding) -> None:
    names = {"job_name": lost.job_name, "run_id": lost.run_id}
    events.emit(
        RUN_FINISHED,
        **names,
        status=RunStatus.FAILED.value,
        error_group=ErrorGroup.UNKNOWN.value,
        alert_outcome=finished.verdict.outcome.value,
    )
    if ending.alert is not None:
        key = ending.alert.key
        events.alert(finished.verdict, **names, alert_type=key.alert_type, source_id=key.source_id)
