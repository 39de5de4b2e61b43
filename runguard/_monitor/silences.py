"""Silences: what they match. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from .._models import in_environment
from .notices import IncidentRecord, Silence


def matches(
    silence: Silence,
    job_name: str | None,
    *,
    error_group: str | None,
    alert_type: str,
    environment: str | None = None,
) -> bool:
    """Whether a silence is about such an alert, whenever it is in force.

    An alert without a job is matched by `*` only. `job` is the job in any environment, and
    `job@staging` in that one.
    """
    names = {job_name or "", in_environment(job_name or "", environment)}
    return (
        any(name == silence.job or fnmatchcase(name, silence.job) for name in names)
        and silence.error_group in (None, error_group)
        and silence.alert_type in (None, alert_type)
    )


def is_in_force(silence: Silence, now: datetime) -> bool:
    """Whether a silence mutes now."""
    return silence.ended_at is None and silence.starts_at <= now < silence.ends_at


def muting(
    silences: Iterable[Silence],
    job_name: str | None,
    *,
    error_group: str | None,
    alert_type: str,
    now: datetime,
    environment: str | None = None,
) -> Silence | None:
    """Return the silence that mutes such an alert now, the one that ends last; else None."""
    found = [
        one
        for one in silences
        if is_in_force(one, now)
        and matches(
            one,
            job_name,
            error_group=error_group,
            alert_type=alert_type,
            environment=environment,
        )
    ]
    return max(found, key=lambda one: (one.ends_at, one.id), default=None)


def end_of(silence: Silence) -> datetime:
    """Return when a silence stopped muting, or will."""
    return min(silence.ended_at or silence.ends_at, silence.ends_at)


def left_failing(
    silence: Silence,
    incident: IncidentRecord,
    job_name: str,
    error_group: str | None,
    *,
    environment: str | None = None,
) -> bool:
    """Whether an open incident was muted when the silence ended, so that somebody must be told."""
    is_its = matches(
        silence,
        job_name,
        error_group=error_group,
        alert_type=incident.alert_type,
        environment=environment,
    )
    return is_its and silence.matched > 0 and incident.opened_at <= end_of(silence)
