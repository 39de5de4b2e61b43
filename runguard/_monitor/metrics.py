"""How jobs stand as metrics: timestamps and counts from the rows, for a monitoring system.

Ages are left to whoever reads: a timestamp stays true however seldom it is read. The conventions
are those of Prometheus (https://prometheus.io/docs/practices/naming/): base units, and a suffix
that names the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from .._frozen import frozen
from .._models import RunStatus
from .._version import __version__
from .records import JobOverview


class OpenIncidents(NamedTuple):
    """How many incidents of a type and a severity are open."""

    alert_type: str
    severity: str
    number: int


class DeliveryCount(NamedTuple):
    """How many deliveries of a channel are in a state."""

    channel: str
    state: str
    number: int


@frozen(kw_only=True)
class Standing:
    """All that metrics are made of. `spool_records` is None where there is no spool to look at.

    `rounds` holds when a monitor, a page or a job's own delivery last looked, by its kind.
    """

    jobs: Sequence[JobOverview] = ()
    incidents: Sequence[OpenIncidents] = ()
    deliveries: Sequence[DeliveryCount] = ()
    rounds: Sequence[tuple[str, datetime]] = ()
    spool_records: int | None = None


class Gauge(NamedTuple):
    """A metric with all its values; `labels` names those of each value, in order."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: tuple[tuple[tuple[str, ...], float], ...]


def gauges_of(standing: Standing) -> tuple[Gauge, ...]:
    """Return the metrics, those without a value too."""
    return (
        Gauge(
            "runguard_build_info",
            "The release of runguard that answers; always 1.",
            ("version",),
            (((__version__,), 1.0),),
        ),
        *_of_jobs(standing.jobs),
        Gauge(
            "runguard_incidents_open",
            "Incidents that are open, by the type of their alert and by severity.",
            ("type", "severity"),
            tuple(
                ((one.alert_type, one.severity), float(one.number)) for one in standing.incidents
            ),
        ),
        Gauge(
            "runguard_deliveries",
            "Deliveries of the rows that are kept, by channel and state.",
            ("channel", "state"),
            tuple(((one.channel, one.state), float(one.number)) for one in standing.deliveries),
        ),
        Gauge(
            "runguard_monitor_last_round_timestamp_seconds",
            "When somebody last looked for jobs that did not run, by who looked.",
            ("kind",),
            tuple(((kind,), at.timestamp()) for kind, at in standing.rounds),
        ),
        Gauge(
            "runguard_spool_records",
            "Records that wait on the machine that answers until the store takes them.",
            (),
            () if standing.spool_records is None else (((), float(standing.spool_records)),),
        ),
    )


def _of_jobs(jobs: Sequence[JobOverview]) -> Iterator[Gauge]:
    """Return one gauge for each fact about jobs; a job that lacks the fact has no value."""
    its = ("job", "environment")
    yield _gauge(
        "runguard_job_last_start_timestamp_seconds",
        "When the job's newest run started.",
        ((job, _seconds(job.last_start_at)) for job in jobs),
    )
    yield _gauge(
        "runguard_job_last_success_timestamp_seconds",
        "When the job last ended well. No value where its last hundred runs show no success.",
        ((job, _seconds(job.last_success_at)) for job in jobs),
    )
    yield _gauge(
        "runguard_job_last_duration_seconds",
        "How long the job's newest finished run took.",
        ((job, _last_duration(job)) for job in jobs),
    )
    yield Gauge(
        "runguard_job_last_status",
        "How the job's newest finished run ended: 1 for that status, 0 for the other.",
        (*its, "status"),
        tuple(
            ((*_names(job), status.value), float(ended == status))
            for job in jobs
            if (ended := _last_status(job)) is not None
            for status in (RunStatus.SUCCESS, RunStatus.FAILED)
        ),
    )
    yield _gauge(
        "runguard_job_running",
        "How many runs of the job are open.",
        ((job, float(job.running)) for job in jobs),
    )
    yield _gauge(
        "runguard_job_open_alerts",
        "How many alerts of the job are unresolved.",
        ((job, float(job.open_alerts)) for job in jobs),
    )
    yield _gauge(
        "runguard_job_next_due_timestamp_seconds",
        "When the job's next start is expected. No value where no schedule is declared.",
        ((job, _seconds(job.expected.next_due_at if job.expected else None)) for job in jobs),
    )
    yield _gauge(
        "runguard_job_grace_seconds",
        "How late the job's next start may be before it counts as missed.",
        ((job, job.expected.grace_seconds if job.expected else None) for job in jobs),
    )


def _gauge(name: str, text: str, values: Iterable[tuple[JobOverview, float | None]]) -> Gauge:
    known = tuple((_names(job), value) for job, value in values if value is not None)
    return Gauge(name, text, ("job", "environment"), known)


def _names(job: JobOverview) -> tuple[str, str]:
    return job.job_name, job.environment or ""


def _last_status(job: JobOverview) -> str | None:
    ended = (cell.status for cell in job.strip if cell.status != RunStatus.RUNNING)
    return next(ended, None)


def _last_duration(job: JobOverview) -> float | None:
    return next((cell.seconds for cell in job.strip if cell.seconds is not None), None)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
