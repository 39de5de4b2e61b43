"""Maintenance windows: at these times nobody is told; rows are written as ever."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from .._errors import ConfigurationError
from .._frozen import frozen
from .._monitor.notices import PendingAlert
from .routes import Patterns, matches

LONGEST_WINDOW: Final = timedelta(days=31)
INSTALL: Final = "pip install 'runguard-runlog[monitor]'"
_FIELDS: Final = 5  # of a cron expression: seconds are no window's business


class UnreadableCron(ValueError):
    """A text that is no cron expression."""


@frozen(kw_only=True)
class QuietWindow:
    """A window that opens at each tick of a cron expression.

    Attributes:
        cron: Five fields, in `timezone`.
        length: How long the window stays open: `for`.
        reason: Why, for the row of each notice that it mutes.
        job: Patterns of the jobs that it is for; likewise `environment`, `group` and `alert_type`.
    """

    cron: str
    length: timedelta
    reason: str
    timezone: tzinfo = UTC
    job: Patterns = ()
    environment: Patterns = ()
    group: Patterns = ()
    alert_type: Patterns = ()

    def covers(self, alert: PendingAlert) -> bool:
        """Whether the window is one for this alert."""
        return (
            matches(alert.job_name, self.job)
            and matches(alert.environment, self.environment)
            and matches(alert.error_group, self.group)
            and matches(alert.alert_type, self.alert_type)
        )

    def open_until(self, now: datetime) -> datetime | None:
        """Return when the window that is open now ends, in UTC; None where none is open."""
        # Forwards from the last time that a window might still be open: backwards, cronsim skips a
        # tick in the hour that a change of the clock repeats.
        began = _next_tick(self.cron, (now - self.length).astimezone(self.timezone))
        return None if began is None or began > now else began + self.length


def quiet_window(
    windows: Iterable[QuietWindow], alert: PendingAlert, *, now: datetime
) -> tuple[QuietWindow, datetime] | None:
    """Return the open window that mutes an alert, and when it ends; of several the longest."""
    open_ones = [
        (window, ends)
        for window in windows
        if window.covers(alert) and (ends := window.open_until(now)) is not None
    ]
    return max(open_ones, key=lambda one: one[1], default=None)


def check_cron(cron: str) -> None:
    """See that a text is a cron expression that has a tick.

    Raises:
        UnreadableCron: it is none.
        ConfigurationError: the library that reads it is not installed.
    """
    if len(cron.split()) != _FIELDS or _next_tick(cron, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        raise UnreadableCron(cron)


def _next_tick(cron: str, after: datetime) -> datetime | None:
    """Return the first tick after a time, in UTC; None where there is none in fifty years."""
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise ConfigurationError(
            f"quiet: expected the library cronsim, which reads `cron`, found none: {INSTALL}"
        ) from None
    try:
        # Asked in the hour that a change of the clock repeats, it may go back to the first of two.
        ticks = (tick.astimezone(UTC) for tick in CronSim(cron, after))
        return next((tick for tick in ticks if tick > after.astimezone(UTC)), None)
    except CronSimError:
        raise UnreadableCron(cron) from None
