"""Which channels an alert goes to: the first route that matches says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from .._frozen import frozen
from .._monitor.notices import PendingAlert, Standing

Patterns = tuple[str, ...]
"""Patterns as of `fnmatch`, of which one must match; none stand for everything."""


@frozen(kw_only=True)
class Route:
    """Where the alerts go that match all that is given.

    Attributes:
        to: Names of channels; none of them where nobody shall be told.
        job: Patterns of the job's name; likewise `environment`, `group`, `reason`, `alert_type` and
            `owner`.
        severity: Words; none stand for every severity.
        after: Only reminders of incidents that have been open so long.
        goes_on: Whether the routes after it are asked too: `continue = true`.
    """

    to: tuple[str, ...]
    job: Patterns = ()
    environment: Patterns = ()
    group: Patterns = ()
    reason: Patterns = ()
    alert_type: Patterns = ()
    owner: Patterns = ()
    severity: tuple[str, ...] = ()
    after: timedelta | None = None
    goes_on: bool = False

    def takes(self, alert: PendingAlert, now: datetime) -> bool:
        """Whether the alert goes this way."""
        return (
            matches(alert.job_name, self.job)
            and matches(alert.environment, self.environment)
            and matches(alert.error_group, self.group)
            and matches(alert.error_reason, self.reason)
            and matches(alert.alert_type, self.alert_type)
            and matches(alert.owner, self.owner)
            and (not self.severity or alert.severity in self.severity)
            and (self.after is None or _is_open_for(alert, self.after, now))
        )


def matches(value: str | None, patterns: Patterns) -> bool:
    """Whether one of the patterns fits; what is not known fits `*` alone.

    >>> matches("billing.daily", ("billing.*",)), matches(None, ("billing.*",)), matches(None, ())
    (True, False, True)
    """
    return not patterns or any(fnmatchcase(value or "", pattern) for pattern in patterns)


def channels_for(
    routes: Sequence[Route], channels: Iterable[str], alert: PendingAlert, *, now: datetime
) -> tuple[str, ...]:
    """Return the names of the channels that an alert goes to, each once, in the routes' order.

    Every channel takes what no route matches. A recovery goes where its opening went, whatever the
    routes say of it: that is the caller's to see to.
    """
    chosen: dict[str, None] = {}
    is_taken = False
    for route in routes:
        if route.takes(alert, now):
            is_taken = True
            chosen.update(dict.fromkeys(route.to))
            if not route.goes_on:
                break
    return tuple(chosen) if is_taken else tuple(channels)


def _is_open_for(alert: PendingAlert, length: timedelta, now: datetime) -> bool:
    return alert.standing is Standing.OPEN and now - alert.opened_at >= length
