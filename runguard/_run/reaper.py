"""Finding the runs whose process died, and telling.

Silence alone kills, never age: only a run of ours that has not been heard of for the limit. Its
process may have been paused, so a run that comes back takes its real ending all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from .._errors import RunguardError
from .._events import RUN_FINISHED, Events
from .._failure.alert import SEVERITY_OF, failure_alert
from .._models import Counters, ErrorGroup, Failure, FinishedRun, RunEnding, RunStatus
from .._monitor.lost_run import LostRun
from .._reasons import ErrorReason
from .._settings import Settings
from .liveness import may_be_alive
from .run_key import new_run_key

if TYPE_CHECKING:
    from .heartbeat import Heartbeat
    from .repository import RunRepository

LOST: Final = "runguard.LostRun"  # the type of a failure that nobody was there to raise
BATCH: Final = 500

_doubted: Final[set[UUID]] = set()  # by the starts of this process


def reap(
    store: RunRepository,
    settings: Settings,
    *,
    job_name: str | None = None,
    timeout: float = 30.0,
    doubted: set[UUID] | None = None,
    await_beat: Callable[[int], None] | None = None,
    is_ours: Callable[[LostRun], bool] | None = None,
) -> Iterator[LostRun]:
    """Close every lost run, and yield each one that was ours to close.

    Any number of reapers may race: each run is closed once, and each job's alert is raised once.

    Where the store's clock is this host's, a step of that clock looks like silence. So a run whose
    process may be alive is closed only if it sends no heartbeat after that.

    Args:
        store: where to look.
        settings: the limit of silence, and what an alert needs.
        job_name: the job to look at; all where None.
        timeout: the seconds that each call of the store may take.
        doubted: the runs that an earlier call has spared, a heartbeat ago or longer; this one adds
            its own.
        await_beat: waits for as long as a heartbeat takes; is told for how many runs. Where None,
            the runs that are spared are left to a later call.
        is_ours: which of those runs are looked at; all where None.
    """
    doubted = set() if doubted is None else doubted
    known = frozenset(doubted)

    def is_spared(lost: LostRun) -> bool:
        if is_ours is not None and not is_ours(lost):
            return True
        if not store.has_hosts_clock or lost.key in known or not may_be_alive(lost):
            return False
        doubted.add(lost.key)
        return True

    yield from _close(store, settings, job_name, timeout, is_spared)
    if await_beat is not None and (spared := doubted - known):
        await_beat(len(spared))
        yield from _close(store, settings, job_name, timeout, lambda lost: lost.key not in spared)


def reap_at_start(
    store: RunRepository,
    settings: Settings,
    heartbeat: Heartbeat,
    job_name: str,
    *,
    timeout: float,
) -> bool:
    """Close the lost runs of a job that starts; return whether there was any.

    What stops this stops the start, which tells it.
    """
    heartbeat.catch_up(timeout=timeout)

    def is_ours(lost: LostRun) -> bool:  # that name in another environment is another job's
        return lost.environment == settings.environment

    how: dict[str, Any] = {"timeout": timeout, "doubted": _doubted, "is_ours": is_ours}
    closed = False
    with suppress(RunguardError):
        for _ in reap(store, settings, job_name=job_name, **how):
            closed = True
    return closed


def _close(
    store: RunRepository,
    settings: Settings,
    job_name: str | None,
    timeout: float,
    is_spared: Callable[[LostRun], bool],
) -> Iterator[LostRun]:
    silent_for = settings.lost_after
    events = Events(lambda: settings.redactor)
    while True:
        found = store.find_lost_runs(
            silent_for=silent_for, job_name=job_name, limit=BATCH, timeout=timeout
        )
        lost_runs = [lost for lost in found if not is_spared(lost)]
        for lost in lost_runs:
            ending = _ending_of(lost, settings)
            finished = store.close_lost_run(lost, ending, silent_for=silent_for, timeout=timeout)
            if finished.recorded:
                _tell(events, lost, finished, ending)
                yield lost
        if len(found) < BATCH or not lost_runs:
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
        failures_to_alert=settings.failures_to_alert,
        environment=lost.environment,
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
