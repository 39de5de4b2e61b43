"""When the store call that is under way must end."""

from __future__ import annotations

from contextvars import ContextVar
from math import inf
from typing import Final

# Seconds of `time.monotonic`, for the call in this thread.
DEADLINE: Final[ContextVar[float]] = ContextVar("runguard_deadline", default=inf)
