"""`Clock`: time passes for the rows of a test, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from .._api import runtime
from .._errors import ConfigurationError
from .._run.lost_runs import LostRunWatch

if TYPE_CHECKING:
    from .view import StoreView


class Clock:
    """Moves rows into the past: runs, alerts, cooldowns, incidents, silences, locks, deliveries.

    The clocks of the machine and of the database stay as they are, and so does what `detail` and
    texts say of times.

    Added in 0.2.
    """

    def __init__(self, view: StoreView, *, deliver: Callable[[], None]) -> None:
        """Made by the fixtures."""
        self._view = view
        self._deliver = deliver

    def forward(self, length: timedelta | str, /) -> None:
        """Let time pass. What is due is told first, as by a monitor that runs all the time.

        Args:
            length: A `timedelta`, or a text such as `31m`, `2h30m` or `1d`; more than 0.
        """
        from .._store.moving import move_into_past

        by = _length(length)
        self._deliver()
        with self._view.reader() as store:
            move_into_past(store, by)
        runtime.lost_runs = LostRunWatch()  # a start looks for lost runs again


def _length(length: timedelta | str) -> timedelta:
    from .._monitor.filters import read_duration

    try:
        by = length if isinstance(length, timedelta) else read_duration(length)
    except ValueError:
        by = timedelta(0)
    if by <= timedelta(0):
        raise ConfigurationError(
            f"forward: expected a timedelta or a text such as '31m', more than 0, found {length!r}"
        )
    return by
