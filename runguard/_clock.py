"""Clocks that a host cannot freeze, as the tests of many jobs do.

Such tools replace what modules name `time.monotonic` and its like, in `time` and in whoever has
imported it. What lies in a tuple is not found, and `perf_counter` is the one they leave running.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from types import BuiltinFunctionType
from typing import Final

_REAL: Final = (time.perf_counter, time.time)
# Imported while the clocks stand still, that one is theirs already: ask the system instead.
_IS_REAL: Final = isinstance(time.perf_counter, BuiltinFunctionType)


def ticks() -> float:
    """Return seconds that only ever grow, from some moment in the past on."""
    return _REAL[0]() if _IS_REAL else os.times().elapsed


def now() -> datetime:
    """Return this host's time."""
    return datetime.fromtimestamp(_REAL[1](), UTC)


def is_in_utc() -> bool:
    """Whether this machine's zone is UTC, all year."""
    return time.timezone == 0 and not time.daylight
